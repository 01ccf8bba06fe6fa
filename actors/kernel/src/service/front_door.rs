//! The front door: the only actor of a service that other nodes can reach.
//!
//! It owns nothing and waits for nothing: it opens the parcel, refuses what is too late, too
//! much or not understood, and hands the rest to the pool. Its failure means that the service
//! has no member on this node until the supervisor has restarted it; callers see 503 or
//! another member.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use ractor::{Actor, ActorProcessingErr, ActorRef, pg};

use super::pool::{Job, PoolAddress};
use crate::directory::{SCOPE, group};
use crate::message::{FrontDoorMessage, Refusal, ReplyGuard};
use crate::metrics::Metrics;
use crate::supervision::Address;
use crate::time::Clock;

/// How much is inside a service on this node, against how much may be.
#[derive(Debug)]
pub struct Load {
    service: &'static str,
    capacity: usize,
    inside: AtomicUsize,
    running: AtomicUsize,
    draining: AtomicBool,
    metrics: Metrics,
}

impl Load {
    /// Nothing inside yet.
    #[must_use]
    pub fn new(service: &'static str, capacity: usize, metrics: Metrics) -> Arc<Self> {
        Arc::new(Self {
            service,
            capacity,
            inside: AtomicUsize::new(0),
            running: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
            metrics,
        })
    }

    /// Requests inside, queued or running.
    #[must_use]
    pub fn inside(&self) -> usize {
        self.inside.load(Ordering::Relaxed)
    }

    /// Whether it takes nothing more.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// From now on it takes nothing more.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    fn enter(self: &Arc<Self>) -> Option<Place> {
        let before = self.inside.fetch_add(1, Ordering::Relaxed);
        if before >= self.capacity {
            self.inside.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Place { load: Arc::clone(self), running: false })
    }

    /// Brings the gauges up to date; called when metrics are read.
    pub(super) fn publish(&self) {
        let (inside, running) = (self.inside(), self.running.load(Ordering::Relaxed));
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.metrics.in_flight.with_label_values(&[self.service]).set(number(inside));
        let waiting = number(inside.saturating_sub(running));
        self.metrics.queue_depth.with_label_values(&[self.service]).set(waiting);
    }

    pub(super) fn count_refusal(&self, refusal: Refusal) {
        self.metrics.refused.with_label_values(&[self.service, refusal.name()]).inc();
    }
}

/// One request's place inside the service; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    load: Arc<Load>,
    running: bool,
}

impl Place {
    /// It is refused after all.
    pub(super) fn count_refusal(&self, refusal: Refusal) {
        self.load.count_refusal(refusal);
    }

    /// A worker has it now.
    pub(super) fn run(&mut self) {
        if !self.running {
            self.running = true;
            self.load.running.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.load.inside.fetch_sub(1, Ordering::Relaxed);
        if self.running {
            self.load.running.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// A service's member of its process group on this node.
#[derive(Debug)]
pub struct FrontDoor {
    pub(super) service: &'static str,
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

    async fn post_start(
        &self,
        myself: ActorRef<FrontDoorMessage>,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        if !self.load.is_draining() {
            pg::join_scoped(SCOPE.to_owned(), group(self.service), vec![myself.get_cell()]);
        }
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
        if envelope.deadline <= self.clock.now() {
            refuse(reply, Refusal::DeadlinePassed);
        } else if self.load.is_draining() {
            refuse(reply, Refusal::Draining);
        } else if let Some(place) = self.load.enter() {
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
