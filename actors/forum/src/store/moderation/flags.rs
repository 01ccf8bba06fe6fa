//! Who finds something wrong with a post.

use panel_kernel::data::{Conn, DbError, FromRow, Row, Tx, sql};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::store::authors::Author;

/// Somebody finds something wrong with a post.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Flag {
    pub(crate) id: Id,
    pub(crate) user: Author,
    /// Why: `spam`, `abuse`, `off_topic`, `illegal` or `other`.
    pub(crate) reason: String,
    /// In their words.
    pub(crate) note: String,
    /// 0 where it counts nothing towards hiding the post by itself.
    pub(crate) weight: i64,
    pub(crate) created_at: Timestamp,
}

impl FromRow for Flag {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        let name: String = row.get(2)?;
        Ok(Self {
            id: row.get(0)?,
            user: Author::named(row.get(1)?, &name),
            reason: row.get(3)?,
            note: row.get(4)?,
            weight: row.get(5)?,
            created_at: row.get(6)?,
        })
    }
}

/// Stores a flag; `false` if they have flagged that before.
pub(crate) async fn insert(
    tx: &mut Tx,
    flag: &Flag,
    (item, post): (Id, Id),
) -> Result<bool, DbError> {
    let insert = sql("INSERT INTO flags \
                      (id, item_id, post_id, user_id, reason, note, weight, created_at) \
                      VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
                      ON CONFLICT (item_id, user_id) DO NOTHING");
    let insert = insert
        .bind(flag.id)
        .bind(item)
        .bind(post)
        .bind(flag.user.id)
        .bind(&flag.reason)
        .bind(&flag.note)
        .bind(flag.weight)
        .bind(flag.created_at);
    tx.changed(insert).await
}

/// When what somebody said against a post was last decided; nothing if it never was.
pub(crate) async fn decided_at(
    conn: &mut Conn,
    post: Id,
    user: Id,
) -> Result<Option<Timestamp>, DbError> {
    let find = sql("SELECT MAX(q.resolved_at) FROM flags f \
                    JOIN moderation_queue q ON q.id = f.item_id \
                    WHERE f.post_id = $1 AND f.user_id = $2");
    let (at,): (Option<Timestamp>,) = conn.one(find.bind(post).bind(user)).await?;
    Ok(at)
}

/// How many flags of somebody wait for a decision, counted up to `most`.
pub(crate) async fn count_open(conn: &mut Conn, user: Id, most: i64) -> Result<i64, DbError> {
    let count = sql("SELECT COUNT(*) FROM (SELECT f.id FROM flags f \
                     JOIN moderation_queue q ON q.id = f.item_id \
                     WHERE f.user_id = $1 AND q.status = 'open' LIMIT $2) AS waiting");
    let (count,) = conn.one(count.bind(user).bind(most)).await?;
    Ok(count)
}

/// The flags of something in the queue, the first first.
pub(crate) async fn list(
    conn: &mut Conn,
    item: Id,
    after: i64,
    fetch: i64,
) -> Result<Vec<Flag>, DbError> {
    let list = sql("SELECT f.id, f.user_id, \
                    COALESCE((SELECT a.name FROM authors a WHERE a.id = f.user_id), ''), \
                    f.reason, f.note, f.weight, f.created_at FROM flags f \
                    WHERE f.item_id = $1 AND f.id > $2 ORDER BY f.id LIMIT $3");
    conn.all(list.bind(item).bind(after).bind(fetch)).await
}
