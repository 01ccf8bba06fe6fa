//! HTML of other programs in Markdown.
//!
//! What they keep is made by editors of many years: some of it is no HTML at all (paragraphs that are only lines, short
//! codes in brackets). What has no Markdown is its text.

use std::borrow::Cow;

use htmd::element_handler::{HandlerResult, Handlers};
use htmd::options::{BrStyle, BulletListMarker, LinkStyle, Options};
use htmd::{Element, HtmlToMarkdown};
use panel_kernel::ids::hex;
use quick_xml::escape::{resolve_html5_entity, unescape_with};

/// The deepest nesting that is looked into: the walk through it goes down as deep.
const MAX_DEPTH: usize = 256;
/// Elements that nobody closes, or need not.
const OPEN: [&str; 27] = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source",
    "track", "wbr", "p", "li", "dt", "dd", "td", "th", "tr", "tbody", "thead", "tfoot", "colgroup",
    "option", "optgroup",
];
/// What is left out, with all that is in it.
const WITHOUT: [&str; 9] =
    ["script", "style", "noscript", "template", "svg", "form", "button", "object", "canvas"];

/// HTML in Markdown.
pub(super) fn markdown(html: &str) -> String {
    let converter = HtmlToMarkdown::builder()
        .options(Options {
            br_style: BrStyle::Backslash,
            bullet_list_marker: BulletListMarker::Dash,
            ul_bullet_spacing: 1,
            ol_number_spacing: 1,
            link_style: LinkStyle::InlinedPreferAutolinks,
            ..Options::default()
        })
        .skip_tags(WITHOUT.to_vec())
        .add_handler(vec!["iframe", "video", "audio"], player)
        .build();
    if nests_deep(html) {
        return plain(html);
    }
    let html = &preformatted(html);
    converter.convert(html).map_or_else(|_| plain(html), |markdown| alone(markdown.trim()))
}

/// What is preformatted is code, whether it says so or not: nothing else in Markdown keeps its lines.
fn preformatted(html: &str) -> String {
    let mut coded = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(at) = rest.find("<pre") {
        let Some(end) = rest[at..].find('>').map(|end| at + end + 1) else { break };
        let Some(length) = rest[end..].find("</pre>") else { break };
        let inside = &rest[end..end + length];
        coded.push_str(&rest[..end]);
        if inside.trim_start().starts_with("<code") {
            coded.push_str(inside);
        } else {
            coded.extend(["<code>", inside, "</code>"]);
        }
        coded.push_str("</pre>");
        rest = &rest[end + length + "</pre>".len()..];
    }
    coded.push_str(rest);
    coded
}

