//! Owns one listening socket and the task that accepts on it.

use std::net::TcpListener as StdListener;
use std::sync::Arc;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use ractor_cluster::RactorMessage;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use crate::server::{self, Handler, ServerParts};

/// What a listener is told.
#[derive(Debug, RactorMessage)]
pub enum ListenerMessage {
    /// The accepting task has ended, for whatever reason.
    Ended,
}

/// Accepts connections for a handler.
#[derive(Debug)]
pub struct Listener<H> {
    /// Bound once, when the node starts: a restart listens on the same socket.
    pub socket: Arc<StdListener>,
    /// Who answers.
    pub handler: H,
    /// Bounds and shutdown.
    pub parts: ServerParts,
}

/// The accepting task; ended when this is dropped.
#[derive(Debug)]
pub struct Accepting(AbortHandle);

impl Drop for Accepting {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<H: Handler> Actor for Listener<H> {
    type Msg = ListenerMessage;
    type State = Accepting;
    type Arguments = ();

    async fn pre_start(
        &self,
        myself: ActorRef<ListenerMessage>,
        (): (),
    ) -> Result<Accepting, ActorProcessingErr> {
        let listener = TcpListener::from_std(self.socket.try_clone()?)?;
        let accepting = server::accept(listener, self.handler.clone(), self.parts.clone());
        #[allow(clippy::disallowed_methods, reason = "watched: its end is a message to us")]
        let task = tokio::spawn(accepting);
        let abort = task.abort_handle();
        #[allow(clippy::disallowed_methods, reason = "ends with the task it watches")]
        tokio::spawn(async move {
            drop(task.await);
            drop(myself.send_message(ListenerMessage::Ended));
        });
        Ok(Accepting(abort))
    }

    async fn handle(
        &self,
        _: ActorRef<ListenerMessage>,
        ListenerMessage::Ended: ListenerMessage,
        _: &mut Accepting,
    ) -> Result<(), ActorProcessingErr> {
        if self.parts.shutdown.is_cancelled() {
            return Ok(());
        }
        Err("the accepting task ended".into())
    }
}
