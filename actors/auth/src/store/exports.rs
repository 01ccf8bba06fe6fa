//! What there is of somebody, put together for them: the rows. Each is there before its file, and goes
//! after it.

use panel_kernel::data::{Conn, Database, DbError, Tx, sql};
use panel_kernel::ids::Id;
use panel_kernel::message::BlobRef;
use panel_kernel::time::Timestamp;

/// A day, in microseconds.
const DAY_MICROS: i64 = 24 * 3_600 * 1_000_000;

/// An export as its owner sees it.
#[derive(Clone, Debug)]
pub(crate) struct ExportRow {
    pub(crate) id: Id,
    pub(crate) status: String,
    pub(crate) requested_at: Timestamp,
    pub(crate) progress: String,
    attempts: i64,
    bytes: Option<i64>,
    sha256: Option<Vec<u8>>,
    pub(crate) finished_at: Option<Timestamp>,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) downloaded_at: Option<Timestamp>,
}

panel_kernel::from_row!(ExportRow {
    id,
    status,
    requested_at,
    progress,
    attempts,
    bytes,
    sha256,
    finished_at,
    expires_at,
    downloaded_at,
});

/// The columns of [`ExportRow`].
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, status, requested_at, progress, attempts, bytes, sha256, finished_at, \
             expires_at, downloaded_at FROM exports WHERE ",
            $rest
        )
    };
}

impl ExportRow {
    /// Its file, while it has one.
    pub(crate) fn file(&self, now: Timestamp) -> Option<BlobRef> {
        let is_there = self.status == "ready" && self.expires_at.is_some_and(|at| at > now);
        Some(BlobRef {
            key: key(self.id, self.attempts),
            bytes: self.bytes.and_then(|bytes| bytes.try_into().ok())?,
            sha256: self.sha256.as_ref()?.as_slice().try_into().ok()?,
        })
        .filter(|_| is_there)
    }

    /// How long the file is, in bytes.
    pub(crate) fn bytes(&self) -> Option<i64> {
        self.bytes
    }
}

/// One that somebody puts together. `attempt` tells it from one that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) id: Id,
    pub(crate) user: Id,
    pub(crate) requested_at: Timestamp,
    pub(crate) attempt: i64,
}

panel_kernel::from_row!(Claim { id, user, requested_at, attempt });

impl Claim {
    /// Where its file goes.
    pub(crate) fn key(&self) -> String {
        key(self.id, self.attempt)
    }
}

/// One of whose files nothing is to be left.
#[derive(Clone, Debug)]
pub(crate) struct Over {
    pub(crate) id: Id,
    attempts: i64,
}

panel_kernel::from_row!(Over { id, attempts });

impl Over {
    /// Where it may have files.
    pub(crate) fn keys(&self) -> impl Iterator<Item = String> {
        let id = self.id;
        (1..=self.attempts).map(move |attempt| key(id, attempt))
    }
}

fn key(id: Id, attempt: i64) -> String {
    format!("exports/{}-{attempt}.zip", id.to_string().to_ascii_lowercase())
}

pub(crate) async fn add(tx: &mut Tx, id: Id, user: Id, now: Timestamp) -> Result<(), DbError> {
    let row = sql("INSERT INTO exports (id, user_id, status, requested_at, next_at) \
                   VALUES ($1, $2, 'waiting', $3, $3)");
    tx.execute(row.bind(id).bind(user).bind(now)).await.map(drop)
}

/// The one that is being put together for an account, if there is one.
pub(crate) async fn waiting(conn: &mut Conn, user: Id) -> Result<Option<ExportRow>, DbError> {
    let row = select!("user_id = $1 AND status = 'waiting' ORDER BY id DESC LIMIT 1");
    conn.optional(sql(row).bind(user)).await
}

/// When the last `most` exports of an account were asked for that were asked for after `since`, the
/// newest first.
pub(crate) async fn asked_since(
    conn: &mut Conn,
    user: Id,
    since: Timestamp,
    most: i64,
) -> Result<Vec<Timestamp>, DbError> {
    let rows = sql("SELECT requested_at FROM exports WHERE user_id = $1 AND requested_at > $2 \
                    ORDER BY id DESC LIMIT $3");
    let rows: Vec<(Timestamp,)> = conn.all(rows.bind(user).bind(since).bind(most)).await?;
    Ok(rows.into_iter().map(|(at,)| at).collect())
}

/// Those of an account, the newest first.
pub(crate) async fn of_user(
    conn: &mut Conn,
    user: Id,
    before: i64,
    most: i64,
) -> Result<Vec<ExportRow>, DbError> {
    let rows = select!("user_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3");
    conn.all(sql(rows).bind(user).bind(before).bind(most)).await
}

/// One of an account.
pub(crate) async fn one(
    conn: &mut Conn,
    user: Id,
    export: Id,
) -> Result<Option<ExportRow>, DbError> {
    conn.optional(sql(select!("id = $1 AND user_id = $2")).bind(export).bind(user)).await
}

/// Its file is fetched; the first time counts.
pub(crate) async fn fetched(tx: &mut Tx, export: Id, now: Timestamp) -> Result<(), DbError> {
    let row = sql("UPDATE exports SET downloaded_at = $2 WHERE id = $1 AND downloaded_at IS NULL");
    tx.execute(row.bind(export).bind(now)).await.map(drop)
}

/// Whether there is one to be claimed: nothing is written to find that there is none.
pub(crate) async fn is_due(conn: &mut Conn, now: Timestamp) -> Result<bool, DbError> {
    let due = sql("SELECT id FROM exports WHERE status = 'waiting' AND next_at <= $1 LIMIT 1");
    let due: Option<(Id,)> = conn.optional(due.bind(now)).await?;
    Ok(due.is_some())
}

