//! Merging threads, and splitting them.

use panel_harness::{Backend, on_both_databases};
use serde_json::{Value, json};

use super::{act, all_posts, each, items, post_at, reply, thread_at};
use crate::forum::{Forum, THREADS, posts};

on_both_databases!(
    merged_posts_come_after_those_that_were_there,
    split_posts_leave_tombstones_that_lead_to_them,
    what_can_t_be_merged_or_split_is_named,
);

fn numbers(posts: &[Value]) -> Vec<i64> {
    posts.iter().map(|post| post["number"].as_i64().unwrap()).collect()
}

async fn merged_posts_come_after_those_that_were_there(backend: Backend) {
    let forum = Forum::start(backend).await;
    let (ada, bob) = (forum.member("ada").await, forum.member("bob").await);
    let (one, two) = (forum.thread(&ada, "one").await, forum.thread(&bob, "two").await);
    reply(&ada, &one, "one 2").await;
    let answer = reply(&bob, &two, "two 2").await;
    let gone = reply(&bob, &two, "two 3").await;
    reply(&bob, &two, "two 4").await;
    bob.delete(&post_at(&gone)).await.expect(204);
    let into = json!({"into": one["id"]});
    let merged = act(&forum.admin, &two, "merge", into.clone()).await.expect(200).json();
    assert_eq!(merged["id"], one["id"]);
    assert_eq!((&merged["last_number"], &merged["reply_count"]), (&json!(6), &json!(4)));
    let found = all_posts(&forum, &one).await;
    assert_eq!(each(&found, "body"), ["first", "one 2", "first", "two 2", "", "two 4"]);
    assert_eq!(numbers(&found), [1, 2, 3, 4, 5, 6]);
    // Ids stay.
    let found = ada.get(&post_at(&answer)).await.expect(200).json();
    assert_eq!((&found["thread_id"], &found["number"]), (&one["id"], &json!(4)));
    // The address leads on, for everybody.
    for reader in [&forum.node.client(), &forum.admin.client] {
        let answer = reader.get(&thread_at(&two)).await.expect(308);
        assert_eq!(answer.header("location"), Some(thread_at(&one).as_str()));
    }
    for reader in [&forum.node.client(), &forum.admin.client] {
        let answer = reader.get(&posts(&two)).await.expect(308);
        assert_eq!(answer.header("location"), Some(posts(&one).as_str()));
    }
    let refused = ada.post(&posts(&two)).json(&json!({"body": "late"})).await;
    assert!(matches!(refused.status.as_u16(), 404 | 409), "{refused:?}");
    assert!(items(&ada.get(THREADS).await.expect(200)).iter().all(|it| it["id"] != two["id"]));
    // It can't come back, and nothing else can be done to it.
    for (action, body) in
        [("restore", json!({})), ("pin", json!({})), ("watch", json!({})), ("merge", into)]
    {
        act(&forum.admin, &two, action, body).await.refused(409, "conflict");
    }
    // Whoever watched it watches the other.
    let watched = bob.get(&thread_at(&one)).await.expect(200).json();
    assert_eq!((&watched["watching"], &watched["last_read"]), (&json!(true), &json!(0)));
    // And once more: where it went went on.
    let three = forum.thread(&ada, "three").await;
    act(&forum.admin, &one, "merge", json!({"into": three["id"]})).await.expect(200);
    let answer = ada.get(&thread_at(&two)).await.expect(308);
    assert_eq!(answer.header("location"), Some(thread_at(&three).as_str()));
    assert_eq!(numbers(&all_posts(&forum, &three).await), [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(reply(&ada, &three, "next").await["number"], 8);
}

async fn split_posts_leave_tombstones_that_lead_to_them(backend: Backend) {
    let forum = Forum::start(backend).await;
    let (ada, bob) = (forum.member("ada").await, forum.member("bob").await);
    let thread = forum.thread(&ada, "old").await;
    let mut made = Vec::new();
    for body in ["two", "three", "four", "five"] {
        made.push(reply(&bob, &thread, body).await);
    }
    let split = json!({"post_ids": [made[2]["id"], made[0]["id"], made[2]["id"]], "title": "New & nice", "tags": ["x"]});
    let new = act(&forum.admin, &thread, "split", split).await.expect(201);
    assert_eq!(new.header("location"), Some(thread_at(&new.json()).as_str()));
    let new = new.json();
    assert_eq!((&new["author"]["name"], &new["reply_count"]), (&json!("bob"), &json!(1)));
    assert_eq!((&new["slug"], &new["category_id"]), (&json!("new-nice"), &thread["category_id"]));
    let moved = all_posts(&forum, &new).await;
    assert_eq!(
        (numbers(&moved), each(&moved, "body")),
        (vec![1, 2], vec!["two".to_owned(), "four".to_owned()])
    );
    assert_eq!(moved[0]["id"], made[0]["id"]);
    let left = all_posts(&forum, &thread).await;
    assert_eq!(numbers(&left), [1, 2, 3, 4, 5]);
    assert_eq!(each(&left, "body"), ["first", "", "three", "", "five"]);
    assert_eq!((&left[1]["deleted"], &left[1]["moved_to"]), (&json!(true), &made[0]["id"]));
    assert_eq!(left[3]["moved_to"], made[2]["id"]);
    let shown = ada.get(&thread_at(&thread)).await.expect(200).json();
    assert_eq!((&shown["reply_count"], &shown["last_number"]), (&json!(2), &json!(5)));
    // A place is no post that could come back, or be changed.
    let edit = forum.admin.patch(&post_at(&left[1])).json(&json!({"body": "x"})).await;
    edit.refused(409, "conflict");
    let place = forum.admin.post(&format!("{}/restore", post_at(&left[1]))).await;
    assert_eq!(place.refused(409, "conflict").detail, "this post was moved to another thread");
    ada.get(&post_at(&left[1])).await.refused(404, "not_found");
    let tagged = items(&ada.get(&format!("{THREADS}?tag=x")).await.expect(200));
    assert_eq!(tagged[0]["id"], new["id"]);
    assert_eq!(reply(&ada, &new, "on").await["number"], 3);
    assert_eq!(reply(&ada, &thread, "on").await["number"], 6);
}

async fn what_can_t_be_merged_or_split_is_named(backend: Backend) {
    let forum = Forum::start(backend).await;
    let ada = forum.member("ada").await;
    let (one, two) = (forum.thread(&ada, "one").await, forum.thread(&ada, "two").await);
    let merge = |into: Value| act(&forum.admin, &one, "merge", json!({"into": into}));
    let same = merge(one["id"].clone()).await.refused(422, "validation");
    assert_eq!(same.fields(), [("into", "same")]);
    let unknown = merge(json!("0000000000009")).await.refused(422, "validation");
    assert_eq!(unknown.fields(), [("into", "unknown")]);
    let opening = all_posts(&forum, &one).await[0].clone();
    let (foreign, gone) = (reply(&ada, &two, "x").await, reply(&ada, &one, "y").await);
    ada.delete(&post_at(&gone)).await.expect(204);
    for post in [&opening, &foreign, &gone] {
        let split = json!({"post_ids": [post["id"]], "title": "t"});
        let refused = act(&forum.admin, &one, "split", split).await.refused(422, "validation");
        assert_eq!(refused.fields(), [("post_ids", "unknown")]);
    }
    let ids: Vec<String> = (0..201).map(|n| format!("{n:013}")).collect();
    for ids in [json!([]), json!(ids)] {
        let split = json!({"post_ids": ids, "title": " "});
        let refused = act(&forum.admin, &one, "split", split).await.refused(422, "validation");
        assert_eq!(refused.fields(), [("title", "required"), ("post_ids", "count")]);
    }
    // Where they may not write, they merge nothing into.
    let moderator = forum.node.account("mod", "moderator").await;
    let news = json!({"name": "News", "post_role": "admin"});
    let news = forum.admin.post("/api/v2/forum/categories").json(&news).await.expect(201).json();
    let open = json!({"category_id": news["id"], "title": "t", "body": "b"});
    let three = forum.admin.post(THREADS).json(&open).await.expect(201).json();
    let into = json!({"into": three["id"]});
    act(&moderator, &one, "merge", into).await.refused(403, "forbidden");
    ada.delete(&thread_at(&two)).await.expect(204);
    merge(two["id"].clone()).await.refused(409, "conflict");
    // Nothing of all this has changed anything.
    assert_eq!(each(&all_posts(&forum, &one).await, "body"), ["first", ""]);
}
