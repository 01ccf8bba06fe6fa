//! Who serves what: the table of front doors, kept by the cluster, read by everybody who calls
//! a service. Reading takes no lock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use ractor::rpc::CallResult;
use ractor::{ActorId, ActorRef};
use serde::Serialize;

use crate::message::{Envelope, FrontDoorMessage, MAJOR, Parcel, Reply};
use crate::time::Clock;

/// The scope of process groups that Panel's front doors join.
pub const SCOPE: &str = "panel";
/// How much longer than the deadline a caller waits: the callee's own "too late" should win.
const GRACE: Duration = Duration::from_millis(250);

/// The process group of a service's front doors, for this major of the message format.
#[must_use]
pub fn group(service: &str) -> String {
    format!("{service}.v{MAJOR}")
}

/// The service a process group belongs to, if it is one of this major.
#[must_use]
pub fn service_of(group: &str) -> Option<&str> {
    group.strip_suffix(&format!(".v{MAJOR}"))
}

/// What is known of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberStatus {
    /// Takes requests.
    Up,
    /// Silent for too long; gets no new requests.
    Suspect,
    /// Leaving; gets no new requests.
    Draining,
    /// Gone.
    Down,
}

/// One front door of one service on one node.
#[derive(Debug)]
pub struct Member {
    /// The node's name.
    pub node: String,
    /// The node's release.
    pub version: String,
    actor: ActorRef<FrontDoorMessage>,
    in_flight: AtomicUsize,
    status: AtomicU8,
}

/// Why a call brought no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
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
    /// A member that is up.
    #[must_use]
    pub fn new(node: String, version: String, actor: ActorRef<FrontDoorMessage>) -> Self {
        Self { node, version, actor, in_flight: AtomicUsize::new(0), status: AtomicU8::new(0) }
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

    /// What is known of it.
    #[must_use]
    pub fn status(&self) -> MemberStatus {
        match self.status.load(Ordering::Relaxed) {
            0 => MemberStatus::Up,
            1 => MemberStatus::Suspect,
            2 => MemberStatus::Draining,
            _ => MemberStatus::Down,
        }
    }

    /// Notes what is known of it.
    pub fn set_status(&self, status: MemberStatus) {
        let value = match status {
            MemberStatus::Up => 0,
            MemberStatus::Suspect => 1,
            MemberStatus::Draining => 2,
            MemberStatus::Down => 3,
        };
        self.status.store(value, Ordering::Relaxed);
    }

    /// Sends the request and waits for the reply, until shortly after the envelope's deadline.
    ///
    /// # Errors
    /// [`CallError`], which says whether anything may have been done.
    pub async fn call(&self, envelope: Envelope, clock: &Clock) -> Result<Reply, CallError> {
        let wait = clock.now().until(envelope.deadline) + GRACE;
        let _counted = InFlight::enter(&self.in_flight);
        let called = self
            .actor
            .call(|port| FrontDoorMessage::Call(Parcel::new(envelope), port), Some(wait))
            .await;
        match called {
            Ok(CallResult::Success(parcel)) => {
                parcel.open().map(|reply| *reply).map_err(|_| CallError::Unreadable)
            }
            Ok(CallResult::Timeout) => Err(CallError::TimedOut),
            Ok(CallResult::SenderError) => Err(CallError::Lost),
            Err(_) => Err(CallError::NotSent),
        }
    }
}

struct InFlight<'a>(&'a AtomicUsize);

impl<'a> InFlight<'a> {
    fn enter(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The members of one service.
pub type Members = Arc<[Arc<Member>]>;
/// All services with their members.
pub type Table = BTreeMap<String, Members>;

/// The table. Cheap to clone; all clones are the same table.
#[derive(Clone, Debug, Default)]
pub struct Directory(Arc<ArcSwap<Table>>);

impl Directory {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The members of a service, whatever their status; empty if it has none.
    #[must_use]
    pub fn members(&self, service: &str) -> Members {
        self.0.load().get(service).map_or_else(|| Arc::from([]), Arc::clone)
    }

    /// The whole table as it stands.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Table> {
        self.0.load_full()
    }

    /// Replaces the table. For its keeper, the cluster.
    pub fn publish(&self, table: Table) {
        self.0.store(Arc::new(table));
    }

    /// A member to ask when any will do: a local one if there is one that is up, else the one
    /// with the least in flight from here.
    #[must_use]
    pub fn any(&self, service: &str) -> Option<Arc<Member>> {
        let members = self.members(service);
        members
            .iter()
            .filter(|member| member.status() == MemberStatus::Up)
            .min_by_key(|member| (!member.is_local(), member.in_flight()))
            .cloned()
    }
}
