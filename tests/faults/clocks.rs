//! Clocks that differ by minutes.

use std::time::Instant;

use super::scene::{Goal, SERVICES, Scene};
use panel_harness::Cluster;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_whose_clocks_differ_serve_together() {
    let builder = Cluster::builder().await.env("PANEL_LIMITS__ENABLED", "false");
    let mut cluster = builder.node("n1", "gateway").start().await;
    for (name, offset) in [("n2", "40"), ("n3", "-40")] {
        let node = cluster.plan(name, SERVICES).faults();
        let node = node.env("PANEL_FAULTS__CLOCK_OFFSET_SECONDS", offset).start().await;
        cluster.add(node);
    }
    cluster.await_linked().await;
    let mut scene = Scene::on(cluster).await;
    scene.begin().await;
    let begun = Instant::now();
    scene.more().await;
    scene.end_without_failure("clocks 80 s apart", Goal::None, begun).await;
}
