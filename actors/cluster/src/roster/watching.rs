//! What is looked at again and again: links, beats, whom to dial.

use std::time::Instant;

use panel_kernel::directory::MemberStatus;

use super::{ABSENT, BEAT, Roster, State, TICK};
use crate::link::{Finding, Link};
use crate::messages::{DialerMessage, MembershipMessage};
use crate::protocol::{Beat, Drain, NodeAgentMessage, write};

impl Roster {
    pub(super) fn told(&self, state: &mut State, label: &str, beat: &Beat) {
        let Some(link) = self.links.labelled(label) else { return };
        let now = Instant::now();
        if state.known.heard(&link, beat.draining, now) {
            tracing::info!(peer = link.peer.name, "drains");
            link.look(true, self.runtime.clock.now());
            self.publish(state);
        }
        for (name, address) in &beat.peers {
            if self.links.to(name).is_none() {
                state.contacts.learn(name, address, now);
            }
        }
    }

    pub(super) fn tick(&self, state: &mut State) {
        let now = Instant::now();
        let late = now.duration_since(state.looked) > TICK + ABSENT;
        // Once: who is always late would never notice anybody's silence.
        let absent = late && !state.was_late;
        (state.looked, state.was_late) = (now, late);
        self.find_agents(state);
        for link in self.links.all() {
            if absent {
                link.forgive();
            }
            self.look(state, &link);
        }
        for name in state.known.expired(&self.links, now) {
            state.contacts.forget(&name);
            self.publish(state);
        }
        self.dial(state);
        state.ticks += 1;
        if state.ticks.is_multiple_of(BEAT) {
            self.beat(state);
        }
        self.metrics.publish(&self.links);
    }

    fn look(&self, state: &State, link: &Link) {
        let peer = link.peer.name.as_str();
        match link.look(state.known.is_leaving(peer), self.runtime.clock.now()) {
            Finding::Changed(_, MemberStatus::Suspect) => {
                self.metrics.suspected(peer);
                tracing::warn!(peer, "nothing heard for 1 s: it gets no new requests");
            }
            Finding::Changed(MemberStatus::Suspect, _) => tracing::info!(peer, "heard again"),
            Finding::Same | Finding::Changed(..) => {}
            Finding::Hopeless(why) => {
                if !link.line.is_cut() {
                    tracing::warn!(peer, why, "the link is cut");
                }
                link.cut();
                if link.session().is_none() {
                    self.links.remove(&link.label);
                }
            }
        }
    }

    pub(super) fn dial(&self, state: &mut State) {
        if state.leaving {
            return;
        }
        let is_linked = |name: &str| self.links.to(name).is_some();
        let now = Instant::now();
        for address in state.contacts.due(is_linked, now) {
            if address == self.me.address {
                state.contacts.is_own(&address);
            } else if let Err(DialerMessage::Dial(address)) =
                self.dialer.send(DialerMessage::Dial(address))
            {
                state.contacts.failed(&address, 0.0, now);
            }
        }
    }

    pub(super) fn beat(&self, state: &State) {
        let links = self.links.all();
        let peers: Vec<(String, String)> = links
            .iter()
            .filter(|link| link.is_ready() && !state.known.is_leaving(&link.peer.name))
            .map(|link| (link.peer.name.clone(), link.peer.address.clone()))
            .collect();
        for link in links {
            let Some(agent) = link.agent() else { continue };
            let beat = Beat {
                token: link.peer.token.clone(),
                number: link.next_beat(self.runtime.clock.now()),
                draining: state.leaving,
                peers: peers.clone(),
            };
            drop(agent.send_message(NodeAgentMessage::Beat(write(&beat))));
        }
    }

    pub(super) fn drain_there(&self, name: &str) -> bool {
        let Some(link) = self.links.to(name) else { return false };
        let Some(agent) = link.agent() else { return false };
        let drain = Drain { token: link.peer.token.clone() };
        agent.send_message(NodeAgentMessage::Drain(write(&drain))).is_ok()
    }

    /// Tells the node which nodes there are, and lets membership look again.
    pub(super) fn publish(&self, state: &State) {
        let mut nodes = state.known.nodes(&self.links);
        nodes.push(super::here(&self.me));
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        self.runtime.directory.publish_nodes(nodes);
        drop(self.membership.send(MembershipMessage::LookNow));
    }
}
