//! Mails on their way.

use std::time::Duration;

use panel_kernel::data::{Conn, Database, DbError, Expiry, Tx, sql};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;

/// What could not be delivered stays for a week, for who wants to know why.
pub(crate) const EXPIRY: Expiry = Expiry {
    delete: "DELETE FROM mails WHERE id IN \
             (SELECT id FROM mails WHERE failed_at <= $1 LIMIT $2)",
    keep: Duration::from_secs(7 * 24 * 3_600),
};

/// A mail as it is kept.
#[derive(Clone, Debug)]
pub(crate) struct MailRow {
    pub(crate) id: Id,
    pub(crate) kind: String,
    pub(crate) sealed: Vec<u8>,
    pub(crate) created_at: Timestamp,
    /// Attempts begun.
    pub(crate) attempts: i64,
}

panel_kernel::from_row!(MailRow { id, kind, sealed, created_at, attempts });

pub(crate) async fn add(
    tx: &mut Tx,
    id: Id,
    (kind, is_bulk): (&'static str, bool),
    sealed: Vec<u8>,
    now: Timestamp,
) -> Result<(), DbError> {
    tx.execute(
        sql("INSERT INTO mails (id, kind, sealed, created_at, next_at, attempts, bulk) \
             VALUES ($1, $2, $3, $4, $4, 0, $5)")
        .bind(id)
        .bind(kind)
        .bind(sealed)
        .bind(now)
        .bind(is_bulk),
    )
    .await
    .map(|_| ())
}

/// Those to be delivered now, first what somebody waits for, and the longest due first.
pub(crate) async fn due(
    conn: &mut Conn,
    now: Timestamp,
    most: i64,
) -> Result<Vec<MailRow>, DbError> {
    conn.all(
        sql("SELECT id, kind, sealed, created_at, attempts FROM mails \
             WHERE failed_at IS NULL AND next_at <= $1 ORDER BY bulk, next_at LIMIT $2")
        .bind(now)
        .bind(most),
    )
    .await
}

/// Begins an attempt, after which nobody tries before `next_at`; `false` if somebody else has.
pub(crate) async fn claim(
    db: &Database,
    mail: &MailRow,
    next_at: Timestamp,
) -> Result<bool, DbError> {
    let claim = sql("UPDATE mails SET attempts = attempts + 1, next_at = $3 \
                     WHERE id = $1 AND attempts = $2 AND failed_at IS NULL")
    .bind(mail.id)
    .bind(mail.attempts)
    .bind(next_at);
    db.transact(move |tx| Box::pin(async move { tx.changed(claim).await })).await
}

/// It was delivered.
pub(crate) async fn remove(db: &Database, id: Id) -> Result<(), DbError> {
    let remove = sql("DELETE FROM mails WHERE id = $1").bind(id);
    db.transact(move |tx| Box::pin(async move { tx.execute(remove).await.map(|_| ()) })).await
}

/// It never will be.
pub(crate) async fn give_up(db: &Database, id: Id, now: Timestamp) -> Result<(), DbError> {
    let failed = sql("UPDATE mails SET failed_at = $2 WHERE id = $1").bind(id).bind(now);
    db.transact(move |tx| Box::pin(async move { tx.execute(failed).await.map(|_| ()) })).await
}
