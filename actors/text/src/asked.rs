//! What people ask for when they search: read, and checked field by field.

use panel_kernel::http::validate::Check;

use crate::names;
use crate::tokens::{Query, query};

/// The longest query, in characters.
const MAX_QUERY_CHARS: usize = 200;

/// The words that are looked for (`q`); none where there are none, of which the check knows then.
pub fn words(check: &mut Check, text: &str) -> Option<Query> {
    let text = check.line("q", text, 1, MAX_QUERY_CHARS);
    let words = query(&text);
    if words.is_none() && !text.is_empty() {
        check.fail("q", "nothing", "must have a word that is to be found");
    }
    words
}

/// A tag in its one form, if one is given.
pub fn tag(check: &mut Check, text: Option<String>) -> Option<String> {
    let text = text.filter(|text| !text.is_empty())?;
    let tag = names::tag(&text);
    if tag.is_none() {
        check.fail("tag", "invalid", "is not a tag");
    }
    tag
}

/// Whether what is newest is to be first (`sort`), and not what fits best, as it is if nothing is said.
pub fn is_newest_first(check: &mut Check, text: Option<&str>) -> bool {
    if !matches!(text, None | Some("" | "relevance" | "newest")) {
        check.fail("sort", "invalid", "must be relevance or newest");
    }
    text == Some("newest")
}
