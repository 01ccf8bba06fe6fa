//! One front door of one service on one node, and how it is asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use ractor::rpc::CallResult;
use ractor::{ActorId, ActorRef};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::breaker::{Breaker, BreakerState};
use super::door::Door;
use super::outstanding::Bytes;
use super::{Directory, MemberStatus, Record, Standing};
use crate::message::{Envelope, FrontDoorMessage, Parcel, Principal, Reply, ReplyGuard};
use crate::time::Clock;

/// How much longer than the deadline a caller waits: the callee's own "too late" should win.
const GRACE: Duration = Duration::from_millis(250);
/// Requests one process may have in flight at one member, unless told otherwise.
pub const IN_FLIGHT: usize = 1_024;
/// Places beyond that for other services and gateways themselves.
const INSIDERS: usize = 64;

/// One front door of one service on one node.
#[derive(Debug)]
pub struct Member {
    /// The node's name.
    pub node: String,
    /// The node's release.
    pub version: String,
    actor: ActorRef<FrontDoorMessage>,
    door: Option<Door>,
    in_flight: AtomicUsize,
    most: usize,
    standing: Arc<Standing>,
    breaker: Breaker,
    is_ready: AtomicBool,
    record: Record,
}

/// Why a call brought no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// It was not sent, because too much is on its way there already. Nothing was done.
    #[error("too much is in flight there")]
    Full,
    /// It was not sent. Nothing was done.
    #[error("the message could not be sent")]
    NotSent,
    /// It was sent, and the member was lost. What was done is unknown.
    #[error("the member was lost")]
    Lost,
    /// It was sent, and no reply came in time. What was done is unknown.
    #[error("no reply in time")]
    TimedOut,
    /// A reply came that this release can't read. What was done is unknown.
    #[error("the reply can't be read")]
    Unreadable,
}

impl Member {
    /// A member that is up, on a node with this standing.
    #[must_use]
    pub fn new(
        node: String,
        version: String,
        actor: ActorRef<FrontDoorMessage>,
        standing: Arc<Standing>,
    ) -> Self {
        let (in_flight, breaker) = (AtomicUsize::new(0), Breaker::default());
        let is_ready = AtomicBool::new(true);
        Self {
            node,
            version,
            actor,
            door: None,
            in_flight,
            most: IN_FLIGHT,
            standing,
            breaker,
            is_ready,
            record: Record::default(),
        }
    }

    /// If it is of this node: asked without a message to its front door.
    #[must_use]
    pub fn short_way(mut self, directory: &Directory) -> Self {
        self.door = directory.door(self.id());
        self
    }

    /// With another bound on requests in flight there.
    #[must_use]
    pub const fn at_most(mut self, in_flight: usize) -> Self {
        self.most = in_flight;
        self
    }

    /// The front door's id in the actor system.
    #[must_use]
    pub fn id(&self) -> ActorId {
        self.actor.get_id()
    }

