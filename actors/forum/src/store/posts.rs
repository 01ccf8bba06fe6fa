//! Posts.

use panel_kernel::data::{Conn, DbError, FromRow, Row, Tx, sql};
use panel_kernel::http::{MAX_PAGE_BYTES, json_bytes};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::authors::Author;
use super::holding;
use super::packed::Fields;
use super::threads::raw;
use crate::rules::Viewer;

/// A post.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Post {
    pub(crate) id: Id,
    pub(crate) thread_id: Id,
    /// Its place in the thread; the opening post is number 1, and there are no gaps.
    pub(crate) number: i64,
    pub(crate) author: Author,
    /// Markdown. Empty on the tombstone of a deleted post.
    pub(crate) body: String,
    /// The same as safe HTML.
    pub(crate) body_html: String,
    pub(crate) created_at: Timestamp,
    pub(crate) edited_at: Option<Timestamp>,
    /// How many reacted how.
    #[schema(value_type = std::collections::BTreeMap<String, i64>)]
    pub(crate) reactions: Box<RawValue>,
    /// The post of this thread that it answers.
    pub(crate) reply_to: Option<Id>,
    /// The post of this thread that it quotes.
    pub(crate) quote: Option<Id>,
    /// Only there, and true, on tombstones, and on what moderators alone still see.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub(crate) deleted: bool,
    #[serde(skip)]
    pub(crate) version: i64,
}

impl Post {
    /// The bytes of its texts in JSON, which are what makes a page long.
    pub(crate) fn bytes(&self) -> usize {
        json_bytes(&self.body) + json_bytes(&self.body_html)
    }
}

macro_rules! packed_post {
    () => {
        packed!(
            "p.id",
            "p.thread_id",
            "p.number",
            "p.author_id",
            "p.created_at",
            "COALESCE(p.edited_at || '', '')",
            "COALESCE(p.reply_to || '', '')",
            "COALESCE(p.quote_of || '', '')",
            "CASE WHEN p.deleted_at IS NULL THEN 0 ELSE 1 END",
            "p.version",
            "p.reactions",
            // Looked up per post, never joined: PostgreSQL can't see how few posts a page has, and
            // would rather read all authors than look for so many as it expects.
            "COALESCE((SELECT a.name FROM authors a WHERE a.id = p.author_id), '')",
        )
    };
}

impl FromRow for Post {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        let cell: String = row.get(0)?;
        let mut fields = Fields::of(&cell);
        let (id, thread_id, number, author_id) =
            (fields.id()?, fields.id()?, fields.int()?, fields.id()?);
        Ok(Self {
            id,
            thread_id,
            number,
            created_at: fields.time()?,
            edited_at: fields.optional()?.map(Timestamp::from_micros),
            reply_to: fields.optional()?.map(Id::from_raw),
            quote: fields.optional()?.map(Id::from_raw),
            deleted: fields.flag()?,
            version: fields.int()?,
            reactions: raw(fields.text()?)?,
            author: Author::named(author_id, fields.text()?),
            body: row.get(1)?,
            body_html: row.get(2)?,
        })
    }
}

/// A row whose texts may have been left out.
struct Short(Option<Post>);

impl FromRow for Short {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        let is_whole = row.get::<Option<String>>(1)?.is_some();
        Ok(Self(if is_whole { Some(Post::from_row(row)?) } else { None }))
    }
}

