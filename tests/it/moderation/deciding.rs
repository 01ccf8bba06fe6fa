//! Whatever moderators do to a post, by whatever way, decides about it in the queue.

use panel_harness::{Backend, on_both_databases};
use serde_json::json;

use super::{QUEUE, act, flag, in_thread, items, post_at, queue, reply, thread_at};
use crate::forum::{Forum, id};

on_both_databases!(what_is_done_elsewhere_decides, notes_and_assignments_have_bounds);

async fn what_is_done_elsewhere_decides(backend: Backend) {
    let forum = Forum::start(backend).await;
    let (ada, bob) = (forum.member("ada").await, forum.member("bob").await);
    let thread = forum.thread(&ada, "t").await;
    // Deleted by a moderator.
    let post = reply(&ada, &thread, "two").await.expect(201).json();
    flag(&bob, &post).await.expect(201);
    forum.admin.delete(&post_at(&post)).await.expect(204);
    assert!(queue(&forum.admin).await.is_empty());
    let resolved = items(&forum.admin.get(&format!("{QUEUE}?status=resolved")).await.expect(200));
    assert_eq!(resolved[0]["status"], "rejected");
    // Hidden, and restored by a moderator.
    let post = reply(&ada, &thread, "three").await.expect(201).json();
    flag(&bob, &post).await.expect(201);
    let item = queue(&forum.admin).await.remove(0);
    act(&forum.admin, &item, "hide", json!({})).await.expect(200);
    let restored = forum.admin.post(&format!("{}/restore", post_at(&post))).await.expect(200);
    assert_eq!(restored.json().get("hidden"), None);
    assert!(queue(&forum.admin).await.is_empty());
    assert_eq!(in_thread(&bob, &thread, 3).await["body"], "three");
    // Hidden, and deleted by its author: gone for good, and still to be looked at.
    let post = reply(&ada, &thread, "four").await.expect(201).json();
    flag(&bob, &post).await.expect(201);
    let item = queue(&forum.admin).await.remove(0);
    act(&forum.admin, &item, "hide", json!({})).await.expect(200);
    ada.delete(&post_at(&post)).await.expect(204);
    let tombstone = in_thread(&bob, &thread, 4).await;
    assert_eq!((&tombstone["deleted"], tombstone.get("hidden")), (&json!(true), None));
    act(&forum.admin, &item, "approve", json!({})).await.expect(200);
    ada.get(&post_at(&post)).await.refused(404, "not_found");
    // Counted once each, whatever the way.
    let shown = bob.get(&thread_at(&thread)).await.expect(200).json();
    assert_eq!((&shown["reply_count"], &shown["last_number"]), (&json!(1), &json!(4)));
    // The thread of a hidden reply is deleted, and restored.
    let post = reply(&ada, &thread, "five").await.expect(201).json();
    flag(&bob, &post).await.expect(201);
    let item = queue(&forum.admin).await.remove(0);
    act(&forum.admin, &item, "hide", json!({})).await.expect(200);
    forum.admin.delete(&thread_at(&thread)).await.expect(204);
    act(&forum.admin, &item, "hide", json!({})).await.refused(409, "conflict");
    forum.admin.post(&format!("{}/restore", thread_at(&thread))).await.expect(200);
    assert_eq!(in_thread(&bob, &thread, 5).await["hidden"], true);
    act(&forum.admin, &item, "approve", json!({})).await.expect(200);
    let shown = bob.get(&thread_at(&thread)).await.expect(200).json();
    assert_eq!(shown["reply_count"], 2);
}

async fn notes_and_assignments_have_bounds(backend: Backend) {
    let forum = Forum::start(backend).await;
    let (ada, bob) = (forum.member("ada").await, forum.member("bob").await);
    let thread = forum.thread(&ada, "t").await;
    let post = reply(&ada, &thread, "two").await.expect(201).json();
    flag(&bob, &post).await.expect(201);
    let item = queue(&forum.admin).await.remove(0);
    for text in ["", " \n ", &"x".repeat(1_001)] {
        act(&forum.admin, &item, "note", json!({"text": text})).await.refused(422, "validation");
    }
    for n in 0..100 {
        act(&forum.admin, &item, "note", json!({"text": n.to_string()})).await.expect(201);
    }
    act(&forum.admin, &item, "note", json!({"text": "more"})).await.refused(409, "conflict");
    let details = forum.admin.get(&format!("{QUEUE}/{}", id(&item))).await.expect(200).json();
    assert_eq!(details["notes"].as_array().unwrap().len(), 100);
    let reason = json!({"reason": "x".repeat(1_001)});
    act(&forum.admin, &item, "approve", reason).await.refused(422, "validation");
    // Pages of the queue.
    for n in 0..5 {
        let post = reply(&ada, &thread, &n.to_string()).await.expect(201).json();
        flag(&bob, &post).await.expect(201);
    }
    let (mut seen, mut page) = (Vec::new(), format!("{QUEUE}?limit=2"));
    loop {
        let answer = forum.admin.get(&page).await.expect(200);
        seen.extend(items(&answer).iter().map(|item| id(item).to_owned()));
        let answer = answer.json();
        let Some(cursor) = answer["next_cursor"].as_str() else { break };
        page = format!("{QUEUE}?limit=2&cursor={cursor}");
        let other = format!("{QUEUE}?kind=held&cursor={cursor}");
        forum.admin.get(&other).await.refused(400, "bad_request");
    }
    let mut sorted = seen.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!((seen.len(), &seen), (6, &sorted));
    // One account keeps so many before moderators, and no more.
    for n in 0..45 {
        let post = reply(&ada, &thread, &n.to_string()).await.expect(201).json();
        flag(&bob, &post).await.expect(if n < 44 { 201 } else { 409 });
    }
    act(&forum.admin, &item, "approve", json!({})).await.expect(200);
    let post = reply(&ada, &thread, "last").await.expect(201).json();
    flag(&bob, &post).await.expect(201);
}
