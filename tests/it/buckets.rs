//! Files in a bucket that speaks S3, which of them there are in either database: all that a store of files promises, and
//! what becomes of it when the bucket does not answer, or is written to by somebody who is late.

use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt as _;
use panel_harness::{
    Backend, Bucket, Cluster, Node, PASSWORD, Rig, RigBuilder, Session, eventually,
    on_both_databases,
};
use panel_kernel::blobs::BlobError;
use panel_kernel::time::Clock;
use serde_json::json;

use crate::blobs::{content, get, one_after_the_other, put, whole_and_in_parts};

on_both_databases!(
    what_is_written_is_read_whole_and_in_parts,
    one_takes_the_place_of_another_at_once,
    what_is_gone_ends_what_is_read,
    nothing_stays_that_nobody_finds,
    a_bucket_that_does_not_answer_costs_files_and_no_more,
    a_node_keeps_its_files_there,
);

/// An object.
const OBJECT: usize = 4 * 1024 * 1024;
/// Longer than a bucket is waited for.
const SOON: Duration = Duration::from_secs(60);

async fn rig(backend: Backend, bucket: &Bucket, clock: &Clock) -> Rig {
    let builder = RigBuilder::new(backend.database().await).files(bucket.config());
    Box::pin(builder.clock(clock.clone()).start()).await
}

async fn count(rig: &Rig) -> Vec<String> {
    let count = "SELECT CAST(count(*) AS TEXT) FROM blobs";
    rig.raw_sql("blobs").await.texts(count, 0).await.unwrap()
}

async fn what_is_written_is_read_whole_and_in_parts(backend: Backend) {
    let bucket = Bucket::start().await;
    let rig = rig(backend, &bucket, &Clock::system()).await;
    whole_and_in_parts(&rig, &[0, 1, OBJECT, OBJECT + 17], OBJECT).await;
    assert_eq!(bucket.objects().await, [""; 0], "all of it was removed");
    rig.shutdown().await;
}

async fn one_takes_the_place_of_another_at_once(backend: Backend) {
    let bucket = Bucket::start().await;
    let rig = rig(backend, &bucket, &Clock::system()).await;
    one_after_the_other(&rig).await;
    let objects = bucket.objects().await;
    assert_eq!(objects.len(), 1, "{objects:?}");
    assert!(objects[0].starts_with("of/panel/") && objects[0].ends_with("/00000000"));
    rig.shutdown().await;
}

async fn what_is_gone_ends_what_is_read(backend: Backend) {
    let bucket = Bucket::start().await;
    let rig = rig(backend, &bucket, &Clock::system()).await;
    let blob = put(&rig, "a", &content(2 * OBJECT + 5, 3)).await;
    let mut reading = rig.runtime.blobs.read(&blob, 0..u64::MAX).await.unwrap();
    let first = reading.try_next().await.unwrap().unwrap();
    // Behind everybody's back.
    let objects = bucket.objects().await;
    assert_eq!(objects.len(), 3);
    bucket.loses(&objects[1]).await;
    let rest: Result<Vec<_>, BlobError> = reading.try_collect().await;
    assert!(matches!(rest, Err(BlobError::Gone)), "{} bytes, {rest:?}", first.len());
    // What is there still can be read.
    let last = get(&rig, &blob, 2 * OBJECT as u64..u64::MAX).await.unwrap();
    assert_eq!(last, content(2 * OBJECT + 5, 3)[2 * OBJECT..]);
    rig.runtime.blobs.remove("a").await.unwrap();
    assert_eq!(bucket.objects().await, [""; 0]);
    rig.shutdown().await;
}

async fn nothing_stays_that_nobody_finds(backend: Backend) {
    let clock = Clock::manual(Clock::system().now());
    let bucket = Bucket::start().await;
    let rig = rig(backend, &bucket, &clock).await;
    let kept = put(&rig, "kept", b"kept").await;
    put(&rig, "replaced", &content(OBJECT + 1, 2)).await;
    put(&rig, "replaced", b"by this").await;
    let mut begun = rig.runtime.blobs.write("begun", u64::MAX).await.unwrap();
    begun.write(&content(OBJECT, 4)).await.unwrap();
    assert_eq!(bucket.objects().await.len(), 3, "what was replaced is gone");
    // Who writes where nothing is to be any more hears of it, and leaves nothing.
    let mut withdrawn = rig.runtime.blobs.write("withdrawn", u64::MAX).await.unwrap();
    withdrawn.write(&content(OBJECT, 5)).await.unwrap();
    let mine = bucket.objects().await.into_iter().find(|name| !name.is_empty());
    rig.runtime.blobs.remove("withdrawn").await.unwrap();
    assert!(matches!(withdrawn.write(&content(OBJECT, 5)).await, Err(BlobError::Gone)));
    assert_eq!(bucket.objects().await.len(), 3, "{mine:?}");
    // One who died after writing, and before hearing of it.
    let uploads = "SELECT upload FROM blobs WHERE key = 'withdrawn'";
    let upload = rig.raw_sql("blobs").await.texts(uploads, 0).await.unwrap();
    bucket.gets(&format!("of/panel/{}/00000001", upload[0]), "late").await;
    assert_eq!(bucket.objects().await.len(), 4);
    rig.tell_janitor("blobs/sweeper");
    clock.advance(Duration::from_secs(25 * 3_600));
    rig.tell_janitor("blobs/sweeper");
    eventually("the rest has gone", SOON, async || {
        let left = (bucket.objects().await.len(), count(&rig).await);
        if left == (2, vec!["2".to_owned()]) { Ok(()) } else { Err(left) }
    })
    .await;
    assert!(matches!(begun.finish().await, Err(BlobError::Fault(_))));
    assert_eq!(get(&rig, &kept, 0..u64::MAX).await.unwrap(), b"kept");
    rig.shutdown().await;
}

