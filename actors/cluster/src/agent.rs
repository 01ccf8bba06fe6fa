//! The node agent: what other nodes' agents talk to. It answers beats, and hands on what they
//! tell of their nodes.
//!
//! Remotable, so it has no name. Every message carries the token of its link, which only the
//! two ends know: a node can't speak for another.

use panel_kernel::supervision::Address;
use panel_kernel::time::{Clock, Timestamp};
use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, ActorStatus, pg};

use crate::link::Links;
use crate::messages::RosterMessage;
use crate::protocol::{Beat, Drain, Echo, NodeAgentMessage, read, write};

/// The scope and group of agents.
const SCOPE: &str = "panel.nodes";
const GROUP: &str = "agents.v1";

/// The node agent.
pub(crate) struct NodeAgent {
    pub(crate) links: Links,
    pub(crate) roster: Address<RosterMessage>,
    pub(crate) clock: Clock,
}

/// The agents of other nodes, as far as they are known here.
pub(crate) fn remote_agents() -> Vec<ActorCell> {
    let mut agents = pg::get_scoped_members(&SCOPE.to_owned(), &GROUP.to_owned());
    agents.retain(|agent| !agent.get_id().is_local() && agent.get_status() < ActorStatus::Stopping);
    agents
}

impl Actor for NodeAgent {
    type Msg = NodeAgentMessage;
    type State = ();
    type Arguments = ();

    async fn pre_start(
        &self,
        myself: ActorRef<NodeAgentMessage>,
        (): (),
    ) -> Result<(), ActorProcessingErr> {
        pg::join_scoped(SCOPE.to_owned(), GROUP.to_owned(), vec![myself.get_cell()]);
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<NodeAgentMessage>,
        message: NodeAgentMessage,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        match message {
            NodeAgentMessage::Beat(bytes) => self.beat(&bytes),
            NodeAgentMessage::Echo(bytes) => self.echo(&bytes),
            NodeAgentMessage::Drain(bytes) => self.drain(&bytes),
        }
        Ok(())
    }
}

impl NodeAgent {
    fn beat(&self, bytes: &[u8]) {
        let Some(beat) = read::<Beat>(bytes) else { return };
        let Some(link) = self.links.with_token(&beat.token) else { return };
        if let Some(agent) = link.agent() {
            let echo = Echo {
                token: link.peer.token.clone(),
                number: beat.number,
                clock_micros: self.clock.now().as_micros(),
            };
            drop(agent.send_message(NodeAgentMessage::Echo(write(&echo))));
        }
        let told = RosterMessage::Told { label: link.label.clone(), beat };
        drop(self.roster.send(told));
    }

    fn echo(&self, bytes: &[u8]) {
        let Some(echo) = read::<Echo>(bytes) else { return };
        let Some(link) = self.links.with_token(&echo.token) else { return };
        link.beat_returned(echo.number, Timestamp::from_micros(echo.clock_micros));
    }

    fn drain(&self, bytes: &[u8]) {
        let Some(drain) = read::<Drain>(bytes) else { return };
        let Some(link) = self.links.with_token(&drain.token) else { return };
        let by = link.peer.name.clone();
        drop(self.roster.send(RosterMessage::DrainHere { by }));
    }
}
