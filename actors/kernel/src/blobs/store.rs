//! The SQL of blobs: which there are, and in PostgreSQL the pieces of those that lie there.

use super::UNFINISHED;
use crate::data::{Conn, DbError, Expiry, Tx, sql};
use crate::message::BlobRef;
use crate::time::Timestamp;

/// Pieces that are removed in one transaction.
const AT_ONCE: i64 = 64;
/// Where the pieces of a blob are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shelf {
    /// In PostgreSQL, beside this.
    Table,
    /// In a bucket, under the name of the upload.
    Bucket,
}

impl Shelf {
    const fn text(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Bucket => "bucket",
        }
    }

    fn of(text: &str) -> Result<Self, DbError> {
        match text {
            "table" => Ok(Self::Table),
            "bucket" => Ok(Self::Bucket),
            other => {
                let why = format!("nobody knows the shelf {other}");
                Err(DbError::Fault(sqlx::Error::Decode(why.into())))
            }
        }
    }
}

/// What a blob lies under, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) upload: String,
    pub(super) shelf: Shelf,
}

impl Stored {
    fn of((upload, shelf): (String, String)) -> Result<Self, DbError> {
        Ok(Self { upload, shelf: Shelf::of(&shelf)? })
    }
}

/// Uploads that nobody has adopted.
pub(super) const UNADOPTED: Expiry = Expiry {
    delete: "UPDATE blobs SET finished_at = NULL, withdrawn = 1 WHERE upload IN \
             (SELECT upload FROM blobs \
              WHERE key LIKE 'uploads/%' AND finished_at <= $1 LIMIT $2)",
    keep: UNFINISHED,
};

/// What was begun and not finished in the table, and what another blob has replaced there; pieces first.
pub(super) const EXPIRIES: [Expiry; 3] = [
    UNADOPTED,
    Expiry {
        delete: "DELETE FROM pieces WHERE (upload, number) IN \
                 (SELECT p.upload, p.number FROM blobs b JOIN pieces p ON p.upload = b.upload \
                  WHERE b.finished_at IS NULL AND b.begun_at <= $1 LIMIT LEAST($2, 128))",
        keep: UNFINISHED,
    },
    Expiry {
        delete: "DELETE FROM blobs WHERE upload IN \
                 (SELECT b.upload FROM blobs b WHERE b.finished_at IS NULL AND b.begun_at <= $1 \
                    AND b.shelf = 'table' \
                    AND NOT EXISTS (SELECT 1 FROM pieces p WHERE p.upload = b.upload) LIMIT $2)",
        keep: UNFINISHED,
    },
];

pub(super) async fn begin(
    tx: &mut Tx,
    stored: &Stored,
    key: &str,
    now: Timestamp,
) -> Result<(), DbError> {
    let row = sql("INSERT INTO blobs (upload, key, begun_at, shelf) VALUES ($1, $2, $3, $4)");
    let row = row.bind(&stored.upload).bind(key).bind(now).bind(stored.shelf.text());
    tx.execute(row).await.map(drop)
}

/// Whether an upload may go on: nobody has withdrawn it, and it is not so old that it was given up.
pub(super) async fn is_wanted(conn: &mut Conn, upload: &str) -> Result<bool, DbError> {
    let row = sql("SELECT upload FROM blobs \
                   WHERE upload = $1 AND finished_at IS NULL AND withdrawn = 0");
    let row: Option<(String,)> = conn.optional(row.bind(upload)).await?;
    Ok(row.is_some())
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
) -> Result<Option<Stored>, DbError> {
    let replaced = replace(tx, &blob.key, now).await?;
    let row = sql("UPDATE blobs SET bytes = $2, sha256 = $3, finished_at = $4 \
                   WHERE upload = $1 AND finished_at IS NULL AND withdrawn = 0 RETURNING upload");
    let bytes = i64::try_from(blob.bytes).unwrap_or(i64::MAX);
    let row = row.bind(upload).bind(bytes).bind(blob.sha256).bind(now);
    tx.one::<(String,)>(row).await?;
    Ok(replaced)
}

/// Whoever was the blob of that key is it no more.
async fn replace(tx: &mut Tx, key: &str, now: Timestamp) -> Result<Option<Stored>, DbError> {
    let row = sql("UPDATE blobs SET finished_at = NULL, \
                     begun_at = CASE shelf WHEN 'table' THEN 0 ELSE $2 END \
                   WHERE key = $1 AND finished_at IS NOT NULL RETURNING upload, shelf");
    let row: Option<(String, String)> = tx.optional(row.bind(key).bind(now)).await?;
    row.map(Stored::of).transpose()
}

/// A blob has another key from now on; what was there, if anything was.
///
/// # Errors
/// [`DbError::Fault`] if it is neither here nor there.
pub(super) async fn adopt(
    tx: &mut Tx,
    blob: &BlobRef,
    key: &str,
    now: Timestamp,
) -> Result<Option<Stored>, DbError> {
    let of = |key: &str| {
        let row = sql("SELECT upload FROM blobs \
                       WHERE key = $1 AND sha256 = $2 AND finished_at IS NOT NULL");
        row.bind(key).bind(blob.sha256)
    };
    let here: Option<(String,)> = tx.optional(of(&blob.key)).await?;
    let Some((upload,)) = here else {
        tx.one::<(String,)>(of(key)).await?;
        return Ok(None);
    };
    let replaced = replace(tx, key, now).await?;
    let row = sql("UPDATE blobs SET key = $2 WHERE upload = $1");
    tx.execute(row.bind(&upload).bind(key)).await?;
    Ok(replaced)
}

/// Nobody finds the blob of that key any more, nor finishes one that was begun; what is left of them. What is
/// in a bucket stays known for a while: somebody may be writing there who has not heard of it.
pub(super) async fn withdraw(
    tx: &mut Tx,
    key: &str,
    now: Timestamp,
) -> Result<Vec<Stored>, DbError> {
    let row = sql("UPDATE blobs SET finished_at = NULL, withdrawn = 1, \
                     begun_at = CASE shelf WHEN 'table' THEN 0 ELSE $2 END \
                   WHERE key = $1 RETURNING upload, shelf");
    let rows: Vec<(String, String)> = tx.all(row.bind(key).bind(now)).await?;
    rows.into_iter().map(Stored::of).collect()
}

/// Of what is not there, or not any more, since long: what may still lie in a bucket, some of it.
pub(super) async fn left_in_bucket(
    conn: &mut Conn,
    now: Timestamp,
) -> Result<Vec<String>, DbError> {
    let rows = sql("SELECT upload FROM blobs \
                    WHERE finished_at IS NULL AND begun_at <= $1 AND shelf = 'bucket' \
                    ORDER BY begun_at LIMIT $2");
    let rows = rows.bind(now.minus(UNFINISHED)).bind(AT_ONCE);
    let uploads: Vec<(String,)> = conn.all(rows).await?;
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
pub(super) async fn find(conn: &mut Conn, blob: &BlobRef) -> Result<Option<Stored>, DbError> {
    let row = sql("SELECT upload, shelf FROM blobs \
                   WHERE key = $1 AND sha256 = $2 AND finished_at IS NOT NULL");
    let row: Option<(String, String)> =
        conn.optional(row.bind(&blob.key).bind(blob.sha256)).await?;
    row.map(Stored::of).transpose()
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
