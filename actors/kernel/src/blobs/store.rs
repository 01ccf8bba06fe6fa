//! The SQL of blobs in PostgreSQL.

use std::time::Duration;

use crate::data::{Conn, DbError, Expiry, Tx, sql};
use crate::message::BlobRef;
use crate::time::Timestamp;

/// Pieces that are removed in one transaction.
const AT_ONCE: i64 = 64;
/// How long a blob may take to be written.
const UNFINISHED: Duration = Duration::from_secs(24 * 3_600);

/// What was begun and not finished, and what another blob has replaced; pieces first.
pub(super) const EXPIRIES: [Expiry; 2] = [
    Expiry {
        delete: "DELETE FROM pieces WHERE (upload, number) IN \
                 (SELECT p.upload, p.number FROM blobs b JOIN pieces p ON p.upload = b.upload \
                  WHERE b.finished_at IS NULL AND b.begun_at <= $1 LIMIT LEAST($2, 128))",
        keep: UNFINISHED,
    },
    Expiry {
        delete: "DELETE FROM blobs WHERE upload IN \
                 (SELECT b.upload FROM blobs b WHERE b.finished_at IS NULL AND b.begun_at <= $1 \
                    AND NOT EXISTS (SELECT 1 FROM pieces p WHERE p.upload = b.upload) LIMIT $2)",
        keep: UNFINISHED,
    },
];

pub(super) async fn begin(
    tx: &mut Tx,
    upload: &str,
    key: &str,
    now: Timestamp,
) -> Result<(), DbError> {
    let row = sql("INSERT INTO blobs (upload, key, begun_at) VALUES ($1, $2, $3)");
    tx.execute(row.bind(upload).bind(key).bind(now)).await.map(drop)
}

/// One more piece; `false` if nobody knows of the upload any more.
pub(super) async fn add_piece(
    tx: &mut Tx,
    upload: &str,
    number: i64,
    data: Vec<u8>,
) -> Result<bool, DbError> {
    let row = sql("INSERT INTO pieces (upload, number, data) \
                   SELECT upload, $2, $3 FROM blobs \
                   WHERE upload = $1 AND finished_at IS NULL AND withdrawn = 0");
    tx.changed(row.bind(upload).bind(number).bind(data)).await
}

/// It is whole, and the blob of its key from now on; what was before it, if anything was.
///
/// # Errors
/// [`DbError::Fault`] if nobody knows of it any more.
pub(super) async fn finish(
    tx: &mut Tx,
    upload: &str,
    blob: &BlobRef,
    now: Timestamp,
) -> Result<Option<String>, DbError> {
    let replaced = sql("UPDATE blobs SET finished_at = NULL, begun_at = 0 \
                        WHERE key = $1 AND finished_at IS NOT NULL RETURNING upload");
    let replaced: Option<(String,)> = tx.optional(replaced.bind(&blob.key)).await?;
    let row = sql("UPDATE blobs SET bytes = $2, sha256 = $3, finished_at = $4 \
                   WHERE upload = $1 AND finished_at IS NULL AND withdrawn = 0 RETURNING upload");
    let bytes = i64::try_from(blob.bytes).unwrap_or(i64::MAX);
    let row = row.bind(upload).bind(bytes).bind(blob.sha256).bind(now);
    tx.one::<(String,)>(row).await?;
    Ok(replaced.map(|(upload,)| upload))
}

/// Nobody finds the blob of that key any more, nor finishes one that was begun; what is left of them.
pub(super) async fn withdraw(tx: &mut Tx, key: &str) -> Result<Vec<String>, DbError> {
    let row = sql("UPDATE blobs SET finished_at = NULL, begun_at = 0, withdrawn = 1 \
                   WHERE key = $1 RETURNING upload");
    let uploads: Vec<(String,)> = tx.all(row.bind(key)).await?;
    Ok(uploads.into_iter().map(|(upload,)| upload).collect())
}

/// Removes some pieces; whether there may be more.
pub(super) async fn remove_pieces(tx: &mut Tx, upload: &str) -> Result<bool, DbError> {
    let pieces = sql("DELETE FROM pieces WHERE upload = $1 AND number IN \
                      (SELECT number FROM pieces WHERE upload = $1 LIMIT $2)");
    let removed = tx.execute(pieces.bind(upload).bind(AT_ONCE)).await?;
    Ok(removed >= AT_ONCE.unsigned_abs())
}

pub(super) async fn forget(tx: &mut Tx, upload: &str) -> Result<(), DbError> {
    tx.execute(sql("DELETE FROM blobs WHERE upload = $1").bind(upload)).await.map(drop)
}

/// Under what the pieces of this very blob are.
pub(super) async fn find(conn: &mut Conn, blob: &BlobRef) -> Result<Option<String>, DbError> {
    let row = sql("SELECT upload FROM blobs \
                   WHERE key = $1 AND sha256 = $2 AND finished_at IS NOT NULL");
    let upload: Option<(String,)> = conn.optional(row.bind(&blob.key).bind(blob.sha256)).await?;
    Ok(upload.map(|(upload,)| upload))
}

pub(super) async fn piece(
    conn: &mut Conn,
    upload: &str,
    number: i64,
) -> Result<Option<Vec<u8>>, DbError> {
    let row = sql("SELECT data FROM pieces WHERE upload = $1 AND number = $2");
    let piece: Option<(Vec<u8>,)> = conn.optional(row.bind(upload).bind(number)).await?;
    Ok(piece.map(|(data,)| data))
}
