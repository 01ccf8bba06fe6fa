//! Puts together what there is of people, on every node that runs the service: whoever claims one first.
//! A claim is good for half a minute, and kept while the work goes on, so that of a node that dies another
//! takes it over, from the beginning; or the node itself, if it is back sooner. The number of the attempt is the claim: one that was given up, and
//! does not know it, can neither keep it nor finish.
//!
//! Failure: what was asked for waits in the database, and comes later.

use std::time::Duration;

use futures::future::BoxFuture;
use panel_kernel::blobs::{BlobError, Blobs};
use panel_kernel::blocking::BlockingPool;
use panel_kernel::data::{Database, DbError, Tx};
use panel_kernel::message::BlobRef;
use panel_kernel::personal::Asking;
use panel_kernel::supervision::Backoff;
use panel_kernel::time::Timestamp;
use prometheus::IntCounterVec;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use ractor_cluster::RactorMessage;

use super::ExportBell;
use super::gathering::{Gathering, Progress, Step, Stopped};
use crate::error::AuthError;
use crate::mail::{Letter, Post};
use crate::rules::exports::DAY;
use crate::store::exports::{self, Claim, Over};
use crate::store::users;

/// How often it looks for what others have left, and for what is over.
const LOOK: Duration = Duration::from_secs(5);
/// How long a claim is good for, and after which part of that it is kept on.
const CLAIM: Duration = Duration::from_secs(30);
const KEEP: Duration = Duration::from_secs(5);
/// How often a question is asked that is not answered, and the waits between; then the attempt is over.
const ASKED: u32 = 7;
const AGAIN: Backoff = Backoff { first: Duration::from_secs(1), most: Duration::from_secs(15) };
/// Before the second attempt; then twice as long each time.
const PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1_800);
/// After which it is given up.
const KEEP_TRYING: Duration = Duration::from_secs(3 * 24 * 3_600);
/// The longest file, in bytes.
const LONGEST: u64 = 4 * 1024 * 1024 * 1024;
/// Those over that are removed at a time.
const AT_ONCE: i64 = 4;

/// What the exporter is told.
#[derive(Debug, RactorMessage)]
pub(crate) enum ExporterMessage {
    /// Somebody wants one, or one is over.
    Look,
    /// The regular look. A tick.
    Tick,
    /// Go on with the one that was begun.
    Step,
}

/// Puts together what there is of people.
#[derive(Debug)]
pub(crate) struct Exporter {
    pub(crate) db: Database,
    pub(crate) asking: Asking,
    pub(crate) blobs: Blobs,
    /// Who claims.
    pub(crate) node: String,
    pub(crate) post: Post,
    pub(crate) bell: ExportBell,
    /// Where archives are compressed.
    pub(crate) computing: BlockingPool,
    /// The address of the site.
    pub(crate) site: String,
    /// How long one can be fetched.
    pub(crate) life: Duration,
    pub(crate) outcomes: IntCounterVec,
}

/// What it is at.
#[derive(Default)]
pub(crate) struct Desk {
    job: Option<Job>,
    /// It was not at any before, in this life.
    is_set: bool,
    /// It has told itself to go on.
    goes_on: bool,
}

/// One that was claimed.
struct Job {
    claim: Claim,
    gathering: Box<Gathering>,
    kept_at: Timestamp,
    /// How often the question that it is at was asked in vain.
    refused: u32,
}

impl Actor for Exporter {
    type Msg = ExporterMessage;
    type State = Desk;
    type Arguments = ();

    async fn pre_start(
        &self,
        myself: ActorRef<ExporterMessage>,
        (): (),
    ) -> Result<Desk, ActorProcessingErr> {
        self.bell.answered_by(&myself);
        myself.send_message(ExporterMessage::Tick)?;
        Ok(Desk::default())
    }

    async fn handle(
        &self,
        myself: ActorRef<ExporterMessage>,
        message: ExporterMessage,
        desk: &mut Desk,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ExporterMessage::Step => {
                desk.goes_on = false;
                if let Some(job) = desk.job.take() {
                    desk.job = self.step(job).await;
                }
                if desk.job.is_none() {
                    // There may be another.
                    self.bell.ring();
                }
            }
            ExporterMessage::Look => self.look(desk).await,
            ExporterMessage::Tick => {
                drop(myself.send_after(LOOK, || ExporterMessage::Tick));
                self.look(desk).await;
            }
        }
        // One question at a time: what else it is told, also to stop, finds its turn in between.
        if let Some(job) = &desk.job
            && !desk.goes_on
        {
            desk.goes_on = true;
            match job.refused {
                0 => myself.send_message(ExporterMessage::Step)?,
                times => {
                    drop(myself.send_after(AGAIN.wait(times), || ExporterMessage::Step));
                }
            }
        }
        Ok(())
    }

    async fn post_stop(
        &self,
        _: ActorRef<ExporterMessage>,
        desk: &mut Desk,
    ) -> Result<(), ActorProcessingErr> {
        if let Some(Job { claim, gathering, .. }) = desk.job.take() {
            // Another node need not wait then; if it can't be given up it expires.
            let (now, progress) = (self.db.clock().now(), gathering.progress().to_json());
            drop(gathering);
            self.leaves_nothing(&claim).await;
            drop(exports::keep(&self.db, &claim, (now, false), progress).await);
        }
        Ok(())
    }
}

