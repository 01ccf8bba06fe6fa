//! Keys with which programs act for an account.

use std::time::Duration;

use panel_kernel::data::{Conn, Database, DbError, Expiry, Tx, sql};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;

/// A revoked key stays until no gateway can know it any more; an expired one for a month, so that its
/// owner sees which it was.
pub(crate) const EXPIRIES: [Expiry; 2] = [
    Expiry {
        delete: "DELETE FROM api_keys WHERE id IN \
                 (SELECT id FROM api_keys WHERE revoked_at <= $1 LIMIT $2)",
        keep: Duration::from_secs(24 * 3_600),
    },
    Expiry {
        delete: "DELETE FROM api_keys WHERE id IN \
                 (SELECT id FROM api_keys WHERE expires_at <= $1 LIMIT $2)",
        keep: Duration::from_secs(30 * 24 * 3_600),
    },
];

/// A key about to be made.
#[derive(Clone, Debug)]
pub(crate) struct NewKey {
    pub(crate) id: Id,
    pub(crate) user: Id,
    pub(crate) name: String,
    pub(crate) prefix: String,
    pub(crate) hash: [u8; 32],
    pub(crate) scopes: Vec<String>,
    pub(crate) expires_at: Option<Timestamp>,
}

/// A key as its owner sees it.
#[derive(Clone, Debug)]
pub(crate) struct KeyRow {
    pub(crate) id: Id,
    pub(crate) name: String,
    pub(crate) prefix: String,
    scopes: String,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) last_used_at: Option<Timestamp>,
}

panel_kernel::from_row!(KeyRow { id, name, prefix, scopes, created_at, expires_at, last_used_at });

impl KeyRow {
    pub(crate) fn scopes(&self) -> Vec<String> {
        scopes(&self.scopes)
    }
}

fn scopes(kept: &str) -> Vec<String> {
    kept.split_ascii_whitespace().map(str::to_owned).collect()
}

pub(crate) async fn add(tx: &mut Tx, key: &NewKey, now: Timestamp) -> Result<(), DbError> {
    tx.execute(
        sql("INSERT INTO api_keys \
             (id, user_id, name, prefix, hash, scopes, created_at, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)")
        .bind(key.id)
        .bind(key.user)
        .bind(&key.name)
        .bind(&key.prefix)
        .bind(key.hash)
        .bind(key.scopes.join(" "))
        .bind(now)
        .bind(key.expires_at),
    )
    .await
    .map(|_| ())
}

/// How many an account has.
pub(crate) async fn count(conn: &mut Conn, user: Id) -> Result<i64, DbError> {
    let counted = sql("SELECT COUNT(*) FROM api_keys WHERE user_id = $1 AND revoked_at IS NULL");
    let row: Option<(i64,)> = conn.optional(counted.bind(user)).await?;
    Ok(row.map_or(0, |(count,)| count))
}

/// The keys that an account has, newest first, from the one before `before` on.
pub(crate) async fn of_user(
    conn: &mut Conn,
    user: Id,
    before: i64,
    fetch: i64,
) -> Result<Vec<KeyRow>, DbError> {
    conn.all(
        sql("SELECT id, name, prefix, scopes, created_at, expires_at, last_used_at FROM api_keys \
             WHERE user_id = $1 AND id < $2 AND revoked_at IS NULL ORDER BY id DESC LIMIT $3")
        .bind(user)
        .bind(before)
        .bind(fetch),
    )
    .await
}

/// Ends a key of an account; `false` if there is none such.
pub(crate) async fn revoke(
    tx: &mut Tx,
    user: Id,
    key: Id,
    now: Timestamp,
) -> Result<bool, DbError> {
    tx.changed(
        sql("UPDATE api_keys SET revoked_at = $3, changed_at = $3 \
             WHERE id = $1 AND user_id = $2 AND revoked_at IS NULL")
        .bind(key)
        .bind(user)
        .bind(now),
    )
    .await
}

/// Has gateways ask anew about all keys of an account.
pub(crate) async fn changed(tx: &mut Tx, user: Id, now: Timestamp) -> Result<(), DbError> {
    tx.execute(
        sql("UPDATE api_keys SET changed_at = $2 WHERE user_id = $1 AND revoked_at IS NULL")
            .bind(user)
            .bind(now),
    )
    .await
    .map(|_| ())
}

/// What stands behind a key.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) id: Id,
    pub(crate) user: Id,
    scopes: String,
    expires_at: Option<Timestamp>,
    last_used_at: Option<Timestamp>,
}

panel_kernel::from_row!(Found { id, user, scopes, expires_at, last_used_at });

impl Found {
    pub(crate) fn scopes(&self) -> Vec<String> {
        scopes(&self.scopes)
    }

    /// Until when it is good, but for what may be changed; at most until `latest`.
    pub(crate) fn until(&self, latest: Timestamp) -> Timestamp {
        self.expires_at.map_or(latest, |at| at.min(latest))
    }

    /// Whether it was last used longer ago than that.
    pub(crate) fn is_news(&self, now: Timestamp, than: Duration) -> bool {
        self.last_used_at.is_none_or(|at| at.until(now) >= than)
    }
}

/// The key with this hash, if it is good at `now`.
pub(crate) async fn by_hash(
    conn: &mut Conn,
    hash: [u8; 32],
    now: Timestamp,
) -> Result<Option<Found>, DbError> {
    conn.optional(
        sql("SELECT id, user_id, scopes, expires_at, last_used_at FROM api_keys \
             WHERE hash = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)")
        .bind(hash)
        .bind(now),
    )
    .await
}

/// Notes that a key was used.
pub(crate) async fn note_use(db: &Database, key: Id, now: Timestamp) -> Result<(), DbError> {
    let note = sql("UPDATE api_keys SET last_used_at = $2 WHERE id = $1").bind(key).bind(now);
    db.transact(move |tx| Box::pin(async move { tx.execute(note).await.map(|_| ()) })).await
}
