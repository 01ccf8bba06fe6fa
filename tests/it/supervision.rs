//! Supervision shown, not claimed: services in this process, broken on purpose, driven over
//! HTTP.

use std::time::{Duration, Instant};

use panel_harness::{
    Answer, Backend, Client, Probe, Rig, RigBuilder, eventually, on_both_databases,
};
use panel_kernel::config::PoolConfig;

on_both_databases!(a_whole_service_restarts_live);

/// A second service beside the probe, to see that it notices nothing.
fn neighbour() -> panel_kernel::service::ServiceSpec {
    use axum::Router;
    use axum::routing::get;
    use panel_kernel::service::{Assembly, ServiceSpec};
    ServiceSpec {
        name: "neighbour",
        port: 5998,
        pages: &[],
        pool: PoolConfig { workers: 2, queue: 8 },
        migrations: panel_harness::probe::migrations(),
        subscriptions: &[],
        openapi: utoipa::openapi::OpenApi::default,
        assemble: std::sync::Arc::new(|_| {
            Assembly::new(Router::new().route("/api/v2/neighbour/ok", get(|| async { "ok" })))
        }),
    }
}

async fn rig(pool: PoolConfig, timeout: Duration) -> Rig {
    let probe = Probe::new();
    let builder = RigBuilder::new(Backend::Sqlite.database().await)
        .service(probe.spec_with(pool))
        .probe(&probe)
        .service(neighbour())
        .request_timeout(timeout);
    Box::pin(builder.start()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_that_keep_dying_degrade_their_service_alone() {
    let rig = rig(PoolConfig { workers: 4, queue: 8 }, Duration::from_secs(10)).await;
    let client = rig.client();
    // Kill workers as fast as they come back, until the service has given up being here.
    let killing = async {
        loop {
            let pool =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| rig.workers("probe")));
            for worker in pool.into_iter().flatten() {
                worker.kill();
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let watching = async {
        eventually(
            "the pool gives up and waits longer and longer",
            Duration::from_secs(30),
            async || rig.restarts("probe/serving/pool") >= 2,
        )
        .await;
        eventually("the service answers 503 with its name", Duration::from_secs(30), async || {
            let answer = client.get("/api/v2/probe/ok").await;
            client.get("/api/v2/neighbour/ok").await.expect(200);
            if answer.status != 503 {
                return false;
            }
            let problem = answer.refused(503, "unavailable");
            assert_eq!(problem.service.as_deref(), Some("probe"));
            true
        })
        .await;
    };
    tokio::select! {
        () = killing => {}
        () = watching => {}
    }
    assert_eq!(rig.restarts("neighbour"), 0);
    let health = client.get("/api/v2/health").await.expect(200).json();
    assert_eq!(health["services"]["neighbour"]["status"], "healthy");
    let restarts = rig.metrics();
    let restarts = restarts.value("panel_actor_restarts_total", &[("actor", "probe/serving/pool")]);
    assert!(restarts >= 2.0);
    // And it comes back by itself when the cause is gone.
    rig.await_up().await;
    client.get("/api/v2/probe/ok").await.expect(200);
    rig.shutdown().await;
}

/// The answer of a request that was let in: the gateway's own question may have the place when it comes, for
/// a moment.
async fn admitted(client: &Client, path: &str) -> Answer {
    loop {
        let answer = client.get(path).await;
        if answer.status != 503 {
            return answer;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stalled_handlers_give_their_slots_back() {
    let rig = rig(PoolConfig { workers: 2, queue: 0 }, Duration::from_secs(2)).await;
    let client = rig.client();
    let stalls: Vec<_> = (0..2)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { admitted(&client, "/api/v2/probe/stall").await })
        })
        .collect();
    eventually("both workers are held", Duration::from_secs(5), async || {
        rig.handle("probe").load.inside() == 2
    })
    .await;
    client.get("/api/v2/probe/ok").await.refused(503, "unavailable");
    for stall in stalls {
        stall.await.unwrap().refused(504, "deadline_exceeded");
    }
    // The answer is out a moment before the pool knows that its worker is free.
    eventually("the slots are free again", Duration::from_secs(5), async || {
        client.get("/api/v2/probe/ok").await.status == 200
    })
    .await;
    eventually("nobody is inside", Duration::from_secs(5), async || {
        rig.handle("probe").load.inside() == 0
    })
    .await;
    rig.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_pool_refuses_at_once_and_serves_whom_it_admitted() {
    let rig = rig(PoolConfig { workers: 2, queue: 2 }, Duration::from_secs(10)).await;
    let client = rig.client();
    let inside: Vec<_> = (0..4)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { admitted(&client, "/api/v2/probe/slow?ms=4000").await })
        })
        .collect();
    eventually("the pool is full", Duration::from_secs(5), async || {
        rig.handle("probe").load.inside() == 4
    })
    .await;
    let metrics = rig.metrics();
    let waiting = metrics.value("panel_service_queue_depth", &[("service", "probe")]);
    assert!((waiting - 2.0).abs() < f64::EPSILON, "{waiting} wait");
    let began = Instant::now();
    let answers = futures_like(&client, 50).await;
    // Fifty refusals while the four are still at it: nobody waited for a place.
    assert!(began.elapsed() < Duration::from_millis(3_900), "{:?}", began.elapsed());
    for answer in answers {
        let problem = answer.refused(503, "unavailable");
        assert_eq!(problem.service.as_deref(), Some("probe"));
    }
    client.get("/api/v2/neighbour/ok").await.expect(200);
    for answer in inside {
        answer.await.unwrap().expect(200);
    }
    // All workers were busy for seconds, so the gateway's questions may have had no answer: it asks again.
    admitted(&client, "/api/v2/probe/ok").await.expect(200);
    let refused = rig.metrics();
    let labels = [("service", "probe"), ("reason", "busy")];
    assert!(refused.value("panel_service_refused_total", &labels) >= 50.0);
    rig.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flooded_mailbox_is_emptied_and_its_service_goes_on() {
    let rig = rig(PoolConfig { workers: 4, queue: 16 }, Duration::from_secs(10)).await;
    let client = rig.client();
    let flood = rig.flood("probe", "/api/v2/probe/slow?ms=20", 20_000);
    let neighbour = async {
        for _ in 0..20 {
            client.get("/api/v2/neighbour/ok").await.expect(200);
        }
    };
    let (outcomes, ()) = tokio::join!(flood, neighbour);
    assert_eq!(outcomes.values().sum::<usize>(), 20_000);
    assert!(outcomes["200"] >= 4 && outcomes["Busy"] > 10_000, "{outcomes:?}");
    assert_eq!(outcomes.len(), 2, "{outcomes:?}");
    client.get("/api/v2/probe/ok").await.expect(200);
    assert_eq!(rig.restarts("probe/serving/front_door"), 0);
    rig.shutdown().await;
}

async fn futures_like(client: &panel_harness::Client, count: usize) -> Vec<panel_harness::Answer> {
    let tasks: Vec<_> = (0..count)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.get("/api/v2/probe/ok").await })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_replaces_the_worker_and_is_counted() {
    let rig = rig(PoolConfig { workers: 1, queue: 8 }, Duration::from_secs(10)).await;
    let client = rig.client();
    client.get("/api/v2/probe/panic").await.refused(500, "internal");
    client.get("/api/v2/probe/ok").await.expect(200);
    for _ in 0..2 {
        client.get("/api/v2/probe/panic").await.refused(500, "internal");
    }
    let panics =
        |service| rig.metrics().count("panel_handler_panics_total", &[("service", service)]);
    assert_eq!((panics("probe"), panics("neighbour")), (3, 0));
    eventually("the restarts are counted", Duration::from_secs(5), async || {
        let labels = [("actor", "probe/serving/pool/worker")];
        rig.metrics().count("panel_actor_restarts_total", &labels) == 3
    })
    .await;
    rig.shutdown().await;
}

async fn a_whole_service_restarts_live(backend: Backend) {
    let rig = Rig::start(backend).await;
    let client = rig.client();
    let write = || client.post("/api/v2/probe/write").json(&serde_json::json!({"value": "x"}));
    write().await.expect(201);
    rig.restart("probe").await;
    rig.await_up().await;
    write().await.expect(201);
    let effects = client.get("/api/v2/probe/effects").await.expect(200).json();
    assert_eq!(effects["count"], 2);
    rig.shutdown().await;
}
