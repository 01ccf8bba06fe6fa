//! The short way into a service on this node: what its front door would do with a request, without a message
//! to it.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use ractor::ActorId;

use crate::message::{Envelope, ReplyGuard};

/// Lets requests into a service on this node, or refuses them. It waits for nothing.
pub trait Admits: Debug + Send + Sync {
    /// Sees to it that the request is answered: at once, or by whoever gets the reply.
    fn admit(&self, envelope: Box<Envelope>, reply: ReplyGuard);
}

/// As long as the front door lives.
pub(super) type Door = Weak<dyn Admits>;

/// The front doors of this node, by their ids in the actor system.
#[derive(Debug, Default)]
pub(super) struct Doors(Mutex<HashMap<ActorId, Door>>);

impl Doors {
    pub(super) fn opened<A: Admits + 'static>(&self, door: ActorId, admits: &Arc<A>) {
        let admits: Weak<A> = Arc::downgrade(admits);
        let mut doors = self.0.lock();
        doors.retain(|_, door| door.strong_count() > 0);
        doors.insert(door, admits);
    }

    pub(super) fn get(&self, door: ActorId) -> Option<Door> {
        self.0.lock().get(&door).map(Weak::clone)
    }
}
