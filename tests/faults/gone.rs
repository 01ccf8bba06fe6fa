//! Every member of a service is gone.

use std::time::{Duration, Instant};

use panel_harness::load::Latency;
use panel_harness::{Cluster, Session, eventually};

use super::scale::{figure, is_measured, millis};
use super::scene::{SOON, Scene};

/// Who asks the services that are left.
const READERS: usize = 16;
/// Between two requests of one of them.
const PAUSE: Duration = Duration::from_millis(20);

/// What it takes to be answered by a service that is well, under a load on all of them.
async fn answers(person: &Session, time: Duration) -> Latency {
    let begun = Instant::now();
    let reading = (0..READERS).map(|_| async {
        let mut took = Vec::new();
        while begun.elapsed() < time {
            let asked = Instant::now();
            person.get("/api/v2/cms/posts").await.expect(200);
            took.push(asked.elapsed());
            tokio::time::sleep(PAUSE).await;
        }
        took
    });
    Latency::of(futures::future::join_all(reading).await.into_iter().flatten().collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_others_serve_as_before() {
    let cluster = Cluster::builder()
        .await
        .env("PANEL_LIMITS__ENABLED", "false")
        .node("n1", "gateway")
        .node("n2", "auth,cms,admin")
        .node("n3", "forum")
        .start()
        .await;
    let mut scene = Scene::on(cluster).await;
    let load = scene.load().await.pause(Duration::from_millis(100));
    scene.begin_with(load).await;
    let time = Duration::from_secs(if is_measured() { 10 } else { 1 });
    let before = answers(&scene.admin, time).await;
    scene.cluster.node_mut("n3").kill9();
    scene.cluster.await_status("n3", "n1", Some("down")).await;
    let gone = answers(&scene.admin, time).await;
    // What is asked of it is refused with its name, at once.
    let asked = Instant::now();
    let problem = scene.admin.get(&scene.thread.posts).await.refused(503, "unavailable");
    assert_eq!(problem.service.as_deref(), Some("forum"));
    let refused = asked.elapsed();
    scene.cluster.node_mut("n3").restart().await;
    scene.cluster.await_linked().await;
    eventually("it is read again", SOON, async || {
        scene.admin.get(&scene.thread.posts).await.status == 200
    })
    .await;
    scene.more().await;
    scene.end().await;
    let p99 = |latency: &Latency| latency.percentile(99);
    let ratio = p99(&gone).as_secs_f64() / p99(&before).as_secs_f64();
    let text = format!("{ratio:.2} × ({} / {})", millis(p99(&gone)), millis(p99(&before)));
    figure("forum gone: p99 of cms against before", &text, "≤ 1.2 ×", ratio <= 1.2);
    figure("forum gone: its refusal", &millis(refused), "none", true);
}
