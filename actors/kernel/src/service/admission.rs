//! Admission: what a front door does with each request, and what is done without its mailbox for callers on
//! the same node. Nothing is awaited: a request is refused at once, or it is on its way to a worker.

use std::sync::Arc;

use super::desk::Desks;
use super::load::Load;
use super::rank::Rank;
use super::worker::Job;
use crate::directory::Admits;
use crate::faults;
use crate::message::{Envelope, Refusal, ReplyGuard};
use crate::time::Clock;

/// Lets requests into a service on this node, or refuses them.
#[derive(Clone, Debug)]
pub(super) struct Admission {
    pub(super) desks: Desks,
    pub(super) load: Arc<Load>,
    pub(super) clock: Clock,
}

impl Admission {
    /// Refuses.
    pub(super) fn refuse(&self, reply: ReplyGuard, refusal: Refusal) {
        self.load.count_refusal(refusal);
        reply.refuse(refusal);
    }
}

impl Admits for Admission {
    fn admit(&self, envelope: Box<Envelope>, reply: ReplyGuard) {
        if envelope.is_clients_write() && faults::point(&faults::DOOR_ADMIT).is_err() {
            self.refuse(reply, Refusal::Busy);
        } else if envelope.deadline <= self.clock.now() {
            self.refuse(reply, Refusal::DeadlinePassed);
        } else if self.load.is_draining() {
            self.refuse(reply, Refusal::Draining);
        } else if let Some(place) = self.load.enter(Rank::of(&envelope.principal)) {
            // Dropping it would answer `Aborted`, but nothing was done, so say so.
            if let Err((job, refusal)) = self.desks.give(Job { envelope, reply, place }) {
                self.refuse(job.reply, refusal);
            }
        } else {
            self.refuse(reply, Refusal::Busy);
        }
    }
}
