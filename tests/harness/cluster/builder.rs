//! How nodes of a test are put together.

use std::collections::BTreeMap;
use std::sync::Arc;

use tempfile::TempDir;

use super::{Cluster, PORT, Place, Trust, address};
use crate::backend::{Backend, TestDatabase};
use crate::node::NodeBuilder;
use crate::proxy::Proxy;

/// Nodes being put together.
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

    /// On this PostgreSQL database instead.
    #[must_use]
    pub fn database(mut self, database: TestDatabase) -> Self {
        self.database = database;
        self
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

    /// Starts the nodes, the first alone, and waits until all are linked and serve.
    pub async fn start(self) -> Cluster {
        let mut cluster = Cluster {
            nodes: BTreeMap::new(),
            places: BTreeMap::new(),
            trust: Trust::new(),
            environment: self.environment,
            database: self.database,
        };
        for (name, roles) in &self.nodes {
            let node = cluster.plan(name, roles).start().await;
            cluster.nodes.insert(name.clone(), node);
        }
        cluster.await_linked().await;
        cluster
    }
}

impl Cluster {
    /// One more node, not yet started: behind a proxy of its own, seeded with all there are.
    #[must_use]
    pub fn plan(&mut self, name: &str, roles: &str) -> NodeBuilder {
        let others: Vec<String> = self.places.keys().cloned().collect();
        let others: Vec<&str> = others.iter().map(String::as_str).collect();
        self.plan_seeded(name, roles, &others)
    }

    /// The same, seeded with these nodes alone.
    #[must_use]
    pub fn plan_seeded(&mut self, name: &str, roles: &str, seeds: &[&str]) -> NodeBuilder {
        let directory = Arc::new(TempDir::with_prefix("panel-node-").unwrap());
        let seeds: Vec<String> =
            seeds.iter().map(|seed| self.places[*seed].proxy.address().to_string()).collect();
        let number = u8::try_from(self.places.len() + 1).unwrap();
        let listen = format!("{}:{PORT}", address(number));
        let proxy = Proxy::start(&*listen);
        let tls = self.trust.issue(name, roles, directory.path());
        let mut builder = NodeBuilder::new()
            .name(name)
            .roles(roles)
            .database(&self.database)
            .data_dir(&directory)
            .args(["--tls-dir", tls.to_str().unwrap()])
            .args(["--cluster-listen", &listen])
            .args(["--advertise", &proxy.address().to_string()]);
        for seed in &seeds {
            builder = builder.args(["--seed", seed]);
        }
        for (name, value) in &self.environment {
            builder = builder.env(name, value);
        }
        let dials_from = address(number).into();
        self.places.insert(name.to_owned(), Place { proxy, dials_from });
        builder
    }
}
