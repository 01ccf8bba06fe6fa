//! When a certificate is asked for: when it is due, on one gateway at a time, and not too often.

use std::time::{Duration, Instant};

use panel_kernel::data::Lease;
use panel_kernel::supervision::Backoff;
use panel_kernel::time::Timestamp;

use super::order::{Issued, OrderError};
use super::store::{self, Failures, Stored};
use super::{Acme, Known};

/// Between two looks whether it is due.
const LOOK: Duration = Duration::from_millis(500);
/// How long an order may take in all.
const ORDER: Duration = Duration::from_secs(180);
/// How long the lease is held: longer than an order takes.
const LEASE: Duration = Duration::from_secs(300);
/// The longest pause after a failure.
const LONGEST: Duration = Duration::from_secs(6 * 3_600);
/// The shortest after the authority has said that it is asked too often.
const TOO_OFTEN: Duration = Duration::from_secs(3_600);
/// How much is kept of what went wrong, in characters.
const SAID: usize = 500;

/// Sees to it that there is a certificate, for as long as this gateway lives.
pub(super) async fn run(acme: Acme) -> Result<(), String> {
    // Where it could not be written down what came of it: this node asks no more often than that.
    let mut not_before = Instant::now();
    loop {
        if Instant::now() >= not_before && acme.is_due() {
            match Box::pin(acme.turn()).await {
                // What came of it is written down.
                Ok(()) => {}
                Err(error) => {
                    not_before = Instant::now() + acme.0.config.retry.0;
                    // The keeper reports an outage.
                    if !matches!(&error, OrderError::Database(error) if error.is_outage()) {
                        tracing::warn!(%error, "no certificate was asked for");
                    }
                }
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

impl Acme {
    /// Whether one is to be asked for, as far as is known.
    fn is_due(&self) -> bool {
        let known = self.0.known.lock();
        is_due(&known, self.0.site.validity(), self.0.clock.now())
    }

    /// Asks for one, if it is this gateway's turn, and writes down what came of it.
    async fn turn(&self) -> Result<(), OrderError> {
        let Some(lease) = self.0.upkeep.leases.acquire("acme", LEASE).await? else {
            return Ok(());
        };
        // Another may have been issued one meanwhile, or have failed.
        self.look().await?;
        if !self.is_due() {
            return Ok(());
        }
        let failures = self.0.known.lock().failures.clone();
        let names = &self.0.which.names;
        tracing::info!(names, directory = self.0.which.directory, "a certificate is asked for");
        let ordered = Box::pin(self.order(&lease, failures.count));
        let ordered = tokio::time::timeout(ORDER, ordered).await;
        let ordered = ordered
            .unwrap_or_else(|_| Err(OrderError::Own("the authority takes too long".to_owned())));
        let kept = match ordered {
            Ok(issued) => self.keep(&lease, &issued).await,
            Err(error) => Err(error),
        };
        match kept {
            Ok(()) => Ok(()),
            Err(error @ OrderError::Database(_)) => Err(error),
            Err(error) => self.fail(lease, &failures, &error).await,
        }
    }

    /// Keeps what was issued, for all gateways, and puts it in force here.
    async fn keep(&self, lease: &Lease, issued: &Issued) -> Result<(), OrderError> {
        let sealed_key = self.0.seal.seal(&self.context(), issued.key.as_bytes());
        let sealed_key = sealed_key.map_err(|error| OrderError::Own(error.to_string()))?;
        let (chain, issued_at) = (issued.chain.clone(), self.0.clock.now());
        let stored = Stored { chain, sealed_key, issued_at };
        let (which, kept, lease) = (self.0.which.clone(), stored.clone(), lease.clone());
        let keeping = self.0.upkeep.db.transact(move |tx| {
            Box::pin(async move {
                lease.fence(tx).await?;
                store::keep_certificate(tx, &which, &kept).await
            })
        });
        keeping.await?;
        // Before anybody is shown it.
        self.0.orders.with_label_values(&["issued"]).inc();
        self.take(&stored).await.map_err(OrderError::Own)?;
        let mut known = self.0.known.lock();
        known.failures = Failures::default();
        known.is_wanted = false;
        drop(known);
        if let Some((_, not_after)) = self.0.site.validity() {
            tracing::info!(names = self.0.which.names, %not_after, "a certificate was issued");
        }
        Ok(())
    }

    /// Writes down that it failed, and when to try again.
    async fn fail(
        &self,
        lease: Lease,
        before: &Failures,
        error: &OrderError,
    ) -> Result<(), OrderError> {
        self.0.orders.with_label_values(&["failed"]).inc();
        let count = before.count.saturating_add(1);
        let backoff = Backoff { first: self.0.config.retry.0, most: LONGEST };
        let mut pause = backoff.wait(count);
        if error.is_too_often() {
            pause = pause.max(TOO_OFTEN);
        }
        // Not all at the same moment, of those whom the authority has refused at one.
        let next_at = self.0.clock.now().plus(pause.mul_f64(1.0 + rand::random::<f64>() / 10.0));
        let said: String = error.to_string().chars().take(SAID).collect();
        tracing::error!(
            names = self.0.which.names,
            why = said,
            failures = count,
            %next_at,
            "no certificate was issued"
        );
        let failures = Failures { count, next_at: Some(next_at), said };
        self.0.known.lock().failures = failures.clone();
        let which = self.0.which.clone();
        let keeping = self.0.upkeep.db.transact(move |tx| {
            Box::pin(async move {
                lease.fence(tx).await?;
                store::keep_failures(tx, &which, &failures).await
            })
        });
        Ok(keeping.await?)
    }
}

/// Whether one is due: there is none, two thirds of its life are over, or somebody wants another; and it was not
/// tried just now.
fn is_due(known: &Known, validity: Option<(Timestamp, Timestamp)>, now: Timestamp) -> bool {
    let is_old = validity.is_none_or(|(from, to)| now >= from.plus(from.until(to) * 2 / 3));
    known.has_looked
        && (is_old || known.is_wanted)
        && known.failures.next_at.is_none_or(|next_at| next_at <= now)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3_600);

    #[test]
    fn it_is_due_at_two_thirds_of_its_life() {
        let from = Timestamp::from_seconds(1_800_000_000);
        let validity = Some((from, from.plus(DAY * 90)));
        let known = Known { has_looked: true, ..Known::default() };
        assert!(is_due(&known, None, from));
        assert!(!is_due(&Known::default(), None, from), "nobody has looked yet");
        assert!(!is_due(&known, validity, from.plus(DAY * 60).minus(Duration::from_secs(1))));
        assert!(is_due(&known, validity, from.plus(DAY * 60)));
        assert!(is_due(&Known { is_wanted: true, ..known.clone() }, validity, from));
        let failures = Failures { next_at: Some(from.plus(DAY)), ..Failures::default() };
        let failed = Known { failures, ..known };
        assert!(!is_due(&failed, None, from));
        assert!(is_due(&failed, None, from.plus(DAY)));
    }
}
