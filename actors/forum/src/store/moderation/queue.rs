//! What moderators are to look at.

use panel_kernel::data::{Composed, Conn, DbError, FromRow, Row, Tx, sql};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::rules::Viewer;
use crate::store::authors::Author;
use crate::store::holding;
use crate::store::packed::Fields;

/// What is shown of a post in the list, in characters.
const SHOWN_CHARS: i64 = 500;

/// Why something is in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum QueueKind {
    /// Somebody found something wrong with a post.
    Flagged,
    /// A post that nobody sees before a moderator has looked.
    Held,
    /// A post that a rule flags.
    Matched,
    /// Somebody appeals against a ban.
    Appeal,
}

impl QueueKind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Flagged => "flagged",
            Self::Held => "held",
            Self::Matched => "matched",
            Self::Appeal => "appeal",
        }
    }

    /// The kind of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Flagged, Self::Held, Self::Matched, Self::Appeal]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

/// How far it is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum QueueStatus {
    /// Not yet.
    Open,
    /// The post is good, and shown; the ban is lifted.
    Approved,
    /// The post is not good, and gone; the ban stays.
    Rejected,
}

impl QueueStatus {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
        }
    }

    fn named(name: &str) -> Self {
        match name {
            "approved" => Self::Approved,
            "rejected" => Self::Rejected,
            _ => Self::Open,
        }
    }
}

/// A post in the queue.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct QueuedPost {
    pub(crate) id: Id,
    pub(crate) thread_id: Id,
    pub(crate) number: i64,
    /// Of the thread.
    pub(crate) title: String,
    pub(crate) category_id: Id,
    /// The beginning of its text, in Markdown.
    pub(crate) excerpt: String,
    pub(crate) deleted: bool,
    /// Whether readers don't see it until this is decided.
    pub(crate) hidden: bool,
}

/// Something that moderators are to look at.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct QueueItem {
    pub(crate) id: Id,
    pub(crate) kind: QueueKind,
    pub(crate) status: QueueStatus,
    /// The post that it is about; null for appeals.
    pub(crate) post: Option<QueuedPost>,
    /// The ban that it is about; null for posts.
    pub(crate) ban_id: Option<Id>,
    /// Whose post, or whose appeal.
    pub(crate) author: Author,
    /// The rule that it matched, or what is said in the appeal.
    pub(crate) detail: String,
    pub(crate) flag_count: i64,
    /// What the flags weigh together.
    pub(crate) weight: i64,
    pub(crate) assignee: Option<Author>,
    pub(crate) created_at: Timestamp,
    pub(crate) resolved_at: Option<Timestamp>,
    pub(crate) resolved_by: Option<Author>,
    #[serde(skip)]
    pub(crate) version: i64,
}

macro_rules! name_of {
    ($id:literal) => {
        concat!("COALESCE((SELECT a.name FROM authors a WHERE a.id = ", $id, "), '')")
    };
}

macro_rules! item {
    () => {
        concat!(
            "SELECT q.id, q.kind, q.status, q.ban_id, q.author_id, ",
            name_of!("q.author_id"),
            ", q.detail, q.flag_count, q.weight, q.assignee_id, ",
            name_of!("q.assignee_id"),
            ", q.created_at, q.resolved_at, q.resolved_by, ",
            name_of!("q.resolved_by"),
            ", q.version, (SELECT ",
            // Looked up per item, never joined: PostgreSQL would rather read all posts.
            packed!(
                "p.id",
                "p.thread_id",
                "p.number",
                "t.category_id",
                "CASE WHEN p.deleted_at IS NULL AND t.deleted_at IS NULL THEN 0 ELSE 1 END",
                "CASE WHEN p.hidden = 1 OR p.number = 1 AND t.hidden = 1 THEN 1 ELSE 0 END",
                "t.title",
                // The last, because it has lines.
                "substr(p.body, 1, CAST($1 AS INTEGER))",
            ),
            " FROM posts p JOIN threads t ON t.id = p.thread_id WHERE p.id = q.post_id) \
             FROM moderation_queue q WHERE COALESCE((SELECT c.read_level FROM posts p \
               JOIN threads t ON t.id = p.thread_id JOIN categories c ON c.id = t.category_id \
               WHERE p.id = q.post_id), 0) <= $2"
        )
    };
}

impl QueuedPost {
    fn unpacked(cell: &str) -> Result<Self, DbError> {
        let mut fields = Fields::of(cell);
        Ok(Self {
            id: fields.id()?,
            thread_id: fields.id()?,
            number: fields.int()?,
            category_id: fields.id()?,
            deleted: fields.flag()?,
            hidden: fields.flag()?,
            title: fields.text()?.to_owned(),
            excerpt: fields.rest(),
        })
    }
}

