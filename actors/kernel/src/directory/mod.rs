//! Who serves what: the table of front doors, kept by the cluster, read by everybody who calls
//! a service. Reading takes no lock.

mod breaker;
mod door;
mod member;
mod node;
mod outstanding;
mod record;
mod standing;

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use ractor::ActorId;
use tokio::sync::watch;

use self::door::{Door, Doors};
use crate::message::MAJOR;

pub use breaker::BreakerState;
pub use door::Admits;
pub use member::{CallError, IN_FLIGHT, Member};
pub use node::{Node, NodeReport};
pub use record::{Record, Tally};
pub use standing::{MemberStatus, Standing};

/// The scope of process groups that Panel's front doors join.
pub const SCOPE: &str = "panel";

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

/// The members of one service.
pub type Members = Arc<[Arc<Member>]>;
/// All services with their members.
pub type Table = BTreeMap<String, Members>;

/// The table. Cheap to clone; all clones are the same table.
#[derive(Clone, Debug, Default)]
pub struct Directory(Arc<Tables>);

#[derive(Debug, Default)]
struct Tables {
    members: ArcSwap<Table>,
    nodes: ArcSwap<Vec<Node>>,
    doors: Doors,
    published: watch::Sender<()>,
}

impl Directory {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The members of a service, whatever their status; empty if it has none.
    #[must_use]
    pub fn members(&self, service: &str) -> Members {
        self.0.members.load().get(service).map_or_else(|| Arc::from([]), Arc::clone)
    }

    /// The whole table as it stands.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Table> {
        self.0.members.load_full()
    }

    /// Replaces the table. For its keeper, the cluster.
    pub fn publish(&self, table: Table) {
        self.0.members.store(Arc::new(table));
        self.0.published.send_replace(());
    }

    /// Changes whenever the table was replaced.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.0.published.subscribe()
    }

    /// The nodes of the cluster by name, this one among them; empty before the cluster's first
    /// word.
    #[must_use]
    pub fn nodes(&self) -> Arc<Vec<Node>> {
        self.0.nodes.load_full()
    }

    /// Replaces the list of nodes. For its keeper, the cluster.
    pub fn publish_nodes(&self, nodes: Vec<Node>) {
        self.0.nodes.store(Arc::new(nodes));
    }

    /// A front door of this node is open: whoever asks it may go the short way, as long as `admits` is held.
    pub fn opened<A: Admits + 'static>(&self, door: ActorId, admits: &Arc<A>) {
        self.0.doors.opened(door, admits);
    }

    fn door(&self, door: ActorId) -> Option<Door> {
        self.0.doors.get(door)
    }

    /// A member to ask when any will do: one that is ready, if there is one; a local one, if there
    /// is one that takes requests; else the one with the least in flight from here.
    #[must_use]
    pub fn any(&self, service: &str) -> Option<Arc<Member>> {
        let members = self.members(service);
        members
            .iter()
            .filter(|member| member.takes_requests())
            .min_by_key(|member| (!member.is_ready(), !member.is_local(), member.in_flight()))
            .cloned()
    }
}
