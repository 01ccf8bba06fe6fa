//! What gateways must hear of: sessions that were ended, keys that were changed.

use panel_kernel::data::{Conn, DbError, sql};
use panel_kernel::identity::{ACCESS_TOKEN_LIFE, Revoked};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;

/// The first `most` since `since`, from the one after `after` on, each with the moment after which it does
/// not matter any more.
pub(crate) async fn since(
    conn: &mut Conn,
    (since, after): (Timestamp, i64),
    most: usize,
) -> Result<Vec<Revoked>, DbError> {
    let ended = "SELECT id, revoked_at FROM sessions \
                 WHERE revoked_at >= $1 AND (revoked_at > $1 OR id > $2) \
                 ORDER BY revoked_at, id LIMIT $3";
    let changed = "SELECT id, changed_at FROM api_keys \
                   WHERE changed_at >= $1 AND (changed_at > $1 OR id > $2) \
                   ORDER BY changed_at, id LIMIT $3";
    let mut news: Vec<(Id, Timestamp)> = Vec::new();
    for statement in [ended, changed] {
        let limit = i64::try_from(most).unwrap_or(i64::MAX);
        let query = sql(statement).bind(since).bind(after).bind(limit);
        news.extend(conn.all::<(Id, Timestamp)>(query).await?);
    }
    news.sort_unstable_by_key(|(id, at)| (*at, id.raw()));
    news.truncate(most);
    let until = |at: Timestamp| at.plus(ACCESS_TOKEN_LIFE);
    Ok(news.into_iter().map(|(session, at)| Revoked { session, until: until(at) }).collect())
}
