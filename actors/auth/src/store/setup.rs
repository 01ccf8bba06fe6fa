//! The row behind the first administrator's link.

use panel_kernel::data::{Conn, DbError, Tx, sql};
use panel_kernel::time::Timestamp;

/// Puts the link's row there, replacing one that this node made in an earlier life or that is
/// older than `stale`; `false` if another node's stands.
pub(crate) async fn claim(
    tx: &mut Tx,
    token_hash: [u8; 32],
    node: &str,
    now: Timestamp,
    stale: Timestamp,
) -> Result<bool, DbError> {
    tx.changed(
        sql("INSERT INTO setup (id, token_hash, node, created_at) VALUES (1, $1, $2, $3) \
             ON CONFLICT (id) DO UPDATE SET token_hash = excluded.token_hash, \
               node = excluded.node, created_at = excluded.created_at \
             WHERE setup.node = excluded.node OR setup.created_at <= $4")
        .bind(token_hash)
        .bind(node)
        .bind(now)
        .bind(stale),
    )
    .await
}

/// Uses the link up; `false` if it is not this one.
pub(crate) async fn redeem(tx: &mut Tx, token_hash: [u8; 32]) -> Result<bool, DbError> {
    tx.changed(sql("DELETE FROM setup WHERE id = 1 AND token_hash = $1").bind(token_hash)).await
}

/// Removes the link: an administrator has come by another way.
pub(crate) async fn clear(tx: &mut Tx) -> Result<(), DbError> {
    tx.execute(sql("DELETE FROM setup")).await.map(|_| ())
}

/// Whether this is the link in force.
pub(crate) async fn is_current(conn: &mut Conn, token_hash: [u8; 32]) -> Result<bool, DbError> {
    let row: Option<(i64,)> = conn
        .optional(sql("SELECT id FROM setup WHERE id = 1 AND token_hash = $1").bind(token_hash))
        .await?;
    Ok(row.is_some())
}
