//! Blobs in PostgreSQL, for a cluster: every node finds them.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, StreamExt as _};

use super::{BlobError, Content, PIECE, store};
use crate::data::{Database, Leases, Migrations, Upkeep};
use crate::ids::random_hex;
use crate::message::BlobRef;
use crate::service::Runtime;
use crate::supervision::{ChildSpec, SupervisorSpec};

static POSTGRES: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/blobs/postgres");
/// There are no blobs in SQLite.
pub(super) static MIGRATIONS: Migrations = Migrations { sqlite: &POSTGRES, postgres: &POSTGRES };

/// The schema that has the blobs.
#[derive(Clone, Debug)]
pub(super) struct Table {
    db: Database,
}

impl Table {
    pub(super) const fn new(db: Database) -> Self {
        Self { db }
    }

    pub(super) const fn database(&self) -> &Database {
        &self.db
    }

    /// ```text
    /// blobs
    /// ├── keeper    brings the database up and back up
    /// └── janitor   removes what was not finished
    /// ```
    pub(super) fn child(&self, runtime: &Runtime) -> ChildSpec {
        let node = &runtime.node;
        let upkeep = Upkeep {
            db: self.db.clone(),
            migrations: MIGRATIONS,
            leases: Leases::new(self.db.clone(), &node.name, &node.boot),
            expiries: store::EXPIRIES.into(),
            write_timeout: Duration::ZERO,
        };
        SupervisorSpec::new("blobs", &runtime.tree)
            .child(upkeep.keeper())
            .child(upkeep.janitor())
            .into_child("blobs")
    }

    pub(super) async fn begin(&self, key: &str) -> Result<Upload, BlobError> {
        let (upload, key, now) = (random_hex(), key.to_owned(), self.db.clock().now());
        let begun = upload.clone();
        self.db
            .transact(move |tx| Box::pin(async move { store::begin(tx, &begun, &key, now).await }))
            .await?;
        Ok(Upload { db: self.db.clone(), id: upload, pieces: 0 })
    }

    pub(super) async fn read(
        &self,
        blob: &BlobRef,
        range: Range<u64>,
    ) -> Result<Content, BlobError> {
        let upload = store::find(&mut self.db.reader().await?, blob).await?;
        let rest = Rest { db: self.db.clone(), upload: upload.ok_or(BlobError::Gone)?, range };
        let Some((piece, rest)) = next(rest).await? else { return Ok(stream::empty().boxed()) };
        Ok(stream::iter([Ok(piece)]).chain(stream::try_unfold(rest, next)).boxed())
    }

    pub(super) async fn remove(&self, key: &str) -> Result<(), BlobError> {
        let key = key.to_owned();
        let withdrawn =
            self.db.transact(move |tx| Box::pin(async move { store::withdraw(tx, &key).await }));
        for upload in withdrawn.await? {
            discard(&self.db, upload).await?;
        }
        Ok(())
    }
}

/// Removes what nobody finds any more.
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
                    Ok::<_, crate::data::DbError>(more)
                })
            })
            .await?;
        if !more {
            return Ok(());
        }
    }
}

/// What is still to be read.
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

/// A blob that is being written. What is neither finished nor removed
/// by its key stays until the janitor comes.
#[derive(Debug)]
pub(super) struct Upload {
    db: Database,
    id: String,
    pieces: i64,
}

impl Upload {
    pub(super) async fn write(&mut self, piece: Vec<u8>) -> Result<(), BlobError> {
        let (upload, number) = (self.id.clone(), self.pieces);
        self.pieces += 1;
        let added = self.db.transact(move |tx| {
            Box::pin(async move { store::add_piece(tx, &upload, number, piece).await })
        });
        if added.await? { Ok(()) } else { Err(BlobError::Gone) }
    }

    pub(super) async fn finish(self, blob: &BlobRef) -> Result<(), BlobError> {
        let (id, blob, now) = (self.id, blob.clone(), self.db.clock().now());
        let finished = self
            .db
            .transact(move |tx| Box::pin(async move { store::finish(tx, &id, &blob, now).await }));
        if let Some(replaced) = finished.await? {
            // Nobody finds it any more; if it can't be removed now, the janitor does it.
            drop(discard(&self.db, replaced).await);
        }
        Ok(())
    }
}
