//! Blobs as files, for one node: only its owner may look into the directory. The name of a file is the last
//! segment of its key, `~`, and the beginning of its SHA-256: so another content is another file.

use std::io::{self, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::stream::{self, StreamExt as _};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};

use super::{BlobError, Content, PIECE, UNFINISHED, UPLOADS};
use crate::ids::{hex, random_hex};
use crate::message::BlobRef;
use crate::supervision::ChildSpec;

/// Where files are until they are whole. No key begins with a dot.
const STAGING: &str = ".partial";
/// Between two looks for uploads that nobody has adopted.
const TIDY: Duration = Duration::from_secs(600);
/// Between key and content in a name. No key has one.
const MARK: char = '~';

/// A directory of blobs.
#[derive(Clone, Debug)]
pub(super) struct Directory {
    root: PathBuf,
}

impl Directory {
    pub(super) const fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Removes what was not finished, but for what a command writes at this moment.
    pub(super) fn tidy(&self) -> io::Result<()> {
        let staged = match std::fs::read_dir(self.root.join(STAGING)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            staged => staged?,
        };
        for file in staged {
            let path = file?.path();
            let opened = match std::fs::File::open(&path) {
                // Its writer has moved it meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => opened?,
            };
            if opened.try_lock().is_ok() {
                std::fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// A file that is none of the blobs yet.
    pub(super) async fn stage(&self) -> Result<Staged, BlobError> {
        let staging = self.root.join(STAGING);
        make_private(&staging).map_err(|error| BlobError::Unavailable(error.to_string()))?;
        let path = staging.join(random_hex());
        let mut options = File::options();
        options.write(true).create_new(true).mode(0o600);
        let file = options.open(&path).await;
        let file = file.map_err(|error| BlobError::Unavailable(error.to_string()))?;
        // While it is held, whoever tidies up leaves it.
        let file = file.into_std().await;
        drop(file.try_lock());
        let file = File::from_std(file);
        Ok(Staged { file, place: Leftover(path), directory: self.clone() })
    }

    pub(super) async fn read(
        &self,
        blob: &BlobRef,
        range: Range<u64>,
    ) -> Result<Content, BlobError> {
        let mut file = File::open(self.path(&blob.key, &blob.sha256)).await?;
        if file.metadata().await?.len() != blob.bytes {
            return Err(BlobError::Gone);
        }
        file.seek(SeekFrom::Start(range.start)).await?;
        let left = range.end.saturating_sub(range.start);
        let first = next(file, left).await?;
        let Some((piece, rest)) = first else { return Ok(stream::empty().boxed()) };
        let rest = stream::try_unfold(rest, |(file, left)| next(file, left));
        Ok(stream::iter([Ok(piece)]).chain(rest).boxed())
    }

    /// Moves a file to another key, and removes what was there.
    pub(super) async fn adopt(&self, blob: &BlobRef, to: &BlobRef) -> Result<(), BlobError> {
        let (from, target) = (self.path(&blob.key, &blob.sha256), self.path(&to.key, &to.sha256));
        if from == target {
            return Ok(());
        }
        let unavailable = |error: io::Error| BlobError::Unavailable(error.to_string());
        let folder = target.parent().unwrap_or(&self.root);
        make_private(folder).map_err(unavailable)?;
        match tokio::fs::rename(&from, &target).await {
            // It may have been done before.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                tokio::fs::metadata(&target).await?;
            }
            moved => moved.map_err(unavailable)?,
        }
        self.placed(&to.key, &target).await
    }

    /// Removes uploads that nobody has adopted, from time to time.
    pub(super) fn tidier(&self) -> ChildSpec {
        let directory = self.clone();
        ChildSpec::task("blobs", move || directory.clone().tidying())
    }

    async fn tidying(self) -> Result<(), String> {
        loop {
            if let Err(error) = self.remove_old_uploads().await {
                tracing::warn!(%error, "old uploads were not removed");
            }
            tokio::time::sleep(TIDY).await;
        }
    }

    pub(super) async fn remove_old_uploads(&self) -> Result<(), BlobError> {
        let mut files = match tokio::fs::read_dir(self.root.join(UPLOADS)).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            files => files?,
        };
        while let Some(file) = files.next_entry().await? {
            let written = file.metadata().await.and_then(|about| about.modified());
            let age = written.ok().and_then(|at| at.elapsed().ok());
            if age.is_some_and(|age| age > UNFINISHED) {
                remove(&file.path()).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn remove(&self, key: &str) -> Result<(), BlobError> {
        let found = of_key(&self.root, key, None).await?;
        for path in &found {
            remove(path).await?;
        }
        if let Some(folder) = found.first().and_then(|path| path.parent()) {
            sync(folder).await?;
            if key.split('/').count() > 2 {
                // A folder of one thing alone goes with the last that is in it.
                drop(tokio::fs::remove_dir(folder).await);
            }
        }
        Ok(())
    }

    /// A file has come to its place: that stays so, and what was there before goes.
    async fn placed(&self, key: &str, target: &Path) -> Result<(), BlobError> {
        let unavailable = |error: io::Error| BlobError::Unavailable(error.to_string());
        let root = &self.root;
        // The folders above may be new, and the root in its own.
        let folder = target.parent().unwrap_or(root);
        let above = folder.ancestors().take_while(|folder| folder.starts_with(root));
        for folder in above.chain(root.parent()) {
            sync(folder).await.map_err(unavailable)?;
        }
        for replaced in of_key(root, key, Some(target)).await? {
            remove(&replaced).await?;
        }
        Ok(())
    }

    pub(super) fn path(&self, key: &str, sha256: &[u8; 32]) -> PathBuf {
        self.root.join(format!("{key}{MARK}{}", hex(&sha256[..16])))
    }
}

/// The files of a key, but for one.
async fn of_key(root: &Path, key: &str, but: Option<&Path>) -> Result<Vec<PathBuf>, BlobError> {
    let place = root.join(key);
    let (folder, name) = (place.parent().unwrap_or(root), key.rsplit('/').next().unwrap_or(key));
    let mut files = match tokio::fs::read_dir(folder).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        files => files?,
    };
    let mut found = Vec::new();
    while let Some(file) = files.next_entry().await? {
        let (path, own) = (file.path(), file.file_name());
        let is_of_key = own.to_str().and_then(|own| own.rsplit_once(MARK)).map(|it| it.0);
        if is_of_key == Some(name) && Some(path.as_path()) != but {
            found.push(path);
        }
    }
    Ok(found)
}

async fn remove(path: &Path) -> Result<(), BlobError> {
    match tokio::fs::remove_file(path).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// What was done in a folder stays done.
async fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder).await?.sync_all().await
}

type Rest = (File, u64);

/// What comes next of a file, of which so many bytes are wanted.
async fn next(mut file: File, left: u64) -> Result<Option<(Bytes, Rest)>, BlobError> {
    if left == 0 {
        return Ok(None);
    }
    let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE);
    let mut piece = BytesMut::with_capacity(wanted);
    while piece.len() < wanted {
        let space = (wanted - piece.len()) as u64;
        if (&mut file).take(space).read_buf(&mut piece).await? == 0 {
            return Err(BlobError::Fault("a file has become shorter".to_owned()));
        }
    }
    Ok(Some((piece.freeze(), (file, left - wanted as u64))))
}

/// A file that is being written.
#[derive(Debug)]
pub(super) struct Staged {
    file: File,
    place: Leftover,
    directory: Directory,
}

impl Staged {
    pub(super) async fn write(&mut self, piece: &[u8]) -> Result<(), BlobError> {
        self.file.write_all(piece).await.map_err(|error| BlobError::Unavailable(error.to_string()))
    }

    /// On disk, then in its place, and its place on disk; then what was there before goes.
    pub(super) async fn finish(mut self, blob: &BlobRef) -> Result<(), BlobError> {
        let unavailable = |error: io::Error| BlobError::Unavailable(error.to_string());
        self.file.flush().await.map_err(unavailable)?;
        self.file.sync_all().await.map_err(unavailable)?;
        let root = &self.directory.root;
        let target = self.directory.path(&blob.key, &blob.sha256);
        let folder = target.parent().unwrap_or(root);
        make_private(folder).map_err(unavailable)?;
        tokio::fs::rename(&self.place.0, &target).await.map_err(unavailable)?;
        self.directory.placed(&blob.key, &target).await
    }
}

/// Goes with whoever holds it. What was moved is not there any more.
#[derive(Debug)]
struct Leftover(PathBuf);

impl Drop for Leftover {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

fn make_private(path: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}
