//! What services and gateways ask of each other is not held up by a flood of clients.

use std::time::Duration;

use http::{HeaderMap, Method, Uri};
use panel_harness::{Backend, Probe, Rig, RigBuilder, eventually};
use panel_kernel::config::PoolConfig;
use panel_kernel::message::{Body, Envelope, Extensions, Payload, Principal, Reply, TraceContext};

/// Asks the probe, on behalf of another service or of nobody.
async fn ask(rig: &Rig, path: &'static str, principal: Principal) -> Reply {
    let clock = &rig.runtime.clock;
    let envelope = Envelope {
        method: Method::GET,
        uri: Uri::from_static(path),
        headers: HeaderMap::new(),
        body: Payload::EMPTY,
        principal,
        deadline: clock.now().plus(Duration::from_secs(20)),
        idempotency_key: None,
        trace: TraceContext::begin(),
        request_id: "insider".to_owned(),
        extensions: Extensions::default(),
    };
    let member = rig.runtime.directory.any("probe").unwrap();
    member.call(envelope, clock).await.unwrap()
}

fn insider() -> Principal {
    Principal::Service("neighbour".to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn insiders_find_a_place_in_a_full_service_and_go_first() {
    let probe = Probe::new();
    let builder = RigBuilder::new(Backend::Sqlite.database().await)
        .service(probe.spec_with(PoolConfig { workers: 1, queue: 8 }))
        .probe(&probe)
        .request_timeout(Duration::from_secs(2));
    let rig = Box::pin(builder.start()).await;
    let client = rig.client();
    let stalled = tokio::spawn(client.get("/api/v2/probe/stall").into_future());
    eventually("the worker is held", Duration::from_secs(5), async || probe.count("stall") == 1)
        .await;
    let waiting: Vec<_> =
        (0..8).map(|_| tokio::spawn(client.get("/api/v2/probe/ok").into_future())).collect();
    let inside = || rig.handle("probe").load.inside();
    eventually("the service is full", Duration::from_secs(5), async || inside() == 9).await;
    client.get("/api/v2/probe/ok").await.refused(503, "unavailable");
    // Came last, and is answered first: no other handler was entered before this one.
    let counts = ask(&rig, "/api/v2/probe/counts", insider()).await;
    let Body::Inline(counts) = counts.body else { panic!("a body of its own") };
    let counts: serde_json::Value = serde_json::from_slice(&counts).unwrap();
    assert_eq!(counts["stall"], 1);
    assert!(counts.get("ok").is_none(), "{counts}");
    stalled.await.unwrap().refused(504, "deadline_exceeded");
    for answer in waiting {
        drop(answer.await.unwrap());
    }
    rig.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn insiders_are_bounded_too() {
    let probe = Probe::new();
    let builder = RigBuilder::new(Backend::Sqlite.database().await)
        .service(probe.spec_with(PoolConfig { workers: 1, queue: 0 }))
        .probe(&probe)
        .request_timeout(Duration::from_secs(2));
    let rig = std::sync::Arc::new(Box::pin(builder.start()).await);
    let client = rig.client();
    let stalled = tokio::spawn(async move {
        // The gateway's own questions hold the worker now and then.
        loop {
            let answer = client.get("/api/v2/probe/stall").await;
            if answer.status != 503 {
                return answer;
            }
        }
    });
    eventually("the worker is held", Duration::from_secs(5), async || probe.count("stall") == 1)
        .await;
    let asking: Vec<_> = (0..40)
        .map(|_| {
            let rig = std::sync::Arc::clone(&rig);
            tokio::spawn(async move { ask(&rig, "/api/v2/probe/ok", insider()).await })
        })
        .collect();
    let mut refused = 0;
    for answer in asking {
        refused += usize::from(answer.await.unwrap().refusal.is_some());
    }
    assert_eq!(refused, 24, "sixteen had a place");
    stalled.await.unwrap().refused(504, "deadline_exceeded");
}
