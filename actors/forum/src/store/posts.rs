//! Posts.

use std::collections::{BTreeMap, BTreeSet};

use panel_kernel::data::{Conn, DbError, FromRow, Row, Statement, Tx, sql};
use panel_kernel::http::json_bytes;
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::authors::Author;
use super::packed::Fields;
use super::threads::{Thread, raw};
use super::{holding, revisions, threads};
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
    /// The post that it answers; of this thread when it was written.
    pub(crate) reply_to: Option<Id>,
    /// The post that it quotes; of this thread when it was written.
    pub(crate) quote: Option<Id>,
    /// Only there, and true, on tombstones, and on what moderators alone still see.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub(crate) deleted: bool,
    /// Only there, and true, on what is deleted until moderators have looked at it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub(crate) hidden: bool,
    /// Only there where the post was moved to another thread: what it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub(crate) moved_to: Option<Id>,
    /// How the reader reacted; only for those who are signed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub(crate) my_reactions: Option<Vec<String>>,
    #[serde(skip)]
    pub(crate) version: i64,
}

impl Post {
    /// What somebody has just written, as the opening post of a thread, not rendered yet.
    ///
    /// # Errors
    /// [`DbError::Fault`] if no reactions are no JSON, which they are.
    pub(crate) fn written(
        id: Id,
        (thread_id, author): (Id, Author),
        body: &str,
        created_at: Timestamp,
    ) -> Result<Self, DbError> {
        Ok(Self {
            id,
            thread_id,
            number: 1,
            author,
            body: body.to_owned(),
            body_html: String::new(),
            created_at,
            edited_at: None,
            reactions: raw("{}")?,
            reply_to: None,
            quote: None,
            deleted: false,
            hidden: false,
            moved_to: None,
            my_reactions: None,
            version: 1,
        })
    }

    /// How many reacted how. It was stored as it is here; of what is broken, there is nothing.
    pub(crate) fn reaction_counts(&self) -> BTreeMap<String, i64> {
        serde_json::from_str(self.reactions.get()).unwrap_or_default()
    }

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
            "COALESCE(p.moved_to || '', '')",
            "CASE WHEN p.deleted_at IS NULL THEN 0 ELSE 1 END",
            "p.hidden",
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
            moved_to: fields.optional()?.map(Id::from_raw),
            deleted: fields.flag()?,
            hidden: fields.flag()?,
            version: fields.int()?,
            reactions: raw(fields.text()?)?,
            author: Author::named(author_id, fields.text()?),
            body: row.get(1)?,
            body_html: row.get(2)?,
            my_reactions: None,
        })
    }
}

/// A post with what decides about changing it.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) post: Post,
    pub(crate) thread_locked: bool,
    pub(crate) category_id: Id,
    /// The author's rank, 0 where it is not known.
    pub(crate) author_level: i64,
    /// The rank of whoever deleted it.
    pub(crate) deleted_by_level: i64,
}

impl FromRow for Standing {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        Ok(Self {
            post: Post::from_row(row)?,
            thread_locked: row.get(3)?,
            category_id: row.get(4)?,
            author_level: row.get(5)?,
            deleted_by_level: row.get(6)?,
        })
    }
}

const FIND: &str = concat!(
    "SELECT ",
    packed_post!(),
    ", p.body, p.body_html, t.locked, t.category_id, \
     COALESCE((SELECT a.level FROM authors a WHERE a.id = p.author_id), 0), \
     COALESCE((SELECT d.level FROM authors d WHERE d.id = p.deleted_by), 0) \
     FROM posts p JOIN threads t ON t.id = p.thread_id JOIN categories c ON c.id = t.category_id \
     WHERE p.id = $1 AND c.read_level <= $2 \
     AND ($3 = 1 OR (p.deleted_at IS NULL OR p.hidden = 1 AND p.author_id = $4) \
       AND (t.deleted_at IS NULL OR t.hidden = 1 AND t.author_id = $4))"
);

/// One post, if the viewer may see it.
pub(crate) async fn find(
    conn: &mut Conn,
    id: Id,
    viewer: Viewer,
) -> Result<Option<Standing>, DbError> {
    conn.optional(found(sql(FIND), id, viewer)).await
}

fn found(find: Statement, id: Id, viewer: Viewer) -> Statement {
    find.bind(id).bind(viewer.level).bind(viewer.moderates).bind(viewer.id())
}

/// One post, to change it: nobody else does until the transaction ends.
pub(crate) async fn for_change(
    tx: &mut Tx,
    id: Id,
    viewer: Viewer,
) -> Result<Option<Standing>, DbError> {
    let held = found(holding(tx, FIND, "p"), id, viewer);
    let held = tx.optional(held).await?;
    // PostgreSQL, where it had to wait, looks at the post as it is by then, and at its thread as that was:
    // a post that was moved meanwhile is in none.
    if held.is_none() && tx.is_postgres() && find(tx, id, viewer).await?.is_some() {
        return Err(DbError::Contention);
    }
    Ok(held)
}

/// One post and its thread, to change both: nobody else does until the transaction ends. Whoever holds both
/// takes the thread first, so that nobody waits for somebody who waits for them.
pub(crate) async fn hold(
    tx: &mut Tx,
    id: Id,
    viewer: Viewer,
) -> Result<Option<(Standing, Thread)>, DbError> {
    let Some(found) = find(tx, id, viewer).await? else { return Ok(None) };
    let thread = found.post.thread_id;
    let held = threads::for_change(tx, thread, viewer).await?;
    match (for_change(tx, id, viewer).await?, held) {
        (Some(post), Some(held)) if post.post.thread_id == thread => Ok(Some((post, held.thread))),
        // It was moved while this waited; another try will do.
        (Some(_), _) => Err(DbError::Contention),
        (None, _) => Ok(None),
    }
}

