//! Several nodes on one PostgreSQL, linked with each other, each the real program.
//!
//! Every test process has a range of loopback addresses of its own, so that a node keeps its
//! address over its lives and no two tests meet. Between the nodes are proxies: each node tells
//! the others to dial its proxy, which knows by their addresses who they are.

mod builder;
mod peers;
mod trust;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use serde_json::Value;

use crate::backend::TestDatabase;
use crate::eventually::eventually;
use crate::http::Client;
use crate::node::Node;
use crate::proxy::Proxy;
pub use builder::ClusterBuilder;
use peers::End;
pub use peers::Network;
pub use trust::Trust;

/// For all nodes to be linked, or one to be seen as it is.
const LINKED: Duration = Duration::from_secs(30);
/// Where nodes listen for each other, each on an address of its own.
const PORT: u16 = 5_700;

/// Nodes that are linked.
#[derive(Debug)]
pub struct Cluster {
    // Before the proxies: they end first.
    nodes: BTreeMap<String, Node>,
    places: BTreeMap<String, Place>,
    trust: Trust,
    environment: Vec<(String, String)>,
    database: TestDatabase,
}

/// Where a node is among the others.
#[derive(Debug)]
struct Place {
    proxy: Proxy,
    dials_from: IpAddr,
}

impl Cluster {
    /// Puts one together.
    pub async fn builder() -> ClusterBuilder {
        ClusterBuilder::new().await
    }

    /// The node of this name.
    #[must_use]
    pub fn node(&self, name: &str) -> &Node {
        self.nodes.get(name).unwrap_or_else(|| panic!("there is no node {name}"))
    }

    /// The node of this name, to stop it or start it again.
    #[must_use]
    pub fn node_mut(&mut self, name: &str) -> &mut Node {
        self.nodes.get_mut(name).unwrap_or_else(|| panic!("there is no node {name}"))
    }

    /// Takes a node out, to let it go for good.
    #[must_use]
    pub fn take(&mut self, name: &str) -> Node {
        self.nodes.remove(name).unwrap_or_else(|| panic!("there is no node {name}"))
    }

    /// Adds a node that was planned.
    pub fn add(&mut self, node: Node) {
        self.nodes.insert(node.name().to_owned(), node);
    }

    /// What lies between two nodes.
    pub fn between(&self, from: &str, to: &str) -> Network<'_> {
        let end = |name: &str| {
            let place = &self.places[name];
            End { proxy: &place.proxy, dials_from: place.dials_from }
        };
        Network { from: end(from), to: end(to) }
    }

    /// What lies between a node and each other.
    #[must_use]
    pub fn around(&self, name: &str) -> Vec<Network<'_>> {
        let others = self.places.keys().filter(|other| *other != name);
        others.map(|other| self.between(name, other)).collect()
    }

    /// The proxy others reach a node through.
    #[must_use]
    pub fn proxy(&self, name: &str) -> &Proxy {
        &self.places[name].proxy
    }

    /// Their authority.
    #[must_use]
    pub const fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Their database.
    #[must_use]
    pub const fn database(&self) -> &TestDatabase {
        &self.database
    }

    /// Talks to the gateway of a node.
    #[must_use]
    pub fn client(&self, name: &str) -> Client {
        self.node(name).client()
    }

    /// What a gateway knows of the nodes, by name.
    pub async fn nodes_seen_by(&self, gateway: &str) -> BTreeMap<String, Value> {
        let answer = self.client(gateway).get("/api/v2/services").await.expect(200).json();
        let nodes = answer["nodes"].as_array().unwrap().iter();
        nodes.map(|node| (node["name"].as_str().unwrap().to_owned(), node.clone())).collect()
    }

    /// Waits until a gateway sees a node in this state; `None`: until it knows it no more.
    pub async fn await_status(&self, node: &str, gateway: &str, status: Option<&str>) {
        eventually(&format!("{gateway} sees {node} as {status:?}"), LINKED, async || {
            let seen = self.nodes_seen_by(gateway).await;
            let seen = seen.get(node).map(|node| node["status"].as_str().unwrap().to_owned());
            if seen.as_deref() == status { Ok(()) } else { Err(seen) }
        })
        .await;
    }

    /// Waits until every running node is linked with every other, and every gateway has every
    /// service of theirs to ask, its breaker closed.
    pub async fn await_linked(&self) {
        let running: Vec<&Node> = self.nodes.values().filter(|node| node.is_started()).collect();
        let wanted = (running.len() as u64).saturating_sub(1);
        for node in &running {
            eventually(&format!("{} is linked with all", node.name()), LINKED, async || {
                let links = node.metrics().await.count("panel_cluster_links", &[]);
                if links == wanted { Ok(()) } else { Err(links) }
            })
            .await;
        }
        for gateway in running.iter().filter(|node| node.has_role("gateway")) {
            eventually(&format!("{} sees all members", gateway.name()), LINKED, async || {
                let answer = gateway.client().get("/api/v2/services").await.expect(200).json();
                let whole = running.iter().all(|node| serves(&answer, node));
                if whole { Ok(()) } else { Err(answer) }
            })
            .await;
        }
    }
}

/// Whether every service a node should run is up there, by a gateway's list of services.
fn serves(answer: &Value, node: &Node) -> bool {
    let is_up = |service: &Value| {
        let mut members = service["members"].as_array().unwrap().iter();
        members.any(|member| {
            let serves = member["status"] == "up" && member["breaker"] == "closed";
            serves && member["node"] == node.name()
        })
    };
    let mut services = answer["items"].as_array().unwrap().iter();
    services.all(|service| !node.has_role(service["name"].as_str().unwrap()) || is_up(service))
}

/// The address of the node with this number, in this process's range.
fn address(number: u8) -> Ipv4Addr {
    let [.., high, low] = std::process::id().to_be_bytes();
    // 127.0.0.x is everybody's.
    Ipv4Addr::new(127, 1 + high % 254, low, number)
}
