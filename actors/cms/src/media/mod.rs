//! Pictures: what is made of a file that somebody sent, and what goes again.
//!
//! ```text
//! media                the tree of this room
//! ├── worker_1 …       each makes one picture at a time, in a process of its own (`panel_pictures`)
//! └── sweeper          removes what was made and nobody has
//! ```
//!
//! A request that brings a picture waits for a worker; so many may wait. What is begun goes on to its end, also where
//! nobody waits any more: whoever sends the file again has it at once. What all workers together may need for pixels is
//! bounded (`cms.media.memory_bytes`), so many small pictures are made side by side, and a large one alone.
//!
//! What fails, and what it costs:
//!
//! - a picture's **process** is killed: its picture is made again, in another. It breaks over a picture, or needs more
//!   than it may: that picture is refused.
//! - a **worker** ends: what it was at is made again by another.
//! - the **node** ends: who waited sends the file again. What was half made is removed by any node, after an hour.
//! - the **sweeper** ends: things stay a little longer.
//! - the **blob store** is down: pictures that are sent are refused (503), those that are there are not shown.
//!
//! | file | |
//! |---|---|
//! | `adopting` | what comes from files on this machine, by a command |
//! | `desk` | where pictures wait |
//! | `worker` | the actor |
//! | `making` | one picture, from the file to what is kept |
//! | `sweeper` | the actor that tidies up |

mod adopting;
mod desk;
mod making;
mod sweeper;
mod worker;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use futures::future::BoxFuture;
use moka::sync::Cache;
use panel_kernel::blobs::Blobs;
use panel_kernel::data::{Database, DbError, Tx, chore};
use panel_kernel::http::Sent;
use panel_kernel::ids::{Id, hex};
use panel_kernel::metrics::Metrics;
use panel_kernel::problem::{Kind as ProblemKind, Problem};
use panel_kernel::service::ServiceContext;
use panel_kernel::supervision::{ChildSpec, SupervisorSpec};
use panel_pictures::{Kind, Program, TAKEN};
use prometheus::IntCounterVec;
use tokio::sync::Semaphore;

use crate::config::MediaConfig;
use crate::rules::pictures::Asset;
use crate::store::media::assets;
use desk::Desk;
use sweeper::Sweeper;

/// Files of one picture, at most.
const FILES: usize = 8;
/// How often a picture is begun whose worker, or process, is killed.
const ATTEMPTS: u32 = 3;
/// Names of workers: as many as there can be.
const WORKERS: [&str; 8] = [
    "worker_1", "worker_2", "worker_3", "worker_4", "worker_5", "worker_6", "worker_7", "worker_8",
];
/// How long a file is remembered of which nothing can be made.
const REMEMBERED: Duration = Duration::from_secs(600);
/// Memory is given in such parts, in bytes.
const PART: u64 = 1024 * 1024;

/// Where pictures are made. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Media(Arc<Room>);

/// What workers share.
#[derive(Debug)]
struct Room {
    db: Database,
    blobs: Blobs,
    program: Program,
    config: MediaConfig,
    /// Memory for pixels, in parts.
    memory: Arc<Semaphore>,
    desk: Desk,
    /// What nothing can be made of, for a while: sending it again costs nothing.
    refused: Cache<[u8; 32], Problem>,
    /// Whether somebody was told what this kernel can't do.
    told: AtomicBool,
    outcomes: IntCounterVec,
}

impl Media {
    /// As configured: at most half of the service's workers wait for pictures.
    pub(crate) fn new(context: &ServiceContext, config: &MediaConfig, workers: usize) -> Self {
        let runtime = &context.runtime;
        let places = (context.db.clone(), runtime.blobs.clone());
        let program = Program::at(&runtime.program);
        let waiting = config.waiting.min(workers / 2).max(1);
        Self::of(places, program, config, &runtime.metrics, waiting)
    }

    fn of(
        (db, blobs): (Database, Blobs),
        program: Program,
        config: &MediaConfig,
        metrics: &Metrics,
        waiting: usize,
    ) -> Self {
        let parts = config.memory_bytes.div_ceil(PART);
        Self(Arc::new(Room {
            db,
            blobs,
            program,
            config: config.clone(),
            memory: Arc::new(Semaphore::new(
                usize::try_from(parts).unwrap_or(Semaphore::MAX_PERMITS),
            )),
            desk: Desk::new(waiting),
            refused: Cache::builder().max_capacity(1_024).time_to_live(REMEMBERED).build(),
            told: AtomicBool::new(false),
            outcomes: metrics.pictures.clone(),
        }))
    }

    /// Its tree, below the service's.
    pub(crate) fn child(&self, context: &ServiceContext) -> ChildSpec {
        let path = format!("{}/media", context.path);
        let mut tree = SupervisorSpec::new(path, &context.runtime.tree);
        for name in WORKERS.iter().take(self.0.config.workers()) {
            let room = Arc::clone(&self.0);
            tree = tree.child(ChildSpec::task(name, move || worker::work(Arc::clone(&room))));
        }
        let (db, blobs) = (self.0.db.clone(), self.0.blobs.clone());
        tree.child(chore("sweeper", Sweeper { db, blobs })).into_child("media")
    }

    /// What is taken, and how much of it.
    pub(crate) fn config(&self) -> &MediaConfig {
        &self.0.config
    }

    /// Where files are.
    pub(crate) fn blobs(&self) -> &Blobs {
        &self.0.blobs
    }

    /// Whether a file may be a picture that is taken: before anything is made of it.
    ///
    /// # Errors
    /// 413 and 415.
    pub(crate) fn accepts(&self, bytes: u64, beginning: &[u8]) -> Result<(), Problem> {
        let most = self.0.config.max_bytes;
        if bytes > most {
            return Err(too_long(most));
        }
        let other = || Problem::new(ProblemKind::UnsupportedMediaType, TAKEN);
        Kind::of(beginning).map(drop).ok_or_else(other)
    }

    /// What is made of a file, now or before.
    ///
    /// # Errors
    /// What is wrong with the file, or 503.
    pub(crate) async fn asset_of(&self, sent: Sent, whose: Id) -> Result<Asset, Problem> {
        let source = hex(&sent.sha256);
        let known = assets::by_source(&mut self.0.db.reader().await?, &source).await?;
        if let Some(asset) = known {
            return Ok(asset);
        }
        if let Some(problem) = self.0.refused.get(&sent.sha256) {
            return Err(problem);
        }
        for _ in 0..ATTEMPTS {
            // Its worker may be killed over it.
            if let Some(outcome) = self.0.desk.made(&sent, whose).await? {
                return outcome;
            }
        }
        Err(later())
    }
}

/// Under which key the file with this number lies.
pub(crate) fn key(asset: Id, number: usize) -> String {
    format!("media/{asset}/{number}")
}

/// What is said of a file that is longer than that.
pub(crate) fn too_long(most: u64) -> Problem {
    let detail = format!("a picture has at most {most} bytes");
    Problem::new(ProblemKind::PayloadTooLarge, detail)
}

/// A transaction that no reader hears of.
async fn quietly<T: Send + 'static>(
    db: &Database,
    work: impl for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, DbError>> + Send + 'static,
) -> Result<T, DbError> {
    db.transact(move |tx| {
        tx.makes_nothing_old();
        work(tx)
    })
    .await
}

/// It is nothing about the picture.
fn later() -> Problem {
    Problem::unavailable(crate::SERVICE.name, "pictures are not made now")
}
