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
    ChangeEmail,
}

impl Purpose {
    /// How long a token is good.
    pub(crate) const fn life(self) -> Duration {
        match self {
            Self::VerifyEmail | Self::ChangeEmail => Duration::from_secs(24 * 3_600),
            Self::ResetPassword => Duration::from_secs(30 * 60),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::VerifyEmail => "verify_email",
            Self::ResetPassword => "reset_password",
            Self::ChangeEmail => "change_email",
        }
    }
}

/// A token about to be sent.
#[derive(Clone, Debug)]
pub(crate) struct NewToken {
    pub(crate) hash: [u8; 32],
    pub(crate) purpose: Purpose,
    pub(crate) user: Id,
    /// The address the account has; with another, the token is good for nothing.
    pub(crate) email_key: String,
    /// The address it is to have, where it is sent there.
    pub(crate) new_email: Option<String>,
    pub(crate) expires_at: Timestamp,
}

/// Puts a token there, beside those there are.
pub(crate) async fn add(tx: &mut Tx, token: &NewToken) -> Result<(), DbError> {
    tx.execute(
        sql("INSERT INTO one_time_tokens \
             (hash, purpose, user_id, email_key, new_email, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6)")
        .bind(token.hash)
        .bind(token.purpose.name())
        .bind(token.user)
        .bind(&token.email_key)
        .bind(token.new_email.clone())
        .bind(token.expires_at),
    )
    .await
    .map(|_| ())
}

/// Whose token this is, and the address it would give them, if it is good at `now`.
pub(crate) async fn whose(
    conn: &mut Conn,
    (hash, purpose): ([u8; 32], Purpose),
    now: Timestamp,
) -> Result<Option<(Id, Option<String>)>, DbError> {
    conn.optional(
        sql(
            "SELECT t.user_id, t.new_email FROM one_time_tokens t JOIN users u ON u.id = t.user_id \
                 WHERE t.hash = $1 AND t.purpose = $2 AND t.expires_at > $3 \
                   AND u.email_key = t.email_key \
                   AND (u.status = 'active' OR u.suspended_until <= $3)",
        )
        .bind(hash)
        .bind(purpose.name())
        .bind(now),
    )
    .await
}

/// Uses a token up; `false` if somebody has.
pub(crate) async fn use_up(tx: &mut Tx, hash: [u8; 32]) -> Result<bool, DbError> {
    tx.changed(sql("DELETE FROM one_time_tokens WHERE hash = $1").bind(hash)).await
}

/// Makes all of an account's tokens worthless.
pub(crate) async fn forget_all(tx: &mut Tx, user: Id) -> Result<(), DbError> {
    let forget = sql("DELETE FROM one_time_tokens WHERE user_id = $1");
    tx.execute(forget.bind(user)).await.map(|_| ())
}

/// Makes an account's tokens of a kind worthless.
pub(crate) async fn forget(tx: &mut Tx, user: Id, purpose: Purpose) -> Result<(), DbError> {
    let forget = sql("DELETE FROM one_time_tokens WHERE user_id = $1 AND purpose = $2");
    tx.execute(forget.bind(user).bind(purpose.name())).await.map(|_| ())
}
