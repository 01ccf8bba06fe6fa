//! Pictures out of the store, into a directory, under the names that they have in addresses.

use std::path::{Path, PathBuf};

use futures::StreamExt as _;
use panel_kernel::blobs::{BlobError, Blobs, Content};
use panel_kernel::ids::{hex, unhex};
use panel_kernel::local_file::LocalFile;
use panel_kernel::message::BlobRef;
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;

use crate::media::key;
use crate::rules::pictures::{Asset, Made, file_name};
use crate::transfer::TransferError;

/// Where they go.
#[derive(Debug)]
pub(in crate::transfer) struct Giving<'e> {
    blobs: &'e Blobs,
    folder: &'e Path,
    /// Nobody else writes there meanwhile.
    _locked: std::fs::File,
}

impl<'e> Giving<'e> {
    /// Into this directory, which is made if it is not there: for its owner alone to look into.
    pub(in crate::transfer) fn open(
        blobs: &'e Blobs,
        folder: &'e Path,
    ) -> Result<Self, TransferError> {
        use std::os::unix::fs::DirBuilderExt as _;

        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let locked = std::fs::File::open(folder)?;
        locked.try_lock().map_err(|_| {
            let busy = format!("another export writes into {}", folder.display());
            TransferError::File(busy)
        })?;
        Ok(Self { blobs, folder, _locked: locked })
    }

    /// Sees to it that all files of a picture are there. Those that are stay, so who was cut off goes on. `false`, if the
    /// store has not all of them.
    pub(in crate::transfer) async fn give(&self, asset: &Asset) -> Result<bool, TransferError> {
        for (number, made) in asset.files.iter().enumerate() {
            let file = self.folder.join(file_name(&asset.sha256, made.size, made.kind));
            if is_there(&file, made).await {
                continue;
            }
            let Some(sha256) = unhex(&made.sha256) else { return Ok(false) };
            let blob = BlobRef { key: key(asset.id, number), bytes: made.bytes, sha256 };
            match self.blobs.read(&blob, 0..blob.bytes).await {
                Ok(content) => written(&file, content, made).await?,
                Err(BlobError::Gone) => return Ok(false),
                Err(error) => return Err(lost(&error)),
            }
        }
        Ok(true)
    }
}

async fn is_there(file: &Path, made: &Made) -> bool {
    let there = LocalFile::open(file, made.bytes).await;
    there.is_ok_and(|file| file.bytes == made.bytes && hex(&file.sha256) == made.sha256)
}

/// Writes it beside, and moves it into its place.
async fn written(file: &Path, mut content: Content, made: &Made) -> Result<(), TransferError> {
    let mut partial = file.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let mut options = File::options();
    let mut out =
        options.write(true).create(true).truncate(true).mode(0o600).open(&partial).await?;
    while let Some(piece) = content.next().await {
        out.write_all(&piece.map_err(|error| lost(&error))?).await?;
    }
    out.sync_all().await?;
    if !is_there(&partial, made).await {
        return Err(TransferError::File(format!("{} is damaged in the store", file.display())));
    }
    tokio::fs::rename(partial, file).await?;
    Ok(())
}

fn lost(error: &BlobError) -> TransferError {
    TransferError::File(format!("the store of files: {error}"))
}
