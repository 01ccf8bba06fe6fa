//! The roster: which nodes there are, and the links to them. It decides who is linked, looks at
//! the links, beats, dials through the dialer, and owns ractor's side of it, the node server.
//!
//! If it fails, all links end with it and are made anew, which takes a moment: services on this
//! node go on serving this node.

mod contacts;
mod events;
mod known;
mod linking;
mod metrics;
mod watching;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use panel_kernel::directory::{Node, Standing};
use panel_kernel::service::Runtime;
use panel_kernel::supervision::Address;
use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use ractor_cluster::node::NodeConnectionMode;
use ractor_cluster::{NodeServer, NodeServerMessage};

use crate::arrival::Arrival;
use crate::grievances::Grievances;
use crate::hello::Hello;
use crate::link::Links;
use crate::messages::{DialerMessage, MembershipMessage, RosterMessage};
use contacts::Contacts;
use events::Events;
use known::Known;
pub(crate) use metrics::LinkMetrics;

/// Between looks at the links.
const TICK: Duration = Duration::from_millis(125);
/// A beat with every second look: four a second.
const BEAT: u64 = 2;
/// A look that comes this late was not late by itself: this process was not there.
const ABSENT: Duration = Duration::from_millis(600);
/// A frame on a link: the largest message, and what the link adds.
const MAX_FRAME: u64 = panel_kernel::message::wire::MAX_BYTES as u64 + 64 * 1024;

/// What the roster works with.
#[derive(Clone)]
pub(crate) struct Roster {
    pub(crate) runtime: Runtime,
    pub(crate) me: Hello,
    pub(crate) seeds: Vec<String>,
    pub(crate) link_bytes: usize,
    pub(crate) links: Links,
    pub(crate) grievances: Grievances,
    pub(crate) metrics: LinkMetrics,
    pub(crate) address: Address<RosterMessage>,
    pub(crate) dialer: Address<DialerMessage>,
    pub(crate) membership: Address<MembershipMessage>,
    /// Told when another node wishes that this one drain.
    pub(crate) on_drain: Arc<dyn Fn() + Send + Sync>,
}

/// What it remembers.
pub(crate) struct State {
    server: ActorRef<NodeServerMessage>,
    contacts: Contacts,
    known: Known,
    /// Greeted peers that wait until the link they replace has ended, by name.
    waiting: HashMap<String, Arrival>,
    labels: u64,
    ticks: u64,
    looked: Instant,
    was_late: bool,
    leaving: bool,
}

impl Actor for Roster {
    type Msg = RosterMessage;
    type State = State;
    type Arguments = ();

    async fn pre_start(
        &self,
        myself: ActorRef<RosterMessage>,
        (): (),
    ) -> Result<State, ActorProcessingErr> {
        for link in self.links.all() {
            // Of an earlier life.
            link.cut();
            self.links.remove(&link.label);
        }
        let server = self.node_server(&myself).await?;
        self.address.announce(&myself);
        myself.send_message(RosterMessage::Tick)?;
        let now = Instant::now();
        Ok(State {
            server,
            contacts: Contacts::new(&self.me.name, &self.seeds, now),
            known: Known::default(),
            waiting: HashMap::new(),
            labels: 0,
            ticks: 0,
            looked: now,
            was_late: false,
            leaving: false,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<RosterMessage>,
        message: RosterMessage,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            RosterMessage::Tick => {
                self.tick(state);
                drop(myself.send_after(TICK, || RosterMessage::Tick));
            }
            RosterMessage::Consider(peer, port) => drop(port.send(self.consider(state, &peer))),
            RosterMessage::Arrived(arrival) => self.arrived(state, *arrival),
            RosterMessage::Dialed { address, outcome } => self.dialed(state, &address, *outcome),
            RosterMessage::Opened { label, session } => {
                if let Some(link) = self.links.labelled(&label) {
                    link.opened(session);
                }
            }
            RosterMessage::Ready => self.find_agents(state),
            RosterMessage::Closed(label) => self.closed(state, &label),
            RosterMessage::Told { label, beat } => self.told(state, &label, &beat),
            RosterMessage::Leave => {
                state.leaving = true;
                self.beat(state);
            }
            RosterMessage::DrainHere { by } => {
                tracing::info!(by, "another node has asked this one to drain");
                (self.on_drain)();
            }
            RosterMessage::DrainThere(name, port) => drop(port.send(self.drain_there(&name))),
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<RosterMessage>,
        event: SupervisionEvent,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        let ended = match &event {
            SupervisionEvent::ActorFailed(actor, _)
            | SupervisionEvent::ActorTerminated(actor, ..) => actor.get_id(),
            _ => return Ok(()),
        };
        if ended == state.server.get_id() {
            return Err("the node server ended".into());
        }
        Ok(())
    }

    async fn post_stop(
        &self,
        _: ActorRef<RosterMessage>,
        _: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        for link in self.links.all() {
            link.cut();
        }
        Ok(())
    }
}

impl Roster {
    /// ractor's node server, without its own listener's reach: that one is bound to loopback,
    /// and asks for a cookie that follows from the cluster's key.
    async fn node_server(
        &self,
        myself: &ActorRef<RosterMessage>,
    ) -> Result<ActorRef<NodeServerMessage>, ActorProcessingErr> {
        let cookie = self.runtime.key.derive("cluster links").tag(&[b"cookie"]);
        // Two lives of a node must differ, or the frozen one would lock the other out; and the
        // "host" tells nodes apart whose own listeners have the same port.
        let server = NodeServer::new(
            0,
            panel_kernel::ids::hex(&cookie),
            format!("{}#{}", self.me.name, self.me.boot),
            self.me.boot.clone(),
            None,
            Some(NodeConnectionMode::Isolated),
        )
        .with_listen_addr(IpAddr::V4(Ipv4Addr::LOCALHOST))
        .with_max_inbound_frame_size(MAX_FRAME);
        #[allow(clippy::disallowed_methods, reason = "its end is ours: see the supervision event")]
        let (server, _) = Actor::spawn_linked(None, server, (), myself.get_cell()).await?;
        let subscription = Box::new(Events(myself.clone()));
        server.send_message(NodeServerMessage::SubscribeToEvents {
            id: "roster".to_owned(),
            subscription,
        })?;
        Ok(server)
    }
}

/// This node, as it shows itself.
pub(crate) fn here(me: &Hello) -> Node {
    Node {
        name: me.name.as_str().into(),
        boot: me.boot.as_str().into(),
        roles: me.roles.clone().into(),
        version: me.version.as_str().into(),
        is_here: true,
        standing: Standing::here(),
    }
}
