//! What every endpoint promises, whatever it is about.

use panel_harness::{Node, Session, raw};
use serde_json::{Value, json};

/// Sends bytes and reads the status and the problem's kind.
async fn sent(node: &Node, bytes: &[u8]) -> (u16, String) {
    let answer = raw(node.http(), bytes).await;
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let problem: Value = serde_json::from_str(body).unwrap_or_default();
    let kind = problem["type"].as_str().unwrap_or("none").trim_start_matches("/problems/");
    (status, kind.to_owned())
}

#[tokio::test]
async fn refusals_are_problems() {
    let node = Node::start().await;
    let client = node.client();
    for path in [
        "/nothing",
        "/nothing/at/all/",
        "/api/v2/nothing",
        "/api/v2/forum/nothing",
        "/.panel/events",
    ] {
        client.get(path).await.refused(404, "not_found");
    }
    client.post("/nothing").await.refused(404, "not_found");
    assert_eq!(client.get("/").await.expect(307).header("location"), Some("/blog"));
    client.post("/.panel/identity").await.refused(404, "not_found");
    client.get("/api/v1/forum").await.refused(410, "gone");
    for id in ["x", "0000000000000", "zzzzzzzzzzzzz", "%E4%B8%AD"] {
        client.get(&format!("/api/v2/forum/threads/{id}")).await.refused(404, "not_found");
    }
    let refused = client.delete("/api/v2/forum/threads").await;
    refused.refused(405, "method_not_allowed");
    assert_eq!(refused.header("allow"), Some("GET,HEAD,POST"));
    let refused = client.post("/api/v2/health").await;
    refused.refused(405, "method_not_allowed");
    let session = Session::register(&client, "ada").await;
    let post = || session.post("/api/v2/forum/threads");
    post().body("text/plain", "{}").await.refused(415, "unsupported_media_type");
    post().raw_body("{}").await.refused(415, "unsupported_media_type");
    post().body("application/json", "{").await.refused(400, "bad_request");
    post().body("application/json", &b"{\"title\":\"\xff\"}"[..]).await.refused(400, "bad_request");
    post().body("application/json", "[".repeat(100_000)).await.refused(422, "validation");
    let huge = format!("{{\"title\":\"{}\"}}", "x".repeat(200_000));
    post().body("application/json", huge).await.refused(413, "payload_too_large");
    let gzip = post().header("content-encoding", "gzip").json(&json!({}));
    gzip.await.refused(415, "unsupported_media_type");
    let odd = post().header("idempotency-key", "a b").json(&json!({}));
    odd.await.refused(400, "bad_request");
    for (query, status, kind) in [
        ("limit=0", 422, "validation"),
        ("limit=101", 422, "validation"),
        ("limit=x", 422, "validation"),
        ("cursor=nonsense", 400, "bad_request"),
        ("sort=nonsense", 422, "validation"),
        ("category=nonsense", 422, "validation"),
    ] {
        client.get(&format!("/api/v2/forum/threads?{query}")).await.refused(status, kind);
    }
}

#[tokio::test]
async fn heads_that_no_library_would_send_are_refused() {
    let node = Node::start().await;
    let get = |target: &str, more: &str| {
        format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}\r\n").into_bytes()
    };
    let bad = (400, "bad_request".to_owned());
    for target in
        ["/api//v2/health", "/api/v2/../v2/health", "/a%2fb", "/%2e%2e/x", "/%00", "/%ff", "/a\\b"]
    {
        assert_eq!(sent(&node, &get(target, "")).await, bad, "{target}");
    }
    let long = format!("/api/v2/forum/threads?x={}", "y".repeat(9_000));
    assert_eq!(sent(&node, &get(&long, "")).await, (414, "uri_too_long".to_owned()));
    let fat = format!("X-Fat: {}\r\n", "y".repeat(40_000));
    let answer = sent(&node, &get("/api/v2/health", &fat)).await;
    assert_eq!(answer, (431, "headers_too_large".to_owned()));
    let without_host = b"GET /api/v2/health HTTP/1.1\r\nConnection: close\r\n\r\n";
    assert_eq!(sent(&node, without_host).await, bad);
    let twice = get("/api/v2/health", "Host: y\r\n");
    assert_eq!(sent(&node, &twice).await, bad);
    // Not HTTP at all, or contradictory about its length: refused, and the node lives.
    for nonsense in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"[..],
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /api/v2/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"POST /api/v2/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    ] {
        assert_eq!(sent(&node, nonsense).await, bad, "{nonsense:?}");
    }
    node.client().get("/api/v2/health").await.expect(200);
}

