//! The blob store: content that is too large for a row or a message.
//!
//! A blob is written once, piece by piece, and is there when it is finished: whole or not at all. Then
//! it does not change; under the same key another can take its place. Who has its [`BlobRef`] reads that
//! very content, or hears that it is gone.
//!
//! | where | what for | |
//! |---|---|---|
//! | a directory | one node | written beside, synced, moved into place |
//! | PostgreSQL | a cluster | pieces of 256 KiB, each in a transaction of its own |
//! | a bucket (S3) | both | pieces of 4 MiB, each an object of its own; which blobs there are is in the database |
//!
//! Memory: one piece, and what buffers on the way hold, for each that is being written or read, however
//! large the blob.
//!
//! A blob and what a service's database says of it are not changed in one transaction. So a service writes
//! down a key before it writes there, and removes the row after the blob: what was interrupted is found by
//! the row.
//!
//! Failure: what was not finished is never seen, and goes: with the next start of the node (directory),
//! or after a day (PostgreSQL, a bucket).

mod bucket;
mod config;
mod directory;
mod index;
mod store;
mod sweeper;
#[cfg(test)]
mod tests;
mod writer;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;

pub use config::{BlobsConfig, BlobsLocation, BucketConfig};
pub use writer::BlobWriter;

use crate::data::{Database, DatabaseConfig, DbError};
use crate::ids::random_hex;
use crate::message::BlobRef;
use crate::metrics::Metrics;
use crate::problem::{Kind, Problem};
use crate::service::Runtime;
use crate::supervision::ChildSpec;
use crate::time::Clock;
use bucket::Bucket;
use directory::Directory;
use index::Index;

/// A piece, in bytes: what is held in memory for each blob that is written or read.
pub const PIECE: usize = 256 * 1024;
/// Below this are uploads: keys under which nothing stays.
const UPLOADS: &str = "uploads";
/// How long what is not finished, or not adopted, may wait for it.
const UNFINISHED: Duration = Duration::from_secs(24 * 3_600);
/// The longest key.
const MAX_KEY: usize = 200;
/// Sessions of one node with the database that has the blobs.
const CONNECTIONS: u32 = 4;

/// Why a blob is not written or read.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// There is no blob store here, or it can't be reached. Nothing was done.
    #[error("the blob store is not available: {0}")]
    Unavailable(String),
    /// Too much is under way in it. Nothing was done.
    #[error("the blob store has no room for more")]
    Busy,
    /// There is no such blob, or another one has its key by now.
    #[error("there is no such blob")]
    Gone,
    /// There is more of it than the writer may write.
    #[error("the blob would be longer than {0} bytes")]
    TooLarge(u64),
    /// A fault of ours, or what is stored is damaged.
    #[error("blob store fault: {0}")]
    Fault(String),
}

impl From<DbError> for BlobError {
    fn from(error: DbError) -> Self {
        match error {
            // That it may have been written does not matter: it is not finished.
            DbError::Unavailable(why) | DbError::Ended(why) | DbError::OutcomeUnknown(why) => {
                Self::Unavailable(why)
            }
            DbError::Busy | DbError::Contention => Self::Busy,
            error => Self::Fault(error.to_string()),
        }
    }
}

impl From<std::io::Error> for BlobError {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::NotFound {
            Self::Gone
        } else {
            Self::Unavailable(error.to_string())
        }
    }
}

impl From<BlobError> for Problem {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::Unavailable(why) => {
                tracing::warn!(why, "no blob store for this request");
                Self::new(Kind::Unavailable, "files are not available").retry_after(1)
            }
            BlobError::Busy => {
                Self::new(Kind::Unavailable, "too many files are under way").retry_after(1)
            }
            BlobError::Gone => Self::not_found("file"),
            BlobError::TooLarge(most) => {
                Self::new(Kind::PayloadTooLarge, format!("it is longer than {most} bytes"))
            }
            BlobError::Fault(why) => {
                tracing::error!(why, "blob store fault");
                Self::internal()
            }
        }
    }
}