    /// Whether it is in this process.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.actor.get_id().is_local()
    }

    /// Requests this process has in flight there.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// How its node is.
    #[must_use]
    pub const fn standing(&self) -> &Arc<Standing> {
        &self.standing
    }

    /// What is known of it.
    #[must_use]
    pub fn status(&self) -> MemberStatus {
        self.standing.status()
    }

    /// What its breaker lets through.
    #[must_use]
    pub fn breaker(&self) -> BreakerState {
        self.breaker.state()
    }

    /// Notes how a probe went; returns what the breaker lets through from now on. Only one
    /// prober may tell.
    pub fn probed(&self, answered: bool) -> BreakerState {
        self.breaker.probed(answered)
    }

    /// Whether it says that it has what it needs, a database mostly. One that has not is asked
    /// only where no other is there: it can do little, but it says why.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::Relaxed)
    }

    /// Notes what it has said of that; returns what it said before.
    pub fn set_ready(&self, is_ready: bool) -> bool {
        self.is_ready.swap(is_ready, Ordering::Relaxed)
    }

    /// How it has done with requests, where that is noted.
    #[must_use]
    pub const fn record(&self) -> &Record {
        &self.record
    }

    /// Whether a request of a client should be sent there.
    #[must_use]
    pub fn takes_requests(&self) -> bool {
        self.takes_requests_of(&Principal::Anonymous)
    }

    /// Whether a request of this principal should be sent there. Services have places of their own,
    /// and are none of those on whom a member is tried that has just answered again.
    #[must_use]
    pub fn takes_requests_of(&self, principal: &Principal) -> bool {
        let in_flight = self.in_flight();
        let tried = if principal.goes_first() { 0 } else { in_flight };
        self.status() == MemberStatus::Up
            && self.breaker.admits(tried)
            && !self.is_full_for(principal)
    }

    /// Whether it has as many requests as it may have at a time.
    #[must_use]
    pub fn is_full_for(&self, principal: &Principal) -> bool {
        self.in_flight() >= self.most_of(principal)
    }

    fn most_of(&self, principal: &Principal) -> usize {
        if principal.goes_first() { self.most.saturating_add(INSIDERS) } else { self.most }
    }

    /// Waits until its node has fallen silent or is gone, or it does not answer probes: what is in
    /// flight there may be sent again elsewhere.
    pub async fn troubled(&self) {
        tokio::select! {
            () = self.standing.troubled() => {}
            () = self.breaker.opened() => {}
        }
    }

    /// Sends the request and waits for the reply, until shortly after the envelope's deadline.
    ///
    /// # Errors
    /// [`CallError`], which says whether anything may have been done.
    pub async fn call(&self, mut envelope: Envelope, clock: &Clock) -> Result<Reply, CallError> {
        let wait = clock.now().until(envelope.deadline) + GRACE;
        let most = self.most_of(&envelope.principal);
        let _counted = InFlight::enter(&self.in_flight, most).ok_or(CallError::Full)?;
        if let Some(door) = &self.door {
            return here(door, envelope, wait).await;
        }
        let bytes = if self.is_local() {
            None
        } else {
            envelope.deadline = self.standing.in_its_time(envelope.deadline);
            let bytes = Bytes::reserve(&self.standing, envelope.weight());
            Some(bytes.ok_or(CallError::Full)?)
        };
        let called = self
            .actor
            .call(|port| FrontDoorMessage::Call(Parcel::new(envelope), port), Some(wait))
            .await;
        if !matches!(called, Ok(CallResult::Timeout | CallResult::SenderError)) {
            // Answered, or never sent.
            bytes.into_iter().for_each(Bytes::settle);
        }
        match called {
            Ok(CallResult::Success(parcel)) => opened(parcel),
            Ok(CallResult::Timeout) => Err(CallError::TimedOut),
            Ok(CallResult::SenderError) => Err(CallError::Lost),
            Err(_) => Err(CallError::NotSent),
        }
    }
}

/// The same on this node, past the mailbox of the front door.
async fn here(door: &Door, envelope: Envelope, wait: Duration) -> Result<Reply, CallError> {
    let door = door.upgrade().ok_or(CallError::NotSent)?;
    let (port, reply) = oneshot::channel();
    door.admit(Box::new(envelope), ReplyGuard::new(port.into()));
    drop(door);
    match timeout(wait, reply).await {
        Ok(Ok(parcel)) => opened(parcel),
        Ok(Err(_)) => Err(CallError::Lost),
        Err(_) => Err(CallError::TimedOut),
    }
}

fn opened(parcel: Parcel<Reply>) -> Result<Reply, CallError> {
    parcel.open().map(|reply| *reply).map_err(|_| CallError::Unreadable)
}

/// One request in flight; over when it is dropped.
struct InFlight<'a>(&'a AtomicUsize);

impl<'a> InFlight<'a> {
    fn enter(count: &'a AtomicUsize, most: usize) -> Option<Self> {
        if count.fetch_add(1, Ordering::Relaxed) >= most {
            count.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Self(count))
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
