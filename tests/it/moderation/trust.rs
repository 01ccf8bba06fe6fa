//! Limits of accounts that are new, and how they ease.

use panel_harness::{Backend, on_both_databases};
use serde_json::json;

use super::{KNOWN, act, in_thread, post_at, queue, reply, thread_at};
use crate::forum::{Forum, THREADS};

on_both_databases!(new_accounts_have_limits, first_posts_are_held_where_that_is_wanted);

const LIMITS: (&str, &str) = ("PANEL_LIMITS__ENABLED", "true");

async fn new_accounts_have_limits(backend: Backend) {
    let settings = [
        LIMITS,
        KNOWN[0],
        ("PANEL_FORUM__TRUST__KNOWN_POSTS", "7"),
        ("PANEL_FORUM__TRUST__TRUSTED_AFTER", "0s"),
        ("PANEL_FORUM__TRUST__TRUSTED_POSTS", "9"),
    ];
    let forum = Forum::configured(backend, &settings).await;
    let ada = forum.member("ada").await;
    let thread = forum.thread(&forum.admin, "t").await;
    let standing = ada.get("/api/v2/forum/standing").await.expect(200).json();
    assert_eq!(standing["allowance"], json!({"links": 2, "mentions": 5, "posts_per_minute": 5}));
    let links = |count: usize| {
        let link = |n| format!("[a](https://a{n}.example/) ");
        (0..count).map(link).collect::<String>()
    };
    let refused = reply(&ada, &thread, &links(3)).await.refused(422, "validation");
    assert_eq!(refused.fields(), [("body", "too_many_links")]);
    let picture = format!("{}![x](https://p.example/p.png)", links(2));
    reply(&ada, &thread, &picture).await.refused(422, "validation");
    // Links within the site are none.
    let within = format!("{} {}", links(2), forum.node.url("/forum"));
    let post = reply(&ada, &thread, &within).await.expect(201).json();
    let more = json!({"body": links(3)});
    ada.patch(&post_at(&post)).json(&more).await.refused(422, "validation");
    for _ in 0..4 {
        reply(&ada, &thread, "x").await.expect(201);
    }
    let fast = reply(&ada, &thread, "x").await;
    fast.refused(429, "rate_limited");
    let wait: u64 = fast.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=61).contains(&wait), "{wait}");
    let body = json!({"category_id": forum.category, "title": "t", "body": "b"});
    ada.post(THREADS).json(&body).await.refused(429, "rate_limited");
    // What was refused was not counted.
    let shown = ada.get(&thread_at(&thread)).await.expect(200).json();
    assert_eq!(shown["reply_count"], 5);
    let standing = ada.get("/api/v2/forum/standing").await.expect(200).json();
    assert_eq!((&standing["post_count"], &standing["trust"]), (&json!(5), &json!("new")));
    // Whoever has written enough is known: in the very post with which that is so.
    let mut raw = forum.database.raw_sql("forum").await;
    raw.run("UPDATE authors SET burst_at = 0").await;
    reply(&ada, &thread, "x").await.expect(201);
    reply(&ada, &thread, &links(6)).await.expect(201);
    reply(&ada, &thread, &links(7)).await.refused(422, "validation");
    reply(&ada, &thread, "x").await.expect(201);
    // And trusted, without limits.
    reply(&ada, &thread, &links(9)).await.expect(201);
    let standing = ada.get("/api/v2/forum/standing").await.expect(200).json();
    assert_eq!((&standing["trust"], &standing["allowance"]), (&json!("trusted"), &json!(null)));
    for _ in 0..20 {
        reply(&ada, &thread, "x").await.expect(201);
    }
    // Staff have none.
    for _ in 0..7 {
        reply(&forum.admin, &thread, &links(5)).await.expect(201);
    }
}

async fn first_posts_are_held_where_that_is_wanted(backend: Backend) {
    let held = ("PANEL_FORUM__MODERATION__HOLD_FIRST_POSTS", "2");
    let forum = Forum::configured(backend, &[held]).await;
    let (ada, bob) = (forum.member("ada").await, forum.member("bob").await);
    let thread = forum.thread(&forum.admin, "t").await;
    let first = reply(&ada, &thread, "one").await.expect(201).json();
    assert_eq!(first["hidden"], true);
    let body = json!({"category_id": forum.category, "title": "t", "body": "b"});
    let second = ada.post(THREADS).json(&body).await.expect(201).json();
    assert_eq!(second["hidden"], true);
    let third = reply(&ada, &thread, "three").await.expect(201).json();
    assert_eq!(third.get("hidden"), None);
    let open = queue(&forum.admin).await;
    assert_eq!((open.len(), &open[0]["detail"]), (2, &json!("first posts")));
    assert_eq!(in_thread(&bob, &thread, 2).await["body"], "");
    for item in &open {
        act(&forum.admin, item, "approve", json!({})).await.expect(200);
    }
    assert_eq!(in_thread(&bob, &thread, 2).await["body"], "one");
    bob.get(&thread_at(&second)).await.expect(200);
}
