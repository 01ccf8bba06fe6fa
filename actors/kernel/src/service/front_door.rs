//! The front door: the only actor of a service that other nodes can reach.
//!
//! It owns nothing and waits for nothing: it opens the parcel, refuses what is not understood, and leaves
//! the rest to [`Admission`]. Callers on its own node are admitted without a message to it, as long as it
//! lives. Its failure means that the service has no member on this node until the supervisor has restarted
//! it; callers see 503 or another member. It becomes a member through [`super::entrance`].

use std::sync::Arc;

use ractor::{Actor, ActorProcessingErr, ActorRef};

use super::admission::Admission;
use crate::directory::{Admits, Directory};
use crate::message::{FrontDoorMessage, Refusal, ReplyGuard};
use crate::supervision::Address;

/// A service's member of its process group on this node.
#[derive(Debug)]
pub(super) struct FrontDoor {
    pub(super) address: Address<FrontDoorMessage>,
    pub(super) admission: Admission,
    pub(super) directory: Directory,
}

impl Actor for FrontDoor {
    type Msg = FrontDoorMessage;
    type State = Arc<Admission>;
    type Arguments = ();

    async fn pre_start(
        &self,
        myself: ActorRef<FrontDoorMessage>,
        (): (),
    ) -> Result<Arc<Admission>, ActorProcessingErr> {
        self.address.announce(&myself);
        let admission = Arc::new(self.admission.clone());
        self.directory.opened(myself.get_id(), &admission);
        Ok(admission)
    }

    async fn handle(
        &self,
        _: ActorRef<FrontDoorMessage>,
        FrontDoorMessage::Call(parcel, port): FrontDoorMessage,
        admission: &mut Arc<Admission>,
    ) -> Result<(), ActorProcessingErr> {
        let reply = ReplyGuard::new(port);
        match parcel.open() {
            Ok(envelope) => admission.admit(envelope, reply),
            Err(_) => admission.refuse(reply, Refusal::Unsupported),
        }
        Ok(())
    }
}
