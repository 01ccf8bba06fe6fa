//! Files that are sent: they are received whole or not at all, by who may, and stay where a service has put them.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use futures::future::join_all;
use panel_harness::probe::LONGEST_FILE;
use panel_harness::{
    Backend, Bucket, Client, Rig, RigBuilder, Session, eventually, new_id, on_both_databases, raw,
};
use panel_kernel::config::Span;
use panel_kernel::message::BlobRef;
use panel_kernel::role::Role;
use panel_kernel::time::Clock;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::blobs::{content, get};

on_both_databases!(
    a_file_is_received_whole,
    what_is_refused_leaves_nothing,
    nothing_is_read_from_who_may_not_ask,
    who_sends_it_twice_has_sent_it_once,
    what_nobody_adopts_goes_after_a_day,
    what_does_not_arrive_leaves_nothing,
);

const FILES: &str = "/api/v2/probe/files";
const SOON: Duration = Duration::from_secs(20);

fn sent(by: &Client, key: &str, file: &[u8]) -> panel_harness::http::RequestBuilder {
    by.post(&format!("{FILES}?key={key}")).body("image/png", file.to_vec())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// What is kept there.
async fn kept(rig: &Rig, told: &Value, file: &[u8]) {
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(digest(&SHA256, file).as_ref());
    assert_eq!(told["sha256"], hex(&sha256));
    assert_eq!(told["bytes"], file.len());
    let blob =
        BlobRef { key: told["key"].as_str().unwrap().to_owned(), bytes: file.len() as u64, sha256 };
    assert_eq!(get(rig, &blob, 0..u64::MAX).await.unwrap(), file);
}

/// The keys of all blobs that are there.
pub(crate) async fn keys(rig: &Rig) -> Vec<String> {
    if rig.runtime.blobs.database().is_some() {
        let all = "SELECT key FROM blobs WHERE finished_at IS NOT NULL ORDER BY key";
        return rig.raw_sql("blobs").await.texts(all, 0).await.unwrap();
    }
    let root = rig.runtime.data_dir.join("blobs");
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let key = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                found.push(key.split('~').next().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// Not even the beginning of something.
async fn nothing_stays(rig: &Rig) {
    eventually("nothing stays", SOON, async || {
        let mut left = keys(rig).await;
        if rig.runtime.blobs.database().is_some() {
            let all = "SELECT key FROM blobs";
            left = rig.raw_sql("blobs").await.texts(all, 0).await.unwrap();
        }
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
}

async fn a_file_is_received_whole(backend: Backend) {
    for bucket in [None, Some(Bucket::start().await)] {
        let builder = RigBuilder::new(backend.database().await);
        let builder = match &bucket {
            Some(bucket) => builder.files(bucket.config()),
            None => builder,
        };
        let rig = Box::pin(builder.start()).await;
        let ada = rig.signed_in(Role::User);
        for size in [1, 300_000, 5 * 1024 * 1024 + 17] {
            let file = content(size, 3);
            let told = sent(&ada, &format!("size-{size}"), &file).await.expect(201).json();
            assert_eq!(told["media_type"], "image/png");
            kept(&rig, &told, &file).await;
        }
        // Another takes its place.
        let told = sent(&ada, "size-1", b"other").await.expect(201).json();
        kept(&rig, &told, b"other").await;
        let expected = ["kept/size-1", "kept/size-300000", "kept/size-5242897"];
        assert_eq!(keys(&rig).await, expected);
        rig.shutdown().await;
    }
}

async fn what_is_refused_leaves_nothing(backend: Backend) {
    let rig = Rig::start(backend).await;
    let ada = rig.signed_in(Role::User);
    let badly = sent(&ada, "a", b"x").header("idempotency-key", "a b");
    badly.await.refused(400, "bad_request");
    // By the service, which has it already.
    ada.post(FILES).body("image/png", content(300_000, 1)).await.refused(422, "validation");
    assert_eq!(rig.probe.count("files"), 1);
    let long = vec![0; usize::try_from(LONGEST_FILE).unwrap() + 1];
    sent(&ada, "long", &long).await.refused(413, "payload_too_large");
    sent(&ada, "empty", b"").await.refused(400, "bad_request");
    let packed = sent(&ada, "packed", b"x").header("content-encoding", "gzip");
    packed.await.refused(415, "unsupported_media_type");
    assert_eq!(rig.probe.count("files"), 1, "nobody was asked");
    nothing_stays(&rig).await;
    rig.shutdown().await;
}

async fn nothing_is_read_from_who_may_not_ask(backend: Backend) {
    let rig = Rig::start(backend).await;
    rig.client().post(FILES).body("image/png", "x").await.refused(401, "unauthorized");
    // Whoever waits for consent is told at once, and has sent nothing.
    let head = format!(
        "POST {FILES}?key=a HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\
         Expect: 100-continue\r\n\r\n"
    );
    let answer = raw(&rig.address.to_string(), head.as_bytes()).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert_eq!(keys(&rig).await, [""; 0]);
    rig.shutdown().await;
}

/// Nor from a key that may read and nothing else: it would be refused once all of it is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_read_from_a_key_that_may_not_write() {
    let rig = Box::pin(RigBuilder::everything(Backend::Sqlite.database().await).start()).await;
    rig.await_signing_key().await;
    let ada = Session::register(&rig.client(), "ada").await;
    let key = json!({"name": "reads", "scopes": ["forum:read"]});
    let key = ada.post("/api/v2/auth/api-keys").json(&key).await.expect(201).json();
    let head = format!(
        "POST {FILES}?key=a HTTP/1.1\r\nHost: x\r\nX-API-Key: {}\r\nContent-Length: 5000000\r\n\
         Expect: 100-continue\r\n\r\n",
        key["key"].as_str().unwrap()
    );
    let answer = raw(&rig.address.to_string(), head.as_bytes()).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    rig.shutdown().await;
}

async fn who_sends_it_twice_has_sent_it_once(backend: Backend) {
    let rig = Rig::start(backend).await;
    let ada = rig.signed_in(Role::User);
    let file = content(300_000, 1);
    let first = sent(&ada, "a", &file).idempotency_key("k").await.expect(201).json();
    let again = sent(&ada, "a", &file).idempotency_key("k").await.expect(201);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.json(), first);
    kept(&rig, &first, &file).await;
    let other = sent(&ada, "a", b"other").idempotency_key("k").await;
    other.refused(422, "idempotency_mismatch");
    kept(&rig, &first, &file).await;
    rig.shutdown().await;
}

async fn what_nobody_adopts_goes_after_a_day(backend: Backend) {
    let clock = Clock::manual(Clock::system().now());
    let bucket = Bucket::start().await;
    let builder = RigBuilder::new(backend.database().await).files(bucket.config());
    let rig = Box::pin(builder.clock(clock.clone()).start()).await;
    let mut writer = rig.runtime.blobs.receive(10).await.unwrap();
    writer.write(b"left").await.unwrap();
    let left = writer.finish().await.unwrap();
    assert_eq!(get(&rig, &left, 0..4).await.unwrap(), b"left");
    clock.advance(Duration::from_secs(25 * 3_600));
    rig.tell_janitor("blobs/janitor");
    eventually("nobody finds it", SOON, async || {
        let keys = keys(&rig).await;
        if keys.is_empty() { Ok(()) } else { Err(keys) }
    })
    .await;
    rig.tell_janitor("blobs/sweeper");
    eventually("nothing is there", SOON, async || {
        let objects = bucket.objects().await;
        if objects.is_empty() { Ok(()) } else { Err(objects) }
    })
    .await;
    rig.shutdown().await;
}

async fn what_does_not_arrive_leaves_nothing(backend: Backend) {
    let builder = RigBuilder::new(backend.database().await);
    let builder = builder.gateway(|gateway| gateway.body_timeout = Span::seconds(1));
    let rig = Box::pin(builder.start()).await;
    let token = rig.probe.issuer.token(&rig.runtime, new_id(), Role::User);
    let head = head(&token, 1_000_000);
    // Who goes away in the middle of it.
    let mut gone = TcpStream::connect(rig.address).await.unwrap();
    let beginning = content(700_000, 1);
    gone.write_all(&[head.as_bytes(), &beginning].concat()).await.unwrap();
    let received = || rig.metrics().find("panel_gateway_upload_bytes_total", &[]);
    eventually("it has come", SOON, async || match received() {
        Some(bytes) if bytes >= 700_000. => Ok(()),
        other => Err(other),
    })
    .await;
    drop(gone);
    nothing_stays(&rig).await;
    // Who always sends something, and never enough of it.
    let (mut reading, mut writing) = TcpStream::connect(rig.address).await.unwrap().into_split();
    writing.write_all(head.as_bytes()).await.unwrap();
    let dripping = async {
        while writing.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let mut answer = String::new();
    let refused = tokio::time::timeout(SOON, reading.read_to_string(&mut answer));
    tokio::select! {
        () = dripping => {}
        _ = refused => {}
    }
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    nothing_stays(&rig).await;
    rig.shutdown().await;
}

/// The head of a request that brings a file of so many bytes.
fn head(token: &str, bytes: usize) -> String {
    format!(
        "POST {FILES}?key=a HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
         Connection: close\r\nContent-Length: {bytes}\r\n\r\n"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sends_nothing_any_more_is_refused_and_has_no_place() {
    let builder = RigBuilder::new(Backend::Sqlite.database().await);
    let builder = builder.gateway(|gateway| {
        gateway.body_timeout = Span::seconds(4);
        gateway.files.max_uploads = 5;
    });
    let rig = Box::pin(builder.start()).await;
    let token = rig.probe.issuer.token(&rig.runtime, new_id(), Role::User);
    let ada = rig.client().with_header("authorization", &format!("Bearer {token}"));
    let head = head(&token, 500_000);
    let mut silent = Vec::new();
    for _ in 0..4 {
        let mut stream = TcpStream::connect(rig.address).await.unwrap();
        // A first byte, and no more.
        stream.write_all(&[head.as_bytes(), b"x"].concat()).await.unwrap();
        silent.push(stream);
    }
    eventually("four are under way", SOON, async || {
        let received = rig.metrics().find("panel_gateway_upload_bytes_total", &[]);
        if received == Some(4.) { Ok(()) } else { Err(received) }
    })
    .await;
    // The fifth of one account.
    assert_eq!(sent(&ada, "b", b"x").await.status, 429);
    let answers = join_all(silent.into_iter().map(|mut stream| async move {
        let mut answer = String::new();
        drop(tokio::time::timeout(SOON, stream.read_to_string(&mut answer)).await);
        answer
    }));
    for answer in answers.await {
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
    sent(&ada, "b", b"x").await.expect(201);
    assert_eq!(keys(&rig).await, ["kept/b"]);
    rig.shutdown().await;
}
