//! Passwords, as they are checked and changed.

use panel_kernel::data::{Conn, DbError, Tx, sql};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;

use crate::rules::lookup_key;

/// In the place of the hash, where an account has no password. No hash looks like this.
pub(crate) const NO_PASSWORD: &str = "!";

/// What a password is checked against.
#[derive(Clone, Debug)]
pub(crate) struct Lock {
    pub(crate) id: Id,
    pub(crate) hash: String,
    /// Since when it is this password, whatever its hash.
    pub(crate) since: Timestamp,
}

panel_kernel::from_row!(Lock { id, hash, since });

/// The account somebody signs in to, by name or address.
pub(crate) async fn by_login(conn: &mut Conn, login: &str) -> Result<Option<Lock>, DbError> {
    let key = lookup_key(login);
    // A name can't contain an `@`, so at most one of the two matches.
    conn.optional(
        sql("SELECT id, password_hash, password_changed_at FROM users \
             WHERE (username_key = $1 OR email_key = $1) AND password_hash <> '!'")
        .bind(key),
    )
    .await
}

/// What the password of an account is checked against, if it has one.
pub(crate) async fn lock(conn: &mut Conn, id: Id) -> Result<Option<Lock>, DbError> {
    conn.optional(
        sql("SELECT id, password_hash, password_changed_at FROM users \
             WHERE id = $1 AND password_hash <> '!'")
        .bind(id),
    )
    .await
}

/// Notes that somebody signs in with the password of `lock`, whose hash from now on is `hash`;
/// `false` if that is not the account's password any more. Until the transaction ends nobody
/// changes it.
pub(crate) async fn sign_in(
    tx: &mut Tx,
    lock: &Lock,
    hash: &str,
    now: Timestamp,
) -> Result<bool, DbError> {
    tx.changed(
        sql("UPDATE users SET signed_in_at = $4, password_hash = $3 \
             WHERE id = $1 AND password_changed_at = $2")
        .bind(lock.id)
        .bind(lock.since)
        .bind(hash)
        .bind(now),
    )
    .await
}

/// Changes the password of `lock`; `false` if it is not the account's any more.
pub(crate) async fn change_password(
    tx: &mut Tx,
    lock: &Lock,
    hash: &str,
    now: Timestamp,
) -> Result<bool, DbError> {
    tx.changed(
        sql("UPDATE users SET password_hash = $3, password_changed_at = $4, updated_at = $4 \
             WHERE id = $1 AND password_changed_at = $2")
        .bind(lock.id)
        .bind(lock.since)
        .bind(hash)
        .bind(now),
    )
    .await
}

/// Gives an account that has no password one; `false` if it has.
pub(crate) async fn first_password(
    tx: &mut Tx,
    id: Id,
    hash: &str,
    now: Timestamp,
) -> Result<bool, DbError> {
    tx.changed(
        sql("UPDATE users SET password_hash = $2, password_changed_at = $3, updated_at = $3 \
             WHERE id = $1 AND password_hash = '!'")
        .bind(id)
        .bind(hash)
        .bind(now),
    )
    .await
}

/// Gives the account another password, by who reads its mail: which proves the address, too.
pub(crate) async fn reset_password(
    tx: &mut Tx,
    id: Id,
    hash: &str,
    now: Timestamp,
) -> Result<(), DbError> {
    tx.execute(
        sql("UPDATE users SET password_hash = $2, password_changed_at = $3, updated_at = $3, \
             must_verify = 0, email_verified_at = COALESCE(email_verified_at, $3), \
             version = version + 1 WHERE id = $1")
        .bind(id)
        .bind(hash)
        .bind(now),
    )
    .await
    .map(|_| ())
}
