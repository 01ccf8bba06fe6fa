//! Where files are kept, on both databases: in a directory beside SQLite, in PostgreSQL itself.

use std::ops::Range;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use futures::TryStreamExt as _;
use panel_harness::{Backend, Rig, RigBuilder, eventually, on_both_databases};
use panel_kernel::blobs::{BlobError, PIECE};
use panel_kernel::message::BlobRef;
use panel_kernel::time::Clock;

on_both_databases!(
    what_is_written_is_read_whole_and_in_parts,
    one_takes_the_place_of_another_at_once,
    what_is_lost_while_it_is_read_ends_the_content,
);

pub(crate) async fn put(rig: &Rig, key: &str, content: &[u8]) -> BlobRef {
    let mut writer = rig.runtime.blobs.write(key, u64::MAX).await.unwrap();
    for piece in content.chunks(100_003) {
        writer.write(piece).await.unwrap();
    }
    writer.finish().await.unwrap()
}

pub(crate) async fn get(
    rig: &Rig,
    blob: &BlobRef,
    range: Range<u64>,
) -> Result<Vec<u8>, BlobError> {
    let pieces: Vec<_> = rig.runtime.blobs.read(blob, range).await?.try_collect().await?;
    assert!(pieces.iter().all(|piece| piece.len() <= PIECE));
    Ok(pieces.concat())
}

pub(crate) fn content(bytes: usize, salt: usize) -> Vec<u8> {
    (0..bytes).map(|at| u8::try_from((at * 7 + salt) % 251).unwrap()).collect()
}

async fn what_is_written_is_read_whole_and_in_parts(backend: Backend) {
    let rig = Rig::start(backend).await;
    let sizes = [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 17];
    whole_and_in_parts(&rig, &sizes, PIECE).await;
    rig.shutdown().await;
}

/// Blobs of these sizes, which are kept in pieces of that one, are what they were.
pub(crate) async fn whole_and_in_parts(rig: &Rig, sizes: &[usize], piece: usize) {
    for size in sizes.iter().copied() {
        let wanted = content(size, size);
        let blob = put(rig, &format!("some/size-{size}"), &wanted).await;
        assert_eq!(
            (blob.bytes, &blob.sha256[..]),
            (size as u64, digest(&SHA256, &wanted).as_ref())
        );
        assert_eq!(get(rig, &blob, 0..u64::MAX).await.unwrap(), wanted);
        let edges = [0, 1, piece - 1, piece, 2 * piece, size.saturating_sub(1), size];
        for from in edges {
            for to in edges.into_iter().filter(|to| *to >= from) {
                let expected = &wanted[from.min(size)..to.min(size)];
                let found = get(rig, &blob, from as u64..to as u64).await.unwrap();
                assert!(found == expected, "{from}..{to} of {size}");
            }
        }
        // Of another content under this key, there is nothing.
        let other = BlobRef { sha256: [7; 32], ..blob.clone() };
        assert!(matches!(get(rig, &other, 0..1).await, Err(BlobError::Gone)));
        rig.runtime.blobs.remove(&blob.key).await.unwrap();
        rig.runtime.blobs.remove(&blob.key).await.unwrap();
        assert!(matches!(get(rig, &blob, 0..1).await, Err(BlobError::Gone)));
    }
}

async fn one_takes_the_place_of_another_at_once(backend: Backend) {
    let rig = Rig::start(backend).await;
    one_after_the_other(&rig).await;
    rig.shutdown().await;
}

/// One is there until the other is, and then that alone.
pub(crate) async fn one_after_the_other(rig: &Rig) {
    let (one, two) = (content(2 * PIECE, 1), content(PIECE / 2, 2));
    let first = put(rig, "a", &one).await;
    let mut writer = rig.runtime.blobs.write("a", u64::MAX).await.unwrap();
    writer.write(&two).await.unwrap();
    assert_eq!(get(rig, &first, 0..u64::MAX).await.unwrap(), one);
    let second = writer.finish().await.unwrap();
    assert_eq!(get(rig, &second, 0..u64::MAX).await.unwrap(), two);
    assert!(matches!(get(rig, &first, 0..1).await, Err(BlobError::Gone)));
    // One that is too long is none.
    let mut long = rig.runtime.blobs.write("a", 10).await.unwrap();
    assert!(matches!(long.write(&[0; 11]).await, Err(BlobError::TooLarge(10))));
    drop(long);
    assert_eq!(get(rig, &second, 0..u64::MAX).await.unwrap(), two);
}

async fn what_is_lost_while_it_is_read_ends_the_content(backend: Backend) {
    let rig = Rig::start(backend).await;
    let blob = put(&rig, "a", &content(4 * PIECE, 3)).await;
    let mut reading = rig.runtime.blobs.read(&blob, 0..u64::MAX).await.unwrap();
    assert_eq!(reading.try_next().await.unwrap().unwrap().len(), PIECE);
    rig.runtime.blobs.remove("a").await.unwrap();
    let rest: Result<Vec<_>, BlobError> = reading.try_collect().await;
    // A file that is open stays until it is closed.
    match backend {
        Backend::Sqlite => assert_eq!(rest.unwrap().concat().len(), 3 * PIECE),
        Backend::Postgres => assert!(matches!(rest, Err(BlobError::Gone)), "{rest:?}"),
    }
    rig.shutdown().await;
}

/// What was begun and never finished, or replaced, goes by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_is_left_with_nothing_that_nobody_finds() {
    let clock = Clock::manual(Clock::system().now());
    let builder = RigBuilder::new(Backend::Postgres.database().await).clock(clock.clone());
    let rig = Box::pin(builder.start()).await;
    let kept = put(&rig, "kept", &content(2 * PIECE, 1)).await;
    put(&rig, "replaced", &content(3 * PIECE, 2)).await;
    put(&rig, "replaced", b"by this").await;
    let mut begun = rig.runtime.blobs.write("begun", u64::MAX).await.unwrap();
    begun.write(&content(2 * PIECE, 4)).await.unwrap();
    let count = "SELECT (SELECT count(*) FROM blobs)::text || ' ' || \
                 (SELECT count(*) FROM pieces)::text";
    assert_eq!(rig.raw_sql("blobs").await.texts(count, 0).await.unwrap(), ["3 5"]);
    clock.advance(Duration::from_secs(25 * 3_600));
    rig.tell_janitor("blobs/janitor");
    eventually("the rest has gone", Duration::from_secs(10), async || {
        let found = rig.raw_sql("blobs").await.texts(count, 0).await.unwrap();
        if found == ["2 3"] { Ok(()) } else { Err(found) }
    })
    .await;
    // Whoever still writes hears of it.
    assert!(matches!(begun.finish().await, Err(BlobError::Fault(_))));
    // So does who writes where nothing is to be any more, and that goes at once.
    let mut begun = rig.runtime.blobs.write("begun", u64::MAX).await.unwrap();
    begun.write(&content(2 * PIECE, 4)).await.unwrap();
    rig.runtime.blobs.remove("begun").await.unwrap();
    assert!(matches!(begun.write(&content(PIECE, 4)).await, Err(BlobError::Gone)));
    assert_eq!(rig.raw_sql("blobs").await.texts(count, 0).await.unwrap(), ["2 3"]);
    assert_eq!(get(&rig, &kept, 0..u64::MAX).await.unwrap(), content(2 * PIECE, 1));
    rig.shutdown().await;
}
