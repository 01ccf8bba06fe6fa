//! What the edge does with clients that do not read, that do not wait, and that are too many.

use std::time::Duration;

use panel_harness::{Backend, Metrics, Node, Probe, Rig, RigBuilder, eventually};
use panel_kernel::config::PoolConfig;
use panel_kernel::problem::Problem;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};

/// Requests counted.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small count")]
pub(crate) fn counted(metrics: &Metrics, method: &str, route: &str, status: &str) -> u64 {
    let labels = [("route", route), ("method", method), ("status", status)];
    metrics.find("panel_http_requests_total", &labels).map_or(0, |value| value as u64)
}

/// Clients that ask for a lot and read nothing of it fill the socket in both directions.
async fn asks_and_does_not_read(address: &str, path: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut stream = socket.connect(address.parse().unwrap()).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").repeat(2_000);
    // The node stops reading when it can't write: some of it may never be taken.
    let sending = stream.write_all(request.as_bytes());
    drop(tokio::time::timeout(Duration::from_millis(500), sending).await);
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_read_no_answers_are_let_go() {
    // One connection at a time, so that who holds it shows.
    let node = Node::builder()
        .env("PANEL_GATEWAY__MAX_CONNECTIONS", "1")
        .env("PANEL_GATEWAY__HEAD_TIMEOUT", "5m")
        .env("PANEL_GATEWAY__WRITE_TIMEOUT", "1s");
    let node = node.start().await;
    let deaf = asks_and_does_not_read(node.http(), "/api/v2/openapi.json").await;
    let next = tokio::time::timeout(Duration::from_secs(20), async {
        node.client().get("/api/v2/health").await.expect(200);
    });
    next.await.expect("the next client has its turn");
    drop(deaf);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_away_is_counted_once_and_its_read_is_never_begun() {
    let rig = one_worker().await;
    let writer = hold_the_writer(&rig);
    let write = rig.client().post("/api/v2/probe/write");
    let held = tokio::spawn(write.json(&serde_json::json!({"value": "x"})).send());
    eventually("the worker is held", Duration::from_secs(5), async || {
        rig.probe.count("write") == 1
    })
    .await;
    // Whoever asked while the rig was starting may have been refused.
    let before = measured(&rig);
    let gone =
        begin(&rig.address.to_string(), "GET /api/v2/probe/ok HTTP/1.1\r\nHost: x\r\n\r\n").await;
    eventually("it waits", Duration::from_secs(5), async || rig.handle("probe").load.inside() == 2)
        .await;
    drop(gone);
    eventually("it is counted as gone", Duration::from_secs(5), async || {
        counted(&rig.metrics(), "GET", "unmatched", "499") == 1
    })
    .await;
    let seconds = measured(&rig) - before;
    assert!((seconds - 1.0).abs() < f64::EPSILON, "its time is measured: {seconds}");
    writer.let_go().await;
    assert_eq!(held.await.unwrap().unwrap().status, 201);
    eventually("nobody is inside", Duration::from_secs(5), async || {
        rig.handle("probe").load.inside() == 0
    })
    .await;
    assert_eq!(rig.probe.count("ok"), 0, "nobody waited for it any more");
    rig.client().get("/api/v2/probe/ok").await.expect(200);
    assert_eq!(counted(&rig.metrics(), "GET", "unmatched", "499"), 1, "and only once");
    rig.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_away_has_one_line_in_the_log() {
    // Hashing takes longer than it takes to notice that a client has gone.
    let node = Node::builder()
        .env("PANEL_AUTH__ARGON2_MEMORY_KIB", "19456")
        .env("PANEL_AUTH__ARGON2_ITERATIONS", "20");
    let node = node.start().await;
    let body = r#"{"login": "nobody", "password": "a long password"}"#;
    let request = format!(
        "POST /api/v2/auth/login HTTP/1.1\r\nHost: x\r\nX-Request-Id: gone-1\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    drop(begin(node.http(), &request).await);
    let lines = || {
        let own = |line: &Value| line["request_id"] == "gone-1" && line["message"] == "request";
        node.log_json().into_iter().filter(own).collect::<Vec<_>>()
    };
    eventually("it has its line", Duration::from_secs(5), async || !lines().is_empty()).await;
    node.client().post("/api/v2/auth/login").body("application/json", body).await.expect(401);
    let [line] = &lines()[..] else { panic!("more than one: {:?}", lines()) };
    assert_eq!(line["status"], 499);
    assert_eq!(line["method"], "POST");
    assert!(line["latency_us"].as_u64().is_some_and(|latency| latency > 0), "{line}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bound_on_connections_is_for_all_ports_together_and_closes_none() {
    let node = Node::builder().env("PANEL_GATEWAY__MAX_CONNECTIONS", "1").service_ports();
    let node = node.start().await;
    for port in ["auth", "forum", "cms", "admin"] {
        // Each client takes its connection with it when it is dropped.
        let client = panel_harness::Client::new(node.service_port(port));
        client.get("/health").await.expect(200);
        drop(client);
        node.client().get("/api/v2/health").await.expect(200);
    }
    let held = node.client();
    held.get("/api/v2/health").await.expect(200);
    let next = panel_harness::Client::new(node.service_port("forum"));
    let next = tokio::spawn(next.get("/health").send());
    // The node goes on answering the one it has, and not the other.
    for _ in 0..50 {
        held.get("/api/v2/health").await.expect(200);
        assert!(!next.is_finished(), "one connection is all there may be");
    }
    drop(held);
    assert_eq!(next.await.unwrap().unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_has_begun_is_done_though_its_client_has_gone() {
    let rig = one_worker().await;
    let writer = hold_the_writer(&rig);
    let body = r#"{"value": "kept"}"#;
    let request = format!(
        "POST /api/v2/probe/write HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let gone = begin(&rig.address.to_string(), &request).await;
    eventually("it has begun", Duration::from_secs(5), async || rig.probe.count("write") == 1)
        .await;
    drop(gone);
    eventually("it is counted as gone", Duration::from_secs(5), async || {
        counted(&rig.metrics(), "POST", "unmatched", "499") == 1
    })
    .await;
    writer.let_go().await;
    eventually("it is written", Duration::from_secs(5), async || {
        let effects = rig.client().get("/api/v2/probe/effects").await.expect(200).json();
        effects["values"] == serde_json::json!(["kept"])
    })
    .await;
    rig.shutdown().await;
}

/// Requests to the probe that got no route, whose time was measured.
fn measured(rig: &Rig) -> f64 {
    let labels = [("service", "probe"), ("route", "unmatched")];
    rig.metrics().value("panel_http_request_seconds_count", &labels)
}

/// The one writer of a SQLite file, with a transaction that does not end by itself.
struct HeldWriter(tokio::sync::oneshot::Sender<()>, tokio::task::JoinHandle<Result<(), Problem>>);

fn hold_the_writer(rig: &Rig) -> HeldWriter {
    let (release, released) = tokio::sync::oneshot::channel::<()>();
    let db = rig.database("probe");
    let holding = async move {
        db.transact(move |_| {
            Box::pin(async move {
                drop(released.await);
                Ok(())
            })
        })
        .await
    };
    HeldWriter(release, tokio::spawn(holding))
}

impl HeldWriter {
    async fn let_go(self) {
        self.0.send(()).expect("the transaction was not given up meanwhile");
        self.1.await.unwrap().unwrap();
    }
}

async fn one_worker() -> Rig {
    let probe = Probe::new();
    let builder = RigBuilder::new(Backend::Sqlite.database().await)
        .service(probe.spec_with(PoolConfig { workers: 1, queue: 8 }))
        .probe(&probe);
    Box::pin(builder.start()).await
}

/// A connection on which this has been sent.
async fn begin(address: &str, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}
