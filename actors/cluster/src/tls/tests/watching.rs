//! The watch: what is renewed on disk is in force a moment later, and in the metric.

use std::time::Instant;

use panel_kernel::keys::ClusterKey;
use panel_kernel::service::{NodeIdentity, Runtime};
use panel_kernel::supervision::{Supervisor, SupervisorSpec};
use ractor::Actor;

use super::*;
use crate::tls::certificate_watch;

fn runtime(cluster: &Cluster) -> Runtime {
    let node = NodeIdentity::new("n1");
    let key = ClusterKey::generate();
    let dir = cluster.dir.path().to_owned();
    Runtime::new(node, cluster.clock.clone(), key, dir, "http://127.0.0.1", "panel").unwrap()
}

/// Waits until the metric says that.
async fn expires(runtime: &Runtime, at: Timestamp) {
    let line = format!("panel_cluster_certificate_expires_seconds {}\n", at.as_seconds());
    let began = Instant::now();
    loop {
        let text = String::from_utf8(runtime.metrics.render()).unwrap();
        if text.contains(&line) {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "no {line} in {text}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_renewal_is_taken_without_anybody_asking() {
    let cluster = Cluster::new();
    let n1 = cluster.node("n1", &["forum"]);
    let runtime = runtime(&cluster);
    let watch = certificate_watch(&runtime, &n1).unwrap();
    let spec = SupervisorSpec::new("", &runtime.tree).child(watch);
    let (root, ended) = Actor::spawn(None, Supervisor, spec).await.unwrap();
    expires(&runtime, now().plus(DAY * 30)).await;
    // What can't be used meanwhile costs nothing.
    std::fs::write(cluster.node_dir("n1").join("ca.pem"), "garbage").unwrap();
    assert!(n1.reload().is_err());
    std::fs::remove_file(cluster.node_dir("n1").join("ca.pem")).unwrap();
    cluster.issue("n1", &["forum"], Validity::days(now(), 60));
    expires(&runtime, now().plus(DAY * 60)).await;
    assert_eq!(n1.own().not_after, now().plus(DAY * 60));
    root.stop(None);
    ended.await.unwrap();
}
