//! What ractor tells of its sessions, as messages to the roster.

use ractor::ActorRef;
use ractor_cluster::NodeEventSubscription;
use ractor_cluster::node::NodeServerSessionInformation;

use crate::link::Session;
use crate::messages::RosterMessage;

/// Called by the node server; must not wait.
pub(super) struct Events(pub(super) ActorRef<RosterMessage>);

impl Events {
    /// The roster owns the node server: it is only gone when all is over.
    fn tell(&self, message: RosterMessage) {
        drop(self.0.send_message(message));
    }
}

impl NodeEventSubscription for Events {
    fn node_session_opened(&self, session: NodeServerSessionInformation) {
        let taken = Session { node_id: session.node_id, actor: session.actor };
        self.tell(RosterMessage::Opened { label: session.peer_addr, session: taken });
    }

    fn node_session_disconnected(&self, session: NodeServerSessionInformation) {
        self.tell(RosterMessage::Closed(session.peer_addr));
    }

    fn node_session_authenticated(&self, _: NodeServerSessionInformation) {}

    fn node_session_ready(&self, _: NodeServerSessionInformation) {
        self.tell(RosterMessage::Ready);
    }
}
