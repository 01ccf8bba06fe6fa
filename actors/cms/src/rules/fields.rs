//! What a valid field is.

use panel_kernel::http::validate::Check;
use panel_kernel::ids::Id;
use panel_kernel::problem::Problem;
use panel_text::names;

use super::Kind;

/// The most tags of an article.
pub(crate) const MAX_TAGS: usize = 20;
/// The longest title, in characters.
pub(crate) const MAX_TITLE_CHARS: usize = 200;
/// The longest excerpt that somebody writes, in characters.
const MAX_EXCERPT_CHARS: usize = 500;
/// How long an excerpt is that is the beginning of the text, in characters, at most.
pub(crate) const EXCERPT_CHARS: usize = 280;
const MAX_SEO_TITLE_CHARS: usize = 120;
const MAX_SEO_DESCRIPTION_CHARS: usize = 320;
const MAX_ADDRESS_CHARS: usize = 2_000;
const MAX_SLUG_CHARS: usize = 80;
const MAX_NAME_CHARS: usize = 80;
const MAX_DESCRIPTION_CHARS: usize = 1_000;
const MAX_NOTE_CHARS: usize = 2_000;
const MAX_ALT_CHARS: usize = 500;
const MAX_FILE_NAME_CHARS: usize = 120;
/// The highest position.
pub(crate) const MOST_POSITION: i64 = 1_000_000;
/// What stands in the places of slugs in addresses.
const RESERVED: [&str; 9] =
    ["all", "author", "authors", "categories", "category", "feed", "preview", "tag", "trash"];
/// Longer filters match nothing and are a mistake.
const FILTER_MAX: usize = 100;

/// A title.
pub(crate) fn title(check: &mut Check, text: &str) -> String {
    check.line("title", text, 1, MAX_TITLE_CHARS)
}

/// A text in Markdown; a draft may have none yet.
pub(crate) fn body(check: &mut Check, text: &str, most: usize) -> String {
    check.text("body", text, 0, most)
}

/// What a picture shows; it may be nothing that matters.
pub(crate) fn alt(check: &mut Check, text: &str) -> String {
    check.line("alt", text, 0, MAX_ALT_CHARS)
}

/// What a file is called: the last part of it, for people alone. Nothing is ever looked for by it.
pub(crate) fn file_name(text: &str) -> String {
    let last = text.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain = last.chars().filter(|c| !c.is_control()).take(MAX_FILE_NAME_CHARS);
    let name: String = plain.collect();
    if name.trim().is_empty() { "picture".to_owned() } else { name.trim().to_owned() }
}

/// An excerpt; a blank one is none.
pub(crate) fn excerpt(check: &mut Check, text: &str) -> Option<String> {
    some(check.text("excerpt", text.trim(), 0, MAX_EXCERPT_CHARS))
}

/// Whether an article wants comments: posts alone can.
pub(crate) fn comments(check: &mut Check, kind: Kind, wanted: bool) -> bool {
    if wanted && kind != Kind::Post {
        check.fail("comments", "not_for_pages", "posts alone take comments");
    }
    wanted
}

/// What to call it in search results.
pub(crate) fn seo_title(check: &mut Check, text: &str) -> Option<String> {
    some(check.line("seo.title", text, 0, MAX_SEO_TITLE_CHARS))
}

/// What to say of it there.
pub(crate) fn seo_description(check: &mut Check, text: &str) -> Option<String> {
    some(check.line("seo.description", text, 0, MAX_SEO_DESCRIPTION_CHARS))
}

/// What an editor says to an author; blank is nothing.
pub(crate) fn note(check: &mut Check, text: &str) -> Option<String> {
    some(check.text("note", text.trim(), 0, MAX_NOTE_CHARS))
}

/// The address of something on this site (`/…`) or another (`https://…`).
pub(crate) fn address(check: &mut Check, field: &str, text: &str) -> Option<String> {
    let text = check.line(field, text, 0, MAX_ADDRESS_CHARS);
    let is_here = text.starts_with('/') && !text.starts_with("//");
    let is_one = is_here || text.starts_with("https://") || text.starts_with("http://");
    let is_bare =
        text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'<' | b'>' | b'\\'));
    if !(text.is_empty() || is_one && is_bare) {
        check.fail(field, "invalid", "must be an address: /… or https://…, without spaces");
    }
    some(text)
}

/// The path of an address that is to lead elsewhere.
pub(crate) fn source(check: &mut Check, text: &str) -> String {
    let below = ["/blog/", "/pages/"].iter().any(|prefix| {
        text.strip_prefix(prefix).is_some_and(|rest| !rest.trim_matches('/').is_empty())
    });
    let is_path = text.len() <= MAX_ADDRESS_CHARS
        && text.bytes().all(|b| {
            b.is_ascii_graphic() && !matches!(b, b'?' | b'#' | b'"' | b'<' | b'>' | b'\\')
        })
        && !text.contains("//")
        && !text.contains("/.");
    if !(below && is_path) {
        let message =
            "must be a path below /blog/ or /pages/, as it stands in addresses, without a query";
        check.fail("from", "invalid", message);
    }
    text.trim_end_matches('/').to_owned()
}

/// A slug that somebody chose: letters and digits of ASCII, hyphens between words.
pub(crate) fn slug(check: &mut Check, text: &str) -> String {
    let is_one = text.len() <= MAX_SLUG_CHARS && names::slug(text, "") == text && !text.is_empty();
    if !is_one {
        let message = "must be 1 to 80 of a-z, 0-9, and hyphens between them";
        check.fail("slug", "invalid", message);
    } else if !is_free(text) {
        check.fail("slug", "reserved", "means something else in addresses; choose another");
    }
    text.to_owned()
}

/// The slug that follows from a title.
pub(crate) fn slug_of(title: &str, fallback: &str) -> String {
    let slug = names::slug(title, fallback);
    if is_free(&slug) { slug } else { format!("{fallback}-{slug}") }
}

/// Whether nothing else is meant by it: no route, and no id.
fn is_free(slug: &str) -> bool {
    !RESERVED.contains(&slug) && slug.parse::<Id>().is_err()
}

/// The name of a category or a tag.
pub(crate) fn name(check: &mut Check, text: &str) -> String {
    check.line("name", text, 1, MAX_NAME_CHARS)
}

/// What is said of a category or a tag.
pub(crate) fn description(check: &mut Check, text: &str) -> String {
    check.text("description", text.trim(), 0, MAX_DESCRIPTION_CHARS)
}

/// Ascending among the others.
pub(crate) fn position(check: &mut Check, position: i64) -> i64 {
    if !(0..=MOST_POSITION).contains(&position) {
        check.fail("position", "out_of_range", format!("must be from 0 to {MOST_POSITION}"));
    }
    position
}

/// A filter of a list, as it is compared.
pub(crate) fn filter(field: &str, text: Option<String>) -> Result<Option<String>, Problem> {
    match text {
        Some(text) if text.is_empty() || text.chars().count() > FILTER_MAX => {
            let message = format!("must have 1 to {FILTER_MAX} characters");
            Err(Problem::field(field, "out_of_range", message))
        }
        other => Ok(other),
    }
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}