impl Exporter {
    async fn look(&self, desk: &mut Desk) {
        self.bell.heard();
        match self.remove_what_is_over().await {
            Ok(()) => {}
            Err(error) if error.is_outage() => {}
            Err(error) => tracing::warn!(%error, "exports that are over can't be removed"),
        }
        if desk.job.is_none() {
            desk.job = match self.begin(&mut desk.is_set).await {
                Ok(job) => job,
                Err(error) if error.is_outage() => None,
                Err(error) => {
                    tracing::warn!(%error, "exports can't be read");
                    None
                }
            };
        }
    }

    /// The files, then the rows.
    async fn remove_what_is_over(&self) -> Result<(), DbError> {
        let now = self.db.clock().now();
        let over = exports::over(&mut self.db.reader().await?, now, AT_ONCE).await?;
        let mut removed = 0;
        for export in &over {
            if self.removes(export).await {
                exports::forget(&self.db, export.id, now.minus(DAY)).await?;
                removed += 1;
            }
        }
        if removed > 0 {
            self.bell.ring();
        }
        Ok(())
    }

    async fn removes(&self, export: &Over) -> bool {
        for key in export.keys() {
            if let Err(error) = self.blobs.remove(&key).await {
                tracing::warn!(export = %export.id, %error, "an export's file can't be removed");
                return false;
            }
        }
        true
    }

    async fn begin(&self, is_set: &mut bool) -> Result<Option<Job>, DbError> {
        let now = self.db.clock().now();
        if !*is_set {
            exports::give_back(&self.db, &self.node, now, now.plus(PAUSE)).await?;
            *is_set = true;
        }
        if self.blobs.trouble().is_some()
            || !exports::is_due(&mut self.db.reader().await?, now).await?
        {
            return Ok(None);
        }
        let times = (now, now.plus(CLAIM));
        let Some(claim) = exports::claim(&self.db, &self.node, times).await? else {
            return Ok(None);
        };
        let writer = match self.blobs.write(&claim.key(), LONGEST).await {
            Ok(writer) => writer,
            Err(error) => {
                self.stopped(&claim, Progress::default(), error.into()).await;
                return Ok(None);
            }
        };
        let whose = (claim.user, self.site.clone(), claim.requested_at);
        let computing = self.computing.clone();
        let gathering = Box::new(Gathering::new(self.asking.clone(), whose, writer, computing));
        Ok(Some(Job { claim, gathering, kept_at: now, refused: 0 }))
    }

    /// Goes on with one; what is left of it to do.
    async fn step(&self, job: Job) -> Option<Job> {
        let Job { claim, gathering, kept_at, refused } = job;
        let before = gathering.progress();
        match gathering.step().await {
            Err(why) => {
                self.stopped(&claim, before, why).await;
                None
            }
            Ok(Step::More(gathering)) => {
                let job = Job { claim, gathering, kept_at, refused: 0 };
                if kept_at.until(self.db.clock().now()) < KEEP {
                    return Some(job);
                }
                self.keep(job, before).await
            }
            Ok(Step::Waits(gathering, why)) if refused + 1 < ASKED => {
                let progress = Progress { waits_for: Some(why.service), ..before };
                self.keep(Job { claim, gathering, kept_at, refused: refused + 1 }, progress).await
            }
            Ok(Step::Waits(gathering, why)) => {
                drop(gathering);
                self.stopped(&claim, before, why.into()).await;
                None
            }
            Ok(Step::Whole(gathering)) => {
                // Nothing is to come into being that nobody waits for any more.
                let job = Job { claim, gathering, kept_at, refused: 0 };
                let Job { claim, gathering, .. } = self.keep(job, before.clone()).await?;
                match gathering.finish().await {
                    Ok((file, progress)) => self.finished(&claim, file, progress).await,
                    Err(why) => self.stopped(&claim, before, why).await,
                }
                None
            }
        }
    }

