//! A node stops in the middle of everything, and goes on later.

use std::time::Instant;

use panel_harness::checks;

use super::scene::{Goal, SERVICES, Scene};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_freezes_costs_a_moment_once() {
    let mut scene = Scene::three().await;
    scene.begin().await;
    let frozen = Instant::now();
    scene.cluster.node("n2").signal("STOP");
    scene.cluster.await_status("n2", "n1", Some("down")).await;
    scene.more().await;
    scene.cluster.node("n2").signal("CONT");
    scene.cluster.await_linked().await;
    scene.more().await;
    scene.end_without_failure("freeze", Goal::SILENCE, frozen).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_takes_the_place_of_a_frozen_node_and_keeps_it() {
    let mut scene = Scene::three().await;
    scene.begin().await;
    scene.cluster.node("n3").signal("STOP");
    let frozen = scene.cluster.take("n3");
    let twin = scene.cluster.plan("n3", SERVICES).start().await;
    scene.cluster.add(twin);
    scene.cluster.await_linked().await;
    let boot = scene.cluster.nodes_seen_by("n1").await["n3"]["boot"].clone();
    frozen.signal("CONT");
    // It comes back, and is told why it is not taken.
    let told = async || frozen.log_contains("another node named");
    panel_harness::eventually("the old one is refused", super::scene::SOON, told).await;
    scene.more().await;
    assert_eq!(scene.cluster.nodes_seen_by("n1").await["n3"]["boot"], boot);
    checks::failures_at_most(&scene.end().await, 0).unwrap();
}
