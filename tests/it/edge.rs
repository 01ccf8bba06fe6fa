//! What the edge says to requests that no HTTP library would send.

use std::time::{Duration, Instant};

use panel_harness::{Backend, Node, Rig, eventually, raw};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::edge_clients::counted;

/// One answer of a connection, read by hand.
#[derive(Debug)]
struct Heard {
    status: u16,
    headers: String,
    body: String,
}

impl Heard {
    /// The first answer in `bytes`, and what follows it.
    fn first(bytes: &[u8]) -> (Self, Vec<u8>) {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let Some((headers, _)) = text.split_once("\r\n\r\n") else {
            panic!("no answer in {text:?}");
        };
        let headers = headers.to_lowercase();
        let status = headers.split(' ').nth(1).unwrap().parse().unwrap();
        let length = headers.split("content-length: ").nth(1);
        let length = length.map_or(0, |rest| rest.split("\r\n").next().unwrap().parse().unwrap());
        let rest = &bytes[headers.len() + 4..];
        let (body, rest) = rest.split_at(length.min(rest.len()));
        let body = String::from_utf8_lossy(body).into_owned();
        (Self { status, headers, body }, rest.to_vec())
    }

    /// The only answer, after which the connection has ended.
    fn only(bytes: &[u8]) -> Self {
        let (heard, rest) = Self::first(bytes);
        assert!(rest.is_empty(), "{heard:?} is followed by {:?}", String::from_utf8_lossy(&rest));
        heard
    }

    fn header(&self, name: &str) -> Option<&str> {
        let prefix = format!("{name}: ");
        self.headers.lines().find_map(|line| line.strip_prefix(prefix.as_str()))
    }

