//! How a file is sent: whole, in parts, and to so many at a time.

use std::time::Duration;

use panel_harness::session::PASSWORD;
use panel_harness::{Backend, RigBuilder, Session, eventually, on_both_databases};
use panel_kernel::time::Clock;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{SOON, asked, fetched, files, noise, records, rig, until};

on_both_databases!(one_that_is_long_comes_whole_and_in_parts);

async fn one_that_is_long_comes_whole_and_in_parts(backend: Backend) {
    let clock = Clock::manual(Clock::system().now());
    let rig = rig(backend, &clock).await;
    let ada = Session::register(&rig.client(), "ada").await;
    // Several pages by number, several by length, and nothing that could be made shorter.
    let sessions = (0..250).map(|number| {
        let user: panel_kernel::ids::Id = ada.user_id.parse().unwrap();
        format!(
            "INSERT INTO sessions (id, user_id, created_at, last_used_at, expires_at, user_agent) \
             VALUES ({number}, {}, 1, 1, 9999999999999999, '{}');",
            user.raw(),
            noise(number, 6_000),
        )
    });
    rig.raw_sql("auth").await.run(&sessions.collect::<String>()).await;
    let export = until(&ada, &asked(&ada).await, "ready").await;
    assert_eq!(export["progress"]["records"]["auth"]["sessions"], 251);
    let (whole, url) = (fetched(&ada, &export).await, export["url"].as_str().unwrap());
    assert!(whole.body.len() > 700_000, "{}", whole.body.len());
    let sessions = records(&files(&whole.body), "auth/sessions.jsonl");
    let ids: std::collections::BTreeSet<_> =
        sessions.iter().map(|session| session["id"].to_string()).collect();
    assert_eq!((sessions.len(), ids.len()), (251, 251));
    // As programs that go on with a download ask for it.
    let tag = whole.header("etag").unwrap();
    assert_eq!(whole.header("accept-ranges"), Some("bytes"));
    let length = whole.body.len();
    let mut found = Vec::new();
    while found.len() < length {
        let to = (found.len() + 300_000).min(length) - 1;
        let range = format!("bytes={}-{to}", found.len());
        let part = ada.get(url).header("range", &range).header("if-range", tag).await.expect(206);
        let stands = format!("bytes {}-{to}/{length}", found.len());
        assert_eq!(part.header("content-range"), Some(stands.as_str()));
        found.extend_from_slice(&part.body);
    }
    assert_eq!(found, whole.body);
    let other = ada.get(url).header("range", "bytes=0-9").header("if-range", "\"x\"").await;
    assert_eq!(other.expect(200).body.len(), length);
    let behind = ada.get(url).header("range", &format!("bytes={length}-")).await;
    behind.refused(416, "range_not_satisfiable");
    assert_eq!(behind.header("content-range"), Some(format!("bytes */{length}").as_str()));
    let head = ada.request(http::Method::HEAD, url).await.expect(200);
    assert_eq!(head.header("content-length"), Some(length.to_string().as_str()));
    assert!(head.body.is_empty());
    ada.get(url).header("if-none-match", tag).await.expect(304);
    // On one connection, one after the other, whatever was a file.
    let raw = panel_harness::raw(
        &rig.address.to_string(),
        format!(
            "GET {url} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n\
             GET {url} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nRange: bytes=0-1\r\n\
             Connection: close\r\n\r\n",
            token = ada.access_token
        )
        .as_bytes(),
    )
    .await;
    let (first, second) = (find(&raw, b"\r\n\r\n"), rfind(&raw, b"HTTP/1.1 206"));
    assert_eq!(&raw[first + 4..second], &whole.body[..]);
    assert_eq!(&raw[raw.len() - 2..], &whole.body[..2]);
    // Later, who it is has to be shown again, except by who has the beginning.
    clock.advance(Duration::from_secs(301));
    let ranged =
        |range: &str, tag: &str| ada.get(url).header("range", range).header("if-range", tag);
    for asked in [ada.get(url), ranged("bytes=0-9", tag), ranged("bytes=5-", "\"x\"")] {
        let stale = asked.await.refused(403, "forbidden");
        assert_eq!(stale.code.as_deref(), Some("reauthentication_required"));
    }
    assert_eq!(ranged("bytes=5-", tag).await.expect(206).body, whole.body[5..]);
    let shown = json!({"password": PASSWORD});
    ada.post("/api/v2/auth/reauthenticate").json(&shown).await.expect(204);
    fetched(&ada, &export).await;
    // What is lost on the way ends the connection, so that nobody takes it for the whole.
    if backend == Backend::Postgres {
        rig.raw_sql("blobs").await.run("DELETE FROM pieces WHERE number = 1").await;
        let lost = ada.get(url).send().await.unwrap_err();
        assert!(matches!(lost, panel_harness::http::NoAnswer::Lost(_)), "{lost:?}");
    }
    rig.shutdown().await;
}