/// The content of a blob, or of a part of it, as it comes.
pub type Content = BoxStream<'static, Result<Bytes, BlobError>>;

/// The blob store. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Blobs(Option<Arc<Place>>);

#[derive(Debug)]
enum Place {
    Directory(Directory),
    Index(Index),
}

impl Blobs {
    /// None: everything is [`BlobError::Unavailable`].
    #[must_use]
    pub const fn none() -> Self {
        Self(None)
    }

    /// The store at this place. Connects to nothing yet.
    ///
    /// # Errors
    /// A sentence, if the place can't be understood.
    pub fn new(
        location: BlobsLocation,
        database: &DatabaseConfig,
        runtime: &Runtime,
    ) -> Result<Self, String> {
        let parts = (runtime.clock.clone(), runtime.metrics.clone());
        Self::at(location, database, &runtime.node.boot, parts)
    }

    /// The store at this place, ready for an administrative command: beside running nodes, or without any.
    ///
    /// # Errors
    /// A sentence.
    pub async fn open_once(
        location: BlobsLocation,
        database: &DatabaseConfig,
        parts: (Clock, Metrics),
    ) -> Result<Self, String> {
        let blobs = Self::at(location, database, "admin", parts)?;
        if let Some(db) = blobs.database() {
            db.open_once(&index::MIGRATIONS).await.map_err(|error| error.to_string())?;
        }
        Ok(blobs)
    }

    fn at(
        location: BlobsLocation,
        database: &DatabaseConfig,
        holder: &str,
        parts: (Clock, Metrics),
    ) -> Result<Self, String> {
        let (bucket, url) = match location {
            BlobsLocation::Directory(root) => {
                return Ok(Self(Some(Arc::new(Place::Directory(Directory::new(root))))));
            }
            BlobsLocation::Database(url) => (None, url),
            BlobsLocation::Bucket(config, url) => (Some(Bucket::new(&config)?), url),
        };
        let config = DatabaseConfig { connections: CONNECTIONS, ..database.clone() };
        let db = Database::new("blobs", &url, &config, holder, parts)?;
        let place = Place::Index(Index::new(db, bucket, database.write_timeout.0));
        Ok(Self(Some(Arc::new(place))))
    }

    /// What keeps it usable and tidy, as a child of the root; none where there is no store.
    #[must_use]
    pub fn child(&self, runtime: &Runtime) -> Option<ChildSpec> {
        match self.0.as_deref()? {
            Place::Directory(directory) => Some(directory.tidier()),
            Place::Index(index) => Some(index.child(runtime)),
        }
    }

    /// Removes what an earlier life of this node has left unfinished in a directory. For the start of a
    /// node, before anybody writes.
    ///
    /// # Errors
    /// What the file system answers.
    pub fn tidy(&self) -> std::io::Result<()> {
        match self.0.as_deref() {
            Some(Place::Directory(directory)) => directory.tidy(),
            _ => Ok(()),
        }
    }

    /// Its database, where it has one.
    #[must_use]
    pub fn database(&self) -> Option<&Database> {
        match self.0.as_deref()? {
            Place::Directory(_) => None,
            Place::Index(index) => Some(index.database()),
        }
    }

