//! Threads.

use panel_kernel::data::{Conn, DbError, FromRow, Row, Statement, Tx, sql};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;
use panel_text::names;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use utoipa::ToSchema;

use super::authors::Author;
use super::packed::Fields;
use super::{holding, rows};
use crate::rules::Viewer;

/// A thread, as lists and its own page show it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[allow(clippy::struct_excessive_bools, reason = "these are the fields that are shown")]
pub(crate) struct Thread {
    pub(crate) id: Id,
    pub(crate) title: String,
    /// The title for addresses.
    pub(crate) slug: String,
    pub(crate) category_id: Id,
    pub(crate) author: Author,
    pub(crate) created_at: Timestamp,
    pub(crate) last_post_at: Timestamp,
    pub(crate) reply_count: i64,
    /// The number of its latest post, deleted ones counted.
    pub(crate) last_number: i64,
    pub(crate) view_count: i64,
    /// Before all others where threads go by activity.
    pub(crate) pinned: bool,
    pub(crate) locked: bool,
    #[schema(value_type = Vec<String>)]
    pub(crate) tags: Box<RawValue>,
    /// Only there, and true, on what moderators alone still see.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub(crate) deleted: bool,
    /// Only there, and true, on what is deleted until moderators have looked at it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub(crate) hidden: bool,
    /// The number of the post up to which the reader has read it; only for those who are signed in
    /// and have begun to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub(crate) last_read: Option<i64>,
    /// Only there, and true, for a reader who watches it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub(crate) watching: bool,
    #[serde(skip)]
    pub(crate) version: i64,
}

impl Thread {
    /// One that somebody begins, in a category, with an opening post alone.
    ///
    /// # Errors
    /// [`DbError::Fault`] if the tags are no text, which they are.
    pub(crate) fn begun(
        id: Id,
        (category_id, author): (Id, Author),
        title: String,
        tags: &[String],
        at: Timestamp,
    ) -> Result<Self, DbError> {
        Ok(Self {
            id,
            slug: slug(&title),
            title,
            category_id,
            author,
            created_at: at,
            last_post_at: at,
            reply_count: 0,
            last_number: 1,
            view_count: 0,
            pinned: false,
            locked: false,
            tags: shown_tags(tags)?,
            deleted: false,
            hidden: false,
            last_read: None,
            watching: false,
            version: 1,
        })
    }

    /// Its tags, one by one. They were stored as they are here; of what is broken, there is nothing.
    pub(crate) fn tag_list(&self) -> Vec<String> {
        serde_json::from_str(self.tags.get()).unwrap_or_default()
    }
}

/// The columns of a thread, with what is known of its reader as `r`, or without.
macro_rules! packed_thread {
    () => {
        packed_thread!("COALESCE(r.last_read || '', '')", "COALESCE(r.watching, 0)")
    };
    (nobody) => {
        packed_thread!("''", "0")
    };
    ($last_read:expr, $watching:expr) => {
        packed!(
            "t.id",
            "t.category_id",
            "t.author_id",
            "t.created_at",
            "t.last_post_at",
            "t.reply_count",
            "t.last_number",
            "t.view_count",
            "t.pinned",
            "t.locked",
            "CASE WHEN t.deleted_at IS NULL THEN 0 ELSE 1 END",
            "t.hidden",
            "t.version",
            $last_read,
            $watching,
            "t.slug",
            "t.tags",
            "COALESCE(a.name, '')",
            "t.title",
        )
    };
}

impl FromRow for Thread {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        let cell: String = row.get(0)?;
        let mut fields = Fields::of(&cell);
        let (id, category_id, author_id) = (fields.id()?, fields.id()?, fields.id()?);
        Ok(Self {
            id,
            category_id,
            created_at: fields.time()?,
            last_post_at: fields.time()?,
            reply_count: fields.int()?,
            last_number: fields.int()?,
            view_count: fields.int()?,
            pinned: fields.flag()?,
            locked: fields.flag()?,
            deleted: fields.flag()?,
            hidden: fields.flag()?,
            version: fields.int()?,
            last_read: fields.optional()?,
            watching: fields.flag()?,
            slug: fields.text()?.to_owned(),
            tags: raw(fields.text()?)?,
            author: Author::named(author_id, fields.text()?),
            title: fields.text()?.to_owned(),
        })
    }
}

