//! The harness itself: a service and a gateway in this process, on both databases.

use std::time::Duration;

use panel_harness::{
    Backend, Client, Metrics, Rig, RigBuilder, eventually, on_both_databases, raw,
};
use panel_kernel::role::Role;
use serde_json::{Value, json};

on_both_databases!(
    an_answer_comes_through_the_gateway,
    a_write_is_done_once,
    a_key_belongs_to_one_request,
    a_panic_costs_one_request,
    a_failed_write_leaves_nothing,
    a_panic_in_a_transaction_is_our_fault,
    a_killed_front_door_comes_back,
    killed_workers_are_replaced,
);

async fn effects(client: &Client) -> u64 {
    client.get("/api/v2/probe/effects").await.expect(200).json()["count"].as_u64().unwrap()
}

async fn an_answer_comes_through_the_gateway(backend: Backend) {
    let rig = Rig::start(backend).await;
    let client = rig.client();
    let answer = client.get("/api/v2/probe/ok").await.expect(200);
    assert_eq!(answer.json(), json!({"ok": true}));
    assert!(answer.header("x-request-id").is_some() && answer.header("etag").is_some());
    let request = client.post("/api/v2/probe/echo?a=1").header("accept-language", "de");
    let echo = request.idempotency_key("k").body("text/plain", "hello").await.expect(200).json();
    assert_eq!(echo["query"], "a=1");
    assert_eq!(echo["body"], "hello");
    assert_eq!(echo["headers"]["accept-language"], "de");
    assert_eq!(echo["idempotency_key"], "k");
    assert_eq!(echo["client_ip"], "127.0.0.1");
    assert_eq!(rig.probe.count("ok"), 1);
    client.get("/api/v2/probe/nothing").await.refused(404, "not_found");
    client.get("/api/v2/nothing").await.refused(404, "not_found");
    client.delete("/api/v2/probe/ok").await.refused(405, "method_not_allowed");
    rig.shutdown().await;
}

async fn a_write_is_done_once(backend: Backend) {
    let rig = Rig::start(backend).await;
    for client in [rig.client(), rig.signed_in(Role::User)] {
        let before = effects(&client).await;
        let send = || {
            let body = json!({"value": "a"});
            client.post("/api/v2/probe/write").idempotency_key("once").json(&body)
        };
        let first = send().await.expect(201);
        assert_eq!(first.header("idempotency-replayed"), None);
        let second = send().await.expect(201);
        assert_eq!(second.header("idempotency-replayed"), Some("true"));
        assert_eq!(first.body, second.body);
        assert_eq!(effects(&client).await, before + 1);
    }
    rig.shutdown().await;
}

async fn a_key_belongs_to_one_request(backend: Backend) {
    let rig = Rig::start(backend).await;
    let send = |client: &Client, value: &str| {
        let body = json!({"value": value});
        client.post("/api/v2/probe/write").idempotency_key("one").json(&body)
    };
    let (ada, bob) = (rig.signed_in(Role::User), rig.signed_in(Role::User));
    send(&ada, "a").await.expect(201);
    send(&ada, "b").await.refused(422, "idempotency_mismatch");
    assert_eq!(effects(&ada).await, 1);
    // Somebody else's key is another key, and nobody's key is bound to its request.
    for client in [&bob, &rig.client()] {
        let answer = send(client, "a").await.expect(201);
        assert_eq!(answer.header("idempotency-replayed"), None);
    }
    send(&rig.client(), "b").await.expect(201);
    assert_eq!(effects(&ada).await, 4);
    rig.shutdown().await;
}

async fn a_panic_costs_one_request(backend: Backend) {
    let rig = Rig::start(backend).await;
    let client = rig.client();
    client.get("/api/v2/probe/panic").await.refused(500, "internal");
    client.get("/api/v2/probe/ok").await.expect(200);
    assert_eq!(rig.probe.count("panic"), 1, "a panic must not be tried again");
    let panics = rig.metrics().value("panel_handler_panics_total", &[("service", "probe")]);
    assert!((panics - 1.0).abs() < f64::EPSILON);
    // Not even many of them do more than that.
    for _ in 0..40 {
        client.post("/api/v2/probe/panic").await.refused(500, "internal");
    }
    client.get("/api/v2/probe/ok").await.expect(200);
    assert_eq!(rig.restarts("probe"), 0);
    assert_eq!(rig.restarts("probe/serving/pool"), 0);
    rig.shutdown().await;
}