    /// Is the refusal that clients rely on; returns its request id.
    #[track_caller]
    fn refused(&self, status: u16, kind: &str) -> String {
        let problem: Value = serde_json::from_str(&self.body).unwrap_or_default();
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(problem["type"], format!("/problems/{kind}"), "{self:?}");
        assert_eq!(problem["status"], status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{self:?}");
        assert!(self.header("date").is_some(), "{self:?}");
        let id = problem["request_id"].as_str().unwrap_or_default().to_owned();
        assert!(!id.is_empty() && self.header("x-request-id") == Some(&id), "{self:?}");
        id
    }
}

/// Sends bytes and reads until the server closes; it must not be the test that lets go.
async fn sent(address: &str, bytes: &[u8]) -> Vec<u8> {
    let began = Instant::now();
    let answer = raw(address, bytes).await;
    assert!(began.elapsed() < Duration::from_secs(4), "the server did not close: {bytes:?}");
    answer
}

const TLS_HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x01\x02\x03";
const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";

/// What can't be read as a request, with what is to be said.
fn unreadable() -> Vec<(Vec<u8>, u16, &'static str)> {
    let post = |headers: &str| {
        let head = format!("POST /api/v2/auth/login HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
        (format!("{head}0\r\n\r\n").into_bytes(), 400, "bad_request")
    };
    let get = |target: &str, headers: &str, status, kind| {
        (format!("GET {target} HTTP/1.1\r\nHost: x\r\n{headers}\r\n").into_bytes(), status, kind)
    };
    let bad = |bytes: &[u8]| (bytes.to_vec(), 400, "bad_request");
    vec![
        bad(TLS_HELLO),
        bad(HTTP2),
        bad(b"GET / HTTP/9.9\r\nHost: x\r\n\r\n"),
        bad(b"GET /\r\n\r\n"),
        bad(b"\x00\x01\x02\x03 garbage"),
        bad(b"SSH-2.0-OpenSSH_9.6\r\n"),
        bad(b"GET / HTTP/1.1\r\nHost : x\r\n\r\n"),
        bad(b"GET / HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n"),
        bad(b"GET / HTTP/1.1\r\nHost: x\r\nNo colon\r\n\r\n"),
        bad(b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n"),
        post("Content-Length: 5\r\nContent-Length: 6\r\n"),
        post("Content-Length: 5, 5\r\n"),
        post("Content-Length: -1\r\n"),
        post("Content-Length: +5\r\n"),
        post("Content-Length: 0x5\r\n"),
        post("Content-Length: 99999999999999999999\r\n"),
        post("Transfer-Encoding: gzip\r\n"),
        post("Transfer-Encoding: chunked, gzip\r\n"),
        post("Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n"),
        bad(b"POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        get("/", &"X: y\r\n".repeat(300), 431, "headers_too_large"),
        get("/", &format!("X: {}\r\n", "y".repeat(400_000)), 431, "headers_too_large"),
        get(&format!("/{}", "y".repeat(70_000)), "", 414, "uri_too_long"),
        get(&format!("/{}", "y".repeat(400_000)), "", 414, "uri_too_long"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_not_be_read_is_refused_with_a_problem_counted_and_logged() {
    let node = Node::start().await;
    let cases = unreadable();
    let mut ids = Vec::new();
    for (bytes, status, kind) in &cases {
        let heard = Heard::only(&sent(node.http(), bytes).await);
        ids.push(heard.refused(*status, kind));
        assert_eq!(heard.header("connection"), Some("close"));
        assert_eq!(heard.header("x-content-type-options"), Some("nosniff"));
    }
    let metrics = node.metrics().await;
    for status in [400, 414, 431] {
        let counted = counted(&metrics, "other", "unmatched", &status.to_string());
        let sent = cases.iter().filter(|case| case.1 == status).count();
        assert_eq!(counted, sent as u64, "{status}");
    }
    eventually("each has its line", Duration::from_secs(5), async || {
        let lines = node.log_json();
        let logged = |id: &&String| {
            let own = |line: &&Value| line["request_id"] == id.as_str();
            lines.iter().filter(own).count() != 1
        };
        ids.iter().find(logged).map_or(Ok(()), |id| Err(id.clone()))
    })
    .await;
    node.client().get("/api/v2/health").await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_port_refuses_what_it_can_not_read_with_a_problem() {
    let node = Node::builder().service_ports().start().await;
    for port in [node.ops(), node.service_port("forum")] {
        for (bytes, status, kind) in unreadable() {
            Heard::only(&sent(port, &bytes).await).refused(status, kind);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_follows_the_answers_before_it_on_the_same_connection() {
    let node = Node::start().await;
    let good = "GET /api/v2/auth/.well-known/jwks.json HTTP/1.1\r\nHost: x\r\n\r\n".repeat(20);
    let bytes = [good.as_bytes(), b"nonsense\r\n\r\n", good.as_bytes()].concat();
    let mut rest = sent(node.http(), &bytes).await;
    for _ in 0..20 {
        let heard;
        (heard, rest) = Heard::first(&rest);
        assert_eq!(heard.status, 200, "{heard:?}");
        assert!(heard.body.contains("keys"), "{heard:?}");
    }
    Heard::only(&rest).refused(400, "bad_request");
    // And after a wait, so that it comes on an idle connection.
    let mut stream = TcpStream::connect(node.http()).await.unwrap();
    stream.write_all(b"HEAD /api/v2/health HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut piece = [0; 4_096];
    let read = stream.read(&mut piece).await.unwrap();
    assert!(piece[..read].starts_with(b"HTTP/1.1 200"));
    stream.write_all(TLS_HELLO).await.unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    Heard::only(&rest).refused(400, "bad_request");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chunked_body_with_a_length_is_read_by_its_chunks_and_ends_the_connection() {
    let rig = Rig::start(Backend::Sqlite).await;
    for lengths in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
    ] {
        let smuggled = "GET /api/v2/probe/ok HTTP/1.1\r\nHost: x\r\n\r\n";
        let request = format!(
            "POST /api/v2/probe/echo HTTP/1.1\r\nHost: x\r\n{lengths}\r\n3\r\nabc\r\n0\r\n\r\n{smuggled}"
        );
        let heard = Heard::only(&sent(&rig.address.to_string(), request.as_bytes()).await);
        let seen: Value = serde_json::from_str(&heard.body).unwrap();
        assert_eq!((heard.status, seen["body"].as_str()), (200, Some("abc")), "{heard:?}");
    }
    assert_eq!(rig.probe.count("ok"), 0, "nothing was smuggled in");
    rig.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_form_of_a_target_is_answered_deliberately() {
    let node = Node::builder().service_ports().start().await;
    let ask = async |line: &str| {
        let request = format!("{line}\r\nHost: x\r\nConnection: close\r\n\r\n");
        Heard::only(&sent(node.http(), request.as_bytes()).await)
    };
    let all = Some("get,head,post,put,patch,delete,options");
    let heard = ask("OPTIONS * HTTP/1.1").await;
    assert_eq!((heard.status, heard.header("allow")), (204, all), "{heard:?}");
    for line in ["CONNECT example.org:443 HTTP/1.1", "TRACE /api/v2/health HTTP/1.1"] {
        let heard = ask(line).await;
        heard.refused(405, "method_not_allowed");
        assert_eq!(heard.header("allow"), all, "{heard:?}");
    }
    for whole in ["http://x", "https://another.example:8443", "HTTP://X"] {
        let heard = ask(&format!("GET {whole}/api/v2/forum/threads?limit=1 HTTP/1.1")).await;
        assert_eq!(heard.status, 200, "{whole}: {heard:?}");
    }
    for target in ["*", "x:80", "ftp://x/api/v2/health", "http://a:b@x/api/v2/health"] {
        ask(&format!("GET {target} HTTP/1.1")).await.refused(400, "bad_request");
    }
    assert_eq!(ask("GET http://x HTTP/1.1").await.header("location"), Some("/blog"));
    // Probes of load balancers speak HTTP/1.0 and name no host.
    let old = sent(node.http(), b"GET /api/v2/health HTTP/1.0\r\n\r\n").await;
    assert_eq!(Heard::only(&old).status, 200);
    // HEAD is GET without the body, whatever the answer is; OPTIONS works on every port.
    for (port, path, status) in [
        (node.http(), "/api/v2/openapi.json", 200),
        (node.http(), "/api/v2/forum/threads", 200),
        (node.http(), "/api/v2/nothing", 404),
        (node.http(), "/api/v1", 410),
        (node.ops(), "/metrics", 200),
        (node.ops(), "/nothing", 404),
        (node.service_port("cms"), "/health", 200),
    ] {
        let client = panel_harness::Client::new(port);
        let bare = client.head(path).await.expect(status);
        assert!(bare.body.is_empty(), "{path}");
        let length: usize = bare.header("content-length").unwrap().parse().unwrap();
        assert!(length > 0, "{path}");
        let options = client.options(path).await;
        if status == 200 {
            assert!(options.expect(204).header("allow").unwrap().contains("GET,HEAD"), "{path}");
        } else {
            options.problem();
        }
    }
    node.ops_client().post("/health/live").await.refused(405, "method_not_allowed");
}