    /// Keeps the claim; what it is a claim to, if it is one still.
    async fn keep(&self, job: Job, progress: Progress) -> Option<Job> {
        let now = self.db.clock().now();
        let until = (now.plus(CLAIM), true);
        match exports::keep(&self.db, &job.claim, until, progress.to_json()).await {
            Ok(true) => Some(Job { kept_at: now, ..job }),
            // It is good for a while.
            Err(_) if job.kept_at.until(now) < CLAIM / 2 => Some(job),
            Ok(false) | Err(_) => {
                let Job { claim, gathering, .. } = job;
                drop(gathering);
                self.leaves_nothing(&claim).await;
                None
            }
        }
    }

    async fn finished(&self, claim: &Claim, file: BlobRef, progress: Progress) {
        let now = self.db.clock().now();
        let until = now.plus(self.life);
        let (claimed, size) = (claim.clone(), file.bytes);
        let ended = self.end(claim, Letter::ExportReady { until }, move |tx| {
            Box::pin(async move {
                let what = (&file, progress.to_json());
                exports::finish(tx, &claimed, what, (now, until)).await
            })
        });
        match ended.await {
            Some(true) => {
                self.count("ready");
                tracing::info!(export = %claim.id, bytes = size, "an export is ready");
            }
            Some(false) => self.leaves_nothing(claim).await,
            // Perhaps it is ready. If not it is begun anew, and this file goes with the row.
            None => {}
        }
    }

    /// What was written of an attempt that has come to nothing goes at once.
    async fn leaves_nothing(&self, claim: &Claim) {
        if let Err(error) = self.blobs.remove(&claim.key()).await {
            tracing::warn!(export = %claim.id, %error, "what was written goes with the row");
        }
    }

    /// It did not go on: it is tried again, unless that makes no sense.
    async fn stopped(&self, claim: &Claim, progress: Progress, why: Stopped) {
        self.leaves_nothing(claim).await;
        let now = self.db.clock().now();
        let hopeless = matches!(&why, Stopped::Archive(_) | Stopped::Blobs(BlobError::TooLarge(_)))
            || claim.requested_at.until(now) >= KEEP_TRYING;
        let export = claim.id;
        if hopeless {
            tracing::error!(%export, %why, "an export was given up");
            let (claimed, until) = (claim.clone(), now.plus(self.life));
            let ended = self.end(claim, Letter::ExportFailed, move |tx| {
                Box::pin(async move { exports::fail(tx, &claimed, (now, until)).await })
            });
            if ended.await == Some(true) {
                self.count("failed");
            }
            return;
        }
        tracing::warn!(%export, %why, "an export waits");
        self.count("deferred");
        let waits_for = match why {
            Stopped::Service(refused) => Some(refused.service),
            _ => None,
        };
        let progress = Progress { waits_for, ..progress };
        let until = now.plus(pause(claim.attempt));
        let kept = exports::keep(&self.db, claim, (until, false), progress.to_json());
        if let Err(error) = kept.await {
            tracing::debug!(%error, "its claim ends by itself");
        }
    }

    /// Ends one, and tells its owner; whether there was one to end, as far as that is known.
    async fn end(
        &self,
        claim: &Claim,
        letter: Letter,
        how: impl for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<bool, DbError>> + Send + 'static,
    ) -> Option<bool> {
        let mail = self.db.next_id().await.ok()?;
        let (post, user, now) = (self.post.clone(), claim.user, self.db.clock().now());
        let ended = self.db.transact(move |tx| {
            Box::pin(async move {
                let ended = how(tx).await?;
                if ended && let Some(owner) = users::by_id(tx, user).await? {
                    post.send(tx, mail, &owner.recipient(), &letter, now).await?;
                }
                Ok::<_, AuthError>(ended)
            })
        });
        match ended.await {
            Ok(ended) => {
                self.post.ring();
                Some(ended)
            }
            Err(error) => {
                tracing::warn!(export = %claim.id, %error, "an export can't be ended");
                None
            }
        }
    }

    fn count(&self, outcome: &str) {
        self.outcomes.with_label_values(&["auth", outcome]).inc();
    }
}

fn pause(attempts: i64) -> Duration {
    let backoff = Backoff { first: PAUSE, most: LONGEST_PAUSE };
    backoff.wait(u32::try_from(attempts).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_become_longer_up_to_half_an_hour() {
        assert_eq!([1, 2, 3].map(|attempt| pause(attempt).as_secs()), [10, 20, 40]);
        assert_eq!([9, 60, i64::MAX].map(|attempt| pause(attempt).as_secs()), [1_800; 3]);
    }
}
