//! Text in HTML.

/// How texts look. `--line` is the colour of lines.
pub const STYLE: &str = r##"pre { overflow-x: auto; padding: .75rem; background: #8881; }
  table { border-collapse: collapse; display: block; overflow-x: auto; }
  td, th { border: 1px solid var(--line); padding: .25rem .5rem; }
  .left { text-align: left; } .center { text-align: center; } .right { text-align: right; }
  blockquote { margin: 0; padding-left: 1rem; border-left: 3px solid var(--line); }
  img { max-width: 100%; height: auto; }
  .hl-comment { color: #57606a; } .hl-string { color: #116329; } .hl-number, .hl-constant { color: #0550ae; }
  .hl-keyword { color: #b31d28; } .hl-type, .hl-tag { color: #6639ba; } .hl-function { color: #6639ba; }
  .hl-variable { color: #953800; }
  @media (prefers-color-scheme: dark) {
    .hl-comment { color: #8b949e; } .hl-string { color: #a5d6ff; } .hl-number, .hl-constant { color: #79c0ff; }
    .hl-keyword { color: #ff7b72; } .hl-type, .hl-tag, .hl-function { color: #d2a8ff; } .hl-variable { color: #ffa657; }
  }
  .embed iframe { width: 100%; aspect-ratio: 16 / 9; border: 0; }
  .footnotes { font-size: .9rem; border-top: 1px solid var(--line); }
  a.anchor::after { content: "#"; margin-left: .3em; opacity: .3; text-decoration: none; }"##;

/// Writes a text so that HTML gives nothing in it a meaning.
pub fn escape(html: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c => html.push(c),
        }
    }
}

/// What tells nobody what a text is about, without the rest of it.
const ASIDE: [&str; 10] = ["h1", "h2", "h3", "h4", "h5", "h6", "pre", "section", "sup", "table"];

/// How HTML as we make it begins: its words on one line, without headings, code, tables and footnotes, unless there
/// is nothing else. At most `most` characters, cut between words, with `…` where there was more.
#[must_use]
pub fn beginning(html: &str, most: usize) -> String {
    let beginning = words(html, most, &ASIDE);
    if beginning.is_empty() { words(html, most, &[]) } else { beginning }
}

/// The same, without what is in these elements.
fn words(html: &str, most: usize, without: &[&str]) -> String {
    let mut words = String::with_capacity(html.len().min(most * 4));
    // Spaces count when something follows them.
    let (mut rest, mut length, mut is_apart) = (html, 0, false);
    while !rest.is_empty() && length <= most {
        if let Some(tag) = rest.strip_prefix('<') {
            // Blocks are apart; marks within a word are not.
            let end = tag.find('>').map_or(tag.len(), |end| end + 1);
            let name = name_of(&tag[..end]);
            is_apart |= !is_inline(name);
            rest = &tag[end..];
            if without.contains(&name) && !tag.starts_with('/') {
                // They do not stand in each other.
                rest = rest.find(&format!("</{name}>")).map_or("", |close| &rest[close..]);
            }
            continue;
        }
        let (c, taken) = character(rest);
        rest = &rest[taken..];
        if c.is_whitespace() {
            is_apart = true;
            continue;
        }
        if is_apart && !words.is_empty() {
            words.push(' ');
            length += 1;
        }
        is_apart = false;
        words.push(c);
        length += 1;
    }
    if length <= most {
        return words;
    }
    let cut = words.char_indices().nth(most.saturating_sub(1)).map_or(words.len(), |(at, _)| at);
    // Where a word ends, unless that is far away.
    let ends = words[cut..].starts_with(' ');
    let space = words[..cut].rfind(' ').filter(|space| !ends && *space * 2 > cut);
    let cut = space.unwrap_or(cut);
    let cut = words[..cut].trim_end_matches([' ', ',', ';', ':', '.', '-']);
    format!("{cut}…")
}

fn name_of(tag: &str) -> &str {
    tag.trim_start_matches('/').split([' ', '>', '/']).next().unwrap_or_default()
}

/// Whether an element stands within a word.
fn is_inline(name: &str) -> bool {
    matches!(name, "a" | "code" | "del" | "em" | "span" | "strong" | "sup")
}

/// The first character of a text, and how many bytes it takes.
fn character(text: &str) -> (char, usize) {
    const ENTITIES: [(&str, char); 6] = [
        ("&amp;", '&'),
        ("&lt;", '<'),
        ("&gt;", '>'),
        ("&quot;", '"'),
        ("&#39;", '\''),
        ("&nbsp;", ' '),
    ];
    let entity = ENTITIES.iter().find(|(name, _)| text.starts_with(name));
    let first = || text.chars().next().map_or((' ', 1), |c| (c, c.len_utf8()));
    entity.map_or_else(first, |(name, c)| (*c, name.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_what_people_read() {
        let html =
            "<h1>Über <em>uns</em></h1>\n<p>a&amp;b <strong>c</strong>d</p>\n<ul>\n<li>x</li></ul>";
        assert_eq!(words(html, 100, &[]), "Über uns a&b cd x");
        assert_eq!(beginning(html, 100), "a&b cd x");
        let html = "<h2>Title</h2>\n<pre><code>code</code></pre>\n<p>It<sup>1</sup> is.</p>\n<table><td>1</table>";
        assert_eq!(beginning(html, 100), "It is.");
        assert_eq!(beginning("<h2>Title</h2>\n<pre>x</pre>", 100), "Title x");
        assert_eq!(beginning("<p>one two three four</p>", 14), "one two three…");
        assert_eq!(beginning("<p>one two, three</p>", 12), "one two…");
        assert_eq!(beginning("<p>one two</p>", 7), "one two");
        assert_eq!(beginning(&"漢".repeat(20), 5), "漢漢漢漢…");
        for nothing in ["", "<p></p><", "<pre>", "<sup>x"] {
            assert!(beginning(nothing, 5).len() < 2, "{nothing}");
        }
    }
}
