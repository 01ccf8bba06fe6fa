//! What is made of pictures and nobody has: found, given up, forgotten.

use panel_kernel::data::{Conn, DbError, Tx, sql};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;

use super::{assets, items, shown};

/// Looked at in one round.
const AT_ONCE: i64 = 20;

/// Those that were begun before `before` and came to nothing.
pub(crate) async fn forsaken(conn: &mut Conn, before: Timestamp) -> Result<Vec<Id>, DbError> {
    let find = sql("SELECT s.id FROM assets s WHERE s.state = 'coming' AND s.state <> 'kept' \
                    AND s.since <= $1 ORDER BY s.since LIMIT $2");
    ids(conn.all(find.bind(before).bind(AT_ONCE)).await)
}

/// Those that nobody has since before `before`.
pub(crate) async fn orphans(conn: &mut Conn, before: Timestamp) -> Result<Vec<Id>, DbError> {
    let find = sql("SELECT s.id FROM assets s WHERE s.orphaned_at <= $1 \
                    ORDER BY s.orphaned_at LIMIT $2");
    ids(conn.all(find.bind(before).bind(AT_ONCE)).await)
}

/// Those whose files are to be removed.
pub(crate) async fn going(conn: &mut Conn) -> Result<Vec<Id>, DbError> {
    let find = sql("SELECT s.id FROM assets s WHERE s.state = 'going' AND s.state <> 'kept' \
                    ORDER BY s.since LIMIT $1");
    ids(conn.all(find.bind(AT_ONCE)).await)
}

fn ids(rows: Result<Vec<(Id,)>, DbError>) -> Result<Vec<Id>, DbError> {
    Ok(rows?.into_iter().map(|(id,)| id).collect())
}

/// Gives one up that nobody has and nothing shows; one that something shows may wait. By which content it was known,
/// if it goes.
pub(crate) async fn give_up(
    tx: &mut Tx,
    id: Id,
    now: Timestamp,
) -> Result<Option<String>, DbError> {
    let Some(asset) = assets::held(tx, id).await? else { return Ok(None) };
    if items::has_owner(tx, id).await? {
        assets::orphaned(tx, id, None).await?;
        return Ok(None);
    }
    if shown::is_shown(tx, &asset.sha256).await? {
        assets::orphaned(tx, id, Some(now)).await?;
        return Ok(None);
    }
    assets::give_away(tx, id, now).await?;
    Ok(Some(asset.sha256))
}

/// Its files are removed.
pub(crate) async fn forget(tx: &mut Tx, id: Id) -> Result<(), DbError> {
    let delete = sql("DELETE FROM assets WHERE id = $1 AND state = 'going'");
    tx.execute(delete.bind(id)).await.map(drop)
}
