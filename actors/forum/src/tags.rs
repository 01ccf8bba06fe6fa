//! By which tags public answers of the forum are made old: few of them, so that each write names all it concerns.

use panel_kernel::ids::Id;

/// The list of categories, and each of them.
pub(crate) const CATEGORIES: &str = "categories";
/// All lists of threads: pages, feeds, what somebody has started.
pub(crate) const THREADS: &str = "threads";
/// What is found.
pub(crate) const SEARCH: &str = "search";
/// What moderators have done.
pub(crate) const LOG: &str = "log";

/// A thread and whatever is in it: its posts, their revisions and reactions, its page and its feed.
pub(crate) fn thread(id: Id) -> String {
    format!("thread:{id}")
}

/// Where an article is discussed, and whether it is.
pub(crate) fn discussion(article: Id) -> String {
    format!("discussion:{article}")
}

/// All in which something of a thread is shown.
pub(crate) fn showing(thread: Id) -> [String; 3] {
    [self::thread(thread), THREADS.to_owned(), SEARCH.to_owned()]
}