/// What an earlier life of this node was at, nobody is. One that was begun more than once waits until
/// `later`: it may be what has ended that life.
pub(crate) async fn give_back(
    db: &Database,
    node: &str,
    now: Timestamp,
    later: Timestamp,
) -> Result<(), DbError> {
    let held = sql("SELECT id FROM exports WHERE status = 'waiting' AND node = $1 LIMIT 1");
    let held: Option<(Id,)> = db.reader().await?.optional(held.bind(node)).await?;
    if held.is_none() {
        return Ok(());
    }
    let row = sql("UPDATE exports SET node = NULL, \
                     next_at = CASE WHEN attempts > 1 THEN $3 ELSE $2 END \
                   WHERE status = 'waiting' AND node = $1");
    let row = row.bind(node).bind(now).bind(later);
    db.transact(move |tx| Box::pin(async move { tx.execute(row).await.map(drop) })).await
}

/// Claims the one that has waited longest, for this node, until `until`.
pub(crate) async fn claim(
    db: &Database,
    node: &str,
    (now, until): (Timestamp, Timestamp),
) -> Result<Option<Claim>, DbError> {
    let claim = sql("UPDATE exports SET attempts = attempts + 1, next_at = $2, progress = '{}', \
                       node = $3 \
                     WHERE status = 'waiting' AND id = \
                       (SELECT id FROM exports WHERE status = 'waiting' AND next_at <= $1 \
                        ORDER BY next_at LIMIT 1) AND next_at <= $1 \
                     RETURNING id, user_id, requested_at, attempts")
    .bind(now)
    .bind(until)
    .bind(node);
    db.transact(move |tx| Box::pin(async move { tx.optional(claim).await })).await
}

/// Keeps a claim until `until`, or lets go of it, until others may claim it; and says how far it is. `false`
/// if it is a claim no more.
pub(crate) async fn keep(
    db: &Database,
    claim: &Claim,
    (until, is_kept): (Timestamp, bool),
    progress: String,
) -> Result<bool, DbError> {
    let keep = sql("UPDATE exports SET next_at = $3, progress = $4, \
                      node = CASE WHEN $5 = 1 THEN node END \
                    WHERE id = $1 AND attempts = $2 AND status = 'waiting'")
    .bind(claim.id)
    .bind(claim.attempt)
    .bind(until)
    .bind(progress)
    .bind(is_kept);
    db.transact(move |tx| Box::pin(async move { tx.changed(keep).await })).await
}

/// It is there; `false` if nobody waits for it any more.
pub(crate) async fn finish(
    tx: &mut Tx,
    claim: &Claim,
    (file, progress): (&BlobRef, String),
    (now, expires_at): (Timestamp, Timestamp),
) -> Result<bool, DbError> {
    let row = sql(
        "UPDATE exports SET status = 'ready', node = NULL, bytes = $3, sha256 = $4, progress = $5, \
                   finished_at = $6, expires_at = $7 \
                   WHERE id = $1 AND attempts = $2 AND status = 'waiting'",
    )
    .bind(claim.id)
    .bind(claim.attempt)
    .bind(i64::try_from(file.bytes).unwrap_or(i64::MAX))
    .bind(file.sha256)
    .bind(progress)
    .bind(now)
    .bind(expires_at);
    tx.changed(row).await
}

/// It can't be made; `false` if nobody waits for it any more.
pub(crate) async fn fail(
    tx: &mut Tx,
    claim: &Claim,
    (now, expires_at): (Timestamp, Timestamp),
) -> Result<bool, DbError> {
    let row = sql(
        "UPDATE exports SET status = 'failed', node = NULL, finished_at = $3, expires_at = $4 \
                   WHERE id = $1 AND attempts = $2 AND status = 'waiting'",
    );
    tx.changed(row.bind(claim.id).bind(claim.attempt).bind(now).bind(expires_at)).await
}

/// Those that are over, the first of them first.
pub(crate) async fn over(conn: &mut Conn, now: Timestamp, most: i64) -> Result<Vec<Over>, DbError> {
    let rows = sql("SELECT id, attempts FROM exports \
                    WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2");
    conn.all(rows.bind(now).bind(most)).await
}

/// Its owner does not want it any more; `false` if it is none that could be ended.
pub(crate) async fn end(tx: &mut Tx, user: Id, export: Id) -> Result<bool, DbError> {
    let row = sql("UPDATE exports SET status = 'ended', expires_at = 0 \
                   WHERE id = $1 AND user_id = $2 AND status IN ('waiting', 'ready')");
    tx.changed(row.bind(export).bind(user)).await
}

/// There are no files of it any more. The row stays until a day has passed since it was asked for (before
/// `day_ago`, it was longer ago), so that they are counted; not where the account was erased.
pub(crate) async fn forget(db: &Database, export: Id, day_ago: Timestamp) -> Result<(), DbError> {
    let gone = sql("DELETE FROM exports WHERE id = $1 AND (requested_at <= $2 OR user_id IN \
                      (SELECT id FROM users WHERE erased_at IS NOT NULL))")
    .bind(export)
    .bind(day_ago);
    let stays =
        sql("UPDATE exports SET status = 'ended', attempts = 0, node = NULL, sha256 = NULL, \
                     expires_at = requested_at + $2 WHERE id = $1")
        .bind(export)
        .bind(DAY_MICROS);
    db.transact(move |tx| {
        Box::pin(async move {
            if !tx.changed(gone).await? {
                tx.execute(stays).await?;
            }
            Ok(())
        })
    })
    .await
}
