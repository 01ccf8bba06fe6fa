//! Second factors.

use panel_kernel::data::{Conn, DbError, Tx, sql};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;

/// The secret that codes by time are made of.
#[derive(Clone, Debug)]
pub(crate) struct TotpRow {
    pub(crate) sealed: Vec<u8>,
    confirmed_at: Option<Timestamp>,
    /// That of the last code that was used.
    pub(crate) last_step: i64,
}

panel_kernel::from_row!(TotpRow { sealed, confirmed_at, last_step });

impl TotpRow {
    /// Whether it is asked for at login.
    pub(crate) const fn is_confirmed(&self) -> bool {
        self.confirmed_at.is_some()
    }
}

pub(crate) async fn totp(conn: &mut Conn, user: Id) -> Result<Option<TotpRow>, DbError> {
    let row = sql("SELECT sealed, confirmed_at, last_step FROM totp WHERE user_id = $1");
    conn.optional(row.bind(user)).await
}

/// Puts a secret there that is not confirmed yet; `false` if there is one that is.
pub(crate) async fn enroll(
    tx: &mut Tx,
    user: Id,
    sealed: Vec<u8>,
    now: Timestamp,
) -> Result<bool, DbError> {
    tx.changed(
        sql("INSERT INTO totp (user_id, sealed, created_at, last_step) VALUES ($1, $2, $3, 0) \
             ON CONFLICT (user_id) DO UPDATE SET \
               sealed = excluded.sealed, created_at = excluded.created_at \
             WHERE totp.confirmed_at IS NULL")
        .bind(user)
        .bind(sealed)
        .bind(now),
    )
    .await
}

/// Confirms this secret by a code of this step; `false` if that was done, or if it is another by now.
pub(crate) async fn confirm(
    tx: &mut Tx,
    (user, row): (Id, &TotpRow),
    step: i64,
    now: Timestamp,
) -> Result<bool, DbError> {
    tx.changed(
        sql("UPDATE totp SET confirmed_at = $2, last_step = $3 \
             WHERE user_id = $1 AND confirmed_at IS NULL AND sealed = $4")
        .bind(user)
        .bind(now)
        .bind(step)
        .bind(row.sealed.clone()),
    )
    .await
}

/// Uses a code of this step up; `false` if it, or a later one, was.
pub(crate) async fn use_step(tx: &mut Tx, user: Id, step: i64) -> Result<bool, DbError> {
    tx.changed(
        sql("UPDATE totp SET last_step = $2 WHERE user_id = $1 AND last_step < $2")
            .bind(user)
            .bind(step),
    )
    .await
}

/// Takes the secret and all recovery codes away; `false` if there was none that was confirmed.
pub(crate) async fn remove(tx: &mut Tx, user: Id) -> Result<bool, DbError> {
    let secret = sql("DELETE FROM totp WHERE user_id = $1 AND confirmed_at IS NOT NULL");
    let removed = tx.changed(secret.bind(user)).await?;
    if removed {
        forget_recovery_codes(tx, user).await?;
    }
    Ok(removed)
}

async fn forget_recovery_codes(tx: &mut Tx, user: Id) -> Result<(), DbError> {
    tx.execute(sql("DELETE FROM recovery_codes WHERE user_id = $1").bind(user)).await.map(|_| ())
}

/// Gives the account these recovery codes instead of those it has.
pub(crate) async fn set_recovery_codes(
    tx: &mut Tx,
    user: Id,
    hashes: Vec<[u8; 32]>,
) -> Result<(), DbError> {
    forget_recovery_codes(tx, user).await?;
    for hash in hashes {
        let add = sql("INSERT INTO recovery_codes (user_id, hash) VALUES ($1, $2)");
        tx.execute(add.bind(user).bind(hash)).await?;
    }
    Ok(())
}

/// Uses a recovery code up; `false` if it is none.
pub(crate) async fn use_recovery_code(
    tx: &mut Tx,
    user: Id,
    hash: [u8; 32],
) -> Result<bool, DbError> {
    let remove = sql("DELETE FROM recovery_codes WHERE user_id = $1 AND hash = $2");
    tx.changed(remove.bind(user).bind(hash)).await
}

/// How many recovery codes are left.
pub(crate) async fn recovery_codes_left(conn: &mut Conn, user: Id) -> Result<i64, DbError> {
    let counted = sql("SELECT COUNT(*) FROM recovery_codes WHERE user_id = $1");
    let row: Option<(i64,)> = conn.optional(counted.bind(user)).await?;
    Ok(row.map_or(0, |(count,)| count))
}
