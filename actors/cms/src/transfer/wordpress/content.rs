//! What WordPress keeps of a text: some of it is no HTML at all.

use std::collections::HashMap;

use crate::transfer::html::address;

/// Elements that end a paragraph.
const BLOCKS: [&str; 26] = [
    "address",
    "article",
    "aside",
    "blockquote",
    "dd",
    "details",
    "div",
    "dl",
    "dt",
    "figure",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "ol",
    "pre",
    "section",
    "table",
    "ul",
    "iframe",
];
/// What WordPress keeps of a text, as HTML: paragraphs that were only lines are such, and short codes are what they stand
/// for. `attachments` are addresses of files by their ids.
pub(super) fn html(content: &str, attachments: &HashMap<String, String>) -> String {
    // Blocks of its newer editor say so; a text with paragraphs has them.
    let is_html = ["<!-- wp:", "<p>", "<p "].iter().any(|sign| content.contains(sign));
    let content = short_codes(content, attachments);
    if is_html { linked(&content) } else { paragraphs(&content) }
}

/// Lines that are addresses alone, as links: what is embedded is written so.
fn linked(html: &str) -> String {
    let is_address = |line: &str| {
        (line.starts_with("https://") || line.starts_with("http://"))
            && !line.contains(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"'))
    };
    let lines = html.split('\n').map(|line| match line.trim() {
        address if is_address(address) => format!("<p><a href=\"{address}\">{address}</a></p>"),
        _ => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Lines with nothing between them are in one paragraph.
fn paragraphs(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    // What is preformatted has empty lines of its own.
    let mut html = String::with_capacity(text.len() + 64);
    let mut rest = text.as_str();
    while let Some(at) = rest.find("<pre") {
        let (before, from) = rest.split_at(at);
        html.push_str(&flowing(before));
        let end = from.find("</pre>").map_or(from.len(), |end| end + "</pre>".len());
        let (inside, after) = from.split_at(end);
        html.push_str(inside);
        rest = after;
    }
    html.push_str(&flowing(rest));
    html
}

fn flowing(text: &str) -> String {
    let is_block = |piece: &str| {
        let name = piece.strip_prefix('<').map(|rest| rest.trim_start_matches('/'));
        name.is_some_and(|rest| {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
            BLOCKS.contains(&rest[..end].to_ascii_lowercase().as_str())
        })
    };
    let pieces = text.split("\n\n").map(str::trim).filter(|piece| !piece.is_empty());
    let html = pieces.map(|piece| {
        if is_block(piece) {
            return format!("{piece}\n");
        }
        let linked = linked(piece);
        if linked == piece {
            format!("<p>{}</p>\n", piece.replace('\n', "<br>"))
        } else {
            format!("{linked}\n")
        }
    });
    html.collect()
}

/// The short codes of WordPress itself; those of plugins stay as they stand.
fn short_codes(content: &str, attachments: &HashMap<String, String>) -> String {
    let mut html = String::with_capacity(content.len());
    let mut rest = content;
    while let Some(at) = rest.find('[') {
        let (before, from) = rest.split_at(at);
        html.push_str(before);
        match short_code(from, attachments) {
            Some((shown, length)) => {
                html.push_str(&shown);
                rest = &from[length..];
            }
            None => {
                html.push('[');
                rest = &from[1..];
            }
        }
    }
    html.push_str(rest);
    html
}

/// What stands at the beginning of a text, as HTML, and how long it is there.
fn short_code(from: &str, attachments: &HashMap<String, String>) -> Option<(String, usize)> {
    let end = from.find(']')?;
    let head = &from[1..end];
    let name = head.split_whitespace().next()?;
    let inside = |closing: &str| {
        let after = &from[end + 1..];
        let length = after.find(closing)?;
        Some((&after[..length], end + 1 + length + closing.len()))
    };
    match name {
        "embed" => {
            let (address, length) = inside("[/embed]")?;
            Some((format!("\n\n{}\n\n", address.trim()), length))
        }
        "caption" | "wp_caption" => {
            let (text, length) = inside(&format!("[/{name}]"))?;
            let (picture, caption) = match text.rfind('>') {
                Some(at) => text.split_at(at + 1),
                None => (text, ""),
            };
            let caption = caption.trim();
            let caption = if caption.is_empty() {
                String::new()
            } else {
                format!("<p><em>{caption}</em></p>")
            };
            Some((format!("\n\n<div>{picture}</div>{caption}\n\n"), length))
        }
        "gallery" => {
            let ids = head.split("ids=\"").nth(1)?.split('"').next()?;
            let known = ids.split(',').filter_map(|id| attachments.get(id.trim()));
            let mut shown = String::new();
            for url in known.filter_map(|url| address(url)) {
                shown.extend(["<p><img src=\"", &url, "\"></p>"]);
            }
            Some((format!("\n\n<div>{shown}</div>\n\n"), end + 1))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::html::markdown;

    #[test]
    fn what_wordpress_keeps_is_html() {
        let attachments = HashMap::from([("7".to_owned(), "https://a.example/7.jpg".to_owned())]);
        let shown = |content: &str| markdown(&html(content, &attachments));
        for (content, expected) in [
            ("One\ntwo\n\nthree", "One\\\ntwo\n\nthree"),
            ("One\r\n\r\n<h2>two</h2>\r\n\r\nthree", "One\n\n## two\n\nthree"),
            ("<!-- wp:paragraph -->\n<p>a</p>\n<!-- /wp:paragraph -->", "a"),
            (
                "a\n\nhttps://www.youtube.com/watch?v=a_b\n\nc",
                "a\n\n<https://www.youtube.com/watch?v=a_b>\n\nc",
            ),
            (
                "<!-- wp:embed --><figure class=\"wp-block-embed\"><div>\nhttps://vimeo.com/1\n</div></figure><!-- /wp:embed -->",
                "<https://vimeo.com/1>",
            ),
            ("[embed]https://vimeo.com/1[/embed]", "<https://vimeo.com/1>"),
            (
                "[caption id=\"a\" width=\"3\"]<img src=\"https://a.example/b.png\" alt=\"c\"> A word[/caption]",
                "![c](https://a.example/b.png)\n\n*A word*",
            ),
            (
                "a\nb\n\n[caption id=\"a\"]<img src=\"https://a.example/b.png\"> c[/caption]\n\nd",
                "a\\\nb\n\n![](https://a.example/b.png)\n\n*c*\n\nd",
            ),
            ("[gallery ids=\"7,8\"]", "![](https://a.example/7.jpg)"),
            ("a [plugin x=\"1\"] b [c", "a \\[plugin x=\"1\"\\] b \\[c"),
            ("a\n\n<pre>b\n\nc</pre>\n\nd", "a\n\n```\nb\n\nc\n```\n\nd"),
        ] {
            assert_eq!(shown(content), expected, "{content}");
        }
    }
}
