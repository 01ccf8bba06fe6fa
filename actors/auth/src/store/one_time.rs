//! Tokens that are sent by mail and used once.

use std::time::Duration;

use panel_kernel::data::{Conn, DbError, Expiry, Tx, sql};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;

/// Of no use once it has expired.
pub(crate) const EXPIRY: Expiry = Expiry {
    delete: "DELETE FROM one_time_tokens WHERE hash IN \
             (SELECT hash FROM one_time_tokens WHERE expires_at <= $1 LIMIT $2)",
    keep: Duration::ZERO,
};

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    VerifyEmail,
    ResetPassword,
}

impl Purpose {
    /// How long a token is good.
    pub(crate) const fn life(self) -> Duration {
        match self {
            Self::VerifyEmail => Duration::from_secs(24 * 3_600),
            Self::ResetPassword => Duration::from_secs(30 * 60),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::VerifyEmail => "verify_email",
            Self::ResetPassword => "reset_password",
        }
    }
}

/// Puts a token there, beside those there are.
pub(crate) async fn add(
    tx: &mut Tx,
    (hash, purpose): ([u8; 32], Purpose),
    user: Id,
    email_key: &str,
    expires_at: Timestamp,
) -> Result<(), DbError> {
    tx.execute(
        sql("INSERT INTO one_time_tokens (hash, purpose, user_id, email_key, expires_at) \
             VALUES ($1, $2, $3, $4, $5)")
        .bind(hash)
        .bind(purpose.name())
        .bind(user)
        .bind(email_key)
        .bind(expires_at),
    )
    .await
    .map(|_| ())
}

/// Whose token this is, if it is good at `now`.
pub(crate) async fn whose(
    conn: &mut Conn,
    (hash, purpose): ([u8; 32], Purpose),
    now: Timestamp,
) -> Result<Option<Id>, DbError> {
    let row: Option<(Id,)> = conn
        .optional(
            sql("SELECT t.user_id FROM one_time_tokens t JOIN users u ON u.id = t.user_id \
                 WHERE t.hash = $1 AND t.purpose = $2 AND t.expires_at > $3 \
                   AND u.email_key = t.email_key AND u.status = 'active'")
            .bind(hash)
            .bind(purpose.name())
            .bind(now),
        )
        .await?;
    Ok(row.map(|(user,)| user))
}

/// Uses a token up; `false` if somebody has.
pub(crate) async fn use_up(tx: &mut Tx, hash: [u8; 32]) -> Result<bool, DbError> {
    tx.changed(sql("DELETE FROM one_time_tokens WHERE hash = $1").bind(hash)).await
}

/// Makes an account's tokens of a kind worthless.
pub(crate) async fn forget(tx: &mut Tx, user: Id, purpose: Purpose) -> Result<(), DbError> {
    let forget = sql("DELETE FROM one_time_tokens WHERE user_id = $1 AND purpose = $2");
    tx.execute(forget.bind(user).bind(purpose.name())).await.map(|_| ())
}
