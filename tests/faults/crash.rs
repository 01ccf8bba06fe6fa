//! A node dies without a word.

use std::time::Instant;

use panel_harness::checks;

use super::scene::{Goal, Scene};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_notices_a_node_that_is_killed() {
    let mut scene = Scene::three().await;
    scene.begin().await;
    let killed = Instant::now();
    for victim in ["n2", "n3"] {
        scene.cluster.node_mut(victim).kill9();
        scene.cluster.await_status(victim, "n1", Some("down")).await;
        scene.more().await;
        scene.cluster.node_mut(victim).restart().await;
        scene.cluster.await_linked().await;
    }
    scene.end_without_failure("kill -9", Goal::CRASH, killed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_comes_back_however_often_it_is_killed() {
    let mut scene = Scene::three().await;
    for _ in 0..10 {
        scene.cluster.node_mut("n3").kill9();
        scene.cluster.node_mut("n3").restart().await;
    }
    scene.cluster.await_linked().await;
    scene.begin().await;
    checks::failures_at_most(&scene.end().await, 0).unwrap();
}
