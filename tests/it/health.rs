//! What operators and orchestrators ask.

use std::time::{Duration, Instant};

use panel_harness::{Node, eventually, raw};

#[tokio::test]
async fn health_names_every_service_and_dependency() {
    let node = Node::builder().service_ports().start().await;
    let client = node.client();
    let health = eventually("everything is up", Duration::from_secs(5), || async {
        let health = client.get("/api/v2/health").await.expect(200).json();
        (health["status"] == "healthy").then_some(health)
    })
    .await;
    assert_eq!(health["node"], node.name());
    assert!(health["version"].is_string() && health["uptime_seconds"].is_u64());
    for service in ["auth", "forum", "cms", "admin"] {
        let service = &health["services"][service];
        assert_eq!(service["status"], "healthy");
        assert_eq!(service["members"][0]["status"], "up");
        assert_eq!(service["members"][0]["node"], node.name());
        assert!(service["members"][0]["in_flight"].is_u64());
    }
    assert_eq!(health["dependencies"]["database"]["status"], "up");
    assert_eq!(health["dependencies"]["redis"]["status"], "not_configured");
    let services = client.get("/api/v2/services").await.expect(200).json();
    assert_eq!(services["items"].as_array().unwrap().len(), 4);
    assert_eq!(services["items"][1]["prefix"], "/api/v2/forum");
    for service in ["auth", "forum", "cms", "admin"] {
        let port = panel_harness::Client::new(node.service_port(service));
        let health = port.get("/health").await.expect(200).json();
        assert_eq!(health["service"], service);
        assert_eq!(health["status"], "healthy");
        port.get("/api/v2/forum/threads").await.expect(404);
        port.post("/health").await.expect(405);
    }
}

#[tokio::test]
async fn the_ops_port_answers_probes_and_prometheus() {
    let node = Node::start().await;
    let ops = node.ops_client();
    for path in ["/health", "/health/live", "/health/ready"] {
        ops.get(path).await.expect(200);
    }
    ops.get("/nothing").await.expect(404);
    for _ in 0..3 {
        node.client().get("/api/v2/forum/threads").await.expect(200);
    }
    let metrics = node.metrics().await;
    let labels = [
        ("service", "forum"),
        ("route", "/api/v2/forum/threads"),
        ("method", "GET"),
        ("status", "200"),
    ];
    assert!(metrics.value("panel_http_requests_total", &labels) >= 3.0);
    let labels = [("service", "forum"), ("route", "/api/v2/forum/threads")];
    assert!(metrics.value("panel_http_request_seconds_count", &labels) >= 3.0);
    for service in ["auth", "forum", "cms", "admin"] {
        let labels = [("service", service)];
        assert!((metrics.value("panel_database_up", &labels) - 1.0).abs() < f64::EPSILON);
        assert!(metrics.find("panel_service_in_flight", &labels).is_some());
        assert!(metrics.find("panel_service_queue_depth", &labels).is_some());
    }
    assert!(metrics.value("process_resident_memory_bytes", &[]) > 1_000_000.0);
    assert!(metrics.value("panel_build_info", &[("node", node.name())]) > 0.0);
}

#[tokio::test]
async fn a_missing_service_is_named_and_the_others_serve() {
    // A node that is an edge and a forum, and nothing else.
    let node = Node::builder().roles("gateway,forum").service_ports().start().await;
    let client = node.client();
    client.get("/api/v2/forum/threads").await.expect(200);
    let problem = client.get("/api/v2/cms/posts").await.refused(503, "unavailable");
    assert_eq!(problem.service.as_deref(), Some("cms"));
    let health = client.get("/api/v2/health").await.expect(200).json();
    assert_eq!(health["status"], "degraded");
    assert_eq!(health["services"]["cms"]["status"], "unavailable");
    assert_eq!(health["dependencies"]["identity"]["status"], "down");
    panel_harness::Client::new(node.service_port("forum")).get("/health").await.expect(200);
    let cms = panel_harness::Client::new(node.service_port("cms"));
    let health = cms.get("/health").await.expect(503);
    assert!(health.header("retry-after").is_some());
    // Its own services are fine, and that is what readiness is about.
    node.ops_client().get("/health/ready").await.expect(200);
}

#[tokio::test]
async fn health_gives_a_short_cause_and_the_log_the_details() {
    // Nobody listens there.
    let url = "postgres://panel_user:secret@127.0.0.1:1/panel_database";
    let node = Node::builder()
        .database_url(url)
        .env("REDIS_URL", "redis://127.0.0.1:1/0")
        .may_be_degraded()
        .start()
        .await;
    let client = node.client();
    let told = eventually("both are reported down", Duration::from_secs(10), async || {
        let answer = client.get("/api/v2/health").await.expect(200);
        let dependencies = &answer.json()["dependencies"];
        let (database, redis) = (&dependencies["database"], &dependencies["redis"]);
        let told = database["reason"] == "the database is not available"
            && database["status"] == "down"
            && database["services"][0] == "auth"
            && redis["reason"] == "redis is not available";
        if told { Ok(answer.text()) } else { Err(answer) }
    })
    .await;
    for detail in ["127.0.0.1", "panel_user", "refused", "os error"] {
        assert!(!told.contains(detail), "{told}");
    }
    for message in ["database is down", "redis is down"] {
        eventually(message, Duration::from_secs(5), async || {
            let logged = |line: &serde_json::Value| {
                let why = line["why"].as_str().unwrap_or_default().to_lowercase();
                line["message"] == message && why.contains("refused")
            };
            node.log_json().iter().any(logged)
        })
        .await;
    }
}

#[tokio::test]
async fn redis_that_is_down_is_reported_and_changes_nothing() {
    let node = Node::builder().env("REDIS_URL", "redis://127.0.0.1:1/0").start().await;
    let client = node.client();
    eventually("redis is reported down", Duration::from_secs(10), || async {
        let health = client.get("/api/v2/health").await.expect(200).json();
        health["dependencies"]["redis"]["status"] == "down" && health["status"] == "degraded"
    })
    .await;
    client.get("/api/v2/forum/threads").await.expect(200);
}

#[tokio::test]
async fn slow_and_idle_clients_are_let_go() {
    let node = Node::builder().env("PANEL_GATEWAY__HEAD_TIMEOUT", "300ms");
    let node = node.env("PANEL_GATEWAY__BODY_TIMEOUT", "300ms").start().await;
    // Half a head, then silence.
    let began = Instant::now();
    let answer = raw(node.http(), b"GET /api/v2/health HTTP/1.1\r\nHost: x\r\nX-Slow: ").await;
    assert!(began.elapsed() < Duration::from_secs(4), "the node let go, and not the test");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("in time"), "{answer}");
    // Silence from the beginning, and after an answer: there is nothing to be said.
    for begun in [&b""[..], b"GET /api/v2/forum/nothing HTTP/1.1\r\nHost: x\r\n\r\n"] {
        let began = Instant::now();
        let answer = raw(node.http(), begun).await;
        assert!(began.elapsed() < Duration::from_secs(4), "the node let go, and not the test");
        let answers = String::from_utf8_lossy(&answer).matches("HTTP/1.1 ").count();
        assert_eq!(answers, usize::from(!begun.is_empty()));
    }
    // A head that promises a body that never comes.
    let promise =
        b"POST /api/v2/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                    Content-Length: 100\r\nConnection: close\r\n\r\n{";
    let answer = raw(node.http(), promise).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("in time"), "{answer}");
    node.client().get("/api/v2/health").await.expect(200);
}
