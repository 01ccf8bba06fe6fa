//! Pictures that come from files on this machine, by a command: made of them as of any that is sent, or, where this program
//! has made them elsewhere, taken as they are.

use std::path::PathBuf;

use panel_kernel::blobs::BlobError;
use panel_kernel::data::Database;
use panel_kernel::http::Sent;
use panel_kernel::ids::{Id, hex};
use panel_kernel::local_file::LocalFile;
use panel_kernel::metrics::Metrics;
use panel_kernel::problem::{Kind as ProblemKind, Problem};
use panel_kernel::service::ITSELF;
use panel_pictures::{Kind, Limits, MAIN, Order, Probe, Process, Program, WIDTHS};

use super::making::{self, Failed};
use super::{FILES, Media, Room, key};
use crate::config::MediaConfig;
use crate::rules::pictures::{Asset, Made};
use crate::store::media::assets;

/// More than any decoder takes for a pixel, in bytes.
const DEEPEST: u64 = 64;

impl Media {
    /// For an administrative command. It has no tree: pictures are made one after the other.
    pub(crate) fn aside(
        (db, blobs): (&Database, &panel_kernel::blobs::Blobs),
        config: &MediaConfig,
        metrics: &Metrics,
    ) -> Self {
        Self::of((db.clone(), blobs.clone()), Program::at(ITSELF.as_ref()), config, metrics, 1)
    }

    /// What is made of a file, now or before.
    ///
    /// # Errors
    /// What is wrong with it; [`ProblemKind::Unavailable`] if it is nothing about the file.
    pub(crate) async fn made_of(&self, file: &mut LocalFile) -> Result<Asset, Problem> {
        let room = &self.0;
        self.accepts(file.bytes, &file.beginning)?;
        let known = assets::by_source(&mut room.db.reader().await?, &hex(&file.sha256)).await?;
        if let Some(asset) = known {
            return Ok(asset);
        }
        if let Some(problem) = room.refused.get(&file.sha256) {
            return Err(problem);
        }
        let mut upload = room.blobs.receive(file.bytes).await?;
        while let Some(piece) = file.piece().await.map_err(|error| unread(&error))? {
            upload.write(&piece).await?;
        }
        let blob = upload.finish().await?;
        let sent = Sent::alone(blob.clone());
        let made = Box::pin(making::made(room, &sent)).await;
        // What stays goes with other uploads, after a day.
        drop(room.blobs.remove(&blob.key).await);
        made
    }

    /// Takes in a picture with all its likenesses, as they were made elsewhere. Each is looked at: it is what it is said to
    /// be, and no larger than is taken here.
    ///
    /// # Errors
    /// What is wrong with it; [`ProblemKind::Unavailable`] if it is nothing about the files.
    pub(crate) async fn adopt(&self, told: &Asset, files: &[PathBuf]) -> Result<Asset, Problem> {
        let room = &self.0;
        let known = assets::by_content(&mut room.db.reader().await?, &told.sha256).await?;
        if let Some(asset) = known {
            return Ok(asset);
        }
        is_whole(told, files.len()).map_err(refused)?;
        let most = most_bytes(&room.config, told);
        if told.files.iter().any(|file| file.bytes > most) {
            return Err(refused("its files are too long for a picture of its size".to_owned()));
        }
        let mut opened = Vec::with_capacity(files.len());
        let mut whole = None;
        for (made, path) in told.files.iter().zip(files) {
            let mut file = self.open(made, path).await?;
            let probe = Box::pin(probed(room, &mut file)).await?;
            if (probe.kind, probe.width, probe.height) != (made.kind, made.width, made.height) {
                return Err(refused(format!("{} is another picture", path.display())));
            }
            whole.get_or_insert(probe);
            opened.push(file);
        }
        let frames = whole.map_or(1, |probe| probe.frames);
        if frames != told.frames {
            return Err(refused("it moves otherwise than is said".to_owned()));
        }
        let stored = making::kept_whole(room, &told.sha256, async |id| {
            let asset = Asset { id, ..told.clone() };
            for (number, file) in opened.iter_mut().enumerate() {
                copied(room, (id, number), file).await?;
            }
            Ok(asset)
        });
        Box::pin(stored).await.map_err(|failed| making::explained(failed).1)
    }

