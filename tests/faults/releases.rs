//! Two releases side by side: each has gateways and services, and messages of the later one hold
//! what the earlier one does not know.

use std::collections::BTreeSet;
use std::time::Instant;

use panel_harness::checks;

use super::scene::{SERVICES, Scene, three};

const LATER: &str = "99.1.0";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_releases_serve_side_by_side() {
    let mut cluster = three().await.start().await;
    for (name, roles) in [("n4", "gateway"), ("n5", SERVICES)] {
        let later = cluster.plan(name, roles).faults().env("PANEL_FAULTS__RELEASE", LATER);
        let node = later.start().await;
        cluster.add(node);
    }
    cluster.await_linked().await;
    for gateway in ["n1", "n4"] {
        let nodes = cluster.nodes_seen_by(gateway).await;
        assert_eq!(nodes["n5"]["version"], LATER);
        assert_ne!(nodes["n2"]["version"], LATER);
    }
    let mut scene = Scene::on(cluster).await;
    let load = scene.load().await.through(scene.cluster.node("n4").http());
    scene.begin_with(load).await;
    scene.more().await;
    // Every gateway has asked members of both releases.
    for gateway in ["n1", "n4"] {
        let mut answered = BTreeSet::new();
        for line in scene.cluster.node(gateway).log_json() {
            answered.extend(line["member"].as_str().map(str::to_owned));
        }
        assert!(answered.contains("n5"), "{gateway}: {answered:?}");
        assert!(answered.contains("n2") || answered.contains("n3"), "{gateway}: {answered:?}");
        // What neither knows is not there; it is no silence and no failure.
        let nowhere = scene.admin.at(&scene.cluster.client(gateway));
        for _ in 0..20 {
            nowhere.get("/api/v2/forum/constellations").await.refused(404, "not_found");
        }
    }
    // The roll forward: one release goes, the other stays.
    let begun = Instant::now();
    for node in ["n2", "n3"] {
        assert!(scene.cluster.node_mut(node).sigterm_and_wait().await.success());
        scene.more().await;
    }
    let history = scene.end().await;
    super::scale::report("one release leaves", super::scene::Goal::None, &history, begun);
    checks::failures_at_most(&history, 0).unwrap();
}
