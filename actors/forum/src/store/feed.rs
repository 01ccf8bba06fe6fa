//! What feeds show.

use std::collections::HashMap;

use panel_kernel::data::{Conn, DbError, FromRow, Row, Statement, sql};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;

use super::authors::Author;
use super::places;
use super::thread_list::{self, Sort, ThreadFilter};
use super::threads::Thread;
use crate::rules::Viewer;

/// A longer post is told without its text, in bytes of HTML.
const MAX_HTML: i64 = 16 * 1024;

/// Of an opening post: when it was edited, and its HTML.
type Opening = (Option<Timestamp>, Option<String>);

/// The newest threads, each with when its opening post was edited, and the HTML of that, if it is not long.
pub(crate) async fn newest_threads(
    conn: &mut Conn,
    category: Option<Id>,
    viewer: Viewer,
    most: i64,
) -> Result<Vec<(Thread, Opening)>, DbError> {
    let filter = ThreadFilter { category, tag: None, sort: Sort::Created, after: None };
    let threads = thread_list::list(conn, filter, viewer, most).await?;
    if threads.is_empty() {
        return Ok(Vec::new());
    }
    let text = format!(
        "SELECT thread_id, edited_at, CASE WHEN octet_length(body_html) <= $1 THEN body_html END FROM posts \
         WHERE number = 1 AND thread_id IN ({})",
        places(2, threads.len())
    );
    let find = threads
        .iter()
        .fold(Statement::composed(text).bind(MAX_HTML), |find, thread| find.bind(thread.id));
    let found: Vec<(Id, Option<Timestamp>, Option<String>)> = conn.all(find).await?;
    let mut found: HashMap<Id, Opening> =
        found.into_iter().map(|(id, edited_at, html)| (id, (edited_at, html))).collect();
    let with_opening = |thread: Thread| {
        let opening = found.remove(&thread.id).unwrap_or_default();
        (thread, opening)
    };
    Ok(threads.into_iter().map(with_opening).collect())
}

/// A post in a feed.
#[derive(Debug)]
pub(crate) struct FeedPost {
    pub(crate) id: Id,
    pub(crate) number: i64,
    pub(crate) author: Author,
    pub(crate) created_at: Timestamp,
    pub(crate) edited_at: Option<Timestamp>,
    /// Only of those that are not long.
    pub(crate) html: Option<String>,
}

impl FromRow for FeedPost {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        let name: String = row.get(3)?;
        Ok(Self {
            id: row.get(0)?,
            number: row.get(1)?,
            author: Author::named(row.get(2)?, &name),
            created_at: row.get(4)?,
            edited_at: row.get(5)?,
            html: row.get(6)?,
        })
    }
}

/// The latest posts of a thread that are not deleted, the latest first.
pub(crate) async fn latest_posts(
    conn: &mut Conn,
    thread: Id,
    most: i64,
) -> Result<Vec<FeedPost>, DbError> {
    let list = sql("SELECT p.id, p.number, p.author_id, \
                    COALESCE((SELECT a.name FROM authors a WHERE a.id = p.author_id), ''), \
                    p.created_at, p.edited_at, \
                    CASE WHEN octet_length(p.body_html) <= $2 THEN p.body_html END FROM posts p \
                    WHERE p.thread_id = $1 AND p.deleted_at IS NULL ORDER BY p.number DESC LIMIT $3");
    conn.all(list.bind(thread).bind(MAX_HTML).bind(most)).await
}