/// What a title is in addresses.
pub(crate) fn slug(title: &str) -> String {
    names::slug(title, "thread")
}

/// Tags as they are shown.
pub(crate) fn shown_tags(tags: &[String]) -> Result<Box<RawValue>, DbError> {
    to_raw_value(tags).map_err(|error| DbError::Fault(sqlx::Error::Decode(Box::new(error))))
}

/// JSON as stored, to be shown as it is.
pub(super) fn raw(json: &str) -> Result<Box<RawValue>, DbError> {
    RawValue::from_string(json.to_owned())
        .map_err(|error| DbError::Fault(sqlx::Error::Decode(Box::new(error))))
}

/// A thread with what decides about writing in it.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) thread: Thread,
    pub(crate) post_level: i64,
    /// Whether its posts are in another thread now.
    pub(crate) merged: bool,
    /// The author's rank, 0 where it is not known.
    pub(crate) author_level: i64,
    /// The rank of whoever deleted it.
    pub(crate) deleted_by_level: i64,
}

impl FromRow for Standing {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        let target: Option<Id> = row.get(2)?;
        Ok(Self {
            thread: Thread::from_row(row)?,
            post_level: row.get(1)?,
            merged: target.is_some(),
            author_level: row.get(3)?,
            deleted_by_level: row.get(4)?,
        })
    }
}

const FIND: &str = concat!(
    "SELECT ",
    packed_thread!(),
    ", c.post_level, t.merged_into, COALESCE(a.level, 0), \
     COALESCE((SELECT d.level FROM authors d WHERE d.id = t.deleted_by), 0) \
     FROM threads t JOIN categories c ON c.id = t.category_id LEFT JOIN authors a ON a.id = t.author_id \
     LEFT JOIN thread_readers r ON r.thread_id = t.id AND r.user_id = $4 \
     WHERE t.id = $1 AND c.read_level <= $2 \
     AND (t.deleted_at IS NULL OR $3 = 1 OR t.hidden = 1 AND t.author_id = $4)"
);

/// One thread, if the viewer may see it.
pub(crate) async fn find(
    conn: &mut Conn,
    id: Id,
    viewer: Viewer,
) -> Result<Option<Standing>, DbError> {
    conn.optional(found(sql(FIND), id, viewer)).await
}

/// One thread, to change it: nobody else does until the transaction ends.
pub(crate) async fn for_change(
    tx: &mut Tx,
    id: Id,
    viewer: Viewer,
) -> Result<Option<Standing>, DbError> {
    let held = found(holding(tx, FIND, "t"), id, viewer);
    let held = tx.optional(held).await?;
    // As for posts: it was moved to another category while this waited for it.
    if held.is_none() && tx.is_postgres() && find(tx, id, viewer).await?.is_some() {
        return Err(DbError::Contention);
    }
    Ok(held)
}

fn found(find: Statement, id: Id, viewer: Viewer) -> Statement {
    find.bind(id).bind(viewer.level).bind(viewer.moderates).bind(viewer.id())
}

/// Where the posts of a thread went, if it was merged into one that the viewer may see.
pub(crate) async fn merged_into(
    conn: &mut Conn,
    id: Id,
    viewer: Viewer,
) -> Result<Option<Id>, DbError> {
    let find = sql("SELECT i.id FROM threads t JOIN threads i ON i.id = t.merged_into \
                    JOIN categories c ON c.id = i.category_id WHERE t.id = $1 \
                    AND c.read_level <= $2 AND (i.deleted_at IS NULL OR $3 = 1)");
    let found = conn.optional(find.bind(id).bind(viewer.level).bind(viewer.moderates)).await?;
    Ok(found.map(|(id,): (Id,)| id))
}

