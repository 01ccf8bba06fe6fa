//! Nodes that go in order: drained, restarted, gone for good.

use std::time::Instant;

use panel_harness::checks;
use serde_json::json;

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
async fn a_node_is_drained_from_another() {
    let mut scene = Scene::three().await;
    scene.begin().await;
    let begun = Instant::now();
    let said = scene.cluster.node("n1").cli(&["drain", "n2"]).await;
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.status.success() && text.ends_with("n2 has left the cluster.\n"), "{said:?}");
    assert!(scene.cluster.node_mut("n2").ended().await.success());
    let status = scene.cluster.node("n1").told(json!({"request": "status"})).await;
    let nodes = status["nodes"].as_array().unwrap();
    let names: Vec<_> = nodes.iter().filter_map(|node| node["name"].as_str()).collect();
    assert_eq!(names, ["n1", "n3"], "{status}");
    assert!(nodes[1]["round_trip_micros"].as_u64().is_some_and(|trip| trip > 0), "{status}");
    // Whom nobody knows is not drained.
    let said = scene.cluster.node("n1").cli(&["drain", "n2"]).await;
    let text = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(!said.status.success() && text.contains("no node named n2 is known here"), "{text}");
    scene.more().await;
    scene.end_without_failure("a node is drained from another", Goal::None, begun).await;
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
