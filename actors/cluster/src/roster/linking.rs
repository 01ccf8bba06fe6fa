//! Who is linked, and how a link begins and ends.

use std::sync::Arc;
use std::time::Instant;

use panel_kernel::directory::MemberStatus;
use ractor::ActorRef;
use ractor_cluster::NodeServerMessage;

use super::known;
use super::{Roster, State};
use crate::agent;
use crate::arrival::{Arrival, Dialed};
use crate::failed::Failed;
use crate::hello::Hello;
use crate::link::{CUT, Link, Watched};
use crate::messages::Verdict;
use crate::protocol::NodeAgentMessage;
use crate::rules::{self, Refused};

impl Roster {
    pub(super) fn consider(&self, state: &mut State, peer: &Hello) -> Verdict {
        if state.known.is_full() && !state.known.contains(&peer.name) {
            return Verdict::Refused(Refused::TooMany(known::MOST));
        }
        if let Err(refused) = self.replaceable(peer) {
            return Verdict::Refused(refused);
        }
        if rules::may_dial(&peer.name, &self.me.name) {
            return Verdict::Welcome;
        }
        let now = Instant::now();
        state.contacts.knocked(&peer.name, &peer.address, now);
        self.dial(state);
        Verdict::Redial
    }

    /// Whether a link to this peer may take the place of the one there is. Of two lives of one
    /// node the one that can be heard stays: the other is frozen, or two nodes have one name.
    fn replaceable(&self, peer: &Hello) -> Result<(), Refused> {
        let Some(link) = self.links.to(&peer.name) else { return Ok(()) };
        let is_twin = link.peer.boot != peer.boot;
        if is_twin && !link.line.is_cut() && link.standing.status() != MemberStatus::Suspect {
            return Err(Refused::Twin(peer.name.clone()));
        }
        Ok(())
    }

    pub(super) fn arrived(&self, state: &mut State, arrival: Arrival) {
        let name = arrival.peer.name.clone();
        match self.links.to(&name) {
            None => self.open(state, arrival),
            // We dial once at a time; a second one is a leftover.
            Some(link) if arrival.dialed && link.peer.boot == arrival.peer.boot => {}
            Some(link) => {
                tracing::info!(peer = name, "a new link replaces the one there was");
                link.cut();
                // Without a session nobody would tell of its end.
                if link.session().is_none() {
                    self.links.remove(&link.label);
                    self.open(state, arrival);
                } else {
                    state.waiting.insert(name, arrival);
                }
            }
        }
    }

    /// Hands the stream to ractor.
    fn open(&self, state: &mut State, arrival: Arrival) {
        let Arrival { stream, peer, token, dialed, expires } = arrival;
        state.labels += 1;
        let label = format!("{}#{}/{}", peer.name, peer.boot, state.labels);
        let link = Link::new(label.clone(), token, peer, self.link_bytes).until(expires);
        let link = Arc::new(link);
        let stream = Watched { stream, line: Arc::clone(&link.line), label, stall: CUT };
        self.links.add(Arc::clone(&link));
        let opened = NodeServerMessage::ConnectionOpenedExternal {
            stream: Box::new(stream),
            // Who has dialled speaks first.
            is_server: !dialed,
        };
        if state.server.send_message(opened).is_err() {
            self.links.remove(&link.label);
        }
    }

    pub(super) fn dialed(&self, state: &mut State, address: &str, outcome: Result<Dialed, Failed>) {
        let now = Instant::now();
        match outcome {
            Ok(Dialed::Linked(arrival)) => {
                state.contacts.answered(address, &arrival.peer.name, now);
                self.grievances.forget(address);
                self.arrived(state, arrival);
            }
            Ok(Dialed::Knocked(peer)) => {
                state.contacts.answered(address, &peer.name, now);
                self.grievances.forget(address);
            }
            Err(failed) if failed.label == Refused::Myself.label() => {
                state.contacts.is_own(address);
            }
            Err(failed) => {
                self.grievances.outgoing(address, &failed);
                state.contacts.failed(address, rand::random(), now);
            }
        }
    }

    /// A session is of use when the peer's agent can be reached through it.
    pub(super) fn find_agents(&self, state: &mut State) {
        let fresh: Vec<_> = self.links.all().into_iter().filter(|link| !link.is_ready()).collect();
        if fresh.is_empty() {
            return;
        }
        let agents = agent::remote_agents();
        for link in fresh {
            let Some(number) = link.session().map(|session| session.node_id) else { continue };
            let of = |agent: &&ractor::ActorCell| matches!(agent.get_id(), ractor::ActorId::Remote { node_id, .. } if node_id == number);
            let Some(agent) = agents.iter().find(of) else { continue };
            link.ready(ActorRef::<NodeAgentMessage>::from(agent.clone()));
            link.standing.set_status(MemberStatus::Up);
            state.known.linked(&link.peer, Instant::now());
            let Hello { name, version, roles, address, .. } = &link.peer;
            tracing::info!(peer = name, version, roles = roles.join(","), address, "linked");
            self.publish(state);
            self.beat(state);
        }
    }

    pub(super) fn closed(&self, state: &mut State, label: &str) {
        let Some(link) = self.links.labelled(label) else { return };
        link.cut();
        self.links.remove(label);
        let (name, now) = (link.peer.name.as_str(), Instant::now());
        self.metrics.forget(name);
        if state.known.lost(name) {
            tracing::info!(peer = name, "left");
            state.contacts.forget(name);
        } else if link.is_ready() {
            tracing::warn!(peer = name, "the link has ended");
        }
        state.contacts.lost(name, now);
        self.publish(state);
        if let Some(arrival) = state.waiting.remove(name) {
            self.open(state, arrival);
        } else {
            self.dial(state);
        }
    }
}