/// Stores a new thread.
pub(crate) async fn insert(tx: &mut Tx, thread: &Thread, tags: &[String]) -> Result<(), DbError> {
    tx.execute(
        sql("INSERT INTO threads (id, category_id, author_id, title, slug, tags, created_at, \
             last_post_at, last_number, reply_count) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)")
        .bind(thread.id)
        .bind(thread.category_id)
        .bind(thread.author.id)
        .bind(&thread.title)
        .bind(&thread.slug)
        .bind(thread.tags.get())
        .bind(thread.created_at)
        .bind(thread.last_post_at)
        .bind(thread.last_number)
        .bind(thread.reply_count),
    )
    .await?;
    insert_tags(tx, thread, tags).await
}

/// Stores a changed title, category, and, where given, tags.
pub(crate) async fn update(
    tx: &mut Tx,
    thread: &Thread,
    tags: Option<&[String]>,
) -> Result<(), DbError> {
    tx.execute(
        sql("UPDATE threads SET category_id = $2, title = $3, slug = $4, tags = $5, version = $6 \
             WHERE id = $1")
        .bind(thread.id)
        .bind(thread.category_id)
        .bind(&thread.title)
        .bind(&thread.slug)
        .bind(thread.tags.get())
        .bind(thread.version),
    )
    .await?;
    if let Some(tags) = tags
        && !thread.deleted
    {
        remove_tags(tx, thread.id).await?;
        insert_tags(tx, thread, tags).await?;
    }
    Ok(())
}

/// Stores whether a thread is pinned and locked.
pub(crate) async fn mark(tx: &mut Tx, thread: &Thread) -> Result<(), DbError> {
    tx.execute(
        sql("UPDATE threads SET pinned = $2, locked = $3, version = $4 WHERE id = $1")
            .bind(thread.id)
            .bind(thread.pinned)
            .bind(thread.locked)
            .bind(thread.version),
    )
    .await?;
    let tags = sql("UPDATE thread_tags SET pinned = $2 WHERE thread_id = $1");
    tx.execute(tags.bind(thread.id).bind(thread.pinned)).await.map(|_| ())
}

/// Shows a thread again.
pub(crate) async fn restore(tx: &mut Tx, thread: &Thread, tags: &[String]) -> Result<(), DbError> {
    tx.execute(
        sql("UPDATE threads SET deleted_at = NULL, deleted_by = NULL, hidden = 0, version = $2 \
             WHERE id = $1")
        .bind(thread.id)
        .bind(thread.version),
    )
    .await?;
    insert_tags(tx, thread, tags).await
}

/// Hides a thread.
pub(crate) async fn delete(tx: &mut Tx, id: Id, by: Id, at: Timestamp) -> Result<(), DbError> {
    tx.execute(
        sql("UPDATE threads SET deleted_at = $2, deleted_by = $3, hidden = 0, \
             version = version + 1 WHERE id = $1")
        .bind(id)
        .bind(at)
        .bind(by),
    )
    .await?;
    remove_tags(tx, id).await
}

async fn insert_tags(tx: &mut Tx, thread: &Thread, tags: &[String]) -> Result<(), DbError> {
    for tag in tags {
        tx.execute(
            sql("INSERT INTO thread_tags (thread_id, tag, created_at, last_post_at, reply_count, \
                 pinned) VALUES ($1, $2, $3, $4, $5, $6)")
            .bind(thread.id)
            .bind(tag)
            .bind(thread.created_at)
            .bind(thread.last_post_at)
            .bind(thread.reply_count)
            .bind(thread.pinned),
        )
        .await?;
    }
    Ok(())
}

pub(in crate::store) async fn remove_tags(tx: &mut Tx, thread: Id) -> Result<(), DbError> {
    tx.execute(sql("DELETE FROM thread_tags WHERE thread_id = $1").bind(thread)).await?;
    Ok(())
}

/// Adds views, in as few statements as bound values allow.
pub(crate) async fn add_views(tx: &mut Tx, views: &[(Id, i64)]) -> Result<(), DbError> {
    const ROWS: usize = 100;
    for piece in views.chunks(ROWS) {
        let text = format!(
            "UPDATE threads SET view_count = view_count + v.column2 FROM (VALUES {}) AS v \
             WHERE threads.id = v.column1",
            rows(1, 2, piece.len())
        );
        let add = piece
            .iter()
            .fold(Statement::composed(text), |add, (id, count)| add.bind(*id).bind(*count));
        tx.execute(add).await?;
    }
    Ok(())
}
