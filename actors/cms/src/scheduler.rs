//! Publishes what is scheduled, when its time has come.
//!
//! On every node that runs the service, and no lease among them: which node publishes an article is decided by the row
//! itself, which only one transaction finds scheduled. A lease would have to outlive the pauses of whoever holds it, and
//! what is due would wait for that when its node dies; this way another node publishes it at its next look.
//!
//! Failure: things are published by other nodes, or as soon as it is back.

use std::time::Duration;

use futures::FutureExt as _;
use panel_kernel::data::{Chore, Database, DbError, OwnAct, Tx, chore};
use panel_kernel::ids::Id;
use panel_kernel::supervision::ChildSpec;
use panel_kernel::time::Timestamp;

use crate::SERVICE;
use crate::rules::Status;
use crate::settling::{action, settle, summary};
use crate::store::articles::{self, Article};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(250);
/// Articles that are read at a time, and how often in one look: what else it is told finds its turn in between.
const MOST: i64 = 20;
const PAGES: usize = 10;

/// The actor, as a child of the service.
pub(crate) fn child(db: &Database) -> ChildSpec {
    chore("scheduler", Scheduler { db: db.clone() })
}

#[derive(Clone)]
struct Scheduler {
    db: Database,
}

impl Chore for Scheduler {
    const EVERY: Duration = LOOK;
    const WAITS: &'static str = "what is scheduled waits";

    /// Publishes those that are due.
    async fn look(&self) -> Result<bool, DbError> {
        let now = self.db.clock().now();
        let mut after = (i64::MIN, 0);
        for _ in 0..PAGES {
            let due = articles::due(&mut self.db.reader().await?, now, after, MOST).await?;
            let Some((last, at)) = due.last() else { return Ok(false) };
            after = (*at, last.raw());
            self.publish(due.into_iter().map(|(id, _)| id), now).await?;
        }
        // One that can't be published is due again at once: more is for the next look.
        Ok(false)
    }
}

impl Scheduler {
    async fn publish(&self, due: impl Iterator<Item = Id>, now: Timestamp) -> Result<(), DbError> {
        for id in due {
            let publishing =
                self.db.transact(move |tx| async move { publish(tx, id, now).await }.boxed());
            match publishing.await {
                // The others don't wait for this one.
                Err(DbError::Fault(error)) => {
                    tracing::error!(article = %id, %error, "an article that is due can't be published");
                }
                outcome => outcome?,
            }
        }
        Ok(())
    }
}

/// Publishes one, if it still is to be.
async fn publish(tx: &mut Tx, id: Id, now: Timestamp) -> Result<(), DbError> {
    let found = articles::for_change(tx, id).await?;
    let is_due = |it: &Article| {
        it.status == Status::Scheduled
            && it.deleted_at.is_none()
            && it.publish_at.is_some_and(|at| at <= now)
    };
    let Some(before) = found.filter(is_due) else {
        // Somebody has published it, or thought better of it.
        tx.makes_nothing_old();
        return Ok(());
    };
    let mut after = before.clone();
    after.status = Status::Published;
    // It is as old as it was to be, however late this is.
    after.published_at = after.published_at.or(after.publish_at);
    after.publish_at = None;
    after.updated_at = now;
    after.version += 1;
    settle(tx, &before, &after).await?;
    let act = OwnAct {
        action: action(after.kind, "publish_scheduled"),
        target: format!("{}:{id}", after.kind.name()),
        before: Some(summary(&before)),
        after: Some(summary(&after)),
    };
    tx.audit_of_service(SERVICE.name, &act, now);
    Ok(())
}
