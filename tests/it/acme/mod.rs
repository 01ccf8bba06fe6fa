//! The site's certificate from an authority that issues it by itself: Pebble, which asks the node as Let's Encrypt
//! would.

mod failures;
mod issuing;
mod nodes;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use panel_harness::authority::shake_hands;
use panel_harness::{Authority, AuthorityPlan, Metrics, Node, Proxy, eventually};
use parking_lot::Mutex;
use serde_json::Value;
use tokio_rustls::rustls::ClientConfig;

const WITHIN: Duration = Duration::from_secs(30);
const HOST: &str = "panel.example";
const URL: &str = "https://panel.example";
const ORDERS: &str = "panel_gateway_acme_orders_total";
const LONG: Duration = Duration::from_secs(90 * 24 * 3_600);

/// The port of the host that the authority asks at, whoever is behind it.
struct Door {
    proxy: Proxy,
    to: Arc<Mutex<Option<SocketAddr>>>,
}

impl Door {
    /// One behind which nobody is.
    fn new() -> Self {
        let to = Arc::<Mutex<Option<SocketAddr>>>::default();
        let asked = Arc::clone(&to);
        Self { proxy: Proxy::resolving(move || *asked.lock()), to }
    }

    fn port(&self) -> u16 {
        self.proxy.address().port()
    }

    fn leads_to(&self, address: &str) {
        *self.to.lock() = Some(address.parse().unwrap());
    }
}

/// Both doors of a host.
struct Doors {
    http: Door,
    tls: Door,
}

impl Doors {
    fn new() -> Self {
        Self { http: Door::new(), tls: Door::new() }
    }

    /// An authority that asks here, and issues for so long.
    fn authority(&self, life: Duration) -> Authority {
        Authority::start(&self.plan(life))
    }

    fn plan(&self, life: Duration) -> AuthorityPlan {
        AuthorityPlan { http: self.http.port(), tls: self.tls.port(), life, known: None }
    }

    /// From now on it is this node that answers.
    fn lead_to(&self, node: &Node) {
        self.tls.leads_to(node.http());
        if let Some(redirect) = &node.run_file().redirect {
            self.http.leads_to(redirect);
        }
    }
}

/// The certificate that a node shows.
async fn shown(node: &Node, config: &Arc<ClientConfig>) -> std::io::Result<Vec<u8>> {
    let stream = shake_hands(node.http(), HOST, config).await?;
    Ok(stream.get_ref().1.peer_certificates().unwrap()[0].to_vec())
}

/// The same, as soon as there is one.
async fn issued(node: &Node, config: &Arc<ClientConfig>) -> Vec<u8> {
    eventually("there is a certificate", WITHIN, async || {
        let said = || node.log_lines().into_iter().rev().take(3).collect::<Vec<_>>();
        shown(node, config).await.map_err(|error| (error, said()))
    })
    .await
}

fn count(metrics: &Metrics, result: &str) -> u64 {
    metrics.count(ORDERS, &[("result", result)])
}

/// What the node says of its certificate.
async fn said(node: &Node) -> Value {
    let status = node.cli(&["status", "--json"]).await;
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    status["dependencies"]["certificate"].clone()
}
