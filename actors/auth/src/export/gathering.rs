//! One export: every service is asked for what it has, one page at a time, and each page is in the blob
//! store, or on its way there, before the next is asked for.

use std::collections::{BTreeMap, VecDeque};

use panel_kernel::blobs::{BlobError, BlobWriter};
use panel_kernel::blocking::{BlockingPool, Busy};
use panel_kernel::ids::Id;
use panel_kernel::message::BlobRef;
use panel_kernel::personal::{Asking, Page};
use panel_kernel::problem::Problem;
use panel_kernel::time::Timestamp;
use serde::Serialize;
use zip::result::ZipError;

use super::archive::Archive;

const README: &str = "\
Everything that this site has of you, as it was while this was put together.

Each file holds one kind of record: one record in a line, as JSON. index.json says how many there are of
each. Times are UTC. What others wrote, and what the site keeps of you to keep itself safe (hashes of your
password and keys), is not in here.
";

/// Why it can't go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stopped {
    /// A service could not be asked, for too long.
    #[error(transparent)]
    Service(#[from] Refused),
    /// The blob store takes nothing.
    #[error(transparent)]
    Blobs(#[from] BlobError),
    /// A fault of ours.
    #[error("the archive can't be written: {0}")]
    Archive(#[from] ZipError),
    /// There is nobody to compute.
    #[error(transparent)]
    Busy(#[from] Busy),
}

/// A service can't be asked now.
#[derive(Debug, thiserror::Error)]
#[error("{service} can't be asked: {why}")]
pub(super) struct Refused {
    /// Which.
    pub(super) service: &'static str,
    why: String,
}

impl Refused {
    fn of(service: &'static str, problem: Problem) -> Self {
        Self { service, why: problem.detail }
    }
}

/// How far it is: records by service and kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Progress {
    /// What is in it so far.
    pub(super) records: BTreeMap<&'static str, BTreeMap<String, u64>>,
    /// Services that are still to be asked, or to be asked on.
    pub(super) left: Vec<&'static str>,
    /// Who could not be asked, the last time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) waits_for: Option<&'static str>,
}

impl Progress {
    /// As it is kept.
    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[derive(Serialize)]
struct Index<'a> {
    site: &'a str,
    account: Id,
    requested_at: Timestamp,
    records: &'a BTreeMap<&'static str, BTreeMap<String, u64>>,
}

/// What is asked for now.
#[derive(Debug)]
enum At {
    /// What there is at the next service.
    Services,
    /// The next kind of records of this one.
    Kinds(&'static str, VecDeque<String>),
    /// The records of this kind after that one; then those kinds.
    Records(&'static str, String, Option<i64>, VecDeque<String>),
}

/// An archive on its way into the blob store.
pub(super) struct Gathering {
    asking: Asking,
    person: Id,
    site: String,
    requested_at: Timestamp,
    services: VecDeque<&'static str>,
    at: At,
    archive: Archive,
    writer: BlobWriter,
    computing: BlockingPool,
    told: BTreeMap<&'static str, BTreeMap<String, u64>>,
}

/// What a step led to.
pub(super) enum Step {
    /// There is more to do.
    More(Box<Gathering>),
    /// The same question is to be asked again.
    Waits(Box<Gathering>, Refused),
    /// Everybody has told everything. The end is still missing.
    Whole(Box<Gathering>),
}

impl Gathering {
    /// For a person, into `writer`.
    pub(super) fn new(
        asking: Asking,
        (person, site, requested_at): (Id, String, Timestamp),
        writer: BlobWriter,
        computing: BlockingPool,
    ) -> Self {
        let services = asking.services().collect();
        let archive = Archive::new();
        let told = BTreeMap::new();
        let at = At::Services;
        Self { asking, person, site, requested_at, services, at, archive, writer, computing, told }
    }

    /// How far it is.
    pub(super) fn progress(&self) -> Progress {
        let current = match &self.at {
            At::Services => None,
            At::Kinds(service, _) | At::Records(service, ..) => Some(*service),
        };
        let left = current.into_iter().chain(self.services.iter().copied()).collect();
        Progress { records: self.told.clone(), left, waits_for: None }
    }

    /// Asks one question, and keeps the answer. Where a service can't be asked, nothing has changed.
    pub(super) async fn step(mut self: Box<Self>) -> Result<Step, Stopped> {
        let at = match std::mem::replace(&mut self.at, At::Services) {
            At::Services => match self.services.pop_front() {
                None => return Ok(Step::Whole(self)),
                Some(service) => match self.asking.kinds(service).await {
                    Ok(kinds) => {
                        self.told.entry(service).or_default();
                        At::Kinds(service, kinds.into())
                    }
                    Err(problem) => {
                        self.services.push_front(service);
                        return Ok(Step::Waits(self, Refused::of(service, problem)));
                    }
                },
            },
            At::Kinds(_, kinds) if kinds.is_empty() => At::Services,
            At::Kinds(service, mut kinds) => {
                let kind = kinds.pop_front().unwrap_or_default();
                self.archive.begin(&format!("{service}/{kind}.jsonl"))?;
                self.told.entry(service).or_default().insert(kind.clone(), 0);
                At::Records(service, kind, None, kinds)
            }
            At::Records(service, kind, after, kinds) => {
                match self.asking.page(service, &kind, self.person, after).await {
                    Ok(page) => {
                        let (records, after) = (page.records.len() as u64, page.after);
                        self = self.keep(page).await?;
                        let of_service = self.told.entry(service).or_default();
                        *of_service.entry(kind.clone()).or_default() += records;
                        match after {
                            Some(after) => At::Records(service, kind, Some(after), kinds),
                            None => At::Kinds(service, kinds),
                        }
                    }
                    Err(problem) => {
                        self.at = At::Records(service, kind, after, kinds);
                        return Ok(Step::Waits(self, Refused::of(service, problem)));
                    }
                }
            }
        };
        self.at = at;
        Ok(Step::More(self))
    }

    /// Adds a page to the archive, and what the archive has become to the blob. Compressing takes a
    /// processor for milliseconds: not on the threads that everybody waits on.
    async fn keep(mut self: Box<Self>, page: Page) -> Result<Box<Self>, Stopped> {
        let mut archive = std::mem::take(&mut self.archive);
        let (kept, piece) = self
            .computing
            .enter()?
            .run(move || {
                for record in &page.records {
                    archive.add(record.get().as_bytes())?;
                    archive.add(b"\n")?;
                }
                let piece = archive.take();
                Ok::<_, ZipError>((archive, piece))
            })
            .await??;
        self.archive = kept;
        self.writer.write(&piece).await?;
        Ok(self)
    }

    /// Adds the end: what is in the store then is the archive, and this is in it.
    pub(super) async fn finish(self: Box<Self>) -> Result<(BlobRef, Progress), Stopped> {
        let progress = self.progress();
        let Self { mut archive, mut writer, site, person, requested_at, .. } = *self;
        let index =
            Index { site: &site, account: person, requested_at, records: &progress.records };
        archive.begin("index.json")?;
        archive.add(&serde_json::to_vec_pretty(&index).unwrap_or_default())?;
        archive.begin("README.txt")?;
        archive.add(README.as_bytes())?;
        writer.write(&archive.finish()?).await?;
        Ok((writer.finish().await?, progress))
    }
}
