//! One picture, from the file that was sent to what is kept of it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _};
use panel_kernel::blobs::{BlobError, BlobWriter};
use panel_kernel::data::DbError;
use panel_kernel::http::Sent;
use panel_kernel::ids::{Id, hex};
use panel_kernel::problem::{Kind as ProblemKind, Problem};
use panel_kernel::time::Timestamp;
use panel_pictures::{Ended, FileHead, MAIN, Next, Order, Process, Refused, Why};
use tokio::sync::OwnedSemaphorePermit;

use super::{ATTEMPTS, FILES, PART, Room, key, later, quietly};
use crate::rules::pictures::{Asset, Made};
use crate::store::media::assets;

/// Bytes of a file beside its pixels: packed pixels are not larger than pixels by more.
const ASIDE: u64 = 1024 * 1024;
/// The most bytes of a pixel.
const DEEPEST: u64 = 4;

/// What becomes of pictures of which there is nothing to be made, in metrics.
const REFUSED: &str = "refused";
const CRASHED: &str = "crashed";

/// Why there is no picture.
pub(super) enum Failed {
    Process(Ended),
    Blobs(BlobError),
    Data(DbError),
    Late,
    /// It went while it came.
    Lost,
}

impl From<Ended> for Failed {
    fn from(ended: Ended) -> Self {
        Self::Process(ended)
    }
}

impl From<BlobError> for Failed {
    fn from(error: BlobError) -> Self {
        Self::Blobs(error)
    }
}

impl From<DbError> for Failed {
    fn from(error: DbError) -> Self {
        Self::Data(error)
    }
}

/// What is kept of a file.
pub(super) async fn made(room: &Room, sent: &Sent) -> Result<Asset, Problem> {
    let source = hex(&sent.sha256);
    for attempt in 1..=ATTEMPTS {
        let (label, problem) = match Box::pin(begun(room, sent, &source)).await {
            Ok(asset) => {
                room.count("made");
                return Ok(asset);
            }
            Err(Failed::Process(Ended::Killed)) if attempt < ATTEMPTS => {
                room.count("killed");
                continue;
            }
            Err(failed) => explained(failed),
        };
        room.count(label);
        if matches!(label, REFUSED | CRASHED) {
            // It will be no other.
            room.refused.insert(sent.sha256, problem.clone());
        }
        return Err(problem);
    }
    Err(later())
}

/// What a failure is called in metrics, and what its sender hears.
pub(super) fn explained(failed: Failed) -> (&'static str, Problem) {
    match failed {
        Failed::Process(Ended::Refused(refused)) => (REFUSED, refusal(refused)),
        Failed::Blobs(BlobError::TooLarge(_)) => {
            let detail = "the picture becomes much longer than it was".to_owned();
            (REFUSED, refusal(Refused { why: Why::TooManyPixels, detail }))
        }
        Failed::Process(Ended::Crashed(how)) => {
            tracing::warn!(how, "a picture broke its process");
            let detail = "the picture can't be read".to_owned();
            (CRASHED, refusal(Refused { why: Why::Damaged, detail }))
        }
        Failed::Process(Ended::Killed) => ("killed", later()),
        Failed::Process(Ended::Io(error)) => {
            tracing::error!(%error, "there is no process for a picture");
            ("failed", later())
        }
        Failed::Blobs(error) => {
            tracing::debug!(%error, "a picture is not made");
            ("failed", later())
        }
        Failed::Data(error) => {
            tracing::debug!(%error, "a picture is not made");
            ("failed", later())
        }
        Failed::Late | Failed::Lost => ("late", later()),
    }
}

fn refusal(Refused { why, detail }: Refused) -> Problem {
    match why {
        Why::Unsupported => Problem::new(ProblemKind::UnsupportedMediaType, detail),
        why => Problem::field("file", why.code(), detail),
    }
}

async fn begun(room: &Room, sent: &Sent, source: &str) -> Result<Asset, Failed> {
    let known = assets::by_source(&mut room.db.reader().await?, source).await?;
    if let Some(asset) = known {
        // Somebody else sent it meanwhile.
        return Ok(asset);
    }
    kept_whole(room, source, async |id| Box::pin(files(room, sent, id)).await).await
}