    async fn open(&self, made: &Made, path: &std::path::Path) -> Result<LocalFile, Problem> {
        let name = || path.display();
        let file = LocalFile::open(path, made.bytes).await;
        let file = file.map_err(|error| refused(format!("{}: {error}", name())))?;
        if file.bytes != made.bytes || hex(&file.sha256) != made.sha256 {
            return Err(refused(format!("{} is not the file that was written", name())));
        }
        if Kind::of(&file.beginning) != Some(made.kind) {
            return Err(refused(format!("{} is no {}", name(), made.kind.extension())));
        }
        Ok(file)
    }
}

fn refused(detail: String) -> Problem {
    Problem::new(ProblemKind::Validation, detail)
}

fn unread(error: &std::io::Error) -> Problem {
    tracing::debug!(%error, "a file can't be read");
    Problem::new(ProblemKind::Validation, "it can't be read")
}

/// As much as is taken of a file that is made here.
fn most_bytes(config: &MediaConfig, told: &Asset) -> u64 {
    let pixels = u64::from(told.width).saturating_mul(u64::from(told.height));
    making::most_bytes(pixels.min(config.max_pixels), config.max_bytes)
}

/// Whether it has the files that a picture of this site has.
fn is_whole(told: &Asset, files: usize) -> Result<(), String> {
    let is_color = told.color.len() == 7
        && told.color.starts_with('#')
        && told.color.bytes().skip(1).all(|b| b.is_ascii_hexdigit());
    let Some(main) = told.files.first() else { return Err("it has no files".to_owned()) };
    let is_main = main.size == MAIN
        && (&main.sha256, main.kind) == (&told.sha256, told.kind)
        && (main.width, main.height) == (told.width, told.height);
    let likenesses = &told.files[1..];
    let is_size = |file: &Made| {
        file.size == file.width && (WIDTHS.contains(&file.size) || file.size == told.width)
    };
    let appears_once = |file: &&Made| {
        told.files.iter().filter(|it| (it.size, it.kind) == (file.size, file.kind)).count() == 1
    };
    let is_one =
        likenesses.iter().all(is_size) && told.files.iter().all(|file| appears_once(&file));
    if files > FILES || !(is_color && is_main && is_one) {
        return Err("its files are not those of a picture".to_owned());
    }
    Ok(())
}

/// What a file is, as its own process sees it.
async fn probed(room: &Room, file: &mut LocalFile) -> Result<Probe, Problem> {
    // Nothing is decoded: what that would take of memory is nobody's concern.
    let most = room.config.max_pixels.saturating_mul(DEEPEST);
    let limits = room.config.limits();
    let limits = Limits { memory: limits.memory.max(most), ..limits };
    let order = Order { bytes: file.bytes, limits };
    let probing = async {
        let mut process = Process::start(&room.program, &order).await?;
        while let Some(piece) = file.piece().await? {
            process.feed(&piece).await?;
        }
        process.probe().await
    };
    let probe = probing.await.map_err(|ended| making::explained(Failed::Process(ended)).1)?;
    file.rewind().await.map_err(|error| unread(&error))?;
    Ok(probe)
}

async fn copied(
    room: &Room,
    (id, number): (Id, usize),
    file: &mut LocalFile,
) -> Result<(), Failed> {
    let mut writer = room.blobs.write(&key(id, number), file.bytes).await?;
    while let Some(piece) = file.piece().await.map_err(BlobError::from)? {
        writer.write(&piece).await?;
    }
    let blob = writer.finish().await?;
    if blob.sha256 == file.sha256 { Ok(()) } else { Err(Failed::Lost) }
}
