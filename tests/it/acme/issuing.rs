//! How a node comes to its certificate, and keeps it.

use std::time::{Duration, Instant};

use panel_harness::authority::shake_hands;
use panel_harness::{Backend, Client, Node, eventually, raw};

use super::{Doors, HOST, LONG, URL, WITHIN, count, issued, said, shown};

const REDIRECT: &str = "PANEL_GATEWAY__TLS__REDIRECT_LISTEN";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_issued_at_the_first_start_and_kept() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        for in_the_clear in [true, false] {
            let database = backend.database().await;
            let doors = Doors::new();
            let authority = doors.authority(LONG);
            let node = authority.configure(Node::builder().database(&database), URL);
            let node = if in_the_clear { node.env(REDIRECT, "127.0.0.1:0") } else { node };
            let mut node = node.start().await;
            doors.lead_to(&node);
            let config = authority.client_config(&[b"http/1.1"]).await;
            let first = issued(&node, &config).await;
            assert_eq!(said(&node).await["status"], "up");
            let counted = node.metrics().await;
            let looked = [("result", "challenge")];
            let looked = counted.count("panel_gateway_tls_connections_total", &looked);
            assert_eq!(looked > 0, !in_the_clear, "{looked}");
            let site = Client::new(node.http()).under_tls_as(HOST, &config);
            let answer = site.get("/api/v2/health").await.expect(200);
            assert_eq!(answer.header("strict-transport-security"), Some("max-age=2592000"));
            let http2 = authority.client_config(&[b"h2"]).await;
            let stream = shake_hands(node.http(), HOST, &http2).await.unwrap();
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
            // It is the same after a restart, also one without a word, and nothing is asked for again.
            node.restart().await;
            assert_eq!(issued(&node, &config).await, first);
            node.kill9();
            node.restart().await;
            assert_eq!(issued(&node, &config).await, first);
            let counted = node.metrics().await;
            assert_eq!((count(&counted, "issued"), count(&counted, "failed")), (0, 0));
            eventually("its end is known", WITHIN, async || {
                let counted = node.metrics().await;
                counted.value("panel_gateway_certificate_expires_seconds", &[]) > 1.7e9
            })
            .await;
            // Until somebody wants another.
            doors.lead_to(&node);
            let wanted = node.cli(&["certs", "renew"]).await;
            assert!(wanted.status.success(), "{wanted:?}");
            eventually("another is shown", WITHIN, async || {
                let now = shown(&node, &config).await.unwrap();
                if now == first { Err(node.log_lines()) } else { Ok(()) }
            })
            .await;
            assert_eq!(count(&node.metrics().await, "issued"), 1);
            // What is secret lies there sealed.
            let stored = database.raw_sql("gateway").await.dump().await;
            assert!(stored.iter().any(|row| row.starts_with("acme_accounts: ")), "{stored:?}");
            assert!(stored.iter().any(|row| row.contains("BEGIN CERTIFICATE")), "{stored:?}");
            for secret in ["PRIVATE KEY", "key_pkcs8", "5052495641544520"] {
                assert!(!stored.iter().any(|row| row.contains(secret)), "{stored:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_renewed_at_two_thirds_of_its_life() {
    let life = Duration::from_secs(24);
    let doors = Doors::new();
    let mut authority = doors.authority(life);
    let node = authority.configure(Node::builder(), URL).start().await;
    doors.lead_to(&node);
    let config = authority.client_config(&[b"http/1.1"]).await;
    let began = Instant::now();
    let first = issued(&node, &config).await;
    let site = Client::new(node.http()).under_tls_as(HOST, &config);
    site.get("/api/v2/health").await.expect(200);
    let renewed = eventually("another is shown", WITHIN, async || {
        let now = shown(&node, &config).await.unwrap();
        if now == first { Err("the first") } else { Ok(now) }
    })
    .await;
    // By the second: that is what certificates count in.
    let took = began.elapsed();
    assert!(took + Duration::from_secs(2) >= life * 2 / 3, "{took:?}");
    assert!(took < life, "the first was good until then: {took:?}");
    // The connection that was open has lived through it.
    site.get("/api/v2/health").await.expect(200);
    eventually("it is said", WITHIN, async || {
        node.log_contains("the site's certificate was renewed")
    })
    .await;
    // An authority that has forgotten the account is told of a new one.
    authority.forget();
    let config = authority.client_config(&[b"http/1.1"]).await;
    let wanted = node.cli(&["certs", "renew"]).await;
    assert!(wanted.status.success(), "{wanted:?}");
    let third = issued(&node, &config).await;
    assert!(third != renewed && third != first);
    let failed = node.metrics().await.count(super::ORDERS, &[("result", "failed")]);
    assert_eq!(failed, 0, "{:?}", node.log_lines());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_names_are_in_one_certificate() {
    let doors = Doors::new();
    let authority = doors.authority(LONG);
    let node = authority
        .configure(Node::builder(), URL)
        .env("PANEL_GATEWAY__TLS__ACME__NAMES", "Panel.example, www.panel.example")
        .env("PANEL_GATEWAY__TLS__ACME__CONTACT", "root@panel.example")
        .env(REDIRECT, "127.0.0.1:0");
    let node = node.start().await;
    doors.lead_to(&node);
    let config = authority.client_config(&[]).await;
    issued(&node, &config).await;
    for host in [HOST, "www.panel.example"] {
        shake_hands(node.http(), host, &config).await.unwrap();
    }
    shake_hands(node.http(), "other.example", &config).await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_are_shown_nothing() {
    let doors = Doors::new();
    let authority = doors.authority(LONG);
    let node = authority.configure(Node::builder(), URL).env(REDIRECT, "127.0.0.1:0");
    let node = node.start().await;
    let redirect = node.run_file().redirect.clone().unwrap();
    let ask = async |request: String| {
        let answer = raw(&redirect, request.as_bytes()).await;
        String::from_utf8(answer).unwrap()
    };
    let long = "a".repeat(129);
    for token in ["", "a", "..", "a%2fb", "a/b", "a.b", "abcdefghijklmnopqrstuvwxyz", &long] {
        let path = format!("/.well-known/acme-challenge/{token}");
        let head = "HTTP/1.1\r\nhost: panel.example\r\nconnection: close\r\n\r\n";
        let answer = ask(format!("GET {path} {head}")).await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{token}: {answer}");
        assert!(answer.contains("application/problem+json"), "{answer}");
        let answer = ask(format!("POST {path} {head}")).await;
        assert!(answer.starts_with("HTTP/1.1 405 "), "{token}: {answer}");
    }
    // Who speaks the authority's protocol is shown nothing that nobody has asked for, and is told nothing.
    let config = authority.client_config(&[b"acme-tls/1"]).await;
    for host in [HOST, "other.example"] {
        shake_hands(node.http(), host, &config).await.unwrap_err();
    }
    doors.lead_to(&node);
    issued(&node, &authority.client_config(&[]).await).await;
    shake_hands(node.http(), "other.example", &config).await.unwrap_err();
    let counted = node.metrics().await;
    let shaken =
        |result| counted.count("panel_gateway_tls_connections_total", &[("result", result)]);
    assert!(shaken("failed") >= 3);
}
