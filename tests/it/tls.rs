//! The site under TLS.

use std::sync::Arc;
use std::time::Duration;

use panel_harness::http::{raw_within, secured};
use panel_harness::{Node, Session, SiteCertificate, Thread, eventually, raw};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ClientConfig, HandshakeKind, ProtocolVersion};

const WITHIN: Duration = Duration::from_secs(20);
const HEALTH: &str = "/api/v2/health";

async fn connect(node: &Node, config: &Arc<ClientConfig>) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(node.http()).await.unwrap();
    secured(stream, node.http(), config).await
}

/// The certificate that who connects now is shown.
async fn shown(node: &Node, site: &SiteCertificate) -> Vec<u8> {
    let stream = connect(node, &site.client_config(&[])).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_site_is_the_same_in_both_protocols() {
    let site = SiteCertificate::new();
    let node = Node::builder().tls(&site).start().await;
    let admin = node.admin("root").await;
    let (one, two) = (node.client(), node.http2());
    let thread = Thread::open(&admin.at(&two)).await;
    for (n, client) in [&one, &two].into_iter().enumerate() {
        let by = admin.at(client);
        let reply = thread.reply(&by, &format!("reply {n}")).idempotency_key(&format!("k{n}"));
        let first = reply.await.expect(201);
        let again = thread.reply(&by, &format!("reply {n}")).idempotency_key(&format!("k{n}"));
        let again = again.await.expect(201);
        assert_eq!(first.json(), again.json());
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
        assert_eq!(first.header("strict-transport-security"), Some("max-age=2592000"));
        by.request("DELETE".parse().unwrap(), HEALTH).await.expect(405);
    }
    // What differs is what says when it was, and which request.
    let plain = |answer: &panel_harness::Answer| {
        let mut headers = answer.headers.clone();
        for name in ["date", "x-request-id", "age", "cache-status", "content-length"] {
            headers.remove(name);
        }
        (answer.status, headers, answer.body.clone())
    };
    for path in [thread.posts.as_str(), "/api/v2/openapi.json", "/nowhere"] {
        let (one, two) = (one.get(path).await, two.get(path).await);
        if one.status == 404 {
            // Each problem names its request.
            assert_eq!(one.problem().type_, two.problem().type_);
        } else {
            assert_eq!(plain(&one), plain(&two), "{path}");
        }
        let head = admin.at(&node.http2()).request("HEAD".parse().unwrap(), path).await;
        assert_eq!(head.status, two.status, "{path}");
        assert!(head.body.is_empty());
    }
    let tag = two.get(&thread.path).await.expect(200).header("etag").unwrap().to_owned();
    two.get(&thread.path).header("if-none-match", &tag).await.expect(304);
    // Cookies are for TLS alone now, and pages of ours may be asked from the site's own origin.
    let login = json!({"login": "root", "password": panel_harness::PASSWORD, "cookie": true});
    for client in [&one, &two] {
        let asked = client.post("/api/v2/auth/login").json(&login);
        let answer = asked.header("origin", &node.url("")).await.expect(200);
        let cookie = answer.header("set-cookie").unwrap().to_owned();
        assert!(cookie.starts_with("__Host-panel_session=") && cookie.contains("; Secure"));
        let cookie = cookie.split(';').next().unwrap();
        let session = client.get("/api/v2/auth/session").header("cookie", cookie);
        let token = session.await.expect(200).json()["csrf_token"].as_str().unwrap().to_owned();
        let write = client.post(&thread.posts).json(&json!({"body": "by a browser"}));
        let write = write.header("cookie", cookie).header("x-csrf-token", &token);
        write.header("origin", &node.url("")).await.expect(201);
        let evil = client.post("/api/v2/auth/login").json(&login);
        evil.header("origin", "https://evil.example").await.expect(403);
    }
    let counted = node.metrics().await;
    let opened =
        |result| counted.count("panel_gateway_tls_connections_total", &[("result", result)]);
    assert!(opened("http1") > 0 && opened("http2") > 0, "{} {}", opened("http1"), opened("http2"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_in_the_clear_hears_where_the_site_is() {
    let site = SiteCertificate::new();
    let node = Node::builder().tls(&site);
    let node = node.env("PANEL_GATEWAY__TLS__REDIRECT_LISTEN", "127.0.0.1:0").start().await;
    let redirect = node.run_file().redirect.clone().unwrap();
    for address in [node.http(), redirect.as_str()] {
        for (asked, expected) in [
            ("GET /a/b?c=d HTTP/1.1\r\nhost: evil.example\r\n\r\n", "/a/b?c=d"),
            ("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}", "/"),
            ("OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n", "/"),
            ("GET http://evil.example/z HTTP/1.1\r\nhost: evil.example\r\n\r\n", "/z"),
        ] {
            let asked = asked.replacen("\r\n", "\r\nconnection: close\r\n", 1);
            let answer = String::from_utf8(raw(address, asked.as_bytes()).await).unwrap();
            assert!(answer.starts_with("HTTP/1.1 308 "), "{answer}");
            let location = format!("\r\nlocation: {}\r\n", node.url(expected));
            assert!(answer.contains(&location), "{answer}");
            assert!(!answer.contains("strict-transport-security"), "{answer}");
        }
        let answer = raw(address, b"nonsense\r\n\r\n").await;
        assert!(answer.starts_with(b"HTTP/1.1 400 "), "{}", String::from_utf8_lossy(&answer));
    }
    // That port speaks no TLS.
    let stream = TcpStream::connect(&redirect).await.unwrap();
    secured(stream, &redirect, &site.client_config(&[])).await.unwrap_err();
    node.client().get(HEALTH).await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewal_is_served_at_once_and_what_is_broken_is_not() {
    let site = SiteCertificate::new();
    let node = Node::builder().tls(&site).start().await;
    let kept = node.client();
    kept.get(HEALTH).await.expect(200);
    let before = shown(&node, &site).await;
    site.renew(Duration::from_secs(60 * 24 * 3_600));
    eventually("the new one is shown", WITHIN, async || {
        if shown(&node, &site).await == before { Err("the old one") } else { Ok(()) }
    })
    .await;
    kept.get(HEALTH).await.expect(200);
    let renewed = shown(&node, &site).await;
    std::fs::write(site.chain(), "-----BEGIN CERTIFICATE-----\nbroken").unwrap();
    eventually("it is said", WITHIN, async || {
        node.log_contains("new certificates can't be used, the old ones stay")
    })
    .await;
    assert_eq!(shown(&node, &site).await, renewed);
    assert!(node.log_contains("the site's certificate was renewed"));
    // One that is about to end is spoken of, and one that has ended is in health.
    site.renew(Duration::from_secs(8));
    eventually("its end is near", WITHIN, async || {
        node.log_contains("the site's certificate must be renewed soon")
    })
    .await;
    eventually("it is over", WITHIN, async || {
        let health = kept.get(HEALTH).await.expect(200).json();
        let certificate = health["dependencies"]["certificate"]["status"].clone();
        if certificate == "down" && health["status"] == "degraded" { Ok(()) } else { Err(health) }
    })
    .await;
    connect(&node, &site.client_config(&[])).await.unwrap_err();
    site.renew(Duration::from_secs(60 * 24 * 3_600));
    eventually("it is well again", WITHIN, async || {
        let health = kept.get(HEALTH).await.expect(200).json();
        let certificate = health["dependencies"]["certificate"]["status"].clone();
        if certificate == "up" { Ok(()) } else { Err(certificate) }
    })
    .await;
}

#[tokio::test]
async fn what_can_t_be_used_is_said_at_the_start() {
    let site = SiteCertificate::new();
    let path = |path: std::path::PathBuf| path.to_str().unwrap().to_owned();
    let (chain, key) = (path(site.chain()), path(site.key()));
    let certificate = "PANEL_GATEWAY__TLS__CERTIFICATE";
    for (settings, expected) in [
        (vec![(certificate, chain.as_str())], "gateway.tls.key: must name the key"),
        (vec![("PANEL_GATEWAY__TLS__KEY", &*key)], "gateway.tls.certificate: must name"),
        (vec![("PANEL_GATEWAY__TLS__REDIRECT_LISTEN", "127.0.0.1:0")], "leads nowhere"),
        (
            vec![
                (certificate, chain.as_str()),
                ("PANEL_GATEWAY__TLS__KEY", &*key),
                ("PANEL_GATEWAY__TLS__REDIRECT_LISTEN", "localhost"),
            ],
            "must be an address and a port",
        ),
        (vec![(certificate, "/none"), ("PANEL_GATEWAY__TLS__KEY", &key)], "/none is not there"),
        (vec![(certificate, &key), ("PANEL_GATEWAY__TLS__KEY", &key)], "holds no certificate"),
        (vec![(certificate, &chain), ("PANEL_GATEWAY__TLS__KEY", &chain)], "is not a key"),
        (
            vec![
                (certificate, &chain),
                ("PANEL_GATEWAY__TLS__KEY", &key),
                ("PANEL_NODE__PUBLIC_URL", "http://panel.example"),
            ],
            "must begin with https://",
        ),
    ] {
        let builder = settings
            .iter()
            .fold(Node::builder(), |builder, (name, value)| builder.env(name, value));
        let refused = builder.start_refused().await;
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{said}");
        assert!(said.contains(expected), "{expected}: {said}");
    }
    let node = Node::builder().tls(&site).env("PANEL_NODE__PUBLIC_URL", "https://other.example");
    let node = node.start().await;
    assert!(node.log_contains("does not name the site's host"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_and_new_clients_agree_and_come_back_quickly() {
    let site = SiteCertificate::new();
    let node = Node::builder().tls(&site).start().await;
    for (version, expected) in
        [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)]
    {
        let config = site.client_config_of(&[version], &[b"h2", b"http/1.1"]);
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let mut stream = connect(&node, &config).await.unwrap();
            // Tickets come behind the handshake.
            stream
                .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
                .await
                .unwrap();
            stream.flush().await.unwrap();
            stream.read_u8().await.unwrap();
            let session = stream.get_ref().1;
            assert_eq!(session.protocol_version(), Some(expected));
            assert_eq!(session.alpn_protocol(), Some(&b"h2"[..]));
            assert_eq!(session.handshake_kind(), Some(kind), "{expected:?}");
        }
    }
    // Who offers nothing is spoken to in HTTP/1.1; who offers something else is refused.
    let mut stream = connect(&node, &site.client_config(&[])).await.unwrap();
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    stream.flush().await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1."), "{}", String::from_utf8_lossy(&answer));
    connect(&node, &site.client_config(&[b"spdy/3"])).await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_finish_a_handshake_is_let_go() {
    let site = SiteCertificate::new();
    let node = Node::builder().tls(&site).env("PANEL_GATEWAY__HEAD_TIMEOUT", "1s");
    let node = node.env("PANEL_GATEWAY__MAX_CONNECTIONS", "2").start().await;
    for begun in [&b""[..], b"\x16", b"\x16\x03\x01\x02\x00\x01\x00", &[0x16; 4_000]] {
        let answer = raw_within(node.http(), begun, WITHIN).await;
        // At most the word that it is no TLS.
        assert!(answer.len() <= 7, "{begun:?}: {answer:?}");
    }
    // The places are free again.
    let silent = [TcpStream::connect(node.http()).await, TcpStream::connect(node.http()).await];
    node.client().get(HEALTH).await.expect(200);
    drop(silent);
    let counted = node.metrics().await;
    let failed = counted.count("panel_gateway_tls_connections_total", &[("result", "failed")]);
    assert!(failed >= 4, "{failed}");
}

/// Reads until there is an event called `name`: its data.
async fn told(stream: &mut hyper::body::Incoming, name: &str) -> Value {
    use http_body_util::BodyExt as _;
    let mut read = String::new();
    loop {
        let frame = tokio::time::timeout(WITHIN, stream.frame()).await.expect("an event comes");
        let frame = frame.expect("the stream goes on").unwrap();
        read.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
        let event = read.split("\n\n").find(|event| event.contains(&format!("event: {name}\n")));
        let data =
            event.and_then(|event| event.lines().find_map(|line| line.strip_prefix("data: ")));
        if let Some(Ok(data)) = data.map(serde_json::from_str) {
            return data;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_come_under_tls_in_both_protocols() {
    let site = SiteCertificate::new();
    let node = Node::builder().tls(&site).start().await;
    let admin = node.admin("root").await;
    let thread = Thread::open(&admin).await;
    let bob = Session::register(&node.client(), "bob").await;
    let hers = thread.reply(&admin, "hers").await.expect(201).json();
    for protocol in [&b"http/1.1"[..], b"h2"] {
        let config = site.client_config(&[protocol]);
        let stream = connect(&node, &config).await.unwrap();
        let io = hyper_util::rt::TokioIo::new(stream);
        let url = node.url("/api/v2/forum/notifications/stream");
        let asked = http::Request::get(url).header("host", node.http());
        let asked = asked.header("authorization", format!("Bearer {}", admin.access_token));
        let asked = asked.body(http_body_util::Empty::<bytes::Bytes>::new()).unwrap();
        let answer = if protocol == b"h2" {
            let executor = hyper_util::rt::TokioExecutor::new();
            let (mut sender, line) =
                hyper::client::conn::http2::handshake(executor, io).await.unwrap();
            tokio::spawn(line);
            sender.send_request(asked).await.unwrap()
        } else {
            let (mut sender, line) = hyper::client::conn::http1::handshake(io).await.unwrap();
            tokio::spawn(line);
            sender.send_request(asked).await.unwrap()
        };
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        let mut stream = answer.into_body();
        let reply = json!({"body": "an answer", "reply_to": hers["id"]});
        let reply = bob.post(&thread.posts).json(&reply).await.expect(201).json();
        let data = told(&mut stream, "notification").await;
        assert_eq!((&data["kind"], &data["post_id"]), (&json!("reply"), &reply["id"]));
        drop(stream);
        eventually("nobody listens", WITHIN, async || {
            let open = node.metrics().await.count("panel_streams_open", &[]);
            if open == 0 { Ok(()) } else { Err(open) }
        })
        .await;
    }
    let socket = connect(&node, &site.client_config(&[b"http/1.1"])).await.unwrap();
    let mut request =
        tokio_tungstenite::tungstenite::client::IntoClientRequest::into_client_request(format!(
            "wss://{}/api/v2/forum/notifications/stream",
            node.http()
        ))
        .unwrap();
    let bearer = format!("Bearer {}", admin.access_token).parse().unwrap();
    request.headers_mut().insert("authorization", bearer);
    let (mut socket, _) = tokio_tungstenite::client_async(request, socket).await.unwrap();
    let reply = json!({"body": "another", "reply_to": hers["id"]});
    bob.post(&thread.posts).json(&reply).await.expect(201);
    let told = tokio::time::timeout(WITHIN, async {
        loop {
            let message = futures::StreamExt::next(&mut socket).await.unwrap().unwrap();
            if message.to_text().is_ok_and(|text| text.contains("\"notification\"")) {
                return;
            }
        }
    });
    told.await.expect("an event comes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_ends_answers_what_it_has_under_tls() {
    let site = SiteCertificate::new();
    let mut node = Node::builder().tls(&site).faults().start().await;
    let admin = node.admin("root").await;
    let thread = Thread::open(&admin).await;
    node.arm("write.before_transaction=delay(800ms)*2").await;
    let clients = [node.client(), node.http2()];
    // One more of each that says nothing more.
    let idle = [node.client(), node.http2()];
    for client in &idle {
        client.get(HEALTH).await.expect(200);
    }
    let writers = clients.map(|client| {
        let (by, thread) = (admin.at(&client), thread.clone());
        tokio::spawn(async move { thread.reply(&by, "in time").await.expect(201) })
    });
    eventually("both are inside", WITHIN, async || {
        node.acted("write.before_transaction").await == 2
    })
    .await;
    let began = std::time::Instant::now();
    assert!(node.sigterm_and_wait().await.success());
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    for writer in writers {
        writer.await.unwrap();
    }
}
