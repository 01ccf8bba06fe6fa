//! A node stops in the middle of everything, and goes on later.

use std::time::Instant;

use panel_harness::{Cluster, checks, eventually};

use super::scene::{Goal, SERVICES, SOON, Scene};

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
    eventually("the old one is refused", SOON, told).await;
    scene.more().await;
    assert_eq!(scene.cluster.nodes_seen_by("n1").await["n3"]["boot"], boot);
    checks::failures_at_most(&scene.end().await, 0).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_node_that_wakes_up_where_it_is_looked_for_is_not_taken_back() {
    let builder = Cluster::builder().await.env("PANEL_LIMITS__ENABLED", "false");
    let mut cluster = builder.node("n2", SERVICES).node("n3", SERVICES).start().await;
    let running = |line: &serde_json::Value| line["message"] == "panel-node is running";
    let line = cluster.node("n3").log_json().into_iter().find(running).unwrap();
    // The gateway is seeded with where n3 listens, and never stops to look there.
    let listens = line["cluster"].as_str().unwrap().to_owned();
    let gateway = cluster.plan("n1", "gateway").args(["--seed", &listens]).start().await;
    cluster.add(gateway);
    cluster.await_linked().await;
    let mut scene = Scene::on(cluster).await;
    scene.begin().await;
    scene.cluster.node("n3").signal("STOP");
    let frozen = scene.cluster.take("n3");
    let twin = scene.cluster.plan_seeded("n3", SERVICES, &["n1", "n2"]).start().await;
    scene.cluster.add(twin);
    scene.cluster.await_linked().await;
    let boot = scene.cluster.nodes_seen_by("n1").await["n3"]["boot"].clone();
    frozen.signal("CONT");
    let told = async || {
        let mut lines = scene.cluster.node("n1").log_json().into_iter();
        lines.any(|line| line["reason"] == "twin" && line["peer"] == listens)
    };
    eventually("the gateway has found it and let it be", SOON, told).await;
    scene.more().await;
    assert_eq!(scene.cluster.nodes_seen_by("n1").await["n3"]["boot"], boot);
    checks::failures_at_most(&scene.end().await, 0).unwrap();
}