/// What is kept of a file of this SHA-256, whose files are stored by `storing`: whole, or nothing.
pub(super) async fn kept_whole(
    room: &Room,
    source: &str,
    storing: impl AsyncFnOnce(Id) -> Result<Asset, Failed>,
) -> Result<Asset, Failed> {
    let (id, now) = (room.db.next_id().await?, room.db.clock().now());
    quietly(&room.db, move |tx| assets::begin(tx, id, now).boxed()).await?;
    // Whatever the processor does meanwhile.
    let patience = Duration::from_secs(2 * room.config.max_seconds);
    let outcome = tokio::time::timeout(patience, storing(id)).await;
    let outcome = outcome.unwrap_or(Err(Failed::Late));
    let now = room.db.clock().now();
    let kept = match outcome {
        Ok(asset) => match keep(room, &asset, source, now).await {
            // Another has kept the same at the same moment.
            Err(DbError::Unique) => keep(room, &asset, source, now).await,
            kept => kept,
        }
        .map_err(Failed::Data),
        Err(failed) => Err(failed),
    };
    match kept {
        Ok(kept) => kept.ok_or(Failed::Lost),
        Err(failed) => {
            let leaving = quietly(&room.db, move |tx| assets::leave(tx, id, now).boxed());
            if let Err(error) = leaving.await {
                tracing::debug!(%error, "what was begun of a picture stays for an hour");
            }
            Err(failed)
        }
    }
}

async fn keep(
    room: &Room,
    asset: &Asset,
    source: &str,
    now: Timestamp,
) -> Result<Option<Asset>, DbError> {
    let (asset, source) = (asset.clone(), source.to_owned());
    quietly(&room.db, move |tx| async move { assets::keep(tx, asset, &source, now).await }.boxed())
        .await
}

/// Has the files made, and stores them as they come.
async fn files(room: &Room, sent: &Sent, id: Id) -> Result<Asset, Failed> {
    let order = Order { bytes: sent.bytes, limits: room.config.limits() };
    let mut process = Process::start(&room.program, &order).await?;
    let mut content = sent.content(&room.blobs).await?;
    while let Some(piece) = content.next().await {
        process.feed(&piece?).await?;
    }
    let probe = process.probe().await?;
    room.tell_of_kernel(&process);
    let _memory: OwnedSemaphorePermit = room.memory(probe.memory).await?;
    process.go(probe.memory).await?;
    let pixels = u64::from(probe.width) * u64::from(probe.height);
    let mut most = most_bytes(pixels, sent.bytes);
    let mut files = Vec::with_capacity(FILES);
    let looks = loop {
        match process.next().await? {
            Next::Made(looks) => break looks,
            Next::File(head) => {
                let mut writer = room.blobs.write(&key(id, files.len()), most).await?;
                while let Some(piece) = process.piece().await? {
                    writer.write(&piece).await?;
                }
                let file = stored(head, writer).await?;
                most = most.saturating_sub(file.bytes);
                files.push(file);
            }
        }
    };
    let whole = files.first().filter(|file| file.size == MAIN);
    let whole = whole.ok_or_else(|| Ended::Crashed("it made no whole picture".to_owned()))?;
    let [red, green, blue] = looks.color;
    Ok(Asset {
        id,
        sha256: whole.sha256.clone(),
        kind: whole.kind,
        width: probe.width,
        height: probe.height,
        frames: probe.frames,
        color: format!("#{red:02x}{green:02x}{blue:02x}"),
        files,
    })
}

/// The most bytes that all files of a picture have together: the whole one is no longer than its pixels, or twice what was
/// sent, and so are the others.
pub(super) const fn most_bytes(pixels: u64, sent: u64) -> u64 {
    2 * (pixels * DEEPEST + 2 * sent + ASIDE)
}

async fn stored(head: FileHead, writer: BlobWriter) -> Result<Made, BlobError> {
    let blob = writer.finish().await?;
    let FileHead { size, kind, width, height, .. } = head;
    Ok(Made { size, kind, width, height, bytes: blob.bytes, sha256: hex(&blob.sha256) })
}

impl Room {
    /// So much of the memory for pixels, when there is so much: in the order of asking.
    async fn memory(&self, bytes: u64) -> Result<OwnedSemaphorePermit, Failed> {
        // No more than there is at all was let through.
        let parts = u32::try_from(bytes.div_ceil(PART)).unwrap_or(u32::MAX);
        let permits = Arc::clone(&self.memory).acquire_many_owned(parts).await;
        permits.map_err(|_| Failed::Late)
    }

    /// Says once what this kernel can't do.
    fn tell_of_kernel(&self, process: &Process) {
        if !process.is_confined() && !self.told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "this kernel has no Landlock: the processes of pictures are kept from files and networks by limits alone"
            );
        }
    }

    fn count(&self, outcome: &str) {
        self.outcomes.with_label_values(&[crate::SERVICE.name, outcome]).inc();
    }
}
