//! Sends purges to the CDN, one request after the other, again and again until they are taken.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use panel_kernel::supervision::Backoff;

use super::Cdn;
use super::pending::Sent;
use super::provider::Verdict;

/// The longest pause after failures, if the CDN does not say otherwise.
const LONGEST: Duration = Duration::from_secs(300);
/// Between two times that it is measured how long something waits.
const MEASURE: Duration = Duration::from_secs(1);
/// After so many failures in a row it is trouble.
const TROUBLE: u32 = 2;

/// Purges at the CDN, for as long as this gateway lives.
pub(super) async fn run(cdn: Cdn) -> Result<(), String> {
    if cdn.0.has_run.swap(true, Ordering::AcqRel) {
        // What was on its way with the life before this one nobody knows.
        cdn.0.purges.everything();
    } else if cdn.0.lease.is_none() {
        cdn.0.purges.begin();
    }
    let mut failures = 0;
    let mut not_before = Instant::now();
    loop {
        let batch = cdn.next(not_before).await;
        let verdict = cdn.send(&batch).await;
        cdn.0.purges.settle(&batch, verdict == Verdict::Taken);
        let pause = cdn.judge(&verdict, &mut failures);
        not_before = Instant::now() + pause;
    }
}

impl Cdn {
    /// What is to be sent, once something is.
    async fn next(&self, not_before: Instant) -> Vec<Sent> {
        let purges = &self.0.purges;
        loop {
            self.measure();
            let now = Instant::now();
            let due = purges.next_due().map(|due| due.max(not_before));
            let pause = match due {
                Some(due) if due <= now => {
                    let batch = purges.take(self.0.provider.most());
                    if !batch.is_empty() {
                        return batch;
                    }
                    continue;
                }
                Some(due) => MEASURE.min(due.saturating_duration_since(now)),
                None => MEASURE,
            };
            tokio::select! {
                () = purges.told() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn send(&self, batch: &[Sent]) -> Verdict {
        match self.0.provider.request(batch, self.0.clock.now()) {
            Ok(request) => match self.0.outbound.send(request).await {
                Ok(answer) => self.0.provider.verdict(&answer),
                Err(error) => Verdict::Failed(error.to_string(), None),
            },
            Err(why) => Verdict::Refused(why),
        }
    }

    /// Says what came of it, and for how long the CDN is to be left alone.
    fn judge(&self, verdict: &Verdict, failures: &mut u32) -> Duration {
        let (result, why, wait) = match verdict {
            Verdict::Taken => ("taken", "", None),
            Verdict::Limited(wait) => ("limited", "429", *wait),
            Verdict::Refused(why) => ("refused", why.as_str(), Some(LONGEST)),
            Verdict::Failed(why, wait) => ("failed", why.as_str(), *wait),
        };
        self.0.requests.with_label_values(&[result]).inc();
        if *verdict == Verdict::Taken {
            if std::mem::take(failures) > 0 {
                tracing::info!("the CDN takes purges again");
            }
            *self.0.trouble.lock() = None;
            return Duration::ZERO;
        }
        // Not all at the same moment, of those who were refused at one.
        *failures = failures.saturating_add(1);
        let backoff = Backoff { first: self.0.retry, most: LONGEST.max(self.0.retry) };
        let pause = backoff.wait(*failures).mul_f64(1.0 + rand::random::<f64>() / 4.0);
        let pause = pause.max(wait.unwrap_or_default());
        let seconds = pause.as_secs_f64();
        if result == "refused" {
            *self.0.trouble.lock() = Some("purges are refused: see the log");
            tracing::error!(why, seconds, "the CDN refuses purges: see gateway.cdn");
        } else {
            if *failures >= TROUBLE {
                *self.0.trouble.lock() = Some("purges are not taken");
            }
            tracing::warn!(why, seconds, failures = *failures, "the CDN has not taken purges");
        }
        pause
    }

    /// How much waits, and for how long.
    fn measure(&self) {
        let (unsent, oldest) = self.0.purges.waiting();
        self.0.pending.set(i64::try_from(unsent).unwrap_or(i64::MAX));
        let age = oldest.map(|oldest| oldest.elapsed()).unwrap_or_default();
        self.0.oldest.set(age.as_secs_f64());
    }
}
