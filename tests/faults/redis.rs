//! Redis hangs, dies and comes back.

use std::time::{Duration, Instant};

use panel_harness::{Redis, eventually};

use super::scene::{Goal, SOON, Scene, three};

async fn await_redis(scene: &Scene, status: &str) {
    eventually(&format!("Redis is {status}"), SOON, async || {
        let health = scene.cluster.client("n1").get("/api/v2/health").await.json();
        let found = health["dependencies"]["redis"]["status"].clone();
        if found == status { Ok(()) } else { Err(found) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_notices_what_becomes_of_redis() {
    let mut redis = Redis::start();
    let builder = three().await.env("PANEL_REDIS__URL", &redis.url());
    // Everything is counted, nothing is refused.
    let builder = ["ANONYMOUS", "USER", "WRITES"].iter().fold(builder, |builder, policy| {
        builder.env(&format!("PANEL_LIMITS__{policy}_PER_MINUTE"), "6000000")
    });
    // And nobody is held to what accounts may that are new.
    let builder = builder.env("PANEL_FORUM__TRUST__POSTS_PER_MINUTE", "1000000");
    let cluster = builder.env("PANEL_LIMITS__ENABLED", "true").start().await;
    let mut scene = Scene::on(cluster).await;
    await_redis(&scene, "up").await;
    scene.begin().await;
    let begun = Instant::now();
    tokio::task::block_in_place(|| redis.freeze());
    await_redis(&scene, "down").await;
    scene.more().await;
    tokio::task::block_in_place(|| redis.thaw());
    await_redis(&scene, "up").await;
    scene.more().await;
    tokio::task::block_in_place(|| redis.kill9());
    await_redis(&scene, "down").await;
    scene.more().await;
    tokio::task::block_in_place(|| redis.start_again());
    await_redis(&scene, "up").await;
    scene.more().await;
    let goal = Goal::Within(Duration::from_millis(250));
    scene.end_without_failure("Redis hangs, dies, comes back", goal, begun).await;
}
