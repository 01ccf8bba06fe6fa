//! Markdown (CommonMark, tables, autolinks, strikethrough, task lists, mentions, coloured code) to
//! HTML that is safe to show.
//!
//! Two walls, either of which would do: comrak shows raw HTML as text and blanks dangerous
//! links; ammonia then lets through only the tags, attributes and schemes listed here.
//!
//! The caller bounds the length of the text. Nesting is bounded here, because the cost of an
//! HTML parser grows with the square of it: what nests deeper than any person writes is shown
//! as plain text.

mod embeds;
mod highlight;
mod mentions;
mod sanitising;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use comrak::arena_tree::NodeEdge;
use comrak::nodes::NodeValue;
use comrak::options::{Plugins, RenderPlugins};
use comrak::{Arena, Node, Options, format_html_with_plugins, parse_document};
use panel_kernel::ids::Id;

pub use self::embeds::Embed;
use self::highlight::Highlighter;
pub use self::mentions::{MAX_MENTIONS, PageOf, People, candidates};
use crate::html::escape;

/// The deepest nesting of blocks and inlines that is rendered.
const MAX_DEPTH: usize = 100;

/// What a text is, and so what it may have in it.
#[derive(Clone, Debug)]
pub enum Dialect {
    /// Anybody's: people are called in it by name, and nobody vouches for where its links lead.
    Post {
        /// Who can be called.
        people: People,
        /// Where they have their pages.
        page_of: PageOf,
    },
    /// The site's own: with headings that have addresses, footnotes, and videos of these sites.
    Article {
        /// A paragraph that is the address of a video there is shown as that.
        embeds: Vec<Embed>,
    },
}

static POST: LazyLock<Options<'static>> = LazyLock::new(|| {
    let mut options = Options::default();
    options.extension.table = true;
    options.extension.autolink = true;
    options.extension.strikethrough = true;
    options.extension.tasklist = true;
    options.render.escape = true;
    options
});

static ARTICLE: LazyLock<Options<'static>> = LazyLock::new(|| {
    let mut options = POST.clone();
    options.extension.footnotes = true;
    options.extension.header_id_prefix = Some(ID_PREFIX.to_owned());
    options.extension.header_id_prefix_in_href = true;
    options
});

/// Ids of headings begin with it, so that none is that of something else on the page.
const ID_PREFIX: &str = "s-";

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
pub struct Rendered {
    /// Safe HTML.
    pub html: String,
    /// Whom it calls by name.
    pub mentioned: BTreeSet<Id>,
    /// Where its links lead, and its pictures come from, if that is elsewhere.
    pub links: Vec<String>,
}

/// Markdown that shows `text` as it is, in one line.
#[must_use]
pub fn literal(text: &str) -> String {
    let mut markdown = String::with_capacity(text.len() + 16);
    for (at, word) in text.split_whitespace().enumerate() {
        if at > 0 {
            markdown.push(' ');
        }
        for c in word.chars() {
            if c.is_ascii_punctuation() {
                markdown.push('\\');
            }
            markdown.push(c);
        }
    }
    markdown
}

/// Renders `text`.
#[must_use]
pub fn render(text: &str, dialect: &Dialect) -> Rendered {
    if has_huge_table(text) {
        return plain(text);
    }
    let (options, sanitiser) = match dialect {
        Dialect::Post { .. } => (&POST, &sanitising::POST),
        Dialect::Article { .. } => (&ARTICLE, &sanitising::ARTICLE),
    };
    let arena = Arena::new();
    let root = parse_document(&arena, text, options);
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
    let mentioned = match dialect {
        Dialect::Post { people, page_of } => mentions::link(&arena, root, people, *page_of),
        Dialect::Article { embeds } => {
            embeds::place(&arena, root, embeds);
            BTreeSet::new()
        }
    };
    let highlighter = Highlighter::new();
    let render = RenderPlugins {
        codefence_syntax_highlighter: Some(&highlighter),
        ..RenderPlugins::default()
    };
    let mut html = String::with_capacity(text.len() * 2);
    match format_html_with_plugins(root, options, &mut html, &Plugins { render }) {
        Ok(()) => {
            let html = aligned(sanitiser.clean(&html).to_string());
            Rendered { html, mentioned, links }
        }
        Err(_) => plain(text),
    }
}

/// Cells that stand somewhere in their columns say so by a class: HTML has no `align` any more. Nobody else than comrak
/// writes such a tag, for whatever people write is a text by then.
fn aligned(html: String) -> String {
    if !html.contains(" align=\"") {
        return html;
    }
    html.replace("<th align=\"", "<th class=\"").replace("<td align=\"", "<td class=\"")
}

/// Whether a text may have code in a language, which takes longer than anything else.
#[must_use]
pub fn may_have_code(text: &str) -> bool {
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

#[cfg(test)]
mod tests;
