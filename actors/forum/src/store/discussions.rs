//! Threads in which articles are discussed.

use panel_kernel::data::{Conn, DbError, FromRow, Row, Tx, sql};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;

/// A thread in which an article is discussed.
#[derive(Clone, Debug)]
pub(crate) struct Discussion {
    pub(crate) article: Id,
    pub(crate) thread: Id,
    /// The post that tells of the article.
    pub(crate) opening: Id,
    /// Comments are the posts after this number.
    pub(crate) after: i64,
    /// The title that the article gave the thread.
    pub(crate) title: String,
    /// When the thread was deleted because the article was not public any more, if it was.
    pub(crate) withdrawn_at: Option<Timestamp>,
    /// When the thread was deleted, if it is, for whatever reason.
    pub(crate) deleted_at: Option<Timestamp>,
}

impl Discussion {
    /// Whether the thread is deleted because the article was not public, and for no other reason.
    pub(crate) fn is_withdrawn(&self) -> bool {
        self.withdrawn_at.is_some() && self.withdrawn_at == self.deleted_at
    }
}

impl FromRow for Discussion {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        Ok(Self {
            article: row.get(0)?,
            thread: row.get(1)?,
            opening: row.get(2)?,
            after: row.get(3)?,
            title: row.get(4)?,
            withdrawn_at: row.get(5)?,
            deleted_at: row.get(6)?,
        })
    }
}

/// Where an article is discussed.
pub(crate) async fn find(conn: &mut Conn, article: Id) -> Result<Option<Discussion>, DbError> {
    let find =
        sql("SELECT d.article_id, d.thread_id, d.opening_id, d.after, d.title, d.withdrawn_at, \
             t.deleted_at FROM discussions d JOIN threads t ON t.id = d.thread_id \
             WHERE d.article_id = $1");
    conn.optional(find.bind(article)).await
}

/// Where an article is discussed, as a reader sees it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) thread: Id,
    pub(crate) slug: String,
    pub(crate) reply_count: i64,
    pub(crate) locked: bool,
    /// Comments are the posts after this number.
    pub(crate) after: i64,
    /// Whether it is there, and for them.
    pub(crate) is_shown: bool,
}

impl FromRow for Place {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        Ok(Self {
            thread: row.get(0)?,
            slug: row.get(1)?,
            reply_count: row.get(2)?,
            locked: row.get(3)?,
            after: row.get(4)?,
            is_shown: row.get(5)?,
        })
    }
}

/// Where an article is discussed, for a reader of this level.
pub(crate) async fn place(
    conn: &mut Conn,
    article: Id,
    level: i64,
) -> Result<Option<Place>, DbError> {
    let find = sql("SELECT t.id, t.slug, t.reply_count, t.locked, d.after, \
                    CAST(CASE WHEN t.deleted_at IS NULL AND c.read_level <= $2 THEN 1 ELSE 0 END \
                    AS BIGINT) \
                    FROM discussions d JOIN threads t ON t.id = d.thread_id \
                    JOIN categories c ON c.id = t.category_id WHERE d.article_id = $1");
    conn.optional(find.bind(article).bind(level)).await
}

/// From now on an article is discussed in a thread that has this title, of which the opening post tells of it.
pub(crate) async fn begin(
    tx: &mut Tx,
    (article, thread, opening): (Id, Id, Id),
    title: &str,
) -> Result<(), DbError> {
    let insert = sql("INSERT INTO discussions (article_id, thread_id, opening_id, title) \
                      VALUES ($1, $2, $3, $4)");
    let insert = insert.bind(article).bind(thread).bind(opening).bind(title);
    tx.execute(insert).await.map(|_| ())
}

/// The article gives the thread another title.
pub(crate) async fn retitle(tx: &mut Tx, article: Id, title: &str) -> Result<(), DbError> {
    let update = sql("UPDATE discussions SET title = $2 WHERE article_id = $1");
    tx.execute(update.bind(article).bind(title)).await.map(|_| ())
}

/// The thread was deleted because the article is not public any more; `None`: it is there again.
pub(crate) async fn withdraw(
    tx: &mut Tx,
    article: Id,
    at: Option<Timestamp>,
) -> Result<(), DbError> {
    let update = sql("UPDATE discussions SET withdrawn_at = $2 WHERE article_id = $1");
    tx.execute(update.bind(article).bind(at)).await.map(|_| ())
}

/// The thread was merged into another one, in which its posts have numbers that are greater by `offset`.
pub(super) async fn merge(tx: &mut Tx, from: Id, into: Id, offset: i64) -> Result<(), DbError> {
    let update =
        sql("UPDATE discussions SET thread_id = $2, after = after + $3 WHERE thread_id = $1");
    tx.execute(update.bind(from).bind(into).bind(offset)).await.map(|_| ())
}

/// Tells of the article anew, unless somebody has changed the post that does. Whether something else stands there now.
pub(crate) async fn retell(
    tx: &mut Tx,
    opening: Id,
    (body, body_html): (&str, &str),
) -> Result<bool, DbError> {
    let update = sql("UPDATE posts SET body = $2, body_html = $3, version = version + 1 \
                      WHERE id = $1 AND edited_at IS NULL AND body <> $2");
    tx.changed(update.bind(opening).bind(body).bind(body_html)).await
}
