//! What attackers try with requests that are nearly right: to hide one in another, to have something kept that is
//! theirs, to be given what is kept for somebody else.

use panel_harness::{Backend, Client, Node, RigBuilder, Thread, raw};
use panel_kernel::config::Span;
use serde_json::json;

/// What is hidden: it must never be answered.
const HIDDEN: &str = "GET /api/v2/probe/ok HTTP/1.1\r\nHost: x\r\n\r\n";

/// Requests with one meaning to us, whatever somebody before us has taken them for.
fn hiding() -> Vec<String> {
    let length = HIDDEN.len();
    let chunked = format!("{length:x}\r\n{HIDDEN}\r\n0\r\n\r\n");
    let post = |fields: &str, body: &str| {
        format!("POST /api/v2/probe/echo HTTP/1.1\r\nHost: x\r\n{fields}\r\n{body}")
    };
    let mut all: Vec<String> = [
        // As it should be, and nearly so.
        format!("Content-Length: {length}\r\n"),
        format!("content-length:{length}\r\n"),
        format!("Content-Length: \t{length} \r\n"),
        format!("Content-Length: 0{length}\r\n"),
        // Lengths that say two things, or nothing.
        format!("Content-Length: {length}\r\nContent-Length: 0\r\n"),
        format!("Content-Length: 0\r\nContent-Length: {length}\r\n"),
        format!("Content-Length: {length}, 0\r\n"),
        format!("Content-Length: {length}\r\n 0\r\n"),
        format!("Content-Length : {length}\r\n"),
        format!("Content-Length: {length}\u{b}\r\n"),
        format!("Content-Length: +{length}\r\n"),
        format!("Content-Length: {length}.0\r\n"),
        format!("Content-Length: {length:#x}\r\n"),
        format!("Content-Length: {length}e0\r\n"),
        format!("X: y\rContent-Length: 0\r\nContent-Length: {length}\r\n"),
        format!("X: y\0\r\nContent-Length: {length}\r\n"),
    ]
    .iter()
    .map(|fields| post(fields, HIDDEN))
    .collect();
    all.extend(
        [
            "Transfer-Encoding: chunked\r\n",
            "transfer-encoding:CHUNKED\r\n",
            "Transfer-Encoding: \tchunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
            "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
            "Transfer-Encoding: chunked, identity\r\n",
            "Transfer-Encoding: x, chunked\r\n",
            "Transfer-Encoding: xchunked\r\n",
            "Transfer-Encoding: chunked;q=1\r\n",
            "Transfer-Encoding: \"chunked\"\r\n",
            "Transfer-Encoding: chunk\r\n ed\r\n",
            "Transfer-Encoding:\r\n chunked\r\n",
            "Transfer-Encoding : chunked\r\n",
            "Transfer-Encoding: \u{b}chunked\r\n",
            "X: y\nTransfer-Encoding: chunked\r\n",
            "X: y\r\n Transfer-Encoding: chunked\r\n",
        ]
        .map(|fields| post(fields, &chunked)),
    );
    // Chunks that are not what they say.
    let te = "Transfer-Encoding: chunked\r\n";
    all.extend(
        [
            format!("{length:x};a=b\r\n{HIDDEN}\r\n0\r\n\r\n"),
            format!("{length:x};{}\r\n{HIDDEN}\r\n0\r\n\r\n", "a".repeat(20_000)),
            format!("{length:X}\r\n{HIDDEN}\r\n0\r\nX: y\r\n\r\n"),
            format!("0x{length:x}\r\n{HIDDEN}\r\n0\r\n\r\n"),
            format!("-{length:x}\r\n{HIDDEN}\r\n0\r\n\r\n"),
            format!("{length:x}\n{HIDDEN}\r\n0\r\n\r\n"),
            format!("{length:x}\r\n{HIDDEN}0\r\n\r\n"),
            format!("ffffffffffffffff\r\n{HIDDEN}\r\n0\r\n\r\n"),
            format!("1{:x}\r\n{HIDDEN}\r\n0\r\n\r\n", u128::MAX),
            format!("\r\n{length:x}\r\n{HIDDEN}\r\n0\r\n\r\n"),
            format!("0\rX\r\n\r\n{HIDDEN}"),
            format!("00;\r\nX: y\r\n{HIDDEN}"),
        ]
        .map(|body| post(te, &body)),
    );
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_hidden_in_a_body() {
    // A body may be said to be as long as nobody could send; it is not waited for longer than any.
    let patience = Span::seconds(1);
    let rig = RigBuilder::new(Backend::Sqlite.database().await)
        .gateway(|gateway| gateway.body_timeout = patience)
        .start()
        .await;
    let address = rig.address.to_string();
    for bytes in hiding() {
        // After it the connection says that it is over, so that no test waits for more.
        let ended = bytes.replacen("\r\n", "\r\nConnection: close\r\n", 1);
        let answer = raw(&address, ended.as_bytes()).await;
        let text = String::from_utf8_lossy(&answer);
        assert!(text.starts_with("HTTP/1.1 "), "{bytes:?}: {text}");
        assert_eq!(text.matches("HTTP/1.1 ").count(), 1, "{bytes:?}: {text}");
        assert!(text.starts_with("HTTP/1.1 200") || text.starts_with("HTTP/1.1 4"), "{text}");
    }
    assert_eq!(rig.probe.count("ok"), 0, "something was hidden");
    rig.client().get("/api/v2/probe/ok").await.expect(200);
    assert_eq!(rig.probe.count("ok"), 1, "and it can be counted");
    rig.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_kept_for_everybody_says_nothing_of_who_asked_first() {
    let node = Node::start().await;
    let admin = node.admin("root").await;
    let thread = Thread::open(&admin).await;
    let evil = "evil.example";
    let first = |client: Client, path: &str| {
        ["x-forwarded-host", "x-host", "x-forwarded-server", "x-original-url", "x-rewrite-url"]
            .into_iter()
            .fold(client.get(path), |request, name| request.header(name, evil))
            .header("forwarded", "host=evil.example")
            .header("x-forwarded-proto", "evil")
            .header("x-http-method-override", "DELETE")
            .header("origin", "https://evil.example")
            .header("host", evil)
    };
    for path in [
        "/api/v2/forum/threads",
        thread.path.as_str(),
        "/api/v2/forum/feed.atom",
        "/api/v2/forum/threads?callback=evil.example&utm_source=evil.example",
    ] {
        let asked = first(node.client(), path).await.expect(200);
        let again = node.client().get(path).await.expect(200);
        for answer in [&asked, &again] {
            assert!(!format!("{:?}{}", answer.headers, answer.text()).contains(evil), "{path}");
            assert_eq!(answer.header("access-control-allow-origin"), None, "{path}");
        }
        assert_eq!(asked.body, again.body, "{path}");
    }
    admin.get(&thread.path).await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_given_what_was_somebody_elses() {
    let node = Node::start().await;
    let admin = node.admin("root").await;
    let login = json!({"login": "root", "password": panel_harness::PASSWORD, "cookie": true});
    let cookie = node.client().post("/api/v2/auth/login").json(&login).await.expect(200);
    let cookie = cookie.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    // What looks as if it could be kept by its name is nothing, or not to be kept.
    for ending in ["/x.css", "/.css", "%3f.css", ";.css", "%23.css", "/..%2fx.js", "%00.css", "/"] {
        for path in ["/api/v2/auth/profile", "/api/v2/forum/notifications", "/api/v2/auth/session"]
        {
            let path = format!("{path}{ending}");
            let mine = node.client().get(&path).header("cookie", &cookie).await;
            assert!(matches!(mine.status.as_u16(), 400 | 404), "{path}: {mine:?}");
            let control = mine.header("cache-control").unwrap_or_default();
            assert!(control.contains("no-store"), "{path}: {mine:?}");
        }
    }
    for path in ["/api/v2/auth/profile", "/api/v2/forum/threads", "/api/v2/auth/session"] {
        for mine in [
            admin.get(path).await.expect(200),
            node.client().get(path).header("cookie", &cookie).await.expect(200),
        ] {
            let control = mine.header("cache-control").unwrap_or_default();
            let varies = mine.headers.get_all("vary").iter().any(|on| {
                on.to_str().is_ok_and(|on| on.contains("cookie") && on.contains("authorization"))
            });
            assert!(!control.starts_with("public") || varies, "{path}: {mine:?}");
        }
    }
    let nobody = node.client().get("/api/v2/auth/profile").await;
    nobody.expect(401);
}
