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
mod server;
mod socket;

use std::sync::Arc;
use std::time::Instant;

use panel_gateway::{Dependencies, Gateway};
use panel_kernel::service::{Running, Runtime};
use panel_kernel::supervision::ChildSpec;
use serde_json::Value;
use tokio::sync::{Semaphore, mpsc};

pub(crate) use drain::Drain;
pub(crate) use socket::ControlSocket;

/// Connections at one time; beyond that they are told so. A handful of commands is all it is for.
const CONNECTIONS: usize = 16;

/// Everything the answers are made from. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Control(pub(crate) Arc<ControlParts>);

pub(crate) struct ControlParts {
    pub(crate) runtime: Runtime,
    pub(crate) roles: Vec<&'static str>,
    pub(crate) services: Vec<Running>,
    pub(crate) gateway: Option<Gateway>,
    pub(crate) dependencies: Dependencies,
    pub(crate) drain: Drain,
    pub(crate) others: Arc<dyn Others>,
    pub(crate) started: Instant,
}

/// What the node knows of the other nodes of its cluster, and can hand on to them.
pub(crate) trait Others: Send + Sync + 'static {
    /// One object for each node of the cluster, this one included; keys are column titles.
    fn nodes(&self) -> Vec<Value>;

    /// Asks the node of this name to drain. Lines of progress go into `progress`; it ends when
    /// that node has ended, with what is said of it, or with a sentence.
    fn drain(&self, name: String, progress: mpsc::Sender<Value>) -> Handed;
}

/// What becomes of something that was handed on.
pub(crate) type Handed =
    std::pin::Pin<Box<dyn Future<Output = Result<Value, String>> + Send + 'static>>;

/// A node that knows no other.
pub(crate) struct Alone;

impl Others for Alone {
    fn nodes(&self) -> Vec<Value> {
        Vec::new()
    }

    fn drain(&self, name: String, _: mpsc::Sender<Value>) -> Handed {
        Box::pin(async move { Err(format!("no node named {name} is known here")) })
    }
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
