//! Which blobs there are, in a database; and their pieces, in PostgreSQL itself or in a bucket. So every node of a
//! cluster finds them.
//!
//! A blob is whole, replaced or removed in one transaction here, wherever its pieces are. Pieces in a bucket are of no
//! transaction: they are written before the blob is there, and removed after it is not. Whoever writes one looks
//! afterwards whether it is wanted still; whoever removes a blob leaves its row for a day, and the sweeper looks
//! once more what is in the bucket by then. So nothing stays there that nobody knows of.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, StreamExt as _};

use super::bucket::{self, Bucket};
use super::store::{self, Shelf, Stored};
use super::sweeper::Sweeper;
use super::{BlobError, Content, PIECE};
use crate::data::{Database, DbError, Leases, Migrations, Upkeep};
use crate::ids::random_hex;
use crate::message::BlobRef;
use crate::service::Runtime;
use crate::supervision::{ChildSpec, SupervisorSpec};

pub(super) static MIGRATIONS: Migrations =
    crate::migrations!("../../migrations/blobs/sqlite", "../../migrations/blobs/postgres");

/// The schema that has the blobs, and the bucket that has what is written from now on, if there is one.
#[derive(Clone, Debug)]
pub(super) struct Index {
    db: Database,
    bucket: Option<Bucket>,
    /// How long one transaction may hold SQLite's writer.
    write_timeout: Duration,
}

impl Index {
    pub(super) const fn new(db: Database, bucket: Option<Bucket>, write_timeout: Duration) -> Self {
        Self { db, bucket, write_timeout }
    }

    pub(super) const fn database(&self) -> &Database {
        &self.db
    }

    /// Why it can't be written and read now, as far as is known.
    pub(super) fn trouble(&self) -> Option<&'static str> {
        let of_bucket = || {
            let fails = self.bucket.as_ref().is_some_and(Bucket::fails);
            fails.then_some("the bucket is not available")
        };
        self.db.health().cause().or_else(of_bucket)
    }

    /// ```text
    /// blobs
    /// ├── keeper         brings the database up and back up
    /// ├── writer         writes to it, where it is SQLite
    /// ├── janitor        removes what was not finished
    /// ├── sweeper        removes what is left of it in the bucket
    /// └── bucket_watch   asks whether a bucket that failed is back
    /// ```
    pub(super) fn child(&self, runtime: &Runtime) -> ChildSpec {
        let node = &runtime.node;
        let leases = Leases::new(self.db.clone(), &node.name, &node.boot);
        let has_table = self.db.is_postgres();
        let expiries = if has_table { &store::EXPIRIES[..] } else { &[store::UNADOPTED] };
        let upkeep = Upkeep {
            db: self.db.clone(),
            migrations: MIGRATIONS,
            leases: leases.clone(),
            expiries: expiries.into(),
            write_timeout: self.write_timeout,
        };
        let mut tree = SupervisorSpec::new("blobs", &runtime.tree).child(upkeep.keeper());
        tree = upkeep.writer().into_iter().fold(tree, SupervisorSpec::child);
        tree = tree.child(upkeep.janitor());
        if let Some(bucket) = self.bucket.clone() {
            let watch = bucket.watch();
            let db = self.db.clone();
            let sweeper = ChildSpec::new("sweeper", move || {
                let (db, leases, bucket) = (db.clone(), leases.clone(), bucket.clone());
                (Sweeper { db, leases, bucket }, ())
            });
            tree = tree.child(sweeper).child(watch);
        }
        tree.into_child("blobs")
    }

    pub(super) async fn begin(&self, key: &str) -> Result<Upload, BlobError> {
        let place = if self.bucket.is_some() { Shelf::Bucket } else { Shelf::Table };
        let stored = Stored { upload: random_hex(), shelf: place };
        let (begun, key, now) = (stored.clone(), key.to_owned(), self.db.clock().now());
        self.db
            .transact(move |tx| Box::pin(async move { store::begin(tx, &begun, &key, now).await }))
            .await?;
        Ok(Upload { index: self.clone(), id: stored.upload, pieces: 0 })
    }

    pub(super) async fn read(
        &self,
        blob: &BlobRef,
        range: Range<u64>,
    ) -> Result<Content, BlobError> {
        let stored = store::find(&mut self.db.reader().await?, blob).await?;
        let Stored { upload, shelf } = stored.ok_or(BlobError::Gone)?;
        if shelf == Shelf::Bucket {
            return self.bucket()?.read(&upload, range).await;
        }
        let rest = Rest { db: self.db.clone(), upload, range };
        let Some((piece, rest)) = next(rest).await? else { return Ok(stream::empty().boxed()) };
        Ok(stream::iter([Ok(piece)]).chain(stream::try_unfold(rest, next)).boxed())
    }

    /// Gives a blob another key.
    pub(super) async fn adopt(&self, blob: &BlobRef, to: &BlobRef) -> Result<(), BlobError> {
        let (from, key, now) = (blob.clone(), to.key.clone(), self.db.clock().now());
        let adopting = self
            .db
            .transact(move |tx| Box::pin(async move { store::adopt(tx, &from, &key, now).await }));
        match adopting.await {
            Ok(None) => Ok(()),
            Ok(Some(replaced)) => {
                drop(self.discard(replaced).await);
                Ok(())
            }
            Err(DbError::Fault(sqlx::Error::RowNotFound)) => Err(BlobError::Gone),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) async fn remove(&self, key: &str) -> Result<(), BlobError> {
        let (key, now) = (key.to_owned(), self.db.clock().now());
        let withdrawn = self
            .db
            .transact(move |tx| Box::pin(async move { store::withdraw(tx, &key, now).await }));
        for stored in withdrawn.await? {
            self.discard(stored).await?;
        }
        Ok(())
    }

    /// Removes what nobody finds any more.
    async fn discard(&self, Stored { upload, shelf }: Stored) -> Result<(), BlobError> {
        match shelf {
            Shelf::Table => discard(&self.db, upload).await,
            Shelf::Bucket => self.bucket()?.clear(&upload).await,
        }
    }

    fn bucket(&self) -> Result<&Bucket, BlobError> {
        self.bucket.as_ref().ok_or_else(|| {
            BlobError::Unavailable("it is in a bucket, and none is configured".to_owned())
        })
    }
}

