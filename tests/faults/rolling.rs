//! Nodes that go in order: drained, restarted, gone for good.

use std::time::Instant;

use panel_harness::checks;

use super::scene::{Goal, Scene};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_costs_no_request() {
    let mut scene = Scene::three().await;
    scene.begin().await;
    let begun = Instant::now();
    for node in ["n2", "n3"] {
        scene.cluster.node_mut(node).restart().await;
        scene.cluster.await_linked().await;
        scene.more().await;
    }
    scene.end_without_failure("rolling restart", Goal::None, begun).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_has_left_is_known_no_more() {
    let mut scene = Scene::three().await;
    let status = scene.cluster.node_mut("n3").sigterm_and_wait().await;
    assert!(status.success());
    scene.cluster.await_status("n3", "n1", None).await;
    assert!(!scene.cluster.node("n1").log_contains("the link has ended"));
    scene.begin().await;
    checks::failures_at_most(&scene.end().await, 0).unwrap();
}
