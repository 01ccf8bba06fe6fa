//! Tells Redis what was taken of which bucket, and learns what others took.
//!
//! Failure: reports that Redis did not answer are given up; the nodes then know less of each
//! other for that moment. A reporter that dies is restarted and reports what is left.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use panel_kernel::redis::{Cmd, Redis, Unavailable, cmd};
use panel_kernel::supervision::Address;
use panel_kernel::time::Clock;
use parking_lot::Mutex;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use ractor_cluster::RactorMessage;

use super::Entry;

/// Buckets in one command.
const BATCH: usize = 128;
/// Between two rounds of reports. The first after a silence goes at once.
const PAUSE: Duration = Duration::from_millis(20);
/// Buckets that wait to be reported, at most; what is taken of others is not told.
const MOST_WAITING: usize = 16_384;

/// Adds what was taken to each bucket, by Redis's own clock, and answers how far each is from
/// full, in microseconds. A bucket is kept until it is full, which is what no key means.
/// KEYS: buckets. ARGV: per bucket, microseconds to add, and the most it may be from full.
const SCRIPT: &str = r"
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local ahead = {}
for i, key in ipairs(KEYS) do
  local full = math.max(tonumber(redis.call('GET', key)) or 0, now) + ARGV[2 * i - 1]
  full = math.min(full, now + ARGV[2 * i])
  redis.call('SET', key, string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000) + 1)
  ahead[i] = full - now
end
return ahead";

/// What is to be reported.
pub(super) struct Reports {
    redis: Redis,
    waiting: Mutex<Vec<Arc<Entry>>>,
    /// Whether the reporter will look at the list anyway.
    scheduled: AtomicBool,
    reporter: Address<ReporterMessage>,
}

impl Reports {
    pub(super) fn new(redis: Redis) -> Self {
        Self {
            redis,
            waiting: Mutex::default(),
            scheduled: AtomicBool::new(false),
            reporter: Address::new(),
        }
    }

    pub(super) fn has_redis(&self) -> bool {
        self.redis.health() != panel_kernel::redis::RedisHealth::NotConfigured
    }

    /// Whether anybody wants to hear what is taken.
    pub(super) fn wanted(&self) -> bool {
        self.redis.is_up()
    }

    /// Has an entry reported of which something was taken since it was last.
    pub(super) fn add(&self, entry: Arc<Entry>) {
        let mut waiting = self.waiting.lock();
        if waiting.len() >= MOST_WAITING {
            drop(waiting);
            entry.held.lock().unreported = 0;
            return;
        }
        waiting.push(entry);
        drop(waiting);
        if !self.scheduled.swap(true, Ordering::AcqRel) {
            // Without a reporter the entries wait for its next life.
            let absent = self.reporter.send(ReporterMessage::Report).is_err();
            self.scheduled.fetch_and(!absent, Ordering::AcqRel);
        }
    }

    fn next_batch(&self) -> Vec<(Arc<Entry>, u32)> {
        let mut waiting = self.waiting.lock();
        let rest = waiting.len().saturating_sub(BATCH);
        let batch = waiting.split_off(rest);
        drop(waiting);
        let taken = |entry: Arc<Entry>| {
            let taken = std::mem::take(&mut entry.held.lock().unreported);
            (entry, taken)
        };
        batch.into_iter().map(taken).collect()
    }

    async fn report(&self, batch: &[(Arc<Entry>, u32)], clock: &Clock) -> Result<(), Unavailable> {
        let answer: Vec<i64> = self.redis.query(&command(batch)).await?;
        let now = clock.now();
        for ((entry, _), ahead) in batch.iter().zip(answer) {
            let mut held = entry.held.lock();
            // What was taken meanwhile is not in the answer.
            let since = i64::from(held.unreported).saturating_mul(entry.policy.quota.interval);
            held.bucket.learn(entry.policy.quota, now, ahead.saturating_add(since));
        }
        Ok(())
    }
}

fn command(batch: &[(Arc<Entry>, u32)]) -> Cmd {
    let mut command = cmd("EVAL");
    command.arg(SCRIPT).arg(batch.len());
    for (entry, _) in batch {
        command.arg(format!("panel:limit:{}:{}", entry.policy.name(), entry.client));
    }
    for (entry, taken) in batch {
        let micros = i64::from(*taken).saturating_mul(entry.policy.quota.interval);
        command.arg(micros).arg(entry.policy.quota.most_ahead());
    }
    command
}

/// What the reporter is told.
#[derive(Debug, RactorMessage)]
pub(super) enum ReporterMessage {
    /// Something was taken, or the pause is over.
    Report,
}

pub(super) struct Reporter {
    pub(super) reports: Arc<Reports>,
    pub(super) clock: Clock,
}

impl Actor for Reporter {
    type Msg = ReporterMessage;
    type State = ();
    type Arguments = ();

    async fn pre_start(
        &self,
        myself: ActorRef<ReporterMessage>,
        (): (),
    ) -> Result<(), ActorProcessingErr> {
        self.reports.scheduled.store(true, Ordering::Release);
        self.reports.reporter.announce(&myself);
        myself.send_message(ReporterMessage::Report)?;
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<ReporterMessage>,
        ReporterMessage::Report: ReporterMessage,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        let reports = &self.reports;
        // Those there are now: what comes meanwhile is for the next round.
        let batches = reports.waiting.lock().len().div_ceil(BATCH);
        for _ in 0..batches {
            let batch = reports.next_batch();
            // That Redis is down was logged where it was noticed. The other batches are taken
            // off the list all the same, and cost nothing.
            let _ = reports.report(&batch, &self.clock).await;
        }
        if batches > 0 {
            drop(myself.send_after(PAUSE, || ReporterMessage::Report));
            return Ok(());
        }
        reports.scheduled.store(false, Ordering::Release);
        // Whoever added something just before found it scheduled.
        let late = !reports.waiting.lock().is_empty();
        if late && !reports.scheduled.swap(true, Ordering::AcqRel) {
            myself.send_message(ReporterMessage::Report)?;
        }
        Ok(())
    }
}
