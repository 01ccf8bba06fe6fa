//! Who is linked, and how a link begins and ends.

use std::sync::Arc;
use std::time::Instant;

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
        if let Err(refused) = self.acceptable(state, peer) {
            return Verdict::Refused(refused);
        }
        if self.links.to(&peer.name).is_some_and(|link| link.is_well()) {
            // A second one would end the first, and everything in flight on it.
            return Verdict::Redial;
        }
        if rules::may_dial(&peer.name, &self.me.name) {
            return Verdict::Welcome;
        }
        let now = Instant::now();
        state.contacts.knocked(&peer.name, &peer.address, now);
        self.dial(state);
        Verdict::Redial
    }

    /// Whether this peer may be linked, also in the place of the link there is. Of two lives of one
    /// node the one that can be heard stays: the other is frozen, or two nodes have one name.
    fn acceptable(&self, state: &State, peer: &Hello) -> Result<(), Refused> {
        if state.known.is_full() && !state.known.contains(&peer.name) {
            return Err(Refused::TooMany(known::MOST));
        }
        let Some(link) = self.links.to(&peer.name) else { return Ok(()) };
        let is_twin = link.peer.boot != peer.boot;
        if is_twin && link.is_proven() && link.is_well() {
            return Err(Refused::Twin(peer.name.clone()));
        }
        Ok(())
    }

    pub(super) fn arrived(&self, state: &mut State, arrival: Arrival) {
        let name = arrival.peer.name.clone();
        match self.links.to(&name) {
            None => self.open(state, arrival),
            // It was welcome on the other side, where the one there was is of no use any more.
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
                if let Err(refused) = self.acceptable(state, &arrival.peer) {
                    self.grievances.outgoing(address, &refused.into());
                    state.contacts.failed(address, rand::random(), now);
                    return;
                }
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
        let mut mute = self.links.all();
        mute.retain(|link| !link.line.is_cut() && !link.has_agent());
        if mute.is_empty() {
            return;
        }
        let agents = agent::remote_agents();
        for link in mute {
            let Some(number) = link.session().map(|session| session.node_id) else { continue };
            let of = |agent: &&ractor::ActorCell| matches!(agent.get_id(), ractor::ActorId::Remote { node_id, .. } if node_id == number);
            let Some(agent) = agents.iter().find(of) else { continue };
            let was_ready = link.is_ready();
            link.ready(ActorRef::<NodeAgentMessage>::from(agent.clone()));
            if was_ready {
                // Its agent was restarted; the link has been there all the time.
                continue;
            }
            state.known.linked(&link.peer, Instant::now());
            state.contacts.linked(&link.peer.name);
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
        if link.is_ready() || state.waiting.contains_key(name) {
            state.contacts.lost(name, now);
        } else {
            let why = "it ended before it was ready: is it the same cluster.key?";
            self.grievances.outgoing(name, &Failed::new("not_ready", why));
            state.contacts.fell_through(name, rand::random(), now);
        }
        self.publish(state);
        if let Some(arrival) = state.waiting.remove(name) {
            self.open(state, arrival);
        } else {
            self.dial(state);
        }
    }
}
