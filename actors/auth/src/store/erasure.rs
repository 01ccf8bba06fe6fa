//! Erasing an account: what is left of it is its id, and the ids of what it began.

use panel_kernel::data::{DbError, Tx, sql};
use panel_kernel::ids::Id;
use panel_kernel::role::Role;
use panel_kernel::time::Timestamp;

/// What is the account's alone goes, and what it has handed out is worth nothing any more.
const GONE: [&str; 7] = [
    "DELETE FROM totp WHERE user_id = $1",
    "DELETE FROM recovery_codes WHERE user_id = $1",
    "DELETE FROM passkeys WHERE user_id = $1",
    "DELETE FROM identities WHERE user_id = $1",
    "DELETE FROM one_time_tokens WHERE user_id = $1",
    // The files go by the rows, at once.
    "UPDATE exports SET status = 'ended', progress = '{}', expires_at = 0 WHERE user_id = $1",
    "UPDATE invitations SET note = '', uses_left = 0 WHERE created_by = $1",
];

/// Erases it, in a transaction that holds it. Its sessions and keys end, and their rows stay without what
/// they knew of anybody, for gateways to hear of their end.
pub(crate) async fn erase(tx: &mut Tx, user: Id, now: Timestamp) -> Result<(), DbError> {
    for statement in GONE {
        tx.execute(sql(statement).bind(user)).await?;
    }
    let sessions = "UPDATE sessions SET revoked_at = COALESCE(revoked_at, $2), ip = NULL, \
                    user_agent = NULL, cookie_hash = NULL WHERE user_id = $1";
    let keys = "UPDATE api_keys SET revoked_at = COALESCE(revoked_at, $2), changed_at = $2, \
                name = '', prefix = '' WHERE user_id = $1";
    // Nobody can choose a name or an address with a colon and no more.
    let account = "UPDATE users SET username = 'deleted user', username_key = $3, email = '', \
                   email_key = $3, display_name = 'deleted user', password_hash = '!', role = 1, \
                   status = 'suspended', suspended_until = NULL, suspension_reason = NULL, \
                   signed_in_at = NULL, email_verified_at = NULL, erased_at = $2, \
                   updated_at = $2, version = version + 1 WHERE id = $1";
    for statement in [sessions, keys] {
        tx.execute(sql(statement).bind(user).bind(now)).await?;
    }
    let account = sql(account).bind(user).bind(now).bind(format!("deleted:{user}"));
    tx.execute(account).await.map(|_| ())
}

/// Whether somebody else administers the site. Whoever asks keeps others from asking at the same time.
pub(crate) async fn others_administer(tx: &mut Tx, user: Id) -> Result<bool, DbError> {
    let admin = Role::Admin.level();
    tx.execute(sql("UPDATE users SET version = version WHERE role >= $1").bind(admin)).await?;
    let others =
        sql("SELECT id FROM users WHERE role >= $1 AND id <> $2 AND status = 'active' LIMIT 1");
    let other: Option<(i64,)> = tx.optional(others.bind(admin).bind(user)).await?;
    Ok(other.is_some())
}
