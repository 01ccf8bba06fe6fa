//! The address of an actor that outlives its restarts.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use ractor::rpc::CallResult;
use ractor::{ActorRef, Message, RpcReplyPort};

/// Where messages for one role in the tree go, whoever plays it at the moment. The actor
/// announces itself in its `pre_start`; between two lives, messages come back to the sender.
pub struct Address<M>(Arc<ArcSwapOption<ActorRef<M>>>);

impl<M> Clone for Address<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M> Default for Address<M> {
    fn default() -> Self {
        Self(Arc::new(ArcSwapOption::empty()))
    }
}

impl<M> std::fmt::Debug for Address<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Address({:?})", self.0.load().as_ref().map(|actor| actor.get_id()))
    }
}

/// No answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallFailed {
    /// Nobody is there; the message was not delivered.
    #[error("the actor is not running")]
    Absent,
    /// It was delivered, and died or was dropped with the actor. What was done is unknown.
    #[error("the actor died while answering")]
    Died,
    /// It was delivered, and no answer came in time. What was done is unknown.
    #[error("the actor did not answer in time")]
    TimedOut,
}

impl<M: Message> Address<M> {
    /// An address nobody answers at yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on `actor` answers here.
    pub fn announce(&self, actor: &ActorRef<M>) {
        self.0.store(Some(Arc::new(actor.clone())));
    }

    /// Who answers here now.
    #[must_use]
    pub fn current(&self) -> Option<Arc<ActorRef<M>>> {
        self.0.load_full()
    }

    /// Sends without waiting. A message nobody is there for is handed back.
    ///
    /// # Errors
    /// The message, if there is no running actor.
    pub fn send(&self, message: M) -> Result<(), M> {
        let guard = self.0.load();
        let Some(actor) = guard.as_ref() else { return Err(message) };
        actor.send_message(message).map_err(|error| match error {
            ractor::MessagingErr::SendErr(message) => message,
            // The two other errors can't carry the message back; both mean that the reference
            // is not to an actor of this type, which `announce` makes impossible.
            _ => unreachable!("an address holds actors of its own message type"),
        })
    }

    /// Asks, and waits at most `within`.
    ///
    /// # Errors
    /// [`CallFailed`] says whether the message was delivered.
    pub async fn call<T: Send + 'static>(
        &self,
        message: impl FnOnce(RpcReplyPort<T>) -> M + Send,
        within: Duration,
    ) -> Result<T, CallFailed> {
        let actor = self.current().ok_or(CallFailed::Absent)?;
        match actor.call(message, Some(within)).await {
            Ok(CallResult::Success(answer)) => Ok(answer),
            Ok(CallResult::Timeout) => Err(CallFailed::TimedOut),
            Ok(CallResult::SenderError) => Err(CallFailed::Died),
            Err(_) => Err(CallFailed::Absent),
        }
    }
}
