//! How a relay hears that there is something to send.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ractor::ActorRef;

use super::RelayMessage;
use crate::supervision::Address;

/// Rung at every commit that published something; heard once until the relay looks. Outlives
/// the relay's restarts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bell {
    address: Address<RelayMessage>,
    rung: Arc<AtomicBool>,
}

impl Bell {
    /// Wakes the relay, unless it is woken already.
    pub(crate) fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) && self.address.send(RelayMessage::Wake).is_err()
        {
            self.heard();
        }
    }

    /// The relay looks now; what is committed after this wakes it again.
    pub(super) fn heard(&self) {
        self.rung.store(false, Ordering::Release);
    }

    /// From now on this relay hears it.
    pub(super) fn answered_by(&self, relay: &ActorRef<RelayMessage>) {
        self.address.announce(relay);
        self.heard();
    }
}
