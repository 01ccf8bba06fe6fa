//! A running node: from configuration to a supervised tree, and back down again.
//!
//! ```text
//! guardian              hears if the root ends
//! root                  one for one; never gives up
//! ├── control           the control socket
//! ├── ops               health and metrics
//! ├── cluster           who serves what
//! ├── redis             (if configured) how it is
//! ├── auth, forum, …    the services this node runs
//! └── gateway           (if it is an edge)
//! ```

mod guardian;
mod sockets;
mod start;

use std::sync::atomic::Ordering;
use std::time::Duration;

use panel_cluster::Cluster;
use panel_gateway::Gateway;
use panel_kernel::service::Running;

use crate::control::{ControlSocket, Drain};
use crate::lock::Locks;
use crate::ops::Ops;

use guardian::Root;
pub(crate) use start::{cluster_key, start};

/// How long shutdown waits for requests inside services.
const PATIENCE: Duration = Duration::from_secs(15);
const GLANCE: Duration = Duration::from_millis(5);
/// From telling the other nodes that this one drains until their requests are here.
const ON_ITS_WAY: Duration = Duration::from_millis(300);
/// From the last reply's being handed over to a link until it has left.
const LINGER: Duration = Duration::from_millis(150);

/// A node that runs.
pub(crate) struct Node {
    root: Root,
    services: Vec<Running>,
    gateway: Option<Gateway>,
    cluster: Cluster,
    ops: Ops,
    ops_shutdown: tokio_util::sync::CancellationToken,
    drain: Drain,
    /// None where it could not be opened.
    socket: Option<ControlSocket>,
    /// Given back last.
    locks: Locks,
}

impl Node {
    /// Waits until the root supervisor has ended by itself, which it never should: why it did.
    /// Nothing runs any more then, and only a new process helps.
    pub(crate) async fn root_ended(&mut self) -> String {
        self.root.ended().await
    }

    /// The wish to drain, which others may have as well as this process's owner.
    pub(crate) const fn drain(&self) -> &Drain {
        &self.drain
    }

    /// Shutdown, in order: say so, here and to the other nodes, which send nothing new from then
    /// on; take no new connections and finish those there are; leave the groups and finish what
    /// is inside the services; let the last replies out; stop the tree, last child first.
    /// Nothing that was accepted is lost.
    pub(crate) async fn shut_down(self) {
        tracing::info!("draining");
        self.drain.wish();
        self.ops.0.draining.store(true, Ordering::Relaxed);
        if let Some(gateway) = &self.gateway {
            tokio::time::sleep(gateway.drain_delay()).await;
        }
        self.cluster.leave();
        let told = tokio::time::Instant::now();
        if let Some(gateway) = &self.gateway {
            gateway.drain().await;
        }
        if self.cluster.is_linked() {
            // What others had sent before they heard of it is still on its way.
            tokio::time::sleep_until(told + ON_ITS_WAY).await;
        }
        for service in &self.services {
            service.leave();
        }
        let emptied = async {
            while self.services.iter().any(|service| service.load.inside() > 0) {
                tokio::time::sleep(GLANCE).await;
            }
        };
        if tokio::time::timeout(PATIENCE, emptied).await.is_err() {
            tracing::warn!("requests inside services did not end in time");
        }
        if self.cluster.is_linked() {
            // A link that ends with its process takes along what it has not sent.
            tokio::time::sleep(LINGER).await;
        }
        self.drain.emptied().await;
        self.ops_shutdown.cancel();
        // The root stops its children one after the other, each within its own limit.
        self.root.stop().await;
        for service in &self.services {
            if let Some(db) = service.db.load_full() {
                db.close().await;
            }
        }
        tracing::info!("stopped");
        drop(self.socket);
        drop(self.locks);
    }
}