/// At most `fetch` posts of a thread after number `after`, ascending, deleted ones as tombstones;
/// and at most the one that goes beyond [`MAX_PAGE_BYTES`] and the one after the first, whatever
/// comes then. Empty also if the viewer may not see the thread: every thread has at least one post.
///
/// Nearly always all of them are so short that they fit, which the first statement can tell by
/// each alone. Only where one is longer, the second adds them up.
pub(crate) async fn list(
    conn: &mut Conn,
    thread: Id,
    viewer: Viewer,
    after: i64,
    fetch: i64,
) -> Result<Vec<Post>, DbError> {
    let bytes = i64::try_from(MAX_PAGE_BYTES).unwrap_or(i64::MAX);
    let list = |text, bytes: i64| {
        let list = sql(text).bind(thread).bind(after).bind(viewer.level).bind(viewer.moderates);
        list.bind(fetch).bind(bytes)
    };
    let short: Vec<Short> = conn.all(list(LIST_SHORT, bytes / fetch.max(1))).await?;
    match short.into_iter().map(|Short(post)| post).collect() {
        Some(posts) => Ok(posts),
        None => conn.all(list(LIST_LONG, bytes)).await,
    }
}

/// The bytes of a post's texts on a page. Neither database reads a long text to tell its length.
macro_rules! bytes {
    () => {
        "(CASE WHEN p.deleted_at IS NULL \
          THEN octet_length(p.body) + octet_length(p.body_html) ELSE 0 END)"
    };
}

/// Numbers have no gaps, so the page is a range of them: however PostgreSQL goes about it, it
/// touches no other row.
macro_rules! list {
    ($body:expr, $body_html:expr, $also:expr) => {
        concat!(
            "SELECT ",
            packed_post!(),
            ", CASE WHEN p.deleted_at IS NOT NULL THEN '' ELSE ",
            $body,
            " END, CASE WHEN p.deleted_at IS NOT NULL THEN '' ELSE ",
            $body_html,
            " END FROM threads t CROSS JOIN categories c CROSS JOIN posts p \
             WHERE t.id = $1 AND p.thread_id = $1 AND p.number > $2 AND p.number <= $2 + $5 \
             AND c.id = t.category_id AND c.read_level <= $3 AND (t.deleted_at IS NULL OR $4 = 1)",
            $also,
            " ORDER BY p.number"
        )
    };
}

/// With the texts of those that have at most `$6` bytes, NULL instead of longer ones.
const LIST_SHORT: &str = list!(
    concat!("CASE WHEN ", bytes!(), " <= CAST($6 AS BIGINT) THEN p.body END"),
    concat!("CASE WHEN ", bytes!(), " <= CAST($6 AS BIGINT) THEN p.body_html END"),
    ""
);

/// Those before which the page has at most `$6` bytes, and the second.
const LIST_LONG: &str = list!(
    "p.body",
    "p.body_html",
    concat!(
        " AND p.number <= (SELECT MAX(l.number) FROM (SELECT p.number, SUM(",
        bytes!(),
        ") OVER (ORDER BY p.number ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before \
         FROM posts p WHERE p.thread_id = $1 AND p.number > $2 AND p.number <= $2 + $5) AS l \
         WHERE COALESCE(l.before, 0) <= CAST($6 AS BIGINT) OR l.number <= $2 + 2)"
    )
);

/// A post with what decides about changing it.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) post: Post,
    pub(crate) thread_locked: bool,
}

impl FromRow for Standing {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        Ok(Self { post: Post::from_row(row)?, thread_locked: row.get(3)? })
    }
}

const FIND: &str = concat!(
    "SELECT ",
    packed_post!(),
    ", p.body, p.body_html, t.locked \
     FROM posts p JOIN threads t ON t.id = p.thread_id JOIN categories c ON c.id = t.category_id \
     WHERE p.id = $1 AND c.read_level <= $2 \
     AND (p.deleted_at IS NULL AND t.deleted_at IS NULL OR $3 = 1)"
);

/// One post, if the viewer may see it.
pub(crate) async fn find(
    conn: &mut Conn,
    id: Id,
    viewer: Viewer,
) -> Result<Option<Standing>, DbError> {
    conn.optional(sql(FIND).bind(id).bind(viewer.level).bind(viewer.moderates)).await
}

/// One post, to change it: nobody else does until the transaction ends.
pub(crate) async fn for_change(
    tx: &mut Tx,
    id: Id,
    viewer: Viewer,
) -> Result<Option<Standing>, DbError> {
    let find = holding(tx, FIND, "p").bind(id).bind(viewer.level).bind(viewer.moderates);
    tx.optional(find).await
}

