//! Breaking a single actor of the tree.
//!
//! An actor can be killed from outside. To see what a slow or a panicking one costs, it must do
//! that itself: every supervised actor is wrapped into a [`Breakable`], which looks, before it
//! hands on a message, whether that is wanted. That look costs one relaxed load.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use ractor::message::SerializedMessage;
use ractor::{Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};

/// Whether any actor is to break.
static WANTED: AtomicBool = AtomicBool::new(false);
static TABLE: Mutex<Option<HashMap<ActorId, ActorFault>>> = Mutex::new(None);

/// How an actor breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActorFault {
    /// It ends at once, in the middle of what it does.
    Kill,
    /// It panics over the next message it gets.
    Panic,
    /// It takes so long before it looks at the next message it gets.
    Stall(Duration),
}

/// Breaks an actor, once.
///
/// # Errors
/// A sentence, if faults are not enabled.
pub fn strike(actor: &ActorCell, fault: ActorFault) -> Result<(), String> {
    if !super::is_enabled() {
        return Err(super::DISABLED.to_owned());
    }
    if fault == ActorFault::Kill {
        actor.kill();
        return Ok(());
    }
    TABLE.lock().get_or_insert_default().insert(actor.get_id(), fault);
    WANTED.store(true, Ordering::Relaxed);
    Ok(())
}

/// What was wanted of an actor that has ended is forgotten.
pub(crate) fn has_ended(actor: ActorId) {
    if WANTED.load(Ordering::Relaxed) {
        take(actor);
    }
}

/// What is wanted of this actor, once.
fn take(actor: ActorId) -> Option<ActorFault> {
    let mut table = TABLE.lock();
    let wanted = table.as_mut()?;
    let fault = wanted.remove(&actor);
    WANTED.store(!wanted.is_empty(), Ordering::Relaxed);
    fault
}

async fn before_message(actor: ActorId) {
    if WANTED.load(Ordering::Relaxed) {
        Box::pin(act(actor)).await;
    }
}

#[allow(clippy::panic, reason = "that is what was asked for")]
async fn act(actor: ActorId) {
    match take(actor) {
        Some(ActorFault::Panic) => panic!("this actor was asked to panic"),
        Some(ActorFault::Stall(time)) => tokio::time::sleep(time).await,
        Some(ActorFault::Kill) | None => {}
    }
}

/// An actor that can be broken, and is otherwise what it was.
pub(crate) struct Breakable<A>(pub(crate) A);

impl<A: Actor> Actor for Breakable<A> {
    type Msg = A::Msg;
    type State = A::State;
    type Arguments = A::Arguments;

    async fn pre_start(
        &self,
        myself: ActorRef<A::Msg>,
        arguments: A::Arguments,
    ) -> Result<A::State, ActorProcessingErr> {
        self.0.pre_start(myself, arguments).await
    }

    async fn post_start(
        &self,
        myself: ActorRef<A::Msg>,
        state: &mut A::State,
    ) -> Result<(), ActorProcessingErr> {
        self.0.post_start(myself, state).await
    }

    async fn post_stop(
        &self,
        myself: ActorRef<A::Msg>,
        state: &mut A::State,
    ) -> Result<(), ActorProcessingErr> {
        self.0.post_stop(myself, state).await
    }

    async fn handle(
        &self,
        myself: ActorRef<A::Msg>,
        message: A::Msg,
        state: &mut A::State,
    ) -> Result<(), ActorProcessingErr> {
        before_message(myself.get_id()).await;
        self.0.handle(myself, message, state).await
    }

    async fn handle_serialized(
        &self,
        myself: ActorRef<A::Msg>,
        message: SerializedMessage,
        state: &mut A::State,
    ) -> Result<(), ActorProcessingErr> {
        before_message(myself.get_id()).await;
        self.0.handle_serialized(myself, message, state).await
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<A::Msg>,
        event: SupervisionEvent,
        state: &mut A::State,
    ) -> Result<(), ActorProcessingErr> {
        self.0.handle_supervisor_evt(myself, event, state).await
    }
}
