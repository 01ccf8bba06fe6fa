//! What the actors of the links tell each other.

use ractor::RpcReplyPort;
use ractor_cluster::RactorMessage;

use crate::arrival::{Arrival, Dialed};
use crate::failed::Failed;
use crate::hello::Hello;
use crate::link::Session;
use crate::protocol::Beat;
use crate::rules::Refused;

/// What the roster is told.
#[derive(Debug, RactorMessage)]
pub(crate) enum RosterMessage {
    /// Time to look. A tick.
    Tick,
    /// May this one be linked?
    Consider(Box<Hello>, RpcReplyPort<Verdict>),
    /// A greeted peer at the other end of a stream.
    Arrived(Box<Arrival>),
    /// How dialling went.
    Dialed {
        /// What was dialled.
        address: String,
        /// How it went.
        outcome: Box<Result<Dialed, Failed>>,
    },
    /// ractor has taken the stream under this label.
    Opened {
        /// The link's.
        label: String,
        /// ractor's part.
        session: Session,
    },
    /// A session has exchanged what there is.
    Ready,
    /// The session under this label has ended.
    Closed(String),
    /// What the peer's beat says.
    Told {
        /// The link's.
        label: String,
        /// The beat.
        beat: Beat,
    },
    /// This node drains: say so to all, at once.
    Leave,
    /// Another node wishes that this one drain.
    DrainHere {
        /// Who wishes it.
        by: String,
    },
    /// Ask a node to drain; answers whether it is linked.
    DrainThere(String, RpcReplyPort<bool>),
}

/// What becomes of somebody who has dialled us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// This is the link.
    Welcome,
    /// We dial.
    Redial,
    /// No link.
    Refused(Refused),
}

/// What the dialer is told.
#[derive(Debug, RactorMessage)]
pub(crate) enum DialerMessage {
    /// Dial this address once.
    Dial(String),
}

/// What membership is told.
#[derive(Debug, RactorMessage)]
pub(crate) enum MembershipMessage {
    /// Compare the directory with the groups. A tick.
    Look,
    /// The same, because links have changed.
    LookNow,
}
