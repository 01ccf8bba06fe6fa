//! Signing keys.

use panel_kernel::data::{Conn, DbError, Expiry, Tx, sql};
use panel_kernel::identity::{ACCESS_TOKEN_LIFE, PublicKey};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;

/// A retired key is of use until the last token it signed has ended; then it goes.
pub(crate) const EXPIRY: Expiry = Expiry {
    delete: "DELETE FROM signing_keys WHERE id IN \
             (SELECT id FROM signing_keys WHERE retired_at <= $1 LIMIT $2)",
    keep: ACCESS_TOKEN_LIFE.saturating_mul(6),
};

/// A key as it is kept.
#[derive(Clone, Debug)]
pub(crate) struct StoredKey {
    pub(crate) id: Id,
    pub(crate) public_key: String,
    pub(crate) sealed: Vec<u8>,
    /// Whether it is the newest.
    pub(crate) current: bool,
    pub(crate) created_at: Timestamp,
    /// Since when it signs; before, it is only shown.
    pub(crate) signs_from: Timestamp,
}

panel_kernel::from_row!(StoredKey { id, public_key, sealed, current, created_at, signs_from });

/// The keys whose tokens are good or will be, newest first.
pub(crate) async fn usable(conn: &mut Conn, now: Timestamp) -> Result<Vec<StoredKey>, DbError> {
    conn.all(
        sql("SELECT id, public_key, sealed, current, created_at, signs_from FROM signing_keys \
             WHERE retired_at IS NULL OR retired_at > $1 ORDER BY id DESC")
        .bind(now.minus(ACCESS_TOKEN_LIFE)),
    )
    .await
}

/// What verifies their tokens.
pub(crate) async fn public(conn: &mut Conn, now: Timestamp) -> Result<Vec<PublicKey>, DbError> {
    let rows: Vec<(Id, String)> = conn
        .all(
            sql("SELECT id, public_key FROM signing_keys \
                 WHERE retired_at IS NULL OR retired_at > $1 ORDER BY id DESC")
            .bind(now.minus(ACCESS_TOKEN_LIFE)),
        )
        .await?;
    Ok(rows.into_iter().map(|(id, x)| PublicKey { kid: id.to_string(), x }).collect())
}

/// Adds the newest key. There is one at a time: [`DbError::Unique`] if the one before was not
/// retired.
pub(crate) async fn insert(tx: &mut Tx, key: &StoredKey) -> Result<(), DbError> {
    tx.execute(
        sql("INSERT INTO signing_keys (id, public_key, sealed, current, created_at, signs_from) \
             VALUES ($1, $2, $3, $4, $5, $6)")
        .bind(key.id)
        .bind(&key.public_key)
        .bind(key.sealed.clone())
        .bind(key.current)
        .bind(key.created_at)
        .bind(key.signs_from),
    )
    .await
    .map(|_| ())
}

/// Retires the newest key as of `at`; `false` if it is not `newest` any more.
pub(crate) async fn retire(tx: &mut Tx, newest: Id, at: Timestamp) -> Result<bool, DbError> {
    tx.changed(
        sql("UPDATE signing_keys SET current = 0, retired_at = $2 WHERE id = $1 AND current = 1")
            .bind(newest)
            .bind(at),
    )
    .await
}

/// Ends all keys that were retired: what they have signed is not good any more.
pub(crate) async fn revoke_retired(tx: &mut Tx, now: Timestamp) -> Result<(), DbError> {
    let ended = now.minus(ACCESS_TOKEN_LIFE);
    tx.execute(
        sql("UPDATE signing_keys SET retired_at = $1 WHERE current = 0 AND retired_at > $1")
            .bind(ended),
    )
    .await
    .map(|_| ())
}
