//! A service hangs on a node whose beats go on.

use std::time::Instant;

use panel_harness::eventually;
use serde_json::{Value, json};

use super::scene::{Goal, SOON, Scene, three};

/// What the gateway's breaker of a service's member on a node is.
async fn breaker(scene: &Scene, service: &str, node: &str) -> String {
    let answer = scene.cluster.client("n1").get("/api/v2/services").await.expect(200).json();
    let find = |list: &Value, key: &str, wanted: &str| {
        let found = list.as_array().unwrap().iter().find(|one| one[key] == wanted);
        found.unwrap_or_else(|| panic!("no {wanted} in {answer}")).clone()
    };
    let member = find(&find(&answer["items"], "name", service)["members"], "node", node);
    member["breaker"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_hangs_on_one_node_is_left_alone_until_it_answers() {
    let cluster = three().await.env("PANEL_FAULTS__ENABLED", "true").start().await;
    let mut scene = Scene::on(cluster).await;
    scene.begin().await;
    let stalled = Instant::now();
    let stall = json!({"request": "stall", "actor": "forum/serving/front_door", "time": "12s"});
    scene.cluster.node("n2").told(stall).await;
    let state = async |wanted: &str| {
        eventually(&format!("the breaker is {wanted}"), SOON, async || {
            let found = breaker(&scene, "forum", "n2").await;
            if found == wanted { Ok(()) } else { Err(found) }
        })
        .await;
    };
    state("open").await;
    assert_eq!(breaker(&scene, "auth", "n2").await, "closed");
    scene.more().await;
    state("closed").await;
    scene.more().await;
    scene.end_without_failure("a service hangs on one node", Goal::None, stalled).await;
}
