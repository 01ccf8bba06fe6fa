//! Markdown (CommonMark, tables, autolinks, strikethrough, task lists, mentions, coloured code) to
//! HTML that is safe to show.
//!
//! Two walls, either of which would do: comrak shows raw HTML as text and blanks dangerous
//! links; ammonia then lets through only the tags, attributes and schemes listed here.
//!
//! The caller bounds the length of the text. Nesting is bounded here, because the cost of an
//! HTML parser grows with the square of it: what nests deeper than any person writes is shown
//! as plain text.

mod highlight;
mod mentions;

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::LazyLock;

use ammonia::{Builder, UrlRelative};
use comrak::arena_tree::NodeEdge;
use comrak::nodes::NodeValue;
use comrak::options::{Plugins, RenderPlugins};
use comrak::{Arena, Node, Options, format_html_with_plugins, parse_document};
use panel_kernel::ids::Id;

use self::highlight::{CLASSES, Highlighter};
pub(crate) use self::mentions::{People, candidates, page_of};
use crate::html::escape;

/// The deepest nesting of blocks and inlines that is rendered.
const MAX_DEPTH: usize = 100;

static OPTIONS: LazyLock<Options<'static>> = LazyLock::new(|| {
    let mut options = Options::default();
    options.extension.table = true;
    options.extension.autolink = true;
    options.extension.strikethrough = true;
    options.extension.tasklist = true;
    options.render.escape = true;
    options
});

static SANITISER: LazyLock<Builder<'static>> = LazyLock::new(sanitiser);

/// More cells in a table than anybody reads. Short rows are filled up to the width of the head,
/// so that a small text could otherwise become a very large page.
const MAX_CELLS: usize = 5_000;

/// Whether the text has a table whose cells are too many: the width of its delimiter row times
/// the lines that may belong to it.
fn has_huge_table(text: &str) -> bool {
    let lines = text.lines().count();
    text.lines().enumerate().any(|(at, line)| {
        let is_delimiter = line.contains('-')
            && line.chars().all(|c| matches!(c, '|' | '-' | ':' | ' ' | '\t' | '>'));
        let columns = line.matches('|').count() + 1;
        is_delimiter && columns > 1 && columns * (lines - at) > MAX_CELLS
    })
}

/// A text as it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rendered {
    /// Safe HTML.
    pub(crate) html: String,
    /// Whom it calls by name.
    pub(crate) mentioned: BTreeSet<Id>,
    /// Where its links lead, and its pictures come from, if that is elsewhere.
    pub(crate) links: Vec<String>,
}

/// Renders `text`, in which `people` can be called.
pub(crate) fn render(text: &str, people: &People) -> Rendered {
    if has_huge_table(text) {
        return plain(text);
    }
    let arena = Arena::new();
    let root = parse_document(&arena, text, &OPTIONS);
    let mut depth = 0_usize;
    for edge in root.traverse() {
        match edge {
            NodeEdge::Start(_) => depth += 1,
            NodeEdge::End(_) => depth -= 1,
        }
        if depth > MAX_DEPTH {
            return plain(text);
        }
    }
    let links = links(root);
    let mentioned = mentions::link(&arena, root, people);
    let highlighter = Highlighter::new();
    let render = RenderPlugins {
        codefence_syntax_highlighter: Some(&highlighter),
        ..RenderPlugins::default()
    };
    let mut html = String::with_capacity(text.len() * 2);
    match format_html_with_plugins(root, &OPTIONS, &mut html, &Plugins { render }) {
        Ok(()) => Rendered { html: SANITISER.clean(&html).to_string(), mentioned, links },
        Err(_) => plain(text),
    }
}

/// Whether a text may have code in a language, which takes longer than anything else.
pub(crate) fn may_have_code(text: &str) -> bool {
    text.contains("```") || text.contains("~~~")
}

/// The text as it is, in one element.
fn plain(text: &str) -> Rendered {
    let mut html = String::with_capacity(text.len() + text.len() / 4 + 16);
    html.push_str("<pre>");
    escape(&mut html, text);
    html.push_str("</pre>");
    Rendered { html, ..Rendered::default() }
}

/// The addresses of links and pictures that are not on this site.
fn links(root: Node<'_>) -> Vec<String> {
    let links = root.descendants().filter_map(|node| match &node.data.borrow().value {
        NodeValue::Link(link) | NodeValue::Image(link) => Some(link.url.clone()),
        _ => None,
    });
    links.filter(|url| url.contains("//")).collect()
}

fn sanitiser() -> Builder<'static> {
    let tags = [
        "a",
        "blockquote",
        "br",
        "code",
        "del",
        "em",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "img",
        "input",
        "li",
        "ol",
        "p",
        "pre",
        "span",
        "strong",
        "table",
        "tbody",
        "td",
        "th",
        "thead",
        "tr",
        "ul",
    ];
    let attributes = [
        ("a", &["href", "title", "class"][..]),
        ("code", &["class"]),
        ("span", &["class"]),
        ("img", &["src", "alt", "title"]),
        ("input", &["checked"]),
        ("ol", &["start"]),
    ];
    let aligned = || HashMap::from([("align", HashSet::from(["left", "center", "right"]))]);
    let mut builder = Builder::empty();
    builder
        .tags(HashSet::from(tags))
        .tag_attributes(attributes.map(|(tag, list)| (tag, list.iter().copied().collect())).into())
        .tag_attribute_values(HashMap::from([("td", aligned()), ("th", aligned())]))
        // The only boxes are those of task lists, and nobody ticks them here. Images tell their
        // host nothing about the page.
        .set_tag_attribute_values(HashMap::from([
            ("input", HashMap::from([("type", "checkbox"), ("disabled", "")])),
            ("img", HashMap::from([("loading", "lazy"), ("referrerpolicy", "no-referrer")])),
        ]))
        .attribute_filter(|tag, attribute, value| match (tag, attribute) {
            ("code", "class") => is_language(value).then_some(Cow::Borrowed(value)),
            ("a", "class") => (value == "mention").then_some(Cow::Borrowed(value)),
            ("span", "class") => is_colour(value).then_some(Cow::Borrowed(value)),
            _ => Some(Cow::Borrowed(value)),
        })
        .url_schemes(HashSet::from(["http", "https", "mailto"]))
        .url_relative(UrlRelative::PassThrough)
        .link_rel(Some("nofollow ugc noopener"));
    builder
}

/// The class by which a highlighter knows a code block's language, and nothing else.
fn is_language(class: &str) -> bool {
    class.strip_prefix("language-").is_some_and(|name| {
        (1..=32).contains(&name.len())
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'+' | b'#'))
    })
}

/// One of our own classes for a piece of code.
fn is_colour(class: &str) -> bool {
    class.strip_prefix("hl-").is_some_and(|name| CLASSES.contains(&name))
}

#[cfg(test)]
mod tests;
