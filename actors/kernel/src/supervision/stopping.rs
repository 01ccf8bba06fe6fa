//! Children on their way out, while their supervisor goes on answering.

use std::time::Duration;

use ractor::{ActorCell, ActorRef};
use tokio::task::JoinHandle;

use super::{SupervisorMessage, Tree};

/// A child that is to stop.
pub(super) struct Leaving {
    pub(super) cell: ActorCell,
    pub(super) path: String,
    /// The time it has; it is killed after that.
    pub(super) within: Duration,
}

/// What follows when they have stopped.
pub(super) enum Then {
    /// Start the child at this place and, by the strategy, those after it.
    Resume(usize),
    /// The same, after a wait.
    ResumeLater {
        /// The child's place in the table.
        place: usize,
        /// Its backoff.
        wait: Duration,
    },
    /// Fail, for this reason.
    GiveUp(String),
}

/// Children that are being stopped.
pub(super) struct Stopping {
    task: JoinHandle<()>,
    then: Then,
}

impl Stopping {
    /// Begins; the supervisor is told when it is done.
    pub(super) fn begin(
        supervisor: &ActorRef<SupervisorMessage>,
        tree: &Tree,
        leaving: Vec<Leaving>,
        then: Then,
    ) -> Self {
        let (supervisor, tree) = (supervisor.clone(), tree.clone());
        #[allow(clippy::disallowed_methods, reason = "its end is a message to its supervisor")]
        let task = tokio::spawn(async move {
            stop_all(&tree, leaving).await;
            // A supervisor that has ended meanwhile has waited for this in another way.
            drop(supervisor.send_message(SupervisorMessage::Stopped));
        });
        Self { task, then }
    }

    /// What follows.
    pub(super) fn then(self) -> Then {
        self.then
    }

    /// Waits until it is done, for a supervisor that is itself to end.
    pub(super) async fn done(self) {
        if self.task.await.is_err() {
            tracing::error!("stopping children was cut short");
        }
    }
}

/// Stops them one after the other.
pub(super) async fn stop_all(tree: &Tree, leaving: Vec<Leaving>) {
    for Leaving { cell, path, within } in leaving {
        if cell.stop_and_wait(None, Some(within)).await.is_err() {
            tracing::warn!(actor = path, "did not stop in time and was killed");
            drop(cell.kill_and_wait(Some(Duration::from_secs(1))).await);
        }
        tree.down(&path);
    }
}
