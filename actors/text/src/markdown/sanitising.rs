//! The second wall: which tags, attributes and schemes come through, whatever the first one let pass.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use ammonia::{Builder, UrlRelative};

use super::embeds::is_player;
use super::highlight::CLASSES;

/// Classes of what an article is put together from.
const OWN: [&str; 5] = ["anchor", "embed", "footnote-backref", "footnote-ref", "footnotes"];

/// Of what anybody wrote.
pub(super) static POST: LazyLock<Builder<'static>> = LazyLock::new(of_posts);
/// Of what the site says itself.
pub(super) static ARTICLE: LazyLock<Builder<'static>> = LazyLock::new(of_articles);

/// What both may have.
fn of_both() -> Builder<'static> {
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
        .url_schemes(HashSet::from(["http", "https", "mailto"]))
        .url_relative(UrlRelative::PassThrough);
    builder
}

fn of_posts() -> Builder<'static> {
    let mut builder = of_both();
    builder.link_rel(Some("nofollow ugc noopener")).attribute_filter(
        |tag, attribute, value| match (tag, attribute) {
            ("code", "class") => is_language(value).then_some(Cow::Borrowed(value)),
            ("a", "class") => (value == "mention").then_some(Cow::Borrowed(value)),
            ("span", "class") => is_colour(value).then_some(Cow::Borrowed(value)),
            _ => Some(Cow::Borrowed(value)),
        },
    );
    builder
}

/// What both may have, and headings that have addresses, footnotes, and players in frames of their own.
fn of_articles() -> Builder<'static> {
    let mut builder = of_both();
    let frame = [
        ("loading", "lazy"),
        ("sandbox", "allow-scripts allow-same-origin allow-presentation allow-popups"),
        ("allow", "fullscreen; picture-in-picture"),
        ("referrerpolicy", "strict-origin-when-cross-origin"),
        ("title", "Video"),
    ];
    builder
        .add_tags(["iframe", "section", "sup"])
        .add_tag_attributes("a", ["id", "aria-label"])
        .add_tag_attributes("iframe", ["src"])
        .add_tag_attributes("li", ["id"])
        .add_tag_attributes("p", ["class"])
        .add_tag_attributes("section", ["class"])
        .add_tag_attributes("sup", ["class"])
        .link_rel(Some("noopener"))
        .attribute_filter(|tag, attribute, value| match (tag, attribute) {
            ("code", "class") => is_language(value).then_some(Cow::Borrowed(value)),
            ("span", "class") => is_colour(value).then_some(Cow::Borrowed(value)),
            ("iframe", "src") => is_player(value).then_some(Cow::Borrowed(value)),
            (_, "class") => OWN.contains(&value).then_some(Cow::Borrowed(value)),
            _ => Some(Cow::Borrowed(value)),
        });
    for heading in ["h1", "h2", "h3", "h4", "h5", "h6"] {
        builder.add_tag_attributes(heading, ["id"]);
    }
    for (name, value) in frame {
        builder.set_tag_attribute_value("iframe", name, value);
    }
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
