//! What moderators have done.

use panel_kernel::data::{Composed, Conn, DbError, FromRow, Row, Tx, sql};
use panel_kernel::ids::Id;
use panel_kernel::role::Role;
use panel_kernel::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::rules::Viewer;
use crate::store::authors::Author;

/// Something that a moderator did.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct LogEntry {
    pub(crate) id: Id,
    /// `post.hide`, `thread.lock`, `ban.create`, …
    pub(crate) action: String,
    /// Who; null where the forum did it by itself, and where that is not shown.
    pub(crate) moderator: Option<Author>,
    /// To whom, or to whose text.
    pub(crate) user: Option<Author>,
    pub(crate) post_id: Option<Id>,
    pub(crate) thread_id: Option<Id>,
    pub(crate) category_id: Option<Id>,
    pub(crate) reason: String,
    pub(crate) created_at: Timestamp,
}

impl FromRow for LogEntry {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        let (moderator, user): (Id, Option<Id>) = (row.get(2)?, row.get(4)?);
        let (moderator_name, user_name): (String, String) = (row.get(3)?, row.get(5)?);
        let by_itself = moderator.raw() == 0;
        Ok(Self {
            id: row.get(0)?,
            action: row.get(1)?,
            moderator: (!by_itself).then(|| Author::named(moderator, &moderator_name)),
            user: user.map(|id| Author::named(id, &user_name)),
            post_id: row.get(6)?,
            thread_id: row.get(7)?,
            category_id: row.get(8)?,
            reason: row.get(9)?,
            created_at: row.get(10)?,
        })
    }
}

/// What is to be remembered of an act.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deed<'a> {
    pub(crate) action: &'a str,
    pub(crate) user: Option<Id>,
    pub(crate) post: Option<Id>,
    pub(crate) thread: Option<Id>,
    pub(crate) category: Option<Id>,
    pub(crate) reason: &'a str,
}

/// Remembers it, by `moderator`, or by the forum itself.
pub(crate) async fn insert(
    tx: &mut Tx,
    id: Id,
    moderator: Option<Id>,
    deed: &Deed<'_>,
    at: Timestamp,
) -> Result<(), DbError> {
    let insert = sql("INSERT INTO moderation_log (id, moderator_id, action, user_id, post_id, \
                      thread_id, category_id, reason, created_at) \
                      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)");
    let insert = insert
        .bind(id)
        .bind(moderator.map_or(0, Id::raw))
        .bind(deed.action)
        .bind(deed.user)
        .bind(deed.post)
        .bind(deed.thread)
        .bind(deed.category)
        .bind(deed.reason)
        .bind(at);
    tx.execute(insert).await.map(|_| ())
}

/// Which entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogFilter {
    pub(crate) user: Option<Id>,
    pub(crate) moderator: Option<Id>,
    pub(crate) thread: Option<Id>,
}

/// A page of them, the latest first; only of categories that the viewer may read.
pub(crate) async fn list(
    conn: &mut Conn,
    filter: LogFilter,
    viewer: Viewer,
    before: i64,
    fetch: i64,
) -> Result<Vec<LogEntry>, DbError> {
    let mut text = Composed::default();
    text.add(
        "SELECT l.id, l.action, l.moderator_id, \
         COALESCE((SELECT a.name FROM authors a WHERE a.id = l.moderator_id), ''), l.user_id, \
         COALESCE((SELECT a.name FROM authors a WHERE a.id = l.user_id), ''), l.post_id, \
         l.thread_id, l.category_id, l.reason, l.created_at \
         FROM moderation_log l LEFT JOIN categories c ON c.id = l.category_id",
    );
    text.with(" WHERE l.id < $", [before.into()]);
    // What was in a category that is gone is for moderators.
    text.with(
        " AND CASE WHEN l.category_id IS NULL THEN 0 ELSE COALESCE(c.read_level, $) END <= $",
        [Role::Moderator.level().into(), viewer.level.into()],
    );
    for (column, value) in
        [("user_id", filter.user), ("moderator_id", filter.moderator), ("thread_id", filter.thread)]
    {
        if let Some(value) = value {
            text.with(&format!(" AND l.{column} = $"), [value.into()]);
        }
    }
    text.with(" ORDER BY l.id DESC LIMIT $", [fetch.into()]);
    conn.all(text.done()).await
}
