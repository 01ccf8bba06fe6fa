//! Makes pictures, one after the other.
//!
//! Failure: what it was at is made again by another worker, or by the next life of this one.

use std::sync::Arc;

use super::Room;
use super::making;

/// Works until the node ends.
pub(super) async fn work(room: Arc<Room>) -> Result<(), String> {
    while let Some(job) = room.desk.next().await {
        let outcome = making::made(&room, &job.sent).await;
        // Who has gone meanwhile finds it when they come again.
        drop(job.tell.send(outcome));
    }
    Ok(())
}
