//! Removes what is left in a bucket of blobs that were never finished, replaced or removed: a day after, when nobody
//! writes there any more. On one node at a time.
//!
//! Failure: things stay a little longer; a restarted sweeper goes on.

use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};

use super::bucket::Bucket;
use super::{BlobError, store};
use crate::data::{Database, JanitorMessage, Leases};

const PERIOD: Duration = Duration::from_secs(600);
/// Longer than a round takes: of what is due, so much is removed that it fits.
const LEASE: Duration = Duration::from_secs(1_200);
/// How long a round may take.
const ROUND: Duration = Duration::from_secs(900);

/// Sweeps one bucket.
#[derive(Debug)]
pub(super) struct Sweeper {
    pub(super) db: Database,
    pub(super) leases: Leases,
    pub(super) bucket: Bucket,
}

impl Actor for Sweeper {
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
        match tokio::time::timeout(ROUND, Box::pin(self.sweep())).await {
            // Whoever asks the bucket, or the database, says so.
            Ok(Ok(0) | Err(BlobError::Unavailable(_) | BlobError::Busy)) => {}
            Ok(Ok(uploads)) => tracing::debug!(uploads, "the bucket was swept"),
            Ok(Err(error)) => tracing::warn!(%error, "the bucket was not swept"),
            Err(_) => tracing::warn!("sweeping the bucket takes long; it goes on later"),
        }
        drop(myself.send_after(PERIOD, || JanitorMessage::Sweep));
        Ok(())
    }
}

impl Sweeper {
    /// Removes all that is due; of how many uploads.
    async fn sweep(&self) -> Result<usize, BlobError> {
        let mut swept = 0;
        let Some(lease) = self.leases.acquire("sweeper", LEASE).await? else { return Ok(0) };
        loop {
            let now = self.db.clock().now();
            let due = store::left_in_bucket(&mut self.db.reader().await?, now).await?;
            if due.is_empty() {
                return Ok(swept);
            }
            for upload in due {
                self.bucket.clear(&upload).await?;
                let lease = lease.clone();
                let forgetting = self.db.transact(move |tx| {
                    Box::pin(async move {
                        lease.fence(tx).await?;
                        store::forget(tx, &upload).await
                    })
                });
                forgetting.await?;
                swept += 1;
            }
        }
    }
}
