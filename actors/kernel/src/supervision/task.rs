//! Work without a mailbox as a supervised child: an accept loop, a poll.

use std::future::Future;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use ractor_cluster::RactorMessage;
use tokio::task::AbortHandle;

use super::ChildSpec;

/// What the actor of a task is told.
#[derive(Debug, RactorMessage)]
pub(super) enum TaskMessage {
    /// It has ended: in order, or for this reason.
    Ended(Result<(), String>),
}

/// Runs one task. If the task ends, so does the actor, in the same way.
struct Task<F>(F);

/// The running task; ended when this is dropped.
struct Running(AbortHandle);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl ChildSpec {
    /// A permanent child named `id` that runs what `make` makes, afresh at every start. An error
    /// or a panic is its failure; stopping it drops the work where it waits.
    pub fn task<F, W>(id: &'static str, make: F) -> Self
    where
        F: Fn() -> W + Clone + Send + Sync + 'static,
        W: Future<Output = Result<(), String>> + Send + 'static,
    {
        Self::new(id, move || (Task(make.clone()), ()))
    }
}

impl<F, W> Actor for Task<F>
where
    F: Fn() -> W + Send + Sync + 'static,
    W: Future<Output = Result<(), String>> + Send + 'static,
{
    type Msg = TaskMessage;
    type State = Running;
    type Arguments = ();

    async fn pre_start(
        &self,
        myself: ActorRef<TaskMessage>,
        (): (),
    ) -> Result<Running, ActorProcessingErr> {
        #[allow(clippy::disallowed_methods, reason = "watched: its end is a message to us")]
        let task = tokio::spawn((self.0)());
        let running = Running(task.abort_handle());
        #[allow(clippy::disallowed_methods, reason = "ends with the task it watches")]
        tokio::spawn(async move {
            let ended = task.await.unwrap_or_else(|error| Err(error.to_string()));
            drop(myself.send_message(TaskMessage::Ended(ended)));
        });
        Ok(running)
    }

    async fn handle(
        &self,
        myself: ActorRef<TaskMessage>,
        TaskMessage::Ended(how): TaskMessage,
        _: &mut Running,
    ) -> Result<(), ActorProcessingErr> {
        how?;
        myself.stop(None);
        Ok(())
    }
}
