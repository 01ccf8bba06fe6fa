//! The index of what posts are found by, and finding them.

mod finding;

use panel_kernel::data::{DbError, Tx, sql};
use panel_kernel::ids::Id;
use panel_text::fulltext::{line, vector};
use panel_text::tokens::{Token, VERSION, tokens};

pub(crate) use self::finding::{FIRST, Hit, Order, Place, SearchFilter, SearchPage, find};
use super::holding;

/// Posts that are indexed in one transaction. Where each is as long as a post may be, their texts are 12 MiB.
const AT_ONCE: i64 = 100;

/// Indexes a post as it is now, if it is one.
pub(crate) async fn index(tx: &mut Tx, post: Id) -> Result<(), DbError> {
    let text = sql("SELECT CASE WHEN p.number = 1 THEN t.title ELSE '' END, p.body \
                    FROM posts p JOIN threads t ON t.id = p.thread_id \
                    WHERE p.id = $1 AND p.moved_to IS NULL");
    let found: Option<(String, String)> = tx.optional(text.bind(post)).await?;
    let Some((title, body)) = found else { return Ok(()) };
    store(tx, post, &tokens(&title), &tokens(&body)).await
}

/// The same for the post with this number in a thread.
pub(crate) async fn index_number(tx: &mut Tx, thread: Id, number: i64) -> Result<(), DbError> {
    let find = sql("SELECT id FROM posts WHERE thread_id = $1 AND number = $2");
    let found: Option<(Id,)> = tx.optional(find.bind(thread).bind(number)).await?;
    match found {
        Some((post,)) => index(tx, post).await,
        None => Ok(()),
    }
}

async fn store(tx: &mut Tx, post: Id, title: &[Token], body: &[Token]) -> Result<(), DbError> {
    let store = if tx.is_postgres() {
        sql("INSERT INTO post_search (post_id, tokens) VALUES ($1, CAST($2 AS TSVECTOR)) \
             ON CONFLICT (post_id) DO UPDATE SET tokens = excluded.tokens")
        .bind(post)
        .bind(vector(title, body))
    } else {
        sql("INSERT OR REPLACE INTO post_search (rowid, title, body) VALUES ($1, $2, $3)")
            .bind(post)
            .bind(line(title))
            .bind(line(body))
    };
    tx.execute(store).await.map(|_| ())
}

/// Indexes some of the posts that are not, or by other rules. Says whether there may be more.
///
/// Whoever indexes holds the one row that says how far that is; and the posts, so that nobody changes one
/// between its being read and indexed: of what is changed after that, a fact tells.
pub(crate) async fn index_some(tx: &mut Tx) -> Result<bool, DbError> {
    let held = "SELECT s.version, s.done_to, s.is_done FROM search_progress s WHERE s.one = 1";
    let held = holding(tx, held, "s");
    let (version, done_to, is_done): (i64, i64, bool) = tx.one(held).await?;
    let done_to = match (version == VERSION, is_done) {
        (true, true) => return Ok(false),
        (true, false) => done_to,
        (false, _) => 0,
    };
    // Of threads, those alone whose opening is among them: a join might go through all.
    let posts = "SELECT p.id, CASE WHEN p.number = 1 THEN \
                 (SELECT t.title FROM threads t WHERE t.id = p.thread_id) ELSE '' END, p.body \
                 FROM posts p WHERE p.id > $1 AND p.moved_to IS NULL ORDER BY p.id LIMIT $2";
    let posts = holding(tx, posts, "p").bind(done_to).bind(AT_ONCE);
    let posts: Vec<(Id, String, String)> = tx.all(posts).await?;
    for (post, title, body) in &posts {
        store(tx, *post, &tokens(title), &tokens(body)).await?;
    }
    let last = posts.last().map_or(done_to, |(post, ..)| post.raw());
    let update = sql("UPDATE search_progress SET version = $1, done_to = $2, is_done = $3");
    tx.execute(update.bind(VERSION).bind(last).bind(posts.is_empty())).await?;
    Ok(!posts.is_empty())
}