fn find(text: &[u8], what: &[u8]) -> usize {
    text.windows(what.len()).position(|window| window == what).unwrap()
}

fn rfind(text: &[u8], what: &[u8]) -> usize {
    text.windows(what.len()).rposition(|window| window == what).unwrap()
}

/// One account does not take all places that a gateway has, nor do all of them together take more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_many_are_sent_at_a_time() {
    let builder = RigBuilder::everything(Backend::Sqlite.database().await);
    let rig = Box::pin(builder.gateway(|gateway| gateway.files.max_downloads = 9).start()).await;
    rig.await_signing_key().await;
    let (ada, bob) = (
        Session::register(&rig.client(), "ada").await,
        Session::register(&rig.client(), "bob").await,
    );
    // More than the buffers between here and there hold.
    let mut large = rig.raw_sql("auth").await;
    for who in [&ada, &bob] {
        let user: panel_kernel::ids::Id = who.user_id.parse().unwrap();
        for number in 0..40_u64 {
            let row = format!(
                "INSERT INTO sessions (id, user_id, created_at, last_used_at, expires_at, user_agent) \
                 VALUES ({}, {}, 1, 1, 9999999999999999, '{}')",
                user.raw() + 1_000_000 + i64::try_from(number).unwrap(),
                user.raw(),
                noise(number, 400_000)
            );
            large.run(&row).await;
        }
    }
    let [of_ada, of_bob] =
        [&ada, &bob].map(|who| async move { until(who, &asked(who).await, "ready").await });
    let (of_ada, of_bob) = (of_ada.await, of_bob.await);
    let begin = async |who: &Session, export: &Value| {
        let url = export["url"].as_str().unwrap();
        let mut stream = tokio::net::TcpStream::connect(rig.address).await.unwrap();
        let asked = format!(
            "GET {url} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n",
            who.access_token
        );
        stream.write_all(asked.as_bytes()).await.unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).await.unwrap();
        (stream, String::from_utf8_lossy(&head).into_owned())
    };
    let mut streams = Vec::new();
    for _ in 0..8 {
        let (stream, head) = begin(&ada, &of_ada).await;
        assert_eq!(head, "HTTP/1.1 200");
        streams.push(stream);
    }
    ada.get(of_ada["url"].as_str().unwrap()).await.refused(429, "rate_limited");
    let (last, head) = begin(&bob, &of_bob).await;
    assert_eq!(head, "HTTP/1.1 200");
    let full = bob.get(of_bob["url"].as_str().unwrap()).await;
    assert_eq!(full.status, 503, "{full:?}");
    drop((streams, last));
    eventually("their places are free", SOON, async || {
        let answer = ada.get(of_ada["url"].as_str().unwrap()).await;
        if answer.status == 200 { Ok(()) } else { Err(answer.status) }
    })
    .await;
    rig.shutdown().await;
}
