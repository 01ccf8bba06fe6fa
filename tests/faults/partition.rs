//! The network between nodes loses what is sent.

use std::time::{Duration, Instant};

use panel_harness::eventually;

use super::scene::{Goal, SOON, Scene};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_cut_off_costs_a_moment_once() {
    let mut scene = Scene::three().await;
    scene.begin().await;
    let parted = Instant::now();
    for network in scene.cluster.around("n2") {
        network.partition();
    }
    scene.cluster.await_status("n2", "n1", Some("down")).await;
    scene.more().await;
    for network in scene.cluster.around("n2") {
        network.heal();
    }
    scene.cluster.await_linked().await;
    scene.more().await;
    scene.end_without_failure("partition", Goal::SILENCE, parted).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_heard_but_does_not_hear_is_noticed_too() {
    let mut scene = Scene::three().await;
    scene.begin().await;
    let parted = Instant::now();
    scene.cluster.between("n1", "n2").one_way();
    scene.cluster.await_status("n2", "n1", Some("down")).await;
    scene.more().await;
    scene.cluster.between("n1", "n2").heal();
    scene.cluster.await_linked().await;
    scene.end_without_failure("one way", Goal::SILENCE, parted).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_is_cut_is_made_anew() {
    let mut scene = Scene::three().await;
    scene.begin().await;
    let cut = Instant::now();
    scene.cluster.between("n1", "n3").cut();
    scene.cluster.await_status("n3", "n1", Some("down")).await;
    scene.more().await;
    scene.cluster.between("n1", "n3").heal();
    scene.cluster.await_linked().await;
    for _ in 0..3 {
        scene.cluster.between("n1", "n3").reset();
        scene.more().await;
    }
    scene.end_without_failure("cut", Goal::SILENCE, cut).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_link_is_slow_and_no_more() {
    let mut scene = Scene::three().await;
    scene.begin().await;
    let slowed = Instant::now();
    for network in scene.cluster.around("n2") {
        network.delay(Duration::from_millis(50));
    }
    eventually("the gateway knows how far it is", SOON, async || {
        let nodes = scene.cluster.nodes_seen_by("n1").await;
        nodes["n2"]["round_trip_micros"].as_u64().unwrap() >= 100_000
    })
    .await;
    scene.more().await;
    scene.end_without_failure("slow link", Goal::None, slowed).await;
}
