//! Accounts.

use std::time::Duration;

use panel_kernel::data::{Conn, DbError, Tx, sql};
use panel_kernel::ids::Id;
use panel_kernel::role::Role;
use panel_kernel::time::Timestamp;

use crate::mail::Recipient;
use crate::rules::lookup_key;

/// Between two mails of one kind to one account that anybody can have sent.
pub(crate) const BETWEEN_MAILS: Duration = Duration::from_secs(120);

/// An account without its secrets.
#[derive(Clone, Debug)]
pub(crate) struct UserRow {
    pub(crate) id: Id,
    pub(crate) username: String,
    pub(crate) email: String,
    pub(crate) display_name: String,
    role: i64,
    status: String,
    /// The end of a suspension, if it has one.
    pub(crate) suspended_until: Option<Timestamp>,
    pub(crate) suspension_reason: Option<String>,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(crate) version: i64,
    email_verified_at: Option<Timestamp>,
    /// Whether the address must be proven before anybody signs in.
    pub(crate) must_verify: bool,
}

panel_kernel::from_row!(UserRow {
    id,
    username,
    email,
    display_name,
    role,
    status,
    suspended_until,
    suspension_reason,
    created_at,
    updated_at,
    version,
    email_verified_at,
    must_verify
});

impl UserRow {
    /// The rank. A level that is none (the schema forbids it) is the lowest.
    pub(crate) fn role(&self) -> Role {
        Role::from_level(self.role).unwrap_or(Role::User)
    }

    /// Whether it can be used at `now`.
    pub(crate) fn is_active(&self, now: Timestamp) -> bool {
        self.status == "active" || self.suspended_until.is_some_and(|until| until <= now)
    }

    /// A word for that.
    pub(crate) fn status(&self, now: Timestamp) -> &'static str {
        if self.is_active(now) { "active" } else { "suspended" }
    }

    /// Whether somebody has shown that mail to the address reaches them.
    pub(crate) const fn is_verified(&self) -> bool {
        self.email_verified_at.is_some()
    }

    /// What its owner is known by, and what a password must not be.
    pub(crate) fn names(&self) -> [&str; 3] {
        [&self.username, &self.email, &self.display_name]
    }

    /// Where mail to its owner goes; or to whoever has the address, as long as nobody has shown that it
    /// is the owner's.
    pub(crate) fn recipient(&self) -> Recipient {
        if !self.is_verified() {
            return Recipient::stranger(self.email.clone());
        }
        Recipient { email: self.email.clone(), name: self.display_name.clone() }
    }
}

/// An account about to be made.
#[derive(Clone, Debug)]
pub(crate) struct NewUser {
    pub(crate) id: Id,
    pub(crate) username: String,
    pub(crate) email: String,
    pub(crate) display_name: String,
    pub(crate) password_hash: String,
    pub(crate) role: Role,
    /// Whether the address must be proven before anybody signs in.
    pub(crate) must_verify: bool,
}

/// Which of the unique fields is taken, if one is; the name where both are.
pub(crate) async fn taken(
    conn: &mut Conn,
    username: &str,
    email: &str,
) -> Result<Option<&'static str>, DbError> {
    let (username, email) = (lookup_key(username), lookup_key(email));
    let rows: Vec<(String,)> = conn
        .all(
            sql("SELECT username_key FROM users WHERE username_key = $1 OR email_key = $2")
                .bind(&username)
                .bind(email),
        )
        .await?;
    let field = if rows.iter().any(|(key,)| *key == username) { "username" } else { "email" };
    Ok((!rows.is_empty()).then_some(field))
}

/// Stores a new account; `false` if its name or its address is taken, also by somebody who was
/// faster by a moment: the insert waits for them, and the transaction can go on to ask whose.
pub(crate) async fn insert(tx: &mut Tx, user: &NewUser, now: Timestamp) -> Result<bool, DbError> {
    tx.changed(
        sql("INSERT INTO users (id, username, username_key, email, email_key, display_name, \
             password_hash, role, status, created_at, updated_at, version, must_verify) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'active', $9, $9, 1, $10) \
             ON CONFLICT DO NOTHING")
        .bind(user.id)
        .bind(&user.username)
        .bind(lookup_key(&user.username))
        .bind(&user.email)
        .bind(lookup_key(&user.email))
        .bind(&user.display_name)
        .bind(&user.password_hash)
        .bind(user.role.level())
        .bind(now)
        .bind(user.must_verify),
    )
    .await
}

pub(crate) async fn by_id(conn: &mut Conn, id: Id) -> Result<Option<UserRow>, DbError> {
    conn.optional(
        sql("SELECT id, username, email, display_name, role, status, suspended_until, \
             suspension_reason, created_at, updated_at, version, email_verified_at, must_verify \
             FROM users WHERE id = $1 AND erased_at IS NULL")
        .bind(id),
    )
    .await
}

pub(crate) async fn by_email(conn: &mut Conn, email: &str) -> Result<Option<UserRow>, DbError> {
    conn.optional(
        sql("SELECT id, username, email, display_name, role, status, suspended_until, \
             suspension_reason, created_at, updated_at, version, email_verified_at, must_verify \
             FROM users WHERE email_key = $1")
        .bind(lookup_key(email)),
    )
    .await
}

