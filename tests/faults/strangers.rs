//! Who does not belong to the cluster, and what that costs it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use panel_cluster::tls::Validity;
use panel_harness::{Cluster, Node, NodeBuilder, Trust, checks, eventually};
use panel_kernel::time::Timestamp;
use serde_json::Value;
use tempfile::TempDir;

use super::scene::{SERVICES, SOON, Scene};

/// What fits the stranger.
const CERTIFIED: (&str, &str) = ("n9", "cms");

/// A node `n9` that would like to be linked with the cluster, certified by whom the test says, as
/// whom it says.
fn stranger(cluster: &Cluster, trust: &Trust, (name, roles): (&str, &str)) -> NodeBuilder {
    certified(cluster, |home| trust.issue(name, roles, home))
}

fn certified(cluster: &Cluster, issue: impl FnOnce(&Path) -> PathBuf) -> NodeBuilder {
    let home = Arc::new(TempDir::with_prefix("panel-node-").unwrap());
    let tls = issue(home.path());
    Node::builder()
        .name("n9")
        .roles("cms")
        .database(cluster.database())
        .data_dir(&home)
        .args(["--tls-dir", tls.to_str().unwrap(), "--cluster-listen", "127.0.0.1:0"])
        .args(["--seed", &cluster.proxy("n1").address().to_string()])
}

/// What the gateway counts of refusals for this reason.
async fn refused(cluster: &Cluster, reason: &str) -> u64 {
    let counted = cluster.node("n1").metrics().await;
    counted.count("panel_cluster_refused_total", &[("direction", "incoming"), ("reason", reason)])
}

/// The gateway has refused somebody for this reason three times, and has said so once.
pub(super) async fn is_counted_and_told_once(cluster: &Cluster, reason: &str) {
    eventually(&format!("refused as {reason}"), SOON, async || refused(cluster, reason).await >= 3)
        .await;
    assert_eq!(warnings(cluster.node("n1"), reason).len(), 1, "told once: {reason}");
}

/// The warnings that name this reason.
fn warnings(node: &Node, reason: &str) -> Vec<Value> {
    let mut lines = node.log_json();
    lines.retain(|line| line["level"] == "WARN" && line["reason"] == reason);
    lines
}

/// It is refused, which it calls `there`.
async fn is_refused(cluster: &Cluster, builder: NodeBuilder, reason: &str, there: &str) {
    let node = builder.start().await;
    is_counted_and_told_once(cluster, reason).await;
    assert_eq!(warnings(&node, there).len(), 1, "{:?}", node.log_json());
    assert!(!cluster.nodes_seen_by("n1").await.contains_key("n9"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_are_refused_and_told_why_once() {
    let mut scene = Scene::three().await;
    scene.begin().await;
    let cluster = &scene.cluster;
    let other = stranger(cluster, &Trust::new(), CERTIFIED);
    is_refused(cluster, other, "wrong_authority", "wrong_authority").await;
    let of_other = stranger(cluster, cluster.trust(), CERTIFIED);
    let of_other = of_other.env("PANEL_CLUSTER__NAME", "another");
    is_refused(cluster, of_other, "wrong_cluster", "refused_there").await;
    // What it is told comes through, although it has said more than was listened to.
    let past = Validity { from: Timestamp::from_micros(0), until: Timestamp::from_micros(1) };
    let late = certified(cluster, |home| cluster.trust().issue_for("n9", "cms", home, past));
    is_refused(cluster, late, "expired", "expired").await;
    checks::failures_at_most(&scene.end().await, 0).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_does_not_fit_its_node_is_noticed_at_home() {
    let cluster = Cluster::builder().await.node("n1", "gateway,auth").start().await;
    for (certified, says) in [(("n8", "cms"), "\"n8\""), (("n9", SERVICES), "")] {
        let builder = stranger(&cluster, cluster.trust(), certified).roles("cms,gateway");
        let output = builder.start_refused().await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("certificate") && said.contains(says), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_and_garbage_keep_nobody_out() {
    let mut scene = Scene::three().await;
    scene.begin().await;
    let address = scene.cluster.proxy("n1").address();
    // As many as the listener greets at a time, many times over; none says anything.
    let mut idle: Vec<TcpStream> = Vec::new();
    for _ in 0..500 {
        idle.push(TcpStream::connect(address).unwrap());
    }
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 64], &[0; 4096]] {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(garbage).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        // It is told off or cut off, and soon.
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer));
        assert!(answer.len() < 256, "{answer:?}");
    }
    // One that belongs here is let in meanwhile.
    scene.cluster.node_mut("n3").kill9();
    scene.cluster.node_mut("n3").restart().await;
    scene.cluster.await_linked().await;
    scene.more().await;
    drop(idle);
    checks::failures_at_most(&scene.end().await, 0).unwrap();
}
