//! Many at once: whatever they do to threads at the same moment, numbers have no gaps, counts are right,
//! and nothing is lost.

use std::time::Duration;

use futures::future::join_all;
use panel_harness::{Backend, Session, on_both_databases};
use serde_json::{Value, json};

use super::{act, post_at, reply, thread_at};
use crate::forum::{Forum, posts};

pub(super) const SOON: Duration = Duration::from_secs(10);

on_both_databases!(
    replies_while_threads_are_merged_and_split_are_not_lost,
    two_merges_across_end_in_one_thread,
    no_reply_comes_after_the_lock,
    whoever_waits_for_what_is_moved_finds_it,
);

/// Asks again while others are in the way.
async fn insistently(act: impl AsyncFn() -> panel_harness::Answer) -> panel_harness::Answer {
    for _ in 0..50 {
        let answer = act().await;
        if answer.status.as_u16() != 503 {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never through");
}

/// What is stored holds together: numbers without gaps, counts that are right, tombstones that lead
/// somewhere.
async fn holds_together(forum: &Forum) -> usize {
    let mut db = forum.database.raw_sql("forum").await;
    for (what, query) in [
        (
            "a number is missing or there twice",
            "SELECT CAST(t.id AS TEXT) FROM threads t WHERE t.merged_into IS NULL AND t.last_number <> \
             (SELECT COUNT(DISTINCT p.number) FROM posts p WHERE p.thread_id = t.id \
             AND p.number >= 1 AND p.number <= t.last_number)",
        ),
        (
            "a post is beyond the last number",
            "SELECT CAST(p.id AS TEXT) FROM posts p JOIN threads t ON t.id = p.thread_id \
             WHERE p.number > t.last_number",
        ),
        (
            "replies are miscounted",
            "SELECT CAST(t.id AS TEXT) FROM threads t WHERE t.merged_into IS NULL AND t.reply_count <> \
             (SELECT COUNT(*) FROM posts p WHERE p.thread_id = t.id AND p.number > 1 \
             AND p.deleted_at IS NULL)",
        ),
        (
            "a tombstone leads nowhere",
            "SELECT CAST(p.id AS TEXT) FROM posts p WHERE p.moved_to IS NOT NULL AND NOT EXISTS \
             (SELECT 1 FROM posts q WHERE q.id = p.moved_to AND q.moved_to IS NULL)",
        ),
        (
            "a merged thread has posts",
            "SELECT CAST(p.id AS TEXT) FROM posts p JOIN threads t ON t.id = p.thread_id \
             WHERE t.merged_into IS NOT NULL",
        ),
    ] {
        assert_eq!(db.texts(query, 0).await.unwrap(), [""; 0], "{what}");
    }
    let count = "SELECT CAST(COUNT(*) AS TEXT) FROM posts WHERE moved_to IS NULL";
    db.texts(count, 0).await.unwrap()[0].parse().unwrap()
}

async fn replies_while_threads_are_merged_and_split_are_not_lost(backend: Backend) {
    let forum = Forum::start(backend).await;
    let ada = forum.member("ada").await;
    let goal = forum.thread(&ada, "goal").await;
    let mut sources = Vec::new();
    for n in 0..3 {
        let thread = forum.thread(&ada, &format!("source {n}")).await;
        for _ in 0..4 {
            reply(&ada, &thread, "there").await;
        }
        sources.push(thread);
    }
    let writers = sources.iter().chain([&goal]).map(|thread| async {
        let (mut written, mut refused) = (0, 0);
        for n in 0..15 {
            let body = json!({"body": format!("reply {n}")});
            let answer = insistently(async || ada.post(&posts(thread)).json(&body).await).await;
            match answer.status.as_u16() {
                201 => written += 1,
                // It was merged while this was on its way.
                404 | 409 => refused += 1,
                _ => panic!("{answer:?}"),
            }
        }
        (written, refused)
    });
    let mergers = sources.iter().map(|thread| async {
        split_some(&forum.admin, thread).await;
        let into = json!({"into": goal["id"]});
        insistently(async || act(&forum.admin, thread, "merge", into.clone()).await)
            .await
            .expect(200);
    });
    let (written, _) = futures::future::join(join_all(writers), join_all(mergers)).await;
    let written: usize = written.iter().map(|(written, _)| written).sum();
    // Those that were there, and their four opening posts.
    assert_eq!(holds_together(&forum).await, 4 + 3 * 4 + written);
    assert!(written >= 15, "the thread that stays takes every reply");
}

/// Splits two replies off.
async fn split_some(by: &Session, thread: &Value) {
    let listing = by.get(&format!("{}?limit=5", posts(thread))).await.expect(200).json();
    let ids: Vec<&Value> = [1, 3].map(|at| &listing["items"][at]["id"]).to_vec();
    let split = json!({"post_ids": ids, "title": "split off"});
    insistently(async || act(by, thread, "split", split.clone()).await).await.expect(201);
}

async fn two_merges_across_end_in_one_thread(backend: Backend) {
    let forum = Forum::start(backend).await;
    for round in 0..5 {
        let one = forum.thread(&forum.admin, &format!("one {round}")).await;
        let two = forum.thread(&forum.admin, &format!("two {round}")).await;
        let merge = async |from: &Value, into: &Value| {
            let into = json!({"into": into["id"]});
            insistently(async || act(&forum.admin, from, "merge", into.clone()).await).await
        };
        let (there, back) = futures::future::join(merge(&one, &two), merge(&two, &one)).await;
        let mut statuses = [there.status.as_u16(), back.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409], "{there:?} {back:?}");
    }
    assert_eq!(holds_together(&forum).await, 10);
}

async fn no_reply_comes_after_the_lock(backend: Backend) {
    let forum = Forum::start(backend).await;
    let ada = forum.member("ada").await;
    let thread = forum.thread(&ada, "t").await;
    let write = async || {
        let mut written = 0;
        loop {
            let body = json!({"body": "x"});
            let answer = insistently(async || ada.post(&posts(&thread)).json(&body).await).await;
            match answer.status.as_u16() {
                201 => written += 1,
                403 => return written,
                _ => panic!("{answer:?}"),
            }
        }
    };
    let lock = async {
        while forum.admin.get(&thread_at(&thread)).await.expect(200).json()["reply_count"] == 0 {}
        act(&forum.admin, &thread, "lock", json!({})).await.expect(200);
        // Whatever was acknowledged was written before this.
        forum.admin.get(&thread_at(&thread)).await.expect(200).json()["last_number"].clone()
    };
    let (written, at_lock) =
        futures::future::join(join_all([write(), write(), write()]), lock).await;
    let shown = ada.get(&thread_at(&thread)).await.expect(200).json();
    assert_eq!(shown["last_number"], at_lock);
    assert_eq!(shown["last_number"], 1 + written.iter().sum::<i64>());
    // Deleting and restoring the same reply from two sides at once counts it once.
    let post = reply(&forum.admin, &thread, "y").await;
    for _ in 0..5 {
        let path = post_at(&post);
        let gone = insistently(async || forum.admin.delete(&path).await);
        let back = format!("{path}/restore");
        let back = insistently(async || forum.admin.post(&back).await);
        let (gone, back) = futures::future::join(gone, back).await;
        gone.expect(204);
        back.expect(200);
    }
    holds_together(&forum).await;
}

/// A post that is moved while somebody reacts to it is there for them, and so is a thread.
async fn whoever_waits_for_what_is_moved_finds_it(backend: Backend) {
    let forum = Forum::start(backend).await;
    let ada = forum.member("ada").await;
    let other = json!({"name": "Other"});
    let other = forum.admin.post("/api/v2/forum/categories").json(&other).await.expect(201).json();
    for round in 0..8 {
        let one = forum.thread(&ada, &format!("one {round}")).await;
        let two = forum.thread(&ada, &format!("two {round}")).await;
        let post = reply(&ada, &one, "x").await;
        let (path, like) = (post_at(&post), format!("{}/reactions/like", post_at(&post)));
        let to = json!({"category_id": other["id"]});
        let into = json!({"into": two["id"]});
        let (moved, pinned) = futures::future::join(
            insistently(async || act(&forum.admin, &two, "move", to.clone()).await),
            insistently(async || act(&forum.admin, &two, "pin", json!({})).await),
        )
        .await;
        moved.expect(200);
        pinned.expect(200);
        let ((merged, liked), edited) = futures::future::join(
            futures::future::join(
                insistently(async || act(&forum.admin, &one, "merge", into.clone()).await),
                insistently(async || ada.put(&like).await),
            ),
            insistently(async || ada.patch(&path).json(&json!({"body": "y"})).await),
        )
        .await;
        merged.expect(200);
        liked.expect(200);
        edited.expect(200);
        let shown = ada.get(&path).await.expect(200).json();
        assert_eq!((&shown["reactions"], &shown["body"]), (&json!({"like": 1}), &json!("y")));
    }
    holds_together(&forum).await;
}
