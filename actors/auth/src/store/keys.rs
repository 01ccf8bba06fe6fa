//! Signing keys.

use panel_kernel::data::{Conn, DbError, Tx, sql};
use panel_kernel::identity::ACCESS_TOKEN_LIFE;
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;

/// A key as it is kept.
#[derive(Debug)]
pub(crate) struct StoredKey {
    pub(crate) id: Id,
    pub(crate) public_key: String,
    pub(crate) sealed: Vec<u8>,
    pub(crate) current: bool,
}

panel_kernel::from_row!(StoredKey { id, public_key, sealed, current });

/// The current key, and those whose tokens may still be good.
pub(crate) async fn usable(conn: &mut Conn, now: Timestamp) -> Result<Vec<StoredKey>, DbError> {
    conn.all(
        sql("SELECT id, public_key, sealed, current FROM signing_keys \
             WHERE retired_at IS NULL OR retired_at > $1 ORDER BY id DESC")
        .bind(now.minus(ACCESS_TOKEN_LIFE)),
    )
    .await
}

pub(crate) async fn insert(tx: &mut Tx, key: StoredKey, now: Timestamp) -> Result<(), DbError> {
    tx.execute(
        sql("INSERT INTO signing_keys (id, public_key, sealed, current, created_at) \
             VALUES ($1, $2, $3, $4, $5)")
        .bind(key.id)
        .bind(key.public_key)
        .bind(key.sealed)
        .bind(key.current)
        .bind(now),
    )
    .await
    .map(|_| ())
}