    /// Why it can't be written and read now, as far as is known.
    #[must_use]
    pub fn trouble(&self) -> Option<&'static str> {
        match self.0.as_deref() {
            None => Some("there is none"),
            Some(Place::Directory(_)) => None,
            Some(Place::Index(index)) => index.trouble(),
        }
    }

    /// Whether there is one here.
    #[must_use]
    pub const fn is_configured(&self) -> bool {
        self.0.is_some()
    }

    /// Begins a blob of at most `most` bytes under `key`: segments of lower-case letters, digits, `-`, `_`
    /// and `.`, separated by `/`. It is there once [`BlobWriter::finish`] has returned.
    ///
    /// # Errors
    /// [`BlobError`]; [`BlobError::Fault`] for what is no key.
    pub async fn write(&self, key: &str, most: u64) -> Result<BlobWriter, BlobError> {
        let key = checked(key)?.to_owned();
        match &**self.place()? {
            Place::Directory(directory) => BlobWriter::to_directory(directory, key, most).await,
            Place::Index(index) => BlobWriter::to_index(index, key, most).await,
        }
    }

    /// The bytes `range` of a blob. The first piece is read before this returns, so that what is not there
    /// is known before anything is said of it; what is lost later ends the content with an error.
    ///
    /// # Errors
    /// [`BlobError::Gone`] if there is no such blob any more.
    pub async fn read(&self, blob: &BlobRef, range: Range<u64>) -> Result<Content, BlobError> {
        checked(&blob.key)?;
        let range = range.start.min(blob.bytes)..range.end.min(blob.bytes);
        match &**self.place()? {
            Place::Directory(directory) => directory.read(blob, range).await,
            Place::Index(index) => index.read(blob, range).await,
        }
    }

    /// Begins a blob that nobody has a place for yet: an upload. It goes after a day, unless it is adopted.
    ///
    /// # Errors
    /// [`BlobError`].
    pub async fn receive(&self, most: u64) -> Result<BlobWriter, BlobError> {
        self.write(&format!("{UPLOADS}/{}", random_hex()), most).await
    }

    /// Gives a blob another key, to stay under. What was there before is gone then. Doing it again changes
    /// nothing.
    ///
    /// # Errors
    /// [`BlobError::Gone`] if it is neither here nor there.
    pub async fn adopt(&self, blob: &BlobRef, key: &str) -> Result<BlobRef, BlobError> {
        checked(&blob.key)?;
        let adopted = BlobRef { key: checked(key)?.to_owned(), ..blob.clone() };
        match &**self.place()? {
            Place::Directory(directory) => directory.adopt(blob, &adopted).await?,
            Place::Index(index) => index.adopt(blob, &adopted).await?,
        }
        Ok(adopted)
    }

    /// Removes the blob under `key`, and keeps one that is being written there from ever being it (in a
    /// directory, where one process writes, whoever writes sees to that). If there is none, that is as well.
    ///
    /// # Errors
    /// [`BlobError`].
    pub async fn remove(&self, key: &str) -> Result<(), BlobError> {
        let key = checked(key)?;
        match &**self.place()? {
            Place::Directory(directory) => directory.remove(key).await,
            Place::Index(index) => index.remove(key).await,
        }
    }

    fn place(&self) -> Result<&Arc<Place>, BlobError> {
        self.0.as_ref().ok_or_else(|| BlobError::Unavailable("there is none here".to_owned()))
    }
}

/// Brings the schema of the blobs up to date, with nobody watching: for an administrative command.
///
/// # Errors
/// A sentence.
pub async fn migrate(
    location: &BlobsLocation,
    database: &DatabaseConfig,
    parts: (Clock, Metrics),
) -> Result<(), String> {
    let Some(url) = location.database() else { return Ok(()) };
    let db = Database::new("blobs", url, database, "migrate", parts)?;
    db.open_once(&index::MIGRATIONS).await.map_err(|error| error.to_string())
}

/// Refuses what is no key: a path, in a directory, must lead nowhere else.
fn checked(key: &str) -> Result<&str, BlobError> {
    let is_good =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
    let is_segment = |segment: &str| {
        !segment.is_empty() && !segment.starts_with('.') && segment.bytes().all(is_good)
    };
    if key.len() <= MAX_KEY && key.split('/').all(is_segment) {
        Ok(key)
    } else {
        Err(BlobError::Fault(format!("{key:?} is no key of a blob")))
    }
}
