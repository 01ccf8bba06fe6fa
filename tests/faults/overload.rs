//! More is asked of a service than it can do.

use std::time::{Duration, Instant};

use panel_harness::{Session, checks, eventually};

use super::scale::{figure, millis};
use super::scene::{SOON, Scene, three};

/// Clients of a service that can do with eight requests on each of two nodes.
const CLIENTS: usize = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_much_is_refused_and_nobody_else_suffers() {
    let cluster = three()
        .await
        .env("PANEL_FORUM__POOL__WORKERS", "4")
        .env("PANEL_FORUM__POOL__QUEUE", "4")
        .start()
        .await;
    let mut scene = Scene::on(cluster).await;
    let client = scene.cluster.client("n1");
    let person = Session::register(&client, "crowd").await;
    // Signed in, so that nothing is answered from the edge's cache.
    let crowd =
        scene.load().await.signed_in(vec![person; CLIENTS]).pause(Duration::from_millis(10));
    scene.begin_with(crowd).await;
    let metrics = async || scene.cluster.node("n1").metrics().await;
    let refused = scene.running().history().failures();
    assert!(refused.contains_key("503 unavailable"), "{refused:?}");
    // The others' capacity is their own.
    let begun = Instant::now();
    let mut longest = Duration::ZERO;
    for _ in 0..50 {
        let asked = Instant::now();
        scene.admin.get("/api/v2/cms/posts").await.expect(200);
        longest = longest.max(asked.elapsed());
    }
    assert_eq!(metrics().await.count("panel_cluster_links", &[]), 2, "work is not silence");
    let history = scene.end().await;
    checks::only_fails_with(&history, &["503 unavailable"]).unwrap();
    let crowded = history.during(begun, Instant::now());
    let refusals = crowded.only(|entry| !entry.outcome.is_done()).latency();
    eventually("it is well at once", SOON, async || {
        scene.admin.get(&scene.thread.posts).await.status == 200
    })
    .await;
    let name = "overload: refusal, median / 99 of 100";
    let shown = [50, 99].map(|percent| millis(refusals.percentile(percent)));
    figure(name, &shown.join(" / "), "none", true);
    figure("overload: longest answer of another service", &millis(longest), "none", true);
}