/// The post that opens a thread.
pub(crate) async fn opening(conn: &mut Conn, thread: Id) -> Result<Option<Id>, DbError> {
    let find = sql("SELECT id FROM posts WHERE thread_id = $1 AND number = 1").bind(thread);
    Ok(conn.optional(find).await?.map(|(id,): (Id,)| id))
}

/// Whether a post that is not deleted has this id and is in this thread.
pub(crate) async fn is_in_thread(tx: &mut Tx, id: Id, thread: Id) -> Result<bool, DbError> {
    let find = sql("SELECT id FROM posts WHERE id = $1 AND thread_id = $2 AND deleted_at IS NULL");
    Ok(tx.optional::<(Id,)>(find.bind(id).bind(thread)).await?.is_some())
}

/// Takes the next number of a thread for a reply, and says in which category that is; `None` if the viewer
/// may not reply there. `now` is when the thread is active by it.
/// Replies to one thread queue up here, so that numbers have no gaps.
pub(crate) async fn take_number(
    tx: &mut Tx,
    thread: Id,
    viewer: Viewer,
    now: Timestamp,
) -> Result<Option<(i64, Id)>, DbError> {
    let taken: Option<(i64, i64, Timestamp, String, Id)> = tx
        .optional(
            sql(
                "UPDATE threads SET last_number = last_number + 1, reply_count = reply_count + 1, \
                 last_post_at = CASE WHEN last_post_at < $2 THEN $2 ELSE last_post_at END \
                 WHERE id = $1 AND deleted_at IS NULL AND (locked = 0 OR $4 = 1) \
                 AND category_id IN (SELECT id FROM categories \
                   WHERE id = threads.category_id AND read_level <= $3 AND post_level <= $3) \
                 RETURNING last_number, reply_count, last_post_at, tags, category_id",
            )
            .bind(thread)
            .bind(now)
            .bind(viewer.level)
            .bind(viewer.moderates),
        )
        .await?;
    let Some((number, replies, last_post_at, tags, category)) = taken else { return Ok(None) };
    if tags != "[]" {
        tx.execute(
            sql("UPDATE thread_tags SET last_post_at = $2, reply_count = $3 WHERE thread_id = $1")
                .bind(thread)
                .bind(last_post_at)
                .bind(replies),
        )
        .await?;
    }
    Ok(Some((number, category)))
}

/// Stores a new post, which calls those people.
pub(crate) async fn insert(
    tx: &mut Tx,
    post: &Post,
    mentioned: &BTreeSet<Id>,
) -> Result<(), DbError> {
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
    call(tx, post.id, mentioned).await.map(|_| ())
}

/// Stores whom a post calls. Says who was not called before.
async fn call(tx: &mut Tx, post: Id, mentioned: &BTreeSet<Id>) -> Result<BTreeSet<Id>, DbError> {
    let mut called = BTreeSet::new();
    for person in mentioned {
        let insert = sql("INSERT INTO post_mentions (post_id, user_id) VALUES ($1, $2) \
                          ON CONFLICT (post_id, user_id) DO NOTHING");
        if tx.changed(insert.bind(post).bind(*person)).await? {
            called.insert(*person);
        }
    }
    Ok(called)
}

/// Stores a text that somebody changed, and keeps the one before as a revision. Says whom it calls and did not before.
/// The post must be held.
pub(crate) async fn update(
    tx: &mut Tx,
    post: &Post,
    (editor, revision): (Id, Id),
    mentioned: &BTreeSet<Id>,
) -> Result<BTreeSet<Id>, DbError> {
    revisions::keep(tx, revision, post.id).await?;
    tx.execute(
        sql("UPDATE posts SET body = $2, body_html = $3, edited_at = $4, \
             edited_by = CASE WHEN author_id <> $5 THEN CAST($5 AS BIGINT) END, \
             version = $6 WHERE id = $1")
        .bind(post.id)
        .bind(&post.body)
        .bind(&post.body_html)
        .bind(post.edited_at)
        .bind(editor)
        .bind(post.version),
    )
    .await?;
    call(tx, post.id, mentioned).await
}

/// Leaves a tombstone where a reply was.
pub(crate) async fn delete(tx: &mut Tx, post: &Post, by: Id, at: Timestamp) -> Result<(), DbError> {
    tx.execute(
        sql(
            "UPDATE posts SET deleted_at = $2, deleted_by = $3, hidden = 0, version = version + 1 \
             WHERE id = $1",
        )
        .bind(post.id)
        .bind(at)
        .bind(by),
    )
    .await?;
    count(tx, post.thread_id, -1).await
}

/// Shows a reply again.
pub(crate) async fn restore(tx: &mut Tx, post: &Post) -> Result<(), DbError> {
    let restore = sql("UPDATE posts SET deleted_at = NULL, deleted_by = NULL, hidden = 0, \
                       version = $2 WHERE id = $1");
    tx.execute(restore.bind(post.id).bind(post.version)).await?;
    count(tx, post.thread_id, 1).await
}

/// Counts so many replies more in a thread.
pub(in crate::store) async fn count(tx: &mut Tx, thread: Id, more: i64) -> Result<(), DbError> {
    let count = sql("UPDATE threads SET reply_count = reply_count + $2 WHERE id = $1 \
                     RETURNING reply_count");
    let (replies,): (i64,) = tx.one(count.bind(thread).bind(more)).await?;
    let tags = sql("UPDATE thread_tags SET reply_count = $2 WHERE thread_id = $1");
    tx.execute(tags.bind(thread).bind(replies)).await.map(|_| ())
}