async fn a_bucket_that_does_not_answer_costs_files_and_no_more(backend: Backend) {
    let mut bucket = Bucket::start().await;
    let rig = rig(backend, &bucket, &Clock::system()).await;
    let kept = put(&rig, "kept", b"kept").await;
    bucket.freeze();
    let blobs = &rig.runtime.blobs;
    let mut writer = blobs.write("other", u64::MAX).await.unwrap();
    let long = content(OBJECT, 1);
    let (written, read) = tokio::join!(writer.write(&long), blobs.read(&kept, 0..u64::MAX));
    assert!(matches!(written, Err(BlobError::Unavailable(_))), "{written:?}");
    assert!(matches!(read.map(drop), Err(BlobError::Unavailable(_))));
    assert_eq!(blobs.trouble(), Some("the bucket is not available"));
    bucket.thaw();
    eventually("the bucket is back", SOON, async || blobs.trouble().map_or(Ok(()), Err)).await;
    assert_eq!(get(&rig, &kept, 0..u64::MAX).await.unwrap(), b"kept");
    put(&rig, "other", b"other").await;
    rig.shutdown().await;
}

const EXPORT: &str = "/api/v2/auth/account/export";

/// Has everything of an account put together; where the file is.
async fn exported(who: &Session) -> String {
    let asked = json!({"password": PASSWORD});
    let export = who.post(EXPORT).json(&asked).await.expect(202).json();
    let path = format!("{EXPORT}/{}", export["id"].as_str().unwrap());
    let done = eventually("it is put together", SOON, async || {
        let answer = who.get(&path).await.expect(200).json();
        if answer["status"] == "ready" { Ok(answer) } else { Err(answer) }
    })
    .await;
    done["url"].as_str().unwrap().to_owned()
}

/// The program itself: an account's own file is put together, kept there, sent in parts, and erased.
async fn a_node_keeps_its_files_there(backend: Backend) {
    let bucket = Bucket::start().await;
    let database = backend.database().await;
    let node = bucket.configure(Node::builder().database(&database)).start().await;
    let shown = node.cli(&["config", "show"]).await;
    assert!(!String::from_utf8(shown.stdout).unwrap().contains("bucket-secret"));
    let ada = Session::register(&node.client(), "ada").await;
    let health = node.client().get("/api/v2/health").await.expect(200).json();
    assert_eq!(health["dependencies"]["blobs"]["status"], "up", "{health}");
    let url = exported(&ada).await;
    assert_eq!(bucket.objects().await.len(), 1);
    let file = ada.get(&url).await.expect(200);
    let tag = file.header("etag").unwrap();
    let part = ada.get(&url).header("range", "bytes=10-99").header("if-range", tag);
    assert_eq!(part.await.expect(206).body, file.body.slice(10..100));
    ada.delete("/api/v2/auth/account").json(&json!({"password": PASSWORD})).await.expect(204);
    eventually("the file is gone", SOON, async || {
        let left = bucket.objects().await;
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
}

/// What was kept in PostgreSQL before there was a bucket stays where it is, and is found.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_can_come_later() {
    let bucket = Bucket::start().await;
    let database = Backend::Postgres.database().await;
    let directory = Arc::new(tempfile::tempdir().unwrap());
    let node = || Node::builder().database(&database).data_dir(&directory);
    let mut without = node().start().await;
    let ada = Session::register(&without.client(), "ada").await;
    let of_ada = exported(&ada).await;
    let file = ada.get(&of_ada).await.expect(200).body;
    assert!(without.sigterm_and_wait().await.success());
    let mut with = bucket.configure(node()).start().await;
    let ada = Session::login(&with.client(), "ada", PASSWORD).await;
    assert_eq!(ada.get(&of_ada).await.expect(200).body, file);
    assert_eq!(bucket.objects().await, [""; 0]);
    let bob = Session::register(&with.client(), "bob").await;
    let of_bob = exported(&bob).await;
    bob.get(&of_bob).await.expect(200);
    assert_eq!(bucket.objects().await.len(), 1);
    assert!(with.sigterm_and_wait().await.success());
    // Without the bucket again: what is in it is not there, and that is what is said.
    let without = node().start().await;
    let bob = Session::login(&without.client(), "bob", PASSWORD).await;
    bob.get(&of_bob).await.refused(503, "unavailable");
    let ada = Session::login(&without.client(), "ada", PASSWORD).await;
    assert_eq!(ada.get(&of_ada).await.expect(200).body, file);
}

/// A gateway that runs no service reads what another node has put there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_gateway_reads_what_a_service_has_put_there() {
    let bucket = Bucket::start().await;
    let builder = Cluster::builder().await;
    let settings = bucket.settings();
    let builder = settings.iter().fold(builder, |builder, (name, value)| builder.env(name, value));
    let builder = builder.node("n1", "gateway").node("n2", "gateway,auth,admin,cms,forum");
    let cluster = builder.start().await;
    let ada = Session::register(&cluster.client("n1"), "ada").await;
    let url = exported(&ada).await;
    assert_eq!(bucket.objects().await.len(), 1);
    let [one, other] = ["n1", "n2"].map(|gateway| ada.at(&cluster.client(gateway)));
    let file = one.get(&url).await.expect(200).body;
    assert_eq!(other.get(&url).header("range", "bytes=0-99").await.expect(206).body, file[..100]);
}
