//! Redis that is absent, dies, hangs, refuses or comes back: nothing but health and metrics tells.

use std::time::{Duration, Instant};

use panel_harness::{Backend, Node, Redis as Server, RigBuilder, eventually};
use panel_kernel::redis::{Redis, RedisConfig, Unavailable, cmd};
use panel_kernel::role::Role;

/// For a change to be noticed: a look a second, or every two while it is down.
const NOTICED: Duration = Duration::from_secs(10);

/// Waits until health says so, and until then and afterwards the node serves.
async fn told(node: &Node, status: &str) {
    let client = node.client();
    eventually(&format!("redis is told to be {status}"), NOTICED, async || {
        client.get("/api/v2/forum/threads").await.expect(200);
        let health = client.get("/api/v2/health").await.expect(200).json();
        let overall = if status == "up" { "healthy" } else { "degraded" };
        let redis = &health["dependencies"]["redis"]["status"];
        if redis == status && health["status"] == overall { Ok(()) } else { Err(health) }
    })
    .await;
    let up = node.metrics().await.find("panel_redis_up", &[]);
    assert_eq!(up, Some(f64::from(u8::from(status == "up"))));
    node.ops_client().get("/health/ready").await.expect(200);
}

/// On a busy machine 50 ms may pass without a fault of Redis's.
fn patient(redis: &mut RedisConfig) {
    redis.timeout = "500ms".parse().unwrap();
}

async fn ping(redis: &Redis) -> Result<String, Unavailable> {
    redis.query(&cmd("PING")).await
}

async fn up(redis: &Redis) {
    eventually("redis is up", NOTICED, async || redis.is_up()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_may_be_absent_come_die_and_come_again() {
    let mut server = Server::absent();
    let node = Node::builder().env("REDIS_URL", &server.url());
    let node = node.env("PANEL_REDIS__TIMEOUT", "500ms").start().await;
    told(&node, "down").await;
    server.start_again();
    told(&node, "up").await;
    server.kill9();
    told(&node, "down").await;
    assert!(node.metrics().await.value("panel_redis_errors_total", &[]) > 0.0);
    server.start_again();
    told(&node, "up").await;
    // It hangs and goes on.
    server.freeze();
    told(&node, "down").await;
    assert!(node.metrics().await.value("panel_redis_errors_total", &[("reason", "timeout")]) > 0.0);
    server.thaw();
    told(&node, "up").await;
    // Each change is said once.
    let said =
        |message: &str| node.log_json().iter().filter(|line| line["message"] == message).count();
    eventually("the last change is logged", NOTICED, async || said("redis is up") >= 3).await;
    assert_eq!(said("redis is down"), said("redis is up"));
    assert_eq!(node.metrics().await.count("panel_actor_restarts_total", &[]), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_hangs_costs_its_callers_one_timeout() {
    let mut server = Server::start();
    let database = Backend::Sqlite.database().await;
    let rig = RigBuilder::new(database).redis(&server.url(), patient);
    let rig = Box::pin(rig.start()).await;
    let redis = rig.runtime.redis.clone();
    up(&redis).await;
    assert_eq!(ping(&redis).await.as_deref(), Ok("PONG"));
    server.freeze();
    let began = Instant::now();
    let asking = (0..500).map(|_| async { ping(&redis).await });
    let answers = futures::future::join_all(asking).await;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
    let count = |error| answers.iter().filter(|answer| **answer == Err(error)).count();
    let failed = count(Unavailable::Failed);
    // Eight connections, four callers to each; the others are not kept waiting.
    assert!((1..=32).contains(&failed), "{failed}");
    assert_eq!(failed + count(Unavailable::Busy) + count(Unavailable::Down), 500);
    // After that it costs nothing.
    let began = Instant::now();
    for _ in 0..1_000 {
        assert_eq!(ping(&redis).await, Err(Unavailable::Down));
    }
    let took = began.elapsed();
    assert!(took < Duration::from_millis(500), "{took:?}");
    rig.client().get("/api/v2/probe/ok").await.expect(200);
    server.thaw();
    up(&redis).await;
    assert_eq!(ping(&redis).await.as_deref(), Ok("PONG"));
    rig.shutdown().await;
}

/// A full one, a replica, or one that is loading answers pings all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_takes_no_writes_is_down() {
    let server = Server::start();
    let database = Backend::Sqlite.database().await;
    let rig = RigBuilder::new(database).redis(&server.url(), patient);
    let rig = Box::pin(rig.start()).await;
    let redis = rig.runtime.redis.clone();
    up(&redis).await;
    assert_eq!(server.tell(&["CONFIG", "SET", "min-replicas-to-write", "1"]), "OK");
    eventually("redis is down", NOTICED, async || !redis.is_up()).await;
    assert_eq!(server.tell(&["PING"]), "PONG");
    assert_eq!(server.tell(&["CONFIG", "SET", "min-replicas-to-write", "0"]), "OK");
    up(&redis).await;
    rig.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watcher_that_dies_is_replaced_and_costs_nothing() {
    let mut server = Server::start();
    let database = Backend::Sqlite.database().await;
    let rig = RigBuilder::new(database).redis(&server.url(), patient);
    let rig = Box::pin(rig.start()).await;
    let redis = rig.runtime.redis.clone();
    up(&redis).await;
    rig.kill("redis").await;
    assert_eq!(ping(&redis).await.as_deref(), Ok("PONG"));
    server.kill9();
    eventually("redis is down", NOTICED, async || !redis.is_up()).await;
    rig.kill("redis").await;
    rig.signed_in(Role::User).get("/api/v2/probe/ok").await.expect(200);
    server.start_again();
    up(&redis).await;
    rig.shutdown().await;
}
