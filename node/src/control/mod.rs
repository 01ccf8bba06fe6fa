//! The control socket: what the commands beside a running node ask of it.
//!
//! `<data-dir>/run/<name>.sock`, which only the node's own account can open. One JSON object per
//! line in, one or more lines out, the last with `done` or `error` in it. It needs no database
//! and no gateway: it answers also while everything else is down.
//!
//! Failure: a restarted server listens on the same socket; connections end with the one before.

mod answers;
pub(crate) mod client;
mod drain;
pub(crate) mod protocol;
mod replies;
mod server;
mod socket;

use std::sync::Arc;
use std::time::Instant;

use panel_cluster::Cluster;
use panel_gateway::{Dependencies, Gateway};
use panel_kernel::service::{Running, Runtime};
use panel_kernel::supervision::ChildSpec;
use tokio::sync::Semaphore;

pub(crate) use drain::Drain;
pub(crate) use socket::ControlSocket;

/// Connections at one time; beyond that they are told so. A handful of commands is all it is for.
const CONNECTIONS: usize = 16;

/// Everything the answers are made from. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Control(pub(crate) Arc<ControlParts>);

pub(crate) struct ControlParts {
    pub(crate) runtime: Runtime,
    pub(crate) roles: Vec<String>,
    pub(crate) services: Vec<Running>,
    pub(crate) gateway: Option<Gateway>,
    pub(crate) dependencies: Dependencies,
    pub(crate) drain: Drain,
    pub(crate) cluster: Cluster,
    pub(crate) started: Instant,
}

impl Control {
    /// The server as a child of the root.
    pub(crate) fn child(&self, socket: &ControlSocket) -> ChildSpec {
        let (control, socket) = (self.clone(), socket.listener());
        // Not the server's own: a restart must not forget the connections that are still open.
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        ChildSpec::new("control", move || {
            let server = server::Server {
                socket: Arc::clone(&socket),
                control: control.clone(),
                places: Arc::clone(&places),
            };
            (server, ())
        })
    }
}
