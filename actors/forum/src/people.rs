//! People who are called in posts, and where each of them has a page.

use panel_text::markdown::{Dialect, People};
use panel_text::names::segment;

/// The page of whoever has the name with this key.
pub(crate) fn page_of(key: &str) -> String {
    format!("/forum/users/{}", segment(key))
}

/// What a post may have in it, in which these people can be called.
pub(crate) const fn calling(people: People) -> Dialect {
    Dialect::Post { people, page_of }
}
