//! A node of the cluster, with a certificate, that does not keep to what nodes say to each other.

use std::time::{Duration, Instant};

use panel_cluster::tls::{Credentials, any_server};
use panel_harness::{Cluster, checks, eventually};
use panel_kernel::time::Clock;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::scene::{SOON, Scene};
use super::strangers::is_counted_and_told_once;

/// A greeting has to be over by then.
const GREETING: Duration = Duration::from_secs(5);
/// More than there is room for: an honest length has at most seven digits.
const FOUR_GIB: u64 = 4 << 30;

/// A connection to `n1` with a certificate of the cluster.
async fn connect(cluster: &Cluster, name: &str) -> TlsStream<TcpStream> {
    let home = TempDir::with_prefix("panel-rogue-").unwrap();
    let tls = cluster.trust().issue(name, "cms", home.path());
    let credentials = Credentials::load(&tls, Clock::system()).unwrap();
    let stream = TcpStream::connect(cluster.proxy("n1").address()).await.unwrap();
    let connector = TlsConnector::from(credentials.client_config());
    connector.connect(any_server(), stream).await.unwrap()
}

/// Waits for the other end to close; whatever it says before.
async fn is_let_go(stream: &mut TlsStream<TcpStream>) {
    let mut said = Vec::new();
    // A reset is an end as well.
    let ended = tokio::time::timeout(SOON, stream.read_to_end(&mut said)).await;
    drop(ended.expect("the connection was closed"));
}

/// What this node says when it greets.
fn hello(name: &str, roles: &[&str]) -> Value {
    json!({
        "protocol": 1, "cluster": "panel", "name": name, "boot": "rogue", "version": "0.1.0",
        "roles": roles, "address": "127.0.0.1:1", "token": "t",
    })
}

/// Greets, and reads the answer.
async fn greet(stream: &mut TlsStream<TcpStream>, hello: &Value) -> Value {
    let json = serde_json::to_vec(hello).unwrap();
    stream.write_u32(u32::try_from(json.len()).unwrap()).await.unwrap();
    stream.write_all(&json).await.unwrap();
    let length = stream.read_u32().await.unwrap();
    let mut answer = vec![0; usize::try_from(length).unwrap()];
    stream.read_exact(&mut answer).await.unwrap();
    serde_json::from_slice(&answer).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lengths_without_bounds_and_greetings_without_end_cost_nobody_anything() {
    let mut scene = Scene::three().await;
    scene.begin().await;
    let memory = || scene.cluster.node("n1").resident_bytes();
    let before = memory();
    // A greeting of nearly 4 GiB.
    let mut stream = connect(&scene.cluster, "n0").await;
    stream.write_u32(u32::MAX).await.unwrap();
    is_let_go(&mut stream).await;
    // One that never ends, a byte at a time.
    let mut stream = connect(&scene.cluster, "n0").await;
    let begun = Instant::now();
    let mut slow = stream.write_u32(10_000).await;
    while slow.is_ok() && begun.elapsed() < 3 * GREETING {
        tokio::time::sleep(Duration::from_millis(100)).await;
        slow = stream.write_all(b" ").await;
    }
    assert!(slow.is_err() && begun.elapsed() < 2 * GREETING, "after {:?}", begun.elapsed());
    // It greets as it should, and then says that 4 GiB are to come; again and again.
    for _ in 0..10 {
        let mut stream = connect(&scene.cluster, "n0").await;
        let welcome = greet(&mut stream, &hello("n0", &["cms"])).await;
        assert_eq!(welcome["verdict"], "welcome", "{welcome}");
        stream.write_u64(FOUR_GIB).await.unwrap();
        // What is sent after that may find nobody.
        drop(stream.write_all(&vec![0; 65_536]).await);
        is_let_go(&mut stream).await;
    }
    // It greets as it should, and never says a word more: it is cut off like any silent node.
    let mut mute = connect(&scene.cluster, "n0").await;
    assert_eq!(greet(&mut mute, &hello("n0", &["cms"])).await["verdict"], "welcome");
    is_let_go(&mut mute).await;
    let grown = memory().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes");
    eventually("nothing is left of it", SOON, async || {
        let links = scene.cluster.node("n1").metrics().await.count("panel_cluster_links", &[]);
        if links == 2 { Ok(()) } else { Err(links) }
    })
    .await;
    scene.more().await;
    checks::failures_at_most(&scene.end().await, 0).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_says_more_than_their_certificate_does_is_refused() {
    let mut scene = Scene::three().await;
    scene.begin().await;
    let cluster = &scene.cluster;
    let claims = [
        (hello("n9", &["cms"]), "wrong_name", "n9"),
        (hello("n0", &["cms", "auth"]), "wrong_role", "auth"),
    ];
    for (claim, reason, named) in claims {
        for _ in 0..3 {
            let mut stream = connect(cluster, "n0").await;
            let answer = greet(&mut stream, &claim).await;
            assert_eq!(answer["verdict"], "refused", "{answer}");
            assert!(answer["reason"].as_str().unwrap().contains(named), "{answer}");
            is_let_go(&mut stream).await;
        }
        is_counted_and_told_once(cluster, reason).await;
    }
    checks::failures_at_most(&scene.end().await, 0).unwrap();
}