async fn a_failed_write_leaves_nothing(backend: Backend) {
    let rig = Rig::start(backend).await;
    let client = rig.signed_in(Role::User);
    let send = |key: &str, body: &Value| {
        client.post("/api/v2/probe/write").idempotency_key(key).json(body)
    };
    let fails = |fault: &str| json!({"value": "x", "fault": fault});
    send("a", &fails("refuse")).await.refused(409, "conflict");
    assert_eq!(effects(&client).await, 0);
    // Here the commit came first: doing it again gives its result and no second effect.
    send("c", &fails("panic_after")).await.refused(500, "internal");
    assert_eq!(effects(&client).await, 1);
    // And a write after all of that works.
    send("d", &json!({"value": "y"})).await.expect(201);
    assert_eq!(effects(&client).await, 2);
    send("e", &json!({"value": 1})).await.refused(422, "validation");
    rig.shutdown().await;
}

async fn a_panic_in_a_transaction_is_our_fault(backend: Backend) {
    let rig = Rig::start(backend).await;
    let client = rig.client();
    let send = |body: &Value| client.post("/api/v2/probe/write").json(body);
    send(&json!({"value": "x", "fault": "panic_inside"})).await.refused(500, "internal");
    assert_eq!(effects(&client).await, 0);
    send(&json!({"value": "y"})).await.expect(201);
    assert_eq!(effects(&client).await, 1);
    let panics = rig.metrics().value("panel_handler_panics_total", &[("service", "probe")]);
    assert!((panics - 1.0).abs() < f64::EPSILON);
    rig.shutdown().await;
}

async fn a_killed_front_door_comes_back(backend: Backend) {
    let rig = Rig::start(backend).await;
    let client = rig.client();
    rig.front_door("probe").kill();
    eventually("the front door was restarted", Duration::from_secs(5), async || {
        rig.restarts("probe/serving/front_door") == 1
    })
    .await;
    rig.await_up().await;
    client.get("/api/v2/probe/ok").await.expect(200);
    rig.shutdown().await;
}

async fn killed_workers_are_replaced(backend: Backend) {
    let rig = Rig::start(backend).await;
    let client = rig.client();
    let workers = rig.workers("probe");
    assert!(workers.len() >= 5, "{}", workers.len());
    for worker in workers.iter().take(5) {
        worker.kill();
    }
    eventually("five workers were replaced", Duration::from_secs(30), async || {
        let restarts = rig.restarts("probe/serving/pool/worker");
        if restarts == 5 { Ok(()) } else { Err(restarts) }
    })
    .await;
    client.get("/api/v2/probe/ok").await.expect(200);
    assert_eq!(rig.restarts("probe/serving/pool"), 0);
    rig.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_handler_is_given_up_at_the_deadline() {
    let database = Backend::Sqlite.database().await;
    let rig = RigBuilder::new(database).request_timeout(Duration::from_millis(300)).start().await;
    rig.client().get("/api/v2/probe/stall").await.refused(504, "deadline_exceeded");
    rig.client().get("/api/v2/probe/ok").await.expect(200);
    rig.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_are_no_http_are_refused() {
    let rig = Rig::start(Backend::Sqlite).await;
    let answer = raw(&rig.address.to_string(), b"this is no HTTP\r\n\r\n").await;
    assert!(answer.starts_with(b"HTTP/1.1 400"), "{}", String::from_utf8_lossy(&answer));
    rig.client().get("/api/v2/probe/ok").await.expect(200);
    rig.shutdown().await;
}

#[test]
fn metrics_are_read_as_they_are_written() {
    let text = "# HELP a b\na 1\nb{x=\"1\",y=\"a \\\"b\\\" {c}\"} 2.5\nb{x=\"2\"} 3 1700000000\n";
    let metrics = Metrics::parse(text);
    let is = |found: f64, expected: f64| assert!((found - expected).abs() < f64::EPSILON);
    is(metrics.value("a", &[]), 1.0);
    is(metrics.value("b", &[]), 5.5);
    is(metrics.value("b", &[("y", "a \"b\" {c}")]), 2.5);
    is(metrics.value("c", &[]), 0.0);
    assert_eq!(metrics.find("b", &[("x", "3")]), None);
    assert_eq!(metrics.names(), ["a", "b"]);
}

#[tokio::test]
#[should_panic(expected = "not within 50ms: pigs fly (last seen: false)")]
async fn waiting_ends_at_the_deadline() {
    eventually("pigs fly", Duration::from_millis(50), async || false).await;
}
