//! People who are called in posts, and where each of them has a page.

use panel_text::markdown::{Dialect, People};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What of a name is encoded in an address.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

/// The page of whoever has the name with this key.
pub(crate) fn page_of(key: &str) -> String {
    format!("/forum/users/{}", utf8_percent_encode(key, ENCODED))
}

/// What a post may have in it, in which these people can be called.
pub(crate) const fn calling(people: People) -> Dialect {
    Dialect::Post { people, page_of }
}
