//! Invitations.

use std::time::Duration;

use panel_kernel::data::{Conn, DbError, Expiry, Tx, sql};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;

/// One that has ended stays for a week, for who wonders.
pub(crate) const EXPIRY: Expiry = Expiry {
    delete: "DELETE FROM invitations WHERE id IN \
             (SELECT id FROM invitations WHERE expires_at <= $1 LIMIT $2)",
    keep: Duration::from_secs(7 * 24 * 3_600),
};

/// An invitation.
#[derive(Clone, Debug)]
pub(crate) struct InvitationRow {
    pub(crate) id: Id,
    pub(crate) created_by: Id,
    pub(crate) note: String,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    /// How many accounts can still be made with it.
    pub(crate) uses_left: i64,
}

panel_kernel::from_row!(InvitationRow { id, created_by, note, created_at, expires_at, uses_left });

pub(crate) async fn add(
    tx: &mut Tx,
    invitation: &InvitationRow,
    hash: [u8; 32],
) -> Result<(), DbError> {
    tx.execute(
        sql("INSERT INTO invitations \
             (id, hash, created_by, note, created_at, expires_at, uses_left) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)")
        .bind(invitation.id)
        .bind(hash)
        .bind(invitation.created_by)
        .bind(&invitation.note)
        .bind(invitation.created_at)
        .bind(invitation.expires_at)
        .bind(invitation.uses_left),
    )
    .await
    .map(|_| ())
}

/// Those there are, newest first, from the one before `before` on.
pub(crate) async fn all(
    conn: &mut Conn,
    before: i64,
    fetch: i64,
) -> Result<Vec<InvitationRow>, DbError> {
    conn.all(
        sql("SELECT id, created_by, note, created_at, expires_at, uses_left FROM invitations \
             WHERE id < $1 ORDER BY id DESC LIMIT $2")
        .bind(before)
        .bind(fetch),
    )
    .await
}

/// Whether one is good at `now`.
pub(crate) async fn is_good(
    conn: &mut Conn,
    hash: [u8; 32],
    now: Timestamp,
) -> Result<bool, DbError> {
    let found = sql("SELECT id FROM invitations \
                     WHERE hash = $1 AND uses_left > 0 AND expires_at > $2");
    let row: Option<(Id,)> = conn.optional(found.bind(hash).bind(now)).await?;
    Ok(row.is_some())
}

/// Uses one; which, if it is good.
pub(crate) async fn redeem(
    tx: &mut Tx,
    hash: [u8; 32],
    now: Timestamp,
) -> Result<Option<Id>, DbError> {
    let used: Option<(Id,)> = tx
        .optional(
            sql("UPDATE invitations SET uses_left = uses_left - 1 \
                 WHERE hash = $1 AND uses_left > 0 AND expires_at > $2 RETURNING id")
            .bind(hash)
            .bind(now),
        )
        .await?;
    Ok(used.map(|(id,)| id))
}

/// Takes one back; `false` if there is none such.
pub(crate) async fn remove(tx: &mut Tx, id: Id) -> Result<bool, DbError> {
    tx.changed(sql("DELETE FROM invitations WHERE id = $1").bind(id)).await
}
