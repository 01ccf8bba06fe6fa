//! Removes what has expired: remembered answers, delivered facts, old inbox rows, and what the
//! service itself names. In small pieces, so that nobody waits for it.
//!
//! Failure: things stay a little longer; a restarted janitor goes on.

use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use ractor_cluster::RactorMessage;

use super::{Database, DbError, Lease, Leases, sql};
use crate::time::Timestamp;

const PERIOD: Duration = Duration::from_secs(60);
const LEASE: Duration = Duration::from_secs(150);
const PIECE: i64 = 500;
/// Delivered facts stay this long, for replay.
const KEEP_FACTS: Duration = Duration::from_secs(7 * 24 * 3_600);
/// Inbox rows must outlive any possible redelivery.
const KEEP_INBOX: Duration = Duration::from_secs(30 * 24 * 3_600);

/// Rows that go some time after they have expired.
#[derive(Clone, Copy, Debug)]
pub struct Expiry {
    /// Deletes at most `$2` of those that had expired at the moment `$1`, in microseconds since
    /// the epoch. It must find them by an index: it runs every minute.
    pub delete: &'static str,
    /// How long they stay after that.
    pub keep: Duration,
}

// A fact may go when it is old and every consumer that ever asked has had it.
const KERNEL: [Expiry; 3] = [
    Expiry {
        delete: "DELETE FROM idempotency WHERE slot IN \
                 (SELECT slot FROM idempotency WHERE expires_at <= $1 LIMIT $2)",
        keep: Duration::ZERO,
    },
    Expiry {
        // Only the oldest are looked at, so that this touches no more than a piece.
        delete: "DELETE FROM outbox WHERE position IN \
                 (SELECT o.position FROM \
                   (SELECT position, epoch, created_at FROM outbox \
                    ORDER BY position LIMIT $2) AS o \
                  WHERE o.created_at <= $1 AND NOT EXISTS \
                   (SELECT 1 FROM outbox_progress AS p WHERE p.epoch < o.epoch \
                     OR (p.epoch = o.epoch AND p.position < o.position)))",
        keep: KEEP_FACTS,
    },
    Expiry {
        delete: "DELETE FROM inbox WHERE rejected IS NULL AND (source, position) IN \
                 (SELECT source, position FROM inbox WHERE received_at <= $1 \
                   AND rejected IS NULL LIMIT $2)",
        keep: KEEP_INBOX,
    },
];

/// What the janitor is told.
#[derive(Debug, RactorMessage)]
pub enum JanitorMessage {
    /// Time to sweep. A tick.
    Sweep,
}

/// Sweeps one service's database, on one node at a time.
#[derive(Debug)]
pub struct Janitor {
    /// Which.
    pub db: Database,
    /// How the node takes leases.
    pub leases: Leases,
    /// What the service itself lets expire.
    pub expiries: Arc<[Expiry]>,
}

impl Actor for Janitor {
    type Msg = JanitorMessage;
    type State = ();
    type Arguments = ();

    async fn pre_start(
        &self,
        myself: ActorRef<JanitorMessage>,
        (): (),
    ) -> Result<(), ActorProcessingErr> {
        drop(myself.send_after(PERIOD, || JanitorMessage::Sweep));
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<JanitorMessage>,
        JanitorMessage::Sweep: JanitorMessage,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        match self.sweep().await {
            Ok(0) => {}
            Ok(rows) => tracing::debug!(service = self.db.service(), rows, "swept"),
            // The keeper reports an outage; whatever else stands in the way is worth a line.
            Err(error) if error.is_outage() => {}
            Err(error) => tracing::warn!(service = self.db.service(), %error, "sweep failed"),
        }
        drop(myself.send_after(PERIOD, || JanitorMessage::Sweep));
        Ok(())
    }
}

impl Janitor {
    async fn sweep(&self) -> Result<u64, DbError> {
        let Some(lease) = self.leases.acquire("janitor", LEASE).await? else { return Ok(0) };
        sweep(&self.db, &lease, &self.expiries, self.db.clock().now()).await
    }
}

/// Removes everything of the kernel's and of `expiries` that had expired at `now`, in this order;
/// how many rows.
///
/// # Errors
/// [`DbError`]; [`DbError::LeaseLost`] if another node sweeps now.
pub async fn sweep(
    db: &Database,
    lease: &Lease,
    expiries: &[Expiry],
    now: Timestamp,
) -> Result<u64, DbError> {
    let mut removed = 0;
    for Expiry { delete, keep } in KERNEL.iter().chain(expiries).copied() {
        let before = now.minus(keep);
        loop {
            let lease = lease.clone();
            let rows: u64 = db
                .transact(move |tx| {
                    Box::pin(async move {
                        lease.fence(tx).await?;
                        tx.execute(sql(delete).bind(before).bind(PIECE)).await
                    })
                })
                .await?;
            removed += rows;
            if rows < PIECE.unsigned_abs() {
                break;
            }
        }
    }
    Ok(removed)
}
