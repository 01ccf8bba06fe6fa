//! By which tags public answers are made old: few of them, so that each write names all it concerns.

use panel_kernel::ids::Id;

/// Whatever lists articles.
pub(crate) const ARTICLES: &str = "articles";
/// Categories and tags.
pub(crate) const TERMS: &str = "terms";

/// What is found.
pub(crate) const SEARCH: &str = "search";

/// Where addresses lead at which there is nothing.
pub(crate) const REDIRECTS: &str = "redirects";

/// Menus, and so every page.
pub(crate) const MENUS: &str = "menus";

/// A picture, and what is made of it.
pub(crate) fn picture(sha256: &str) -> String {
    format!("picture:{sha256}")
}

/// An article, its revisions and its page.
pub(crate) fn article(id: Id) -> String {
    format!("article:{id}")
}

/// What leads from an article to others that say the same, by the one that was there first.
pub(crate) fn translations(first: Id) -> String {
    format!("translations:{first}")
}

/// All in which something of an article is shown.
pub(crate) fn showing(id: Id) -> [String; 3] {
    [article(id), ARTICLES.to_owned(), TERMS.to_owned()]
}