/// Links that stand in a line of their own and say where they lead, as addresses: a page may show what is there.
fn alone(markdown: &str) -> String {
    let mut is_code = false;
    let lines = markdown.split('\n').map(|line| {
        is_code ^= line.trim_start().starts_with("```");
        let link = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(')'));
        match link.and_then(|link| link.split_once("](")) {
            Some((text, address)) if !is_code && text.replace('\\', "") == address => {
                format!("<{address}>")
            }
            _ => line.to_owned(),
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// What plays something is the address of that, which a page may show as a player again.
#[allow(clippy::needless_pass_by_value, reason = "a handler is called so")]
fn player(_: &dyn Handlers, element: Element<'_>) -> Option<HandlerResult> {
    let of = |name: &str| {
        let mut all = element.attrs.iter();
        all.find(|attribute| &*attribute.name.local == name).map(|it| it.value.to_string())
    };
    let address = of("src").or_else(|| of("data-src"))?;
    let address = watched(&address);
    let is_one = address.starts_with("https://") || address.starts_with("http://");
    let is_bare = !address.contains(|c: char| c.is_whitespace() || matches!(c, '<' | '>'));
    (is_one && is_bare).then(|| format!("\n\n<{address}>\n\n").into())
}

/// Where people watch what this player plays.
fn watched(player: &str) -> String {
    let player =
        if player.starts_with("//") { format!("https:{player}") } else { player.to_owned() };
    let id = |rest: &str| rest.split(['?', '&', '#', '/']).next().unwrap_or_default().to_owned();
    for host in ["www.youtube.com", "youtube.com", "www.youtube-nocookie.com"] {
        if let Some(rest) = player.strip_prefix(&format!("https://{host}/embed/")) {
            return format!("https://www.youtube.com/watch?v={}", id(rest));
        }
    }
    match player.strip_prefix("https://player.vimeo.com/video/") {
        Some(rest) => format!("https://vimeo.com/{}", id(rest)),
        None => player,
    }
}

/// Whether it may nest deeper than any person writes: what parses it takes the square of that, and what walks through it
/// goes down as deep. What need not be closed does not count.
fn nests_deep(html: &str) -> bool {
    let mut depth = 0_usize;
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let closes = rest.starts_with('/');
        let name = rest.trim_start_matches('/');
        let end = name.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(name.len());
        let name = name[..end].to_ascii_lowercase();
        if name.is_empty() || OPEN.contains(&name.as_str()) {
            continue;
        }
        depth = if closes { depth.saturating_sub(1) } else { depth + 1 };
        if depth > MAX_DEPTH {
            return true;
        }
    }
    false
}

/// The text of what is deep, as Markdown.
fn plain(html: &str) -> String {
    panel_text::markdown::literal(&text(html))
}

/// The text without its tags.
pub(super) fn text(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut is_tag = false;
    for c in html.chars() {
        match c {
            '<' => is_tag = true,
            '>' if is_tag => {
                is_tag = false;
                text.push(' ');
            }
            c if !is_tag => text.push(c),
            _ => {}
        }
    }
    let read = unescape_with(&text, resolve_html5_entity).map(Cow::into_owned);
    read.unwrap_or(text).trim().to_owned()
}

/// An address as it can stand anywhere; nothing if it is none of the web.
pub(super) fn address(url: &str) -> Option<String> {
    let url = url.trim();
    let is_here = url.starts_with('/') && !url.starts_with("//");
    if !(is_here || url.starts_with("https://") || url.starts_with("http://")) {
        return None;
    }
    let mut address = String::with_capacity(url.len());
    for byte in url.bytes() {
        if byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'\\') {
            address.push(char::from(byte));
        } else {
            address.push('%');
            address.push_str(&hex(&[byte]).to_ascii_uppercase());
        }
    }
    (address.len() <= 2_000).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_becomes_markdown() {
        for (html, expected) in [
            ("<p>a <b>b</b> <i>c</i></p><p>d<br>e</p>", "a **b** *c*\n\nd\\\ne"),
            ("<h2>a</h2><ul><li>b</li><li>c</li></ul>", "## a\n\n- b\n- c"),
            ("<p><a href=\"https://a.example/?b_c=1\">d</a></p>", "[d](https://a.example/?b_c=1)"),
            (
                "<p><a href=\"https://a.example/b_c\">https://a.example/b_c</a></p>",
                "<https://a.example/b_c>",
            ),
            (
                "<pre><code class=\"language-rust\">fn a() {}\n\nb</code></pre>",
                "```rust\nfn a() {}\n\nb\n```",
            ),
            ("<blockquote><p>a</p></blockquote>", "> a"),
            ("<p>a</p><script>b()</script><style>c</style>", "a"),
            ("<p>*a* _b_ # c [d](e) &lt;f&gt;</p>", "\\*a\\* \\_b\\_ # c \\[d\\](e) \\<f>"),
            ("<img src=\"/a.png\" alt=\"b\">", "![b](/a.png)"),
            (
                "<iframe src=\"https://www.youtube.com/embed/a_b-c?rel=0\"></iframe>",
                "<https://www.youtube.com/watch?v=a_b-c>",
            ),
            ("<iframe src=\"//player.vimeo.com/video/12?a\"></iframe>", "<https://vimeo.com/12>"),
            ("<iframe src=\"javascript:alert(1)\"></iframe>", ""),
        ] {
            assert_eq!(markdown(html), expected, "{html}");
        }
    }

    #[test]
    fn what_nests_deep_is_its_text() {
        let html = format!("{}a &amp; b{}", "<div>".repeat(100_000), "</div>".repeat(100_000));
        assert_eq!(markdown(&html), "a \\& b");
        let list = format!("<ul>{}</ul>", "<li>a".repeat(1_000));
        assert!(markdown(&list).starts_with("- a\n- a\n"));
        for open in ["<b>", "<a href=x>", "<table><td>", "<ul><li>", "<p><i>", "<blockquote>"] {
            assert_eq!(markdown(&open.repeat(50_000)), "", "{open}");
        }
    }
}
