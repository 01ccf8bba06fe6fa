//! Who wants mails of what they were told, and what is in them.

use panel_kernel::data::{Conn, DbError, Tx, sql};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;

use crate::rules::digests::Digest;

/// How often somebody wants one.
pub(crate) async fn find(conn: &mut Conn, user: Id) -> Result<Digest, DbError> {
    let find = sql("SELECT every FROM digests WHERE user_id = $1").bind(user);
    let found: Option<(String,)> = conn.optional(find).await?;
    Ok(found.map_or(Digest::Never, |(every,)| Digest::named(&every)))
}

/// From now on somebody wants one that often, the first at `next`, of what they are told from now on; none, where
/// there is no next.
pub(crate) async fn store(
    tx: &mut Tx,
    user: Id,
    every: Digest,
    next: Option<Timestamp>,
) -> Result<(), DbError> {
    let Some(next) = next else {
        return tx
            .execute(sql("DELETE FROM digests WHERE user_id = $1").bind(user))
            .await
            .map(|_| ());
    };
    let upsert = sql("INSERT INTO digests (user_id, every, next_at, last_id) VALUES ($1, $2, $3, \
                      COALESCE((SELECT b.last_id FROM notification_boxes b WHERE b.user_id = $1), 0)) \
                      ON CONFLICT (user_id) DO UPDATE SET every = excluded.every, \
                      next_at = excluded.next_at");
    tx.execute(upsert.bind(user).bind(every.name()).bind(next)).await.map(|_| ())
}

/// Somebody whose mail is due.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Due {
    pub(crate) user: Id,
    pub(crate) every: Digest,
    pub(crate) next_at: Timestamp,
    /// They have had everything up to this.
    pub(crate) last: i64,
}

/// Those whose mail is due, the longest first.
pub(crate) async fn due(conn: &mut Conn, now: Timestamp, most: i64) -> Result<Vec<Due>, DbError> {
    let find = sql("SELECT user_id, every, next_at, last_id FROM digests WHERE next_at <= $1 \
                    ORDER BY next_at, user_id LIMIT $2");
    let found: Vec<(Id, String, Timestamp, i64)> = conn.all(find.bind(now).bind(most)).await?;
    let due = |(user, every, next_at, last): (Id, String, Timestamp, i64)| Due {
        user,
        every: Digest::named(&every),
        next_at,
        last,
    };
    Ok(found.into_iter().map(due).collect())
}

/// It is written, of everything up to `last`, and the next one is due at `next`; `false` if somebody was there
/// before, or they want it no more.
pub(crate) async fn advance(
    tx: &mut Tx,
    due: &Due,
    next: Timestamp,
    last: i64,
) -> Result<bool, DbError> {
    let advance = sql("UPDATE digests SET next_at = $4, last_id = $5 \
                       WHERE user_id = $1 AND next_at = $2 AND every = $3");
    let advance = advance.bind(due.user).bind(due.next_at).bind(due.every.name());
    tx.changed(advance.bind(next).bind(last)).await
}
