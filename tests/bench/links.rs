//! What it costs that a service is on another node, and that the link to it is secure.
//!
//! Three ways to the same handlers on the same database, all there at the same time: in the
//! gateway's own process, on another node over a plain link, and on another node over mutual TLS.

use std::sync::Arc;

use panel_harness::{Backend, Client, Node, NodeBuilder, Port, Session, TestDatabase, Trust};
use tempfile::TempDir;

use crate::bare;
use crate::load::{self, Server};
use crate::report::{Rounds, head};
use crate::scenario::{READERS, ROUND, WARM_UP, WRITERS, all_up, scenarios};

const SERVICES: &str = "auth,forum,cms,admin";
const REMOTE_GOAL: f64 = 0.6;
const TLS_GOAL: f64 = 0.9;

/// A gateway, and whoever answers for it.
struct Side {
    gateway: Node,
    /// And where it listens for nodes.
    _service: Option<(Node, Port)>,
}

impl Side {
    fn server(&self) -> Server<'_> {
        Server { address: self.gateway.http(), pid: self.gateway.pid() }
    }
}

fn node(name: &str, roles: &str, (database, trust): (&TestDatabase, &Trust)) -> NodeBuilder {
    let home = Arc::new(TempDir::with_prefix("panel-bench-").unwrap());
    let tls = trust.issue(name, roles, home.path());
    NodeBuilder::new()
        .name(name)
        .roles(roles)
        .database(database)
        .data_dir(&home)
        .env("PANEL_GATEWAY__CACHE__BYTES", "0")
        .args(["--tls-dir", tls.to_str().unwrap()])
}

/// Two nodes, one a gateway and one everything else.
async fn pair(name: &str, plaintext: &str, place: (&TestDatabase, &Trust)) -> Side {
    let port = Port::reserve();
    let listen = port.address().to_string();
    let (gateway, service) = (format!("{name}1"), format!("{name}2"));
    let linked = |builder: NodeBuilder, listen: &str| {
        let builder = builder.env("PANEL_CLUSTER__NAME", name);
        let builder = builder.env("PANEL_CLUSTER__PLAINTEXT", plaintext);
        builder.args(["--cluster-listen", listen])
    };
    let service = linked(node(&service, SERVICES, place), &listen).start().await;
    let gateway = linked(node(&gateway, "gateway", place), "127.0.0.1:0");
    let gateway = gateway.args(["--seed", &listen]).start().await;
    all_up(&gateway.client()).await;
    Side { gateway, _service: Some((service, port)) }
}

/// Measures, and prints a table.
pub(crate) async fn run(rounds: usize) {
    let database = Backend::Postgres.database().await;
    let trust = Trust::new();
    let place = (&database, &trust);
    let alone = node("alone", &format!("gateway,{SERVICES}"), place).start().await;
    let local = Side { gateway: alone, _service: None };
    let plain = pair("plain", "true", place).await;
    let secure = pair("secure", "false", place).await;
    let dir = TempDir::with_prefix("panel-bench-").unwrap();
    std::fs::create_dir(dir.path().join("keys")).unwrap();
    let seeded = bare::seeded(&database, dir.path()).await;
    let client = Client::new(local.gateway.http());
    let token = Session::register(&client, "bench").await.access_token;
    println!("\n### links (postgres)\n");
    println!("{}", head("that", "against"));
    for (scenario, _, connections, requests) in scenarios(&seeded, &token) {
        assert!(connections == READERS || connections == WRITERS);
        let mut remote = Rounds::new(format!("{scenario}: TLS against local"), REMOTE_GOAL);
        let mut tls = Rounds::new(format!("{scenario}: TLS against plain"), TLS_GOAL);
        for side in [&local, &plain, &secure] {
            load::run(side.server(), &requests, connections, WARM_UP).await;
        }
        for _ in 0..rounds {
            let round = |side| load::run(side, &requests, connections, ROUND);
            let by_tls = round(secure.server()).await;
            remote.reference.push(round(local.server()).await);
            tls.reference.push(round(plain.server()).await);
            remote.subject.push(by_tls.clone());
            tls.subject.push(by_tls);
        }
        println!("{}\n{}", remote.line(), tls.line());
    }
}
