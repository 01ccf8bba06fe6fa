//! Passkeys.

use std::time::Duration;

use panel_kernel::data::{Conn, DbError, Expiry, Tx, sql};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;

use crate::carried::Returned;
use crate::passkeys::Registered;

/// A ceremony that is over can't be finished again anyway.
pub(crate) const EXPIRY: Expiry = Expiry {
    delete: "DELETE FROM finished_ceremonies WHERE hash IN \
             (SELECT hash FROM finished_ceremonies WHERE expires_at <= $1 LIMIT $2)",
    keep: Duration::from_secs(60),
};

/// A passkey as its owner sees it.
#[derive(Clone, Debug)]
pub(crate) struct PasskeyRow {
    pub(crate) id: Id,
    pub(crate) name: String,
    pub(crate) created_at: Timestamp,
    pub(crate) last_used_at: Option<Timestamp>,
}

panel_kernel::from_row!(PasskeyRow { id, name, created_at, last_used_at });

/// A passkey as it is checked.
#[derive(Clone, Debug)]
pub(crate) struct KeptPasskey {
    pub(crate) id: Id,
    pub(crate) user: Id,
    pub(crate) passkey: String,
}

panel_kernel::from_row!(KeptPasskey { id, user, passkey });

/// Adds a passkey; `false` if somebody has it.
pub(crate) async fn add(
    tx: &mut Tx,
    (id, user): (Id, Id),
    name: &str,
    passkey: &Registered,
    now: Timestamp,
) -> Result<bool, DbError> {
    tx.changed(
        sql("INSERT INTO passkeys (id, user_id, credential_id, name, passkey, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING")
        .bind(id)
        .bind(user)
        .bind(passkey.credential_id.clone())
        .bind(name)
        .bind(&passkey.passkey)
        .bind(now),
    )
    .await
}

/// The passkeys that an account has, the newest first: there are few.
pub(crate) async fn of_user(conn: &mut Conn, user: Id) -> Result<Vec<PasskeyRow>, DbError> {
    conn.all(
        sql("SELECT id, name, created_at, last_used_at FROM passkeys \
             WHERE user_id = $1 ORDER BY id DESC")
        .bind(user),
    )
    .await
}

/// How devices know them.
pub(crate) async fn credential_ids(conn: &mut Conn, user: Id) -> Result<Vec<Vec<u8>>, DbError> {
    let rows: Vec<(Vec<u8>,)> =
        conn.all(sql("SELECT credential_id FROM passkeys WHERE user_id = $1").bind(user)).await?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

pub(crate) async fn by_credential(
    conn: &mut Conn,
    credential_id: &[u8],
) -> Result<Option<KeptPasskey>, DbError> {
    conn.optional(
        sql("SELECT id, user_id, passkey FROM passkeys WHERE credential_id = $1")
            .bind(credential_id),
    )
    .await
}

/// Notes that a passkey was used, and what it is from now on; `false` if it is gone, or was used by
/// somebody else at the same moment.
pub(crate) async fn used(
    tx: &mut Tx,
    kept: &KeptPasskey,
    passkey: &str,
    now: Timestamp,
) -> Result<bool, DbError> {
    tx.changed(
        sql("UPDATE passkeys SET passkey = $3, last_used_at = $4 WHERE id = $1 AND passkey = $2")
            .bind(kept.id)
            .bind(&kept.passkey)
            .bind(passkey)
            .bind(now),
    )
    .await
}

/// Removes a passkey of an account; `false` if there is none such.
pub(crate) async fn remove(tx: &mut Tx, user: Id, id: Id) -> Result<bool, DbError> {
    let remove = sql("DELETE FROM passkeys WHERE id = $1 AND user_id = $2");
    tx.changed(remove.bind(id).bind(user)).await
}

/// Finishes a ceremony; `false` if it was.
pub(crate) async fn finish(tx: &mut Tx, returned: Returned) -> Result<bool, DbError> {
    tx.changed(
        sql("INSERT INTO finished_ceremonies (hash, expires_at) VALUES ($1, $2) \
             ON CONFLICT DO NOTHING")
        .bind(returned.hash)
        .bind(returned.until),
    )
    .await
}