/// Notes that the address is the owner's.
pub(crate) async fn verify_email(tx: &mut Tx, id: Id, now: Timestamp) -> Result<(), DbError> {
    tx.execute(
        sql("UPDATE users SET must_verify = 0, email_verified_at = $2, updated_at = $2, \
             version = version + 1 WHERE id = $1")
        .bind(id)
        .bind(now),
    )
    .await
    .map(|_| ())
}

/// Gives the account another address, which was shown to be its owner's; `false` if it is taken.
pub(crate) async fn change_email(
    tx: &mut Tx,
    id: Id,
    email: &str,
    now: Timestamp,
) -> Result<bool, DbError> {
    tx.changed(
        sql(
            "UPDATE users SET email = $2, email_key = $3, email_verified_at = $4, must_verify = 0, \
             updated_at = $4, version = version + 1 WHERE id = $1 AND NOT EXISTS \
               (SELECT 1 FROM users WHERE email_key = $3 AND id <> $1)",
        )
        .bind(id)
        .bind(email)
        .bind(lookup_key(email))
        .bind(now),
    )
    .await
}

/// Mails that anybody can have sent to an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    VerifyEmail,
    ResetPassword,
    AddressTaken,
    ChangeEmail,
}

/// Notes that such a mail is sent to the account; `false` if one was just now, and this one should
/// not be.
pub(crate) async fn may_mail(
    tx: &mut Tx,
    id: Id,
    about: About,
    now: Timestamp,
) -> Result<bool, DbError> {
    let note = match about {
        About::VerifyEmail => {
            "UPDATE users SET verify_mailed_at = $2 WHERE id = $1 AND verify_mailed_at <= $3"
        }
        About::ResetPassword => {
            "UPDATE users SET reset_mailed_at = $2 WHERE id = $1 AND reset_mailed_at <= $3"
        }
        About::AddressTaken => {
            "UPDATE users SET taken_mailed_at = $2 WHERE id = $1 AND taken_mailed_at <= $3"
        }
        About::ChangeEmail => {
            "UPDATE users SET change_mailed_at = $2 WHERE id = $1 AND change_mailed_at <= $3"
        }
    };
    tx.changed(sql(note).bind(id).bind(now).bind(now.minus(BETWEEN_MAILS))).await
}

/// Notes that a link to choose another password is sent to the account, however soon after another.
pub(crate) async fn reset_mailed(tx: &mut Tx, id: Id, now: Timestamp) -> Result<(), DbError> {
    let note = sql("UPDATE users SET reset_mailed_at = $2 WHERE id = $1").bind(id).bind(now);
    tx.execute(note).await.map(|_| ())
}

/// Until the transaction ends, nobody else changes the account, nor what hangs on it.
pub(crate) async fn hold(tx: &mut Tx, id: Id) -> Result<(), DbError> {
    let hold = sql("UPDATE users SET version = version WHERE id = $1").bind(id);
    tx.execute(hold).await.map(|_| ())
}

/// Notes that somebody has signed in in another way.
pub(crate) async fn signed_in(tx: &mut Tx, id: Id, now: Timestamp) -> Result<(), DbError> {
    let note = sql("UPDATE users SET signed_in_at = $2 WHERE id = $1").bind(id).bind(now);
    tx.execute(note).await.map(|_| ())
}

/// Gives the account another name to be shown by; `false` if the version is no longer current.
pub(crate) async fn rename(
    tx: &mut Tx,
    id: Id,
    version: i64,
    display_name: &str,
    now: Timestamp,
) -> Result<bool, DbError> {
    tx.changed(
        sql("UPDATE users SET display_name = $3, updated_at = $4, version = version + 1 \
             WHERE id = $1 AND version = $2")
        .bind(id)
        .bind(version)
        .bind(display_name)
        .bind(now),
    )
    .await
}

/// Whether there is an administrator.
pub(crate) async fn any_administrator(conn: &mut Conn) -> Result<bool, DbError> {
    let admin = Role::Admin.level();
    let found = sql("SELECT id FROM users WHERE role >= $1 LIMIT 1").bind(admin);
    let row: Option<(i64,)> = conn.optional(found).await?;
    Ok(row.is_some())
}

/// Suspends an account until then, or for good.
pub(crate) async fn suspend(
    tx: &mut Tx,
    id: Id,
    reason: &str,
    until: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), DbError> {
    tx.execute(
        sql(
            "UPDATE users SET status = 'suspended', suspension_reason = $2, suspended_until = $3, \
             updated_at = $4, version = version + 1 WHERE id = $1",
        )
        .bind(id)
        .bind(reason)
        .bind(until)
        .bind(now),
    )
    .await
    .map(|_| ())
}

/// Ends a suspension.
pub(crate) async fn restore(tx: &mut Tx, id: Id, now: Timestamp) -> Result<(), DbError> {
    tx.execute(
        sql("UPDATE users SET status = 'active', suspension_reason = NULL, \
             suspended_until = NULL, updated_at = $2, version = version + 1 WHERE id = $1")
        .bind(id)
        .bind(now),
    )
    .await
    .map(|_| ())
}

/// Gives an account another rank.
pub(crate) async fn set_role(
    tx: &mut Tx,
    id: Id,
    role: Role,
    now: Timestamp,
) -> Result<(), DbError> {
    tx.execute(
        sql("UPDATE users SET role = $2, updated_at = $3, version = version + 1 WHERE id = $1")
            .bind(id)
            .bind(role.level())
            .bind(now),
    )
    .await
    .map(|_| ())
}
