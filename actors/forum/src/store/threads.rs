//! Threads.

use panel_kernel::data::{Conn, DbError, FromRow, Row, Statement, Tx, sql};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::authors::Author;
use super::holding;
use super::packed::Fields;
use crate::rules::Viewer;

/// A thread, as lists and its own page show it.
#[derive(Clone, Debug, Serialize, ToSchema)]
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
    pub(crate) view_count: i64,
    pub(crate) pinned: bool,
    pub(crate) locked: bool,
    #[schema(value_type = Vec<String>)]
    pub(crate) tags: Box<RawValue>,
    /// Only there, and true, on what moderators alone still see.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub(crate) deleted: bool,
    #[serde(skip)]
    pub(crate) version: i64,
}

macro_rules! packed_thread {
    () => {
        packed!(
            "t.id",
            "t.category_id",
            "t.author_id",
            "t.created_at",
            "t.last_post_at",
            "t.reply_count",
            "t.view_count",
            "t.pinned",
            "t.locked",
            "CASE WHEN t.deleted_at IS NULL THEN 0 ELSE 1 END",
            "t.version",
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
            view_count: fields.int()?,
            pinned: fields.flag()?,
            locked: fields.flag()?,
            deleted: fields.flag()?,
            version: fields.int()?,
            slug: fields.text()?.to_owned(),
            tags: raw(fields.text()?)?,
            author: Author::named(author_id, fields.text()?),
            title: fields.text()?.to_owned(),
        })
    }
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
}

impl FromRow for Standing {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        Ok(Self { thread: Thread::from_row(row)?, post_level: row.get(1)? })
    }
}

const FIND: &str = concat!(
    "SELECT ",
    packed_thread!(),
    ", c.post_level FROM threads t JOIN categories c ON c.id = t.category_id \
     LEFT JOIN authors a ON a.id = t.author_id \
     WHERE t.id = $1 AND c.read_level <= $2 AND (t.deleted_at IS NULL OR $3 = 1)"
);

/// One thread, if the viewer may see it.
pub(crate) async fn find(
    conn: &mut Conn,
    id: Id,
    viewer: Viewer,
) -> Result<Option<Standing>, DbError> {
    conn.optional(sql(FIND).bind(id).bind(viewer.level).bind(viewer.moderates)).await
}

/// One thread, to change it: nobody else does until the transaction ends.
pub(crate) async fn for_change(
    tx: &mut Tx,
    id: Id,
    viewer: Viewer,
) -> Result<Option<Standing>, DbError> {
    let find = holding(tx, FIND, "t").bind(id).bind(viewer.level).bind(viewer.moderates);
    tx.optional(find).await
}

/// Stores a new thread, which has its opening post only.
pub(crate) async fn insert(tx: &mut Tx, thread: &Thread, tags: &[String]) -> Result<(), DbError> {
    tx.execute(
        sql("INSERT INTO threads (id, category_id, author_id, title, slug, tags, created_at, \
             last_post_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)")
        .bind(thread.id)
        .bind(thread.category_id)
        .bind(thread.author.id)
        .bind(&thread.title)
        .bind(&thread.slug)
        .bind(thread.tags.get())
        .bind(thread.created_at)
        .bind(thread.last_post_at),
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

/// Hides a thread.
pub(crate) async fn delete(tx: &mut Tx, id: Id, by: Id, at: Timestamp) -> Result<(), DbError> {
    tx.execute(
        sql("UPDATE threads SET deleted_at = $2, deleted_by = $3, version = version + 1 \
             WHERE id = $1")
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
            sql("INSERT INTO thread_tags (thread_id, tag, created_at, last_post_at, reply_count) \
                 VALUES ($1, $2, $3, $4, $5)")
            .bind(thread.id)
            .bind(tag)
            .bind(thread.created_at)
            .bind(thread.last_post_at)
            .bind(thread.reply_count),
        )
        .await?;
    }
    Ok(())
}

async fn remove_tags(tx: &mut Tx, thread: Id) -> Result<(), DbError> {
    tx.execute(sql("DELETE FROM thread_tags WHERE thread_id = $1").bind(thread)).await?;
    Ok(())
}

/// Adds views, in as few statements as bound values allow.
pub(crate) async fn add_views(tx: &mut Tx, views: &[(Id, i64)]) -> Result<(), DbError> {
    const ROWS: usize = 100;
    for piece in views.chunks(ROWS) {
        let rows: Vec<String> =
            (0..piece.len()).map(|at| format!("(${}, ${})", 2 * at + 1, 2 * at + 2)).collect();
        let text = format!(
            "UPDATE threads SET view_count = view_count + v.column2 FROM (VALUES {}) AS v \
             WHERE threads.id = v.column1",
            rows.join(", ")
        );
        let add = piece
            .iter()
            .fold(Statement::composed(text), |add, (id, count)| add.bind(*id).bind(*count));
        tx.execute(add).await?;
    }
    Ok(())
}
