//! Several nodes on one PostgreSQL, linked with each other, each the real program.
//!
//! Every test process has a range of loopback addresses of its own, so that a node keeps its
//! address over its lives and no two tests meet.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use panel_cluster::tls::{Authority, Validity};
use panel_kernel::keys::ClusterKey;
use panel_kernel::time::Clock;

use serde_json::Value;
use tempfile::TempDir;

use crate::backend::{Backend, TestDatabase};
use crate::eventually::eventually;
use crate::http::Client;
use crate::node::{Node, NodeBuilder};

/// For all nodes to be linked.
const LINKED: Duration = Duration::from_secs(20);
/// Where nodes listen for each other, each on an address of its own.
const PORT: u16 = 5_700;

/// How nodes of a test are put together.
#[derive(Debug)]
pub struct ClusterBuilder {
    database: TestDatabase,
    nodes: Vec<(String, String)>,
    environment: Vec<(String, String)>,
}

impl ClusterBuilder {
    /// On an empty PostgreSQL database.
    pub async fn new() -> Self {
        let database = Backend::Postgres.database().await;
        Self { database, nodes: Vec::new(), environment: Vec::new() }
    }

    /// With a node of this name and these roles, comma-separated.
    #[must_use]
    pub fn node(mut self, name: &str, roles: &str) -> Self {
        self.nodes.push((name.to_owned(), roles.to_owned()));
        self
    }

    /// With a setting in the environment of all nodes.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts the nodes, the first alone, and waits until all are linked.
    pub async fn start(self) -> Cluster {
        let mut cluster =
            Cluster { nodes: BTreeMap::new(), trust: Trust::new(), database: self.database };
        let seed = format!("{}:{PORT}", address(1));
        for (number, (name, roles)) in (1_u8..).zip(&self.nodes) {
            let directory = Arc::new(TempDir::with_prefix("panel-node-").unwrap());
            let tls = cluster.trust.issue(name, roles, directory.path());
            let mut builder = NodeBuilder::new()
                .name(name)
                .roles(roles)
                .database(&cluster.database)
                .data_dir(&directory)
                .args(["--tls-dir", tls.to_str().unwrap()])
                .args(["--cluster-listen", &format!("{}:{PORT}", address(number))]);
            if number > 1 {
                builder = builder.args(["--seed", &seed]);
            }
            for (name, value) in &self.environment {
                builder = builder.env(name, value);
            }
            cluster.nodes.insert(name.clone(), builder.start().await);
        }
        cluster.await_linked().await;
        cluster
    }
}

/// Nodes that are linked.
#[derive(Debug)]
pub struct Cluster {
    nodes: BTreeMap<String, Node>,
    trust: Trust,
    database: TestDatabase,
}

/// An authority of the test's own, and the key of its cluster.
#[derive(Debug)]
pub struct Trust {
    directory: TempDir,
}

impl Default for Trust {
    fn default() -> Self {
        Self::new()
    }
}

impl Trust {
    /// A new authority and a new key.
    #[must_use]
    pub fn new() -> Self {
        let directory = TempDir::with_prefix("panel-ca-").unwrap();
        let authority = Authority::create(Clock::system().now()).unwrap();
        authority.save(&directory.path().join("ca")).unwrap();
        ClusterKey::load_or_create(&directory.path().join("cluster.key")).unwrap();
        Self { directory }
    }

    /// A certificate for a node, good for a day, in `<home>/tls`: a new one if there is one.
    #[must_use]
    pub fn issue(&self, name: &str, roles: &str, home: &Path) -> PathBuf {
        let validity = Validity::days(Clock::system().now(), 1);
        self.issue_for(name, roles, home, validity)
    }

    /// The same, good for as long as the test says.
    #[must_use]
    pub fn issue_for(&self, name: &str, roles: &str, home: &Path, validity: Validity) -> PathBuf {
        let authority = Authority::load(&self.directory.path().join("ca")).unwrap();
        let roles = roles.split(',').map(str::to_owned).collect();
        let issued = authority.issue(name, &roles, validity).unwrap();
        let tls = home.join("tls");
        issued.write(&tls, &self.directory.path().join("cluster.key")).unwrap();
        tls
    }
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

    /// The status of a node as a gateway sees it; `None` if it knows no such node.
    pub async fn status_of(&self, node: &str, gateway: &str) -> Option<String> {
        let seen = self.nodes_seen_by(gateway).await;
        seen.get(node).map(|node| node["status"].as_str().unwrap().to_owned())
    }

    /// Waits until a gateway sees a node in this state.
    pub async fn await_status(&self, node: &str, gateway: &str, status: &str) {
        eventually(&format!("{gateway} sees {node} as {status}"), LINKED, async || {
            let seen = self.status_of(node, gateway).await;
            if seen.as_deref() == Some(status) { Ok(()) } else { Err(seen) }
        })
        .await;
    }

    /// Waits until every running node is linked with every other, and every gateway has every
    /// service of theirs to ask.
    pub async fn await_linked(&self) {
        let running: Vec<&Node> = self.nodes.values().filter(|node| node.is_running()).collect();
        let wanted = running.len() as u64 - 1;
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
                let is_up = |service: &Value, node: &Node| {
                    let mut members = service["members"].as_array().unwrap().iter();
                    members.any(|member| member["node"] == node.name() && member["status"] == "up")
                };
                let whole = answer["items"].as_array().unwrap().iter().all(|service| {
                    let name = service["name"].as_str().unwrap();
                    running
                        .iter()
                        .filter(|node| node.has_role(name))
                        .all(|node| is_up(service, node))
                });
                if whole { Ok(()) } else { Err(answer) }
            })
            .await;
        }
    }
}

/// The address of the node with this number, in this process's range.
fn address(number: u8) -> Ipv4Addr {
    let [.., high, low] = std::process::id().to_be_bytes();
    // 127.0.0.x is everybody's.
    Ipv4Addr::new(127, 1 + high % 254, low, number)
}
