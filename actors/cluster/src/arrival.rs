//! What comes of a connection when all goes well.

use panel_kernel::time::Timestamp;

use crate::hello::Hello;
use crate::link::Duplex;

/// A greeted peer at the other end of a stream.
pub(crate) struct Arrival {
    pub(crate) stream: Box<dyn Duplex>,
    pub(crate) peer: Hello,
    /// What its beats will carry.
    pub(crate) token: String,
    /// Whether we have dialled.
    pub(crate) dialed: bool,
    /// When its certificate expires, if it has one.
    pub(crate) expires: Option<Timestamp>,
}

impl std::fmt::Debug for Arrival {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Arrival({})", self.peer.name)
    }
}

/// How dialling went.
#[derive(Debug)]
pub(crate) enum Dialed {
    /// This is the link.
    Linked(Arrival),
    /// The peer will dial us.
    Knocked(Hello),
}