/// Removes the pieces in the table, and then what is known of them.
async fn discard(db: &Database, upload: String) -> Result<(), BlobError> {
    loop {
        let upload = upload.clone();
        let more: bool = db
            .transact(move |tx| {
                Box::pin(async move {
                    let more = store::remove_pieces(tx, &upload).await?;
                    if !more {
                        store::forget(tx, &upload).await?;
                    }
                    Ok::<_, DbError>(more)
                })
            })
            .await?;
        if !more {
            return Ok(());
        }
    }
}

/// What is still to be read of the table.
struct Rest {
    db: Database,
    upload: String,
    range: Range<u64>,
}

/// The piece in which the rest begins, from there on.
async fn next(mut rest: Rest) -> Result<Option<(Bytes, Rest)>, BlobError> {
    if rest.range.is_empty() {
        return Ok(None);
    }
    let size = PIECE as u64;
    let (number, from) = (rest.range.start / size, rest.range.start % size);
    let mut conn = rest.db.reader().await?;
    let number = i64::try_from(number).unwrap_or(i64::MAX);
    let piece = store::piece(&mut conn, &rest.upload, number).await?;
    drop(conn);
    let mut piece = Bytes::from(piece.ok_or(BlobError::Gone)?);
    let damaged = || BlobError::Fault("a piece is shorter than it was".to_owned());
    if piece.len() as u64 <= from {
        return Err(damaged());
    }
    piece = piece.slice(usize::try_from(from).map_err(|_| damaged())?..);
    let wanted = rest.range.end - rest.range.start;
    piece.truncate(usize::try_from(wanted).unwrap_or(usize::MAX));
    rest.range.start += piece.len() as u64;
    Ok(Some((piece, rest)))
}

/// A blob that is being written. What is neither finished nor removed by its key stays until the janitor, or the
/// sweeper, comes.
#[derive(Debug)]
pub(super) struct Upload {
    index: Index,
    id: String,
    pieces: i64,
}

impl Upload {
    /// How much of it is written at a time.
    pub(super) const fn piece_bytes(&self) -> usize {
        if self.index.bucket.is_some() { bucket::OBJECT } else { PIECE }
    }

    pub(super) async fn write(&mut self, piece: Vec<u8>) -> Result<(), BlobError> {
        let number = self.pieces;
        self.pieces += 1;
        let db = &self.index.db;
        if let Some(bucket) = &self.index.bucket {
            bucket.put(&self.id, number, piece).await?;
            let wanted = store::is_wanted(&mut db.reader().await?, &self.id).await?;
            if !wanted {
                // Nobody else may look there again for a day.
                bucket.clear(&self.id).await?;
                return Err(BlobError::Gone);
            }
            return Ok(());
        }
        let upload = self.id.clone();
        let added = db.transact(move |tx| {
            Box::pin(async move { store::add_piece(tx, &upload, number, piece).await })
        });
        if added.await? { Ok(()) } else { Err(BlobError::Gone) }
    }

    pub(super) async fn finish(self, blob: &BlobRef) -> Result<(), BlobError> {
        let db = &self.index.db;
        let (id, blob, now) = (self.id, blob.clone(), db.clock().now());
        let finished = db
            .transact(move |tx| Box::pin(async move { store::finish(tx, &id, &blob, now).await }));
        if let Some(replaced) = finished.await? {
            // Nobody finds it any more; if it can't be removed now, that is done later.
            drop(self.index.discard(replaced).await);
        }
        Ok(())
    }
}
