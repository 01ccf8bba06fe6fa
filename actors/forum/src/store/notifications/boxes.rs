//! What somebody does not want to hear of, and of whom.

use panel_kernel::data::{Conn, DbError, Tx, sql};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;

use crate::store::authors::Author;

/// The kinds that somebody does not want to hear of, as bits.
pub(crate) async fn muted(conn: &mut Conn, user: Id) -> Result<i64, DbError> {
    let find = sql("SELECT muted FROM notification_boxes WHERE user_id = $1").bind(user);
    Ok(conn.optional(find).await?.map_or(0, |(muted,): (i64,)| muted))
}

/// From now on they don't want to hear of these.
pub(crate) async fn mute(tx: &mut Tx, user: Id, muted: i64) -> Result<(), DbError> {
    let upsert = sql("INSERT INTO notification_boxes (user_id, muted) VALUES ($1, $2) \
                      ON CONFLICT (user_id) DO UPDATE SET muted = excluded.muted");
    tx.execute(upsert.bind(user).bind(muted)).await.map(|_| ())
}

/// Of whom somebody does not want to hear, by their ids.
pub(crate) async fn blocked(
    conn: &mut Conn,
    user: Id,
    before: i64,
    fetch: i64,
) -> Result<Vec<(Author, Timestamp)>, DbError> {
    let list = sql("SELECT b.blocked_id, \
                    COALESCE((SELECT a.name FROM authors a WHERE a.id = b.blocked_id), ''), \
                    b.created_at FROM blocks b WHERE b.user_id = $1 AND b.blocked_id < $2 \
                    ORDER BY b.blocked_id DESC LIMIT $3");
    let found: Vec<(Id, String, Timestamp)> =
        conn.all(list.bind(user).bind(before).bind(fetch)).await?;
    Ok(found.into_iter().map(|(id, name, at)| (Author::named(id, &name), at)).collect())
}

/// How many they are.
pub(crate) async fn count_blocked(conn: &mut Conn, user: Id) -> Result<i64, DbError> {
    let count = sql("SELECT COUNT(*) FROM blocks WHERE user_id = $1").bind(user);
    let (count,) = conn.one(count).await?;
    Ok(count)
}

/// They don't want to hear of somebody any more.
pub(crate) async fn block(
    tx: &mut Tx,
    user: Id,
    blocked: Id,
    at: Timestamp,
) -> Result<bool, DbError> {
    let insert = sql("INSERT INTO blocks (user_id, blocked_id, created_at) VALUES ($1, $2, $3) \
                      ON CONFLICT (user_id, blocked_id) DO NOTHING");
    tx.changed(insert.bind(user).bind(blocked).bind(at)).await
}

/// They may hear of them again.
pub(crate) async fn unblock(tx: &mut Tx, user: Id, blocked: Id) -> Result<bool, DbError> {
    let delete = sql("DELETE FROM blocks WHERE user_id = $1 AND blocked_id = $2");
    tx.changed(delete.bind(user).bind(blocked)).await
}
