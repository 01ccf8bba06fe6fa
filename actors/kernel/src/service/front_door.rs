//! The front door: the only actor of a service that other nodes can reach.
//!
//! It owns nothing and waits for nothing: it opens the parcel, refuses what is too late, too
//! much or not understood, and hands the rest to the pool. Its failure means that the service
//! has no member on this node until the supervisor has restarted it; callers see 503 or
//! another member. It becomes a member through [`super::entrance`].

use std::sync::Arc;

use ractor::{Actor, ActorProcessingErr, ActorRef};

use super::load::Load;
use super::pool::{Job, PoolAddress};
use super::rank::Rank;
use crate::faults;
use crate::message::{FrontDoorMessage, Refusal, ReplyGuard};
use crate::supervision::Address;
use crate::time::Clock;

/// A service's member of its process group on this node.
#[derive(Debug)]
pub struct FrontDoor {
    pub(super) address: Address<FrontDoorMessage>,
    pub(super) pool: PoolAddress,
    pub(super) load: Arc<Load>,
    pub(super) clock: Clock,
}

impl Actor for FrontDoor {
    type Msg = FrontDoorMessage;
    type State = ();
    type Arguments = ();

    async fn pre_start(
        &self,
        myself: ActorRef<FrontDoorMessage>,
        (): (),
    ) -> Result<(), ActorProcessingErr> {
        self.address.announce(&myself);
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<FrontDoorMessage>,
        FrontDoorMessage::Call(parcel, port): FrontDoorMessage,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        let reply = ReplyGuard::new(port);
        let refuse = |reply: ReplyGuard, refusal| {
            self.load.count_refusal(refusal);
            reply.refuse(refusal);
        };
        let Ok(envelope) = parcel.open() else {
            refuse(reply, Refusal::Unsupported);
            return Ok(());
        };
        if envelope.is_clients_write() && faults::point(&faults::DOOR_ADMIT).is_err() {
            refuse(reply, Refusal::Busy);
            return Ok(());
        }
        if envelope.deadline <= self.clock.now() {
            refuse(reply, Refusal::DeadlinePassed);
        } else if self.load.is_draining() {
            refuse(reply, Refusal::Draining);
        } else if let Some(place) = self.load.enter(Rank::of(&envelope.principal)) {
            // A pool between two lives hands the job back; dropping it answers `Aborted`, but
            // nothing was done, so say so.
            if let Err(job) = self.pool.dispatch(Job { envelope, reply, place }) {
                refuse(job.reply, Refusal::Busy);
            }
        } else {
            refuse(reply, Refusal::Busy);
        }
        Ok(())
    }
}
