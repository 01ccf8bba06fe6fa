//! More is asked of a service than it can do.

use std::time::{Duration, Instant};

use panel_harness::{Cluster, Session, checks, eventually};
use serde_json::json;

use super::scale::{figure, millis};
use super::scene::{SERVICES, SOON, Scene, three};

/// Clients of a service that can do with eight requests on each of two nodes.
const CLIENTS: usize = 100;
/// How long each waits after an answer: without that they, and the gateway that refuses them, leave the other nodes no
/// processor to say in time that they are there.
const PAUSE: Duration = Duration::from_millis(40);

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
    let crowd = scene.load().await.signed_in(vec![person; CLIENTS]).pause(PAUSE);
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_is_given_no_more_at_a_time_than_it_may_have() {
    let builder = Cluster::builder().await.node("n1", "gateway").node("n2", SERVICES);
    let cluster = builder
        .env("PANEL_CLUSTER__MEMBER_IN_FLIGHT", "4")
        .env("PANEL_FAULTS__ENABLED", "true")
        .start()
        .await;
    let scene = Scene::on(cluster).await;
    let stall = json!({"request": "stall", "actor": "forum/serving/front_door", "time": "2s"});
    scene.cluster.node("n2").told(stall).await;
    // With credentials, so that each has to be asked for.
    let asked = futures::future::join_all((0..20).map(|_| async {
        let begun = Instant::now();
        (scene.admin.get("/api/v2/forum/threads").await, begun.elapsed())
    }));
    let (taken, refused): (Vec<_>, Vec<_>) =
        asked.await.into_iter().partition(|(answer, _)| answer.status == 200);
    // What the node asks for itself takes a place now and then.
    assert!((1..=4).contains(&taken.len()), "{} were taken", taken.len());
    let soonest = taken.iter().map(|(_, took)| *took).min().unwrap();
    for (answer, took) in refused {
        assert_eq!(answer.refused(503, "unavailable").detail, "forum is at capacity");
        assert!(answer.header("retry-after").is_some() && took < soonest, "{took:?}");
    }
    scene.admin.get("/api/v2/forum/threads").await.expect(200);
}