impl FromRow for QueueItem {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        let named = |at: usize| -> Result<Option<Author>, DbError> {
            let (id, name): (Option<Id>, String) = (row.get(at)?, row.get(at + 1)?);
            Ok(id.map(|id| Author::named(id, &name)))
        };
        let (kind, status): (String, String) = (row.get(1)?, row.get(2)?);
        let (author, post): (String, Option<String>) = (row.get(5)?, row.get(16)?);
        let post = post.as_deref().map(QueuedPost::unpacked).transpose()?;
        Ok(Self {
            id: row.get(0)?,
            kind: QueueKind::named(&kind).unwrap_or(QueueKind::Flagged),
            status: QueueStatus::named(&status),
            post,
            ban_id: row.get(3)?,
            author: Author::named(row.get(4)?, &author),
            detail: row.get(6)?,
            flag_count: row.get(7)?,
            weight: row.get(8)?,
            assignee: named(9)?,
            created_at: row.get(11)?,
            resolved_at: row.get(12)?,
            resolved_by: named(13)?,
            version: row.get(15)?,
        })
    }
}

/// Who takes care of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Assignee {
    Nobody,
    Somebody(Id),
}

/// Which of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QueueFilter {
    /// Those that are open, the oldest first; or those that are decided, the latest first.
    pub(crate) is_open: bool,
    pub(crate) kind: Option<QueueKind>,
    pub(crate) category: Option<Id>,
    pub(crate) assignee: Option<Assignee>,
    /// About this account.
    pub(crate) author: Option<Id>,
}

impl QueueFilter {
    /// Before the first of them.
    pub(crate) const fn beginning(&self) -> i64 {
        if self.is_open { 0 } else { i64::MAX }
    }
}

/// A page of what the viewer may read.
pub(crate) async fn list(
    conn: &mut Conn,
    filter: QueueFilter,
    viewer: Viewer,
    after: i64,
    fetch: i64,
) -> Result<Vec<QueueItem>, DbError> {
    let mut text = Composed::beginning([SHOWN_CHARS.into(), viewer.level.into()]);
    text.add(item!());
    text.add(if filter.is_open { " AND q.status = 'open'" } else { " AND q.status <> 'open'" });
    text.with(if filter.is_open { " AND q.id > $" } else { " AND q.id < $" }, [after.into()]);
    if let Some(kind) = filter.kind {
        text.with(" AND q.kind = $", [kind.name().into()]);
    }
    if let Some(category) = filter.category {
        let there = " AND (SELECT t.category_id FROM posts p JOIN threads t ON t.id = p.thread_id \
                     WHERE p.id = q.post_id) = $";
        text.with(there, [category.into()]);
    }
    match filter.assignee {
        Some(Assignee::Somebody(id)) => text.with(" AND q.assignee_id = $", [id.into()]),
        Some(Assignee::Nobody) => text.add(" AND q.assignee_id IS NULL"),
        None => {}
    }
    if let Some(author) = filter.author {
        text.with(" AND q.author_id = $", [author.into()]);
    }
    text.add(if filter.is_open { " ORDER BY q.id" } else { " ORDER BY q.id DESC" });
    text.with(" LIMIT $", [fetch.into()]);
    conn.all(text.done()).await
}

const FIND: &str = concat!(item!(), " AND q.id = $3");

/// One of them, if the viewer may read what it is about.
pub(crate) async fn find(
    conn: &mut Conn,
    id: Id,
    viewer: Viewer,
) -> Result<Option<QueueItem>, DbError> {
    conn.optional(sql(FIND).bind(SHOWN_CHARS).bind(viewer.level).bind(id)).await
}

/// One of them, to change it: nobody else does until the transaction ends.
pub(crate) async fn for_change(
    tx: &mut Tx,
    id: Id,
    viewer: Viewer,
) -> Result<Option<QueueItem>, DbError> {
    let held = holding(tx, FIND, "q").bind(SHOWN_CHARS).bind(viewer.level).bind(id);
    tx.optional(held).await
}

/// What is new about a post or a ban.
#[derive(Clone, Debug)]
pub(crate) struct Cause<'a> {
    pub(crate) kind: QueueKind,
    pub(crate) author: Id,
    pub(crate) detail: &'a str,
    /// What a flag weighs, where it is one.
    pub(crate) flag: Option<i64>,
}