#[tokio::test]
async fn reads_carry_tags_and_honour_them() {
    let node = Node::start().await;
    let client = node.client();
    for path in ["/api/v2/forum/categories", "/api/v2/forum/threads", "/api/v2/cms/posts"] {
        let first = client.get(path).await.expect(200);
        let tag = first.header("etag").unwrap().to_owned();
        let second = client.get(path).header("if-none-match", &tag).await.expect(304);
        assert!(second.body.is_empty());
        assert_eq!(second.header("etag"), Some(tag.as_str()));
        let weak = format!("\"other\", W/{tag}");
        client.get(path).header("if-none-match", &weak).await.expect(304);
        client.get(path).header("if-none-match", "\"other\"").await.expect(200);
        let head = client.head(path).await.expect(200);
        assert!(head.body.is_empty());
        assert_eq!(head.header("etag"), Some(tag.as_str()));
        assert_eq!(head.header("content-length"), Some(first.body.len().to_string().as_str()));
    }
    // A change shows in the tag.
    let path = "/api/v2/forum/categories";
    let before = client.get(path).await.header("etag").map(str::to_owned);
    let admin = node.admin("root").await;
    admin.post(path).json(&json!({"name": "News"})).await.expect(201);
    let after = client.get(path).await.header("etag").map(str::to_owned);
    assert_ne!(before, after);
}

#[tokio::test]
async fn options_and_cross_origin_requests() {
    let node = Node::builder().env("PANEL_GATEWAY__CORS__ORIGINS", "https://app.example.org");
    let node = node.start().await;
    let client = node.client();
    let options = client.options("/api/v2/forum/threads").await.expect(204);
    assert_eq!(options.header("allow"), Some("GET,HEAD,POST,OPTIONS"));
    client.options("/api/v2/forum/nothing").await.refused(404, "not_found");
    client.options("/api/v2/health").await.expect(204);
    let preflight = |origin: &str| {
        client
            .options("/api/v2/forum/threads")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
    };
    let allowed = preflight("https://app.example.org").await.expect(204);
    let origin = "access-control-allow-origin";
    assert_eq!(allowed.header(origin), Some("https://app.example.org"));
    assert!(allowed.header("access-control-allow-methods").unwrap().contains("POST"));
    for other in ["https://evil.example", "https://app.example.org.evil.example", "null"] {
        assert_eq!(preflight(other).await.header(origin), None, "{other}");
        let read = client.get("/api/v2/forum/threads").header("origin", other).await.expect(200);
        assert_eq!(read.header(origin), None, "{other}");
    }
    let read = client.get("/api/v2/forum/threads").header("origin", "https://app.example.org");
    assert_eq!(read.await.header(origin), Some("https://app.example.org"));
}

#[tokio::test]
async fn request_ids_and_traces_are_kept_if_well_formed() {
    let node = Node::start().await;
    let client = node.client();
    let given = client.get("/api/v2/health").header("x-request-id", "my-id.1").await;
    assert_eq!(given.header("x-request-id"), Some("my-id.1"));
    let odd = client.get("/api/v2/health").header("x-request-id", "my id\"").await;
    assert_eq!(odd.header("x-request-id").map(str::len), Some(32));
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let traced = client.get("/api/v2/forum/threads").header("traceparent", trace).await;
    let id = traced.header("x-request-id").unwrap().to_owned();
    panel_harness::eventually("the line is logged", std::time::Duration::from_secs(5), || async {
        node.log_json().into_iter().find(|line| line["request_id"] == id.as_str())
    })
    .await;
    let line = node.log_json().into_iter().find(|line| line["request_id"] == id.as_str()).unwrap();
    assert_eq!(line["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(line["route"], "/api/v2/forum/threads");
    assert_eq!(line["status"], 200);
    assert_eq!(line["service"], "forum");
    assert_eq!(line["method"], "GET");
    assert!(line["latency_us"].as_u64().is_some());
}

#[tokio::test]
async fn the_document_agrees_with_the_routes() {
    let node = Node::start().await;
    let client = node.client();
    let document = client.get("/api/v2/openapi.json").await.expect(200).json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let printed = node.cli(&["openapi"]).await;
    assert!(printed.status.success());
    let printed: Value = serde_json::from_slice(&printed.stdout).unwrap();
    assert_eq!(printed["paths"], document["paths"]);
    let routes = client.get("/api/v2/routes").await.expect(200).json();
    let routes = routes["items"].as_array().unwrap();
    assert!(routes.len() > 20);
    for route in routes {
        let (path, method) = (route["path"].as_str().unwrap(), route["method"].as_str().unwrap());
        let operation = &document["paths"][path][method.to_lowercase()];
        assert!(operation.is_object(), "{method} {path}");
        assert!(operation["responses"].is_object(), "{method} {path}");
        // What is documented is there: with nobody's credentials and no body it is never 404 or
        // 405 for want of a route.
        let asked = path.replace("{id}", "0000000000000");
        let request = client.request(method.parse().unwrap(), &asked);
        let answer = request.await;
        if answer.status == 404 {
            assert_ne!(answer.problem().detail, "there is no such route", "{method} {path}");
        }
        assert_ne!(answer.status, 405, "{method} {path}");
        assert_ne!(answer.status, 500, "{method} {path}");
    }
}
