//! What somebody was told.

use panel_kernel::data::{Composed, Conn, DbError, FromRow, Row, Statement, Tx, sql};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::telling::Told;
use crate::rules::notices::NoticeKind;
use crate::store::authors::Author;
use crate::store::{places, rows};

/// Something that somebody was told.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Notification {
    /// In order: what was told later has a greater one.
    pub(crate) id: Id,
    pub(crate) kind: NoticeKind,
    /// Who did it; null where that is not told.
    pub(crate) actor: Option<Author>,
    pub(crate) thread_id: Option<Id>,
    pub(crate) post_id: Option<Id>,
    /// Of the post, in its thread.
    pub(crate) number: Option<i64>,
    /// Of the thread.
    pub(crate) title: Option<String>,
    /// Which reaction; of moderation, what was decided.
    pub(crate) detail: String,
    pub(crate) read: bool,
    pub(crate) created_at: Timestamp,
    #[serde(skip)]
    pub(crate) user_id: Id,
    /// What they were told before it.
    #[serde(skip)]
    pub(crate) after: Option<Id>,
}

impl FromRow for Notification {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        let (kind, actor, name): (String, Option<Id>, String) =
            (row.get(2)?, row.get(3)?, row.get(4)?);
        Ok(Self {
            user_id: row.get(0)?,
            id: row.get(1)?,
            kind: NoticeKind::named(&kind).unwrap_or(NoticeKind::Moderation),
            actor: actor.map(|id| Author::named(id, &name)),
            thread_id: row.get(5)?,
            post_id: row.get(6)?,
            number: row.get(7)?,
            title: row.get(8)?,
            detail: row.get(9)?,
            read: row.get(10)?,
            created_at: row.get(11)?,
            after: row.get(12)?,
        })
    }
}

/// The title only of what its reader may still read.
macro_rules! notification {
    () => {
        "SELECT n.user_id, n.id, n.kind, n.actor_id, \
         COALESCE((SELECT a.name FROM authors a WHERE a.id = n.actor_id), ''), \
         COALESCE(p.thread_id, n.thread_id), n.post_id, p.number, \
         CASE WHEN c.read_level <= \
           COALESCE((SELECT CASE u.level WHEN 0 THEN 1 ELSE u.level END FROM authors u \
             WHERE u.id = n.user_id), 0) \
           AND (t.deleted_at IS NULL OR t.hidden = 1 AND t.author_id = n.user_id) \
           THEN t.title END, n.detail, n.is_read, n.created_at, \
         (SELECT MAX(b.id) FROM notifications b WHERE b.user_id = n.user_id AND b.id < n.id) \
         FROM notifications n LEFT JOIN posts p ON p.id = n.post_id \
         LEFT JOIN threads t ON t.id = COALESCE(p.thread_id, n.thread_id) \
         LEFT JOIN categories c ON c.id = t.category_id"
    };
}

/// Of which list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotificationFilter {
    pub(crate) is_unread: bool,
    pub(crate) kind: Option<NoticeKind>,
}

/// A page of what somebody was told, the latest first.
pub(crate) async fn page(
    conn: &mut Conn,
    user: Id,
    filter: NotificationFilter,
    before: i64,
    fetch: i64,
) -> Result<Vec<Notification>, DbError> {
    let mut text = Composed::default();
    text.add(notification!());
    text.with(" WHERE n.user_id = $ AND n.id < $", [user.into(), before.into()]);
    if filter.is_unread {
        text.add(" AND n.is_read = 0");
    }
    if let Some(kind) = filter.kind {
        text.with(" AND n.kind = $", [kind.name().into()]);
    }
    text.with(" ORDER BY n.id DESC LIMIT $", [fetch.into()]);
    conn.all(text.done()).await
}

/// What somebody was told after that, in order.
pub(crate) async fn since(
    conn: &mut Conn,
    user: Id,
    after: i64,
    fetch: i64,
) -> Result<Vec<Notification>, DbError> {
    let text =
        concat!(notification!(), " WHERE n.user_id = $1 AND n.id > $2 ORDER BY n.id LIMIT $3");
    conn.all(sql(text).bind(user).bind(after).bind(fetch)).await
}

/// What somebody was told after that and has not read, the latest first.
pub(crate) async fn unread_since(
    conn: &mut Conn,
    user: Id,
    after: i64,
    fetch: i64,
) -> Result<Vec<Notification>, DbError> {
    let text = concat!(
        notification!(),
        " WHERE n.user_id = $1 AND n.id > $2 AND n.is_read = 0 ORDER BY n.id DESC LIMIT $3"
    );
    conn.all(sql(text).bind(user).bind(after).bind(fetch)).await
}

/// These, in no order.
pub(crate) async fn these(conn: &mut Conn, told: &[Told]) -> Result<Vec<Notification>, DbError> {
    if told.is_empty() {
        return Ok(Vec::new());
    }
    let text = format!(
        "{} WHERE (n.user_id, n.id) IN (VALUES {})",
        notification!(),
        rows(1, 2, told.len())
    );
    let find = Statement::composed(text);
    conn.all(told.iter().fold(find, |find, (user, id)| find.bind(*user).bind(*id))).await
}

/// The latest thing that somebody was told; 0 where there is none.
pub(crate) async fn latest(conn: &mut Conn, user: Id) -> Result<Id, DbError> {
    let find = sql("SELECT last_id FROM notification_boxes WHERE user_id = $1").bind(user);
    let found: Option<(Id,)> = conn.optional(find).await?;
    Ok(found.map_or(Id::from_raw(0), |(id,)| id))
}

/// How much there is that somebody has not read, counted up to `most`.
pub(crate) async fn unread(conn: &mut Conn, user: Id, most: i64) -> Result<i64, DbError> {
    let count = sql("SELECT COUNT(*) FROM (SELECT id FROM notifications \
                     WHERE user_id = $1 AND is_read = 0 LIMIT $2) AS unread");
    let (count,) = conn.one(count.bind(user).bind(most)).await?;
    Ok(count)
}

/// They have read everything up to that.
pub(crate) async fn read_up_to(tx: &mut Tx, user: Id, up_to: i64) -> Result<(), DbError> {
    let read = sql("UPDATE notifications SET is_read = 1 \
                    WHERE user_id = $1 AND id <= $2 AND is_read = 0");
    tx.execute(read.bind(user).bind(up_to)).await.map(|_| ())
}

/// They have read these.
pub(crate) async fn read_these(tx: &mut Tx, user: Id, ids: &[Id]) -> Result<(), DbError> {
    let text = format!(
        "UPDATE notifications SET is_read = 1 WHERE user_id = $1 AND is_read = 0 AND id IN ({})",
        places(2, ids.len())
    );
    let read = Statement::composed(text).bind(user);
    tx.execute(ids.iter().fold(read, |read, id| read.bind(*id))).await.map(|_| ())
}

/// They have read a thread up to this number, and so what they were told of it.
pub(crate) async fn read_in_thread(
    tx: &mut Tx,
    user: Id,
    thread: Id,
    number: i64,
) -> Result<(), DbError> {
    let read = sql("UPDATE notifications SET is_read = 1 WHERE user_id = $1 AND thread_id = $2 \
                    AND is_read = 0 AND kind <> 'moderation' \
                    AND post_id IN (SELECT p.id FROM posts p \
                      WHERE p.id = notifications.post_id AND p.number <= $3)");
    tx.execute(read.bind(user).bind(thread).bind(number)).await.map(|_| ())
}