/// Whether a post that is not deleted has this id and is in this thread.
pub(crate) async fn is_in_thread(tx: &mut Tx, id: Id, thread: Id) -> Result<bool, DbError> {
    let find = sql("SELECT id FROM posts WHERE id = $1 AND thread_id = $2 AND deleted_at IS NULL");
    Ok(tx.optional::<(Id,)>(find.bind(id).bind(thread)).await?.is_some())
}

/// Takes the next number of a thread for a reply; `None` if the viewer may not reply there.
/// Replies to one thread queue up here, so that numbers have no gaps.
pub(crate) async fn take_number(
    tx: &mut Tx,
    thread: Id,
    viewer: Viewer,
    now: Timestamp,
) -> Result<Option<i64>, DbError> {
    let taken: Option<(i64, i64, Timestamp, String)> = tx
        .optional(
            sql(
                "UPDATE threads SET last_number = last_number + 1, reply_count = reply_count + 1, \
                 last_post_at = CASE WHEN last_post_at < $2 THEN $2 ELSE last_post_at END \
                 WHERE id = $1 AND deleted_at IS NULL AND (locked = 0 OR $4 = 1) \
                 AND category_id IN (SELECT id FROM categories \
                   WHERE id = threads.category_id AND read_level <= $3 AND post_level <= $3) \
                 RETURNING last_number, reply_count, last_post_at, tags",
            )
            .bind(thread)
            .bind(now)
            .bind(viewer.level)
            .bind(viewer.moderates),
        )
        .await?;
    let Some((number, replies, last_post_at, tags)) = taken else { return Ok(None) };
    if tags != "[]" {
        tx.execute(
            sql("UPDATE thread_tags SET last_post_at = $2, reply_count = $3 WHERE thread_id = $1")
                .bind(thread)
                .bind(last_post_at)
                .bind(replies),
        )
        .await?;
    }
    Ok(Some(number))
}

/// Stores a new post.
pub(crate) async fn insert(tx: &mut Tx, post: &Post) -> Result<(), DbError> {
    tx.execute(
        sql("INSERT INTO posts (id, thread_id, number, author_id, body, body_html, created_at, \
             reply_to, quote_of) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)")
        .bind(post.id)
        .bind(post.thread_id)
        .bind(post.number)
        .bind(post.author.id)
        .bind(&post.body)
        .bind(&post.body_html)
        .bind(post.created_at)
        .bind(post.reply_to)
        .bind(post.quote),
    )
    .await?;
    Ok(())
}

/// Stores a changed text.
pub(crate) async fn update(tx: &mut Tx, post: &Post) -> Result<(), DbError> {
    tx.execute(
        sql("UPDATE posts SET body = $2, body_html = $3, edited_at = $4, version = $5 WHERE id = $1")
            .bind(post.id)
            .bind(&post.body)
            .bind(&post.body_html)
            .bind(post.edited_at)
            .bind(post.version),
    )
    .await?;
    Ok(())
}

/// Leaves a tombstone where a reply was.
pub(crate) async fn delete(tx: &mut Tx, post: &Post, by: Id, at: Timestamp) -> Result<(), DbError> {
    tx.execute(
        sql("UPDATE posts SET deleted_at = $2, deleted_by = $3, version = version + 1 WHERE id = $1")
            .bind(post.id)
            .bind(at)
            .bind(by),
    )
    .await?;
    let less = sql("UPDATE threads SET reply_count = reply_count - 1 WHERE id = $1 \
                    RETURNING reply_count");
    let (replies,): (i64,) = tx.one(less.bind(post.thread_id)).await?;
    let tags = sql("UPDATE thread_tags SET reply_count = $2 WHERE thread_id = $1");
    tx.execute(tags.bind(post.thread_id).bind(replies)).await?;
    Ok(())
}
