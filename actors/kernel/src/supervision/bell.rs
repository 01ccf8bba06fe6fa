//! How an actor hears that there is something to do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ractor::{ActorRef, Message};

use super::Address;

/// Rung as often as there may be something to do; heard once until the actor looks. Outlives the actor's
/// restarts. Cheap to clone; clones are one bell.
pub struct Bell<M> {
    address: Address<M>,
    rung: Arc<AtomicBool>,
    call: fn() -> M,
}

impl<M> Clone for Bell<M> {
    fn clone(&self) -> Self {
        Self { address: self.address.clone(), rung: Arc::clone(&self.rung), call: self.call }
    }
}

impl<M> std::fmt::Debug for Bell<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bell({:?})", self.address)
    }
}

impl<M: Message> Bell<M> {
    /// One that whoever answers it hears as `call`.
    #[must_use]
    pub fn new(call: fn() -> M) -> Self {
        Self { address: Address::new(), rung: Arc::default(), call }
    }

    /// Wakes the actor, unless it is woken already.
    pub fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) && self.address.send((self.call)()).is_err() {
            self.heard();
        }
    }

    /// The actor looks now; what is committed after this wakes it again.
    pub fn heard(&self) {
        self.rung.store(false, Ordering::Release);
    }

    /// Whether somebody has rung and the actor has not looked since: as it may be when that has ended.
    #[must_use]
    pub fn is_rung(&self) -> bool {
        self.rung.load(Ordering::Acquire)
    }

    /// From now on this actor hears it.
    pub fn answered_by(&self, actor: &ActorRef<M>) {
        self.address.announce(actor);
        self.heard();
    }
}
