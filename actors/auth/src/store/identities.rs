//! Who people are elsewhere.

use panel_kernel::data::{Conn, DbError, Tx, sql};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;

/// An account elsewhere, and whose it is here.
#[derive(Clone, Debug)]
pub(crate) struct IdentityRow {
    pub(crate) id: Id,
    pub(crate) user: Id,
    /// Where.
    pub(crate) issuer: String,
    /// What it is called there, for its owner to tell it by.
    pub(crate) name: String,
    pub(crate) created_at: Timestamp,
    pub(crate) last_used_at: Option<Timestamp>,
}

panel_kernel::from_row!(IdentityRow { id, user, issuer, name, created_at, last_used_at });

/// Links it; `false` if it is linked already, to this account or another.
pub(crate) async fn add(tx: &mut Tx, row: &IdentityRow, subject: &str) -> Result<bool, DbError> {
    tx.changed(
        sql(
            "INSERT INTO identities (id, user_id, issuer, subject, name, created_at, last_used_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
        )
        .bind(row.id)
        .bind(row.user)
        .bind(&row.issuer)
        .bind(subject)
        .bind(&row.name)
        .bind(row.created_at)
        .bind(row.last_used_at),
    )
    .await
}

/// Whose this one is, if it is linked.
pub(crate) async fn find(
    conn: &mut Conn,
    issuer: &str,
    subject: &str,
) -> Result<Option<IdentityRow>, DbError> {
    conn.optional(
        sql("SELECT id, user_id, issuer, name, created_at, last_used_at FROM identities \
             WHERE issuer = $1 AND subject = $2")
        .bind(issuer)
        .bind(subject),
    )
    .await
}

/// Those of an account, the newest first: there are few.
pub(crate) async fn of_user(conn: &mut Conn, user: Id) -> Result<Vec<IdentityRow>, DbError> {
    conn.all(
        sql("SELECT id, user_id, issuer, name, created_at, last_used_at FROM identities \
             WHERE user_id = $1 ORDER BY id DESC")
        .bind(user),
    )
    .await
}

/// Notes that somebody has signed in by it; `false` if it is not this account's any more.
pub(crate) async fn used(tx: &mut Tx, id: Id, user: Id, now: Timestamp) -> Result<bool, DbError> {
    tx.changed(
        sql("UPDATE identities SET last_used_at = $3 WHERE id = $1 AND user_id = $2")
            .bind(id)
            .bind(user)
            .bind(now),
    )
    .await
}

/// Unlinks it; `false` if it is not this account's.
pub(crate) async fn remove(tx: &mut Tx, user: Id, id: Id) -> Result<bool, DbError> {
    let remove = sql("DELETE FROM identities WHERE id = $1 AND user_id = $2");
    tx.changed(remove.bind(id).bind(user)).await
}
