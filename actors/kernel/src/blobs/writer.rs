//! A blob on its way into the store.

use aws_lc_rs::digest::{Context, SHA256};

use super::directory::{Directory, Staged};
use super::index::{Index, Upload};
use super::{BlobError, PIECE};
use crate::message::BlobRef;

/// Writes one blob. Dropped before it is finished, nothing of it is ever seen; and nothing of it stays, once
/// the blob of its key is removed.
#[derive(Debug)]
pub struct BlobWriter {
    sink: Sink,
    key: String,
    hash: Hash,
    bytes: u64,
    most: u64,
    /// Less than a piece.
    held: Vec<u8>,
}

#[derive(Debug)]
enum Sink {
    Directory(Staged),
    Index(Upload),
}

struct Hash(Context);

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hash")
    }
}

impl BlobWriter {
    pub(super) async fn to_directory(
        directory: &Directory,
        key: String,
        most: u64,
    ) -> Result<Self, BlobError> {
        Ok(Self::new(Sink::Directory(directory.stage().await?), key, most))
    }

    pub(super) async fn to_index(index: &Index, key: String, most: u64) -> Result<Self, BlobError> {
        Ok(Self::new(Sink::Index(index.begin(&key).await?), key, most))
    }

    fn new(sink: Sink, key: String, most: u64) -> Self {
        let hash = Hash(Context::new(&SHA256));
        Self { sink, key, hash, bytes: 0, most, held: Vec::new() }
    }

    /// Under which key it will be.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// How many bytes were written so far.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Writes what comes next.
    ///
    /// # Errors
    /// [`BlobError`], after which the blob can't be finished any more.
    pub async fn write(&mut self, mut bytes: &[u8]) -> Result<(), BlobError> {
        self.bytes += bytes.len() as u64;
        if self.bytes > self.most {
            return Err(BlobError::TooLarge(self.most));
        }
        self.hash.0.update(bytes);
        let piece = self.sink.piece_bytes();
        while self.held.len() + bytes.len() >= piece {
            let (now, later) = bytes.split_at(piece - self.held.len());
            self.held.extend_from_slice(now);
            bytes = later;
            let piece = std::mem::take(&mut self.held);
            self.sink.piece(piece).await?;
        }
        self.held.extend_from_slice(bytes);
        Ok(())
    }

    /// The blob is whole: it is in the store, to stay, when this returns. One that was under the key before
    /// is gone then.
    ///
    /// # Errors
    /// [`BlobError`]; then it may be there or not.
    pub async fn finish(mut self) -> Result<BlobRef, BlobError> {
        if !self.held.is_empty() {
            let piece = std::mem::take(&mut self.held);
            self.sink.piece(piece).await?;
        }
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(self.hash.0.finish().as_ref());
        let blob = BlobRef { key: self.key, bytes: self.bytes, sha256 };
        match self.sink {
            Sink::Directory(staged) => staged.finish(&blob).await?,
            Sink::Index(upload) => upload.finish(&blob).await?,
        }
        Ok(blob)
    }
}

impl Sink {
    /// How much of it is written at a time.
    const fn piece_bytes(&self) -> usize {
        match self {
            Self::Directory(_) => PIECE,
            Self::Index(upload) => upload.piece_bytes(),
        }
    }

    async fn piece(&mut self, piece: Vec<u8>) -> Result<(), BlobError> {
        match self {
            Self::Directory(staged) => staged.write(&piece).await,
            Self::Index(upload) => upload.write(piece).await,
        }
    }
}