/// Puts a post into the queue, or adds to what is said of it there. `id` is what it is called if it is new;
/// what it is called, is the answer. Nobody else does either until the transaction ends.
pub(crate) async fn add_post(
    tx: &mut Tx,
    id: Id,
    post: Id,
    cause: &Cause<'_>,
    at: Timestamp,
) -> Result<Id, DbError> {
    let insert = sql("INSERT INTO moderation_queue \
                      (id, kind, post_id, author_id, detail, flag_count, weight, due, created_at) \
                      VALUES ($1, $2, $3, $4, $5, $6, $7, $6, $8) \
                      ON CONFLICT (post_id) WHERE status = 'open' AND post_id IS NOT NULL \
                      DO UPDATE SET flag_count = moderation_queue.flag_count + excluded.flag_count, \
                      weight = moderation_queue.weight + excluded.weight, \
                      due = CASE WHEN excluded.due = 1 THEN 1 ELSE moderation_queue.due END, \
                      detail = CASE WHEN moderation_queue.detail = '' THEN excluded.detail \
                      ELSE moderation_queue.detail END, version = moderation_queue.version + 1 \
                      RETURNING id");
    let (flags, weight) = cause.flag.map_or((0_i64, 0), |weight| (1, weight));
    let insert = insert.bind(id).bind(cause.kind.name()).bind(post).bind(cause.author);
    let insert = insert.bind(cause.detail).bind(flags).bind(weight).bind(at);
    let (id,): (Id,) = tx.one(insert).await?;
    Ok(id)
}

/// Puts an appeal into the queue.
pub(crate) async fn add_appeal(
    tx: &mut Tx,
    id: Id,
    ban: Id,
    (author, text): (Id, &str),
    at: Timestamp,
) -> Result<(), DbError> {
    let insert = sql("INSERT INTO moderation_queue \
                      (id, kind, ban_id, author_id, detail, created_at) \
                      VALUES ($1, 'appeal', $2, $3, $4, $5)");
    tx.execute(insert.bind(id).bind(ban).bind(author).bind(text).bind(at)).await.map(|_| ())
}

/// Decides about it.
pub(crate) async fn resolve(
    tx: &mut Tx,
    id: Id,
    status: QueueStatus,
    (by, at): (Id, Timestamp),
) -> Result<(), DbError> {
    let resolve = sql("UPDATE moderation_queue SET status = $2, resolved_by = $3, \
                       resolved_at = $4, due = 0, version = version + 1 WHERE id = $1");
    tx.execute(resolve.bind(id).bind(status.name()).bind(by).bind(at)).await.map(|_| ())
}

/// What a moderator has done to a post by other ways decides about it in the queue, if it is there: then what
/// it is called there, and why it was.
pub(crate) async fn resolve_post(
    tx: &mut Tx,
    post: Id,
    status: QueueStatus,
    (by, at): (Id, Timestamp),
) -> Result<Option<(Id, QueueKind)>, DbError> {
    let resolve = sql("UPDATE moderation_queue SET status = $2, resolved_by = $3, \
                       resolved_at = $4, due = 0, version = version + 1 \
                       WHERE post_id = $1 AND status = 'open' RETURNING id, kind");
    let resolve = resolve.bind(post).bind(status.name()).bind(by).bind(at);
    let found: Option<(Id, String)> = tx.optional(resolve).await?;
    Ok(found.map(|(id, kind)| (id, QueueKind::named(&kind).unwrap_or(QueueKind::Flagged))))
}

/// The same for a ban that has ended.
pub(crate) async fn resolve_ban(
    tx: &mut Tx,
    ban: Id,
    (by, at): (Option<Id>, Timestamp),
) -> Result<(), DbError> {
    let resolve = sql("UPDATE moderation_queue SET status = 'approved', resolved_by = $2, \
                       resolved_at = $3, due = 0, version = version + 1 \
                       WHERE ban_id = $1 AND status = 'open'");
    tx.execute(resolve.bind(ban).bind(by).bind(at)).await.map(|_| ())
}

/// Somebody takes care of it, or nobody does any more.
pub(crate) async fn assign(tx: &mut Tx, id: Id, to: Option<Id>) -> Result<(), DbError> {
    let assign = sql("UPDATE moderation_queue SET assignee_id = $2, version = version + 1 \
                      WHERE id = $1");
    tx.execute(assign.bind(id).bind(to)).await.map(|_| ())
}

/// Those of which somebody has to look whether their flags weigh enough, each with its post.
pub(crate) async fn due(conn: &mut Conn, most: i64) -> Result<Vec<(Id, Id)>, DbError> {
    let find = sql("SELECT id, post_id FROM moderation_queue WHERE due = 1 \
                    ORDER BY id LIMIT $1");
    conn.all(find.bind(most)).await
}

/// Whoever looks at its weight holds it until the transaction ends. Nothing if somebody else has looked.
pub(crate) async fn weigh(tx: &mut Tx, id: Id) -> Result<Option<i64>, DbError> {
    let weigh =
        sql("UPDATE moderation_queue SET due = 0 WHERE id = $1 AND due = 1 RETURNING weight");
    Ok(tx.optional(weigh.bind(id)).await?.map(|(weight,): (i64,)| weight))
}
