//! How far people have read.

use panel_harness::{Answer, Backend, Session, on_both_databases};
use serde_json::{Value, json};

use super::{act, each, items, reply, thread_at};
use crate::forum::{Forum, THREADS, posts};

on_both_databases!(
    what_is_new_is_unread_until_it_is_read,
    a_page_begins_at_the_first_unread_post,
    whoever_has_read_nearly_everything_gets_through_the_rest,
    everything_can_be_read_at_once,
);

const UNREAD: &str = "/api/v2/forum/unread";

async fn unread(reader: &Session) -> Vec<String> {
    each(&items(&reader.get(&format!("{THREADS}?unread=true")).await.expect(200)), "title")
}

async fn followed(reader: &Session) -> Vec<String> {
    each(&items(&reader.get(UNREAD).await.expect(200)), "title")
}

async fn read(reader: &Session, thread: &Value, body: Value) -> Answer {
    act(reader, thread, "read", body).await
}

async fn what_is_new_is_unread_until_it_is_read(backend: Backend) {
    let forum = Forum::start(backend).await;
    let ada = forum.member("ada").await;
    let old = forum.thread(&ada, "old").await;
    let bob = forum.member("bob").await;
    assert_eq!((unread(&bob).await, followed(&bob).await), (vec![], vec![]));
    let new = forum.thread(&ada, "new").await;
    // What is new is unread, but he does not follow it.
    assert_eq!((unread(&bob).await, followed(&bob).await), (vec!["new".to_owned()], vec![]));
    // Ada has written it: she has read it, and watches it.
    assert!(unread(&ada).await.iter().all(|title| title != "new"));
    let shown = ada.get(&thread_at(&new)).await.expect(200).json();
    assert_eq!((&shown["last_read"], &shown["watching"]), (&json!(1), &json!(true)));

    let place = read(&bob, &new, json!({})).await.expect(200).json();
    assert_eq!(
        place,
        json!({"thread_id": new["id"], "last_read": 1, "last_number": 1, "watching": false})
    );
    assert!(unread(&bob).await.is_empty());
    for body in ["two", "three"] {
        reply(&ada, &new, body).await;
    }
    assert_eq!(
        (unread(&bob).await, followed(&bob).await),
        (vec!["new".to_owned()], vec!["new".to_owned()])
    );
    let listed = items(&bob.get(THREADS).await.expect(200));
    assert_eq!((&listed[0]["last_read"], &listed[0]["last_number"]), (&json!(1), &json!(3)));
    let place = read(&bob, &new, json!({"number": 2})).await.expect(200).json();
    assert_eq!(place["last_read"], 2);
    // Never less far than before, and never further than there is.
    assert_eq!(read(&bob, &new, json!({"number": 1})).await.expect(200).json()["last_read"], 2);
    assert_eq!(read(&bob, &new, json!({"number": 99})).await.expect(200).json()["last_read"], 3);
    assert!(unread(&bob).await.is_empty());
    // A thread from before his time comes up when somebody writes in it.
    reply(&ada, &old, "again").await;
    assert_eq!((unread(&bob).await, followed(&bob).await), (vec!["old".to_owned()], vec![]));
    let watched = act(&bob, &old, "watch", json!({})).await.expect(200).json();
    assert_eq!((&watched["watching"], &watched["last_read"]), (&json!(true), &json!(0)));
    assert_eq!(followed(&bob).await, ["old"]);
    act(&bob, &old, "unwatch", json!({})).await.expect(200);
    // Who replies has read what was there.
    reply(&bob, &old, "hello").await;
    assert!(unread(&bob).await.is_empty());

    // For nobody in particular, nothing is unread.
    let client = forum.node.client();
    client.get(&format!("{THREADS}?unread=true")).await.refused(401, "unauthorized");
    client.get(UNREAD).await.refused(401, "unauthorized");
    let shown = client.get(&thread_at(&new)).await.expect(200).json();
    assert!(shown.get("last_read").is_none() && shown.get("watching").is_none(), "{shown}");
    for query in ["unread=yes", "unread=true&sort=top", "unread=true&sort=created"] {
        bob.get(&format!("{THREADS}?{query}")).await.refused(422, "validation");
    }
    read(&bob, &new, json!({"number": 0})).await.refused(422, "validation");
    let nowhere = json!({"id": "0000000000009"});
    read(&bob, &nowhere, json!({})).await.refused(404, "not_found");
}

async fn a_page_begins_at_the_first_unread_post(backend: Backend) {
    let forum = Forum::start(backend).await;
    let (ada, bob) = (forum.member("ada").await, forum.member("bob").await);
    let thread = forum.thread(&ada, "t").await;
    for n in 2..8 {
        reply(&ada, &thread, &format!("post {n}")).await;
    }
    let numbers = async |by: &Session, from: &str| -> Vec<i64> {
        let page = by.get(&format!("{}?limit=2&from={from}", posts(&thread))).await.expect(200);
        items(&page).iter().map(|post| post["number"].as_i64().unwrap()).collect()
    };
    assert_eq!(numbers(&bob, "first_unread").await, [1, 2]);
    read(&bob, &thread, json!({"number": 3})).await.expect(200);
    assert_eq!(numbers(&bob, "first_unread").await, [4, 5]);
    assert_eq!(numbers(&bob, "5").await, [5, 6]);
    assert_eq!(numbers(&bob, "last").await, [6, 7]);
    assert_eq!(numbers(&bob, "8").await, [0_i64; 0]);
    assert_eq!(numbers(&bob, "9223372036854775807").await, [0_i64; 0]);
    // All of it read: at the latest.
    read(&bob, &thread, json!({})).await.expect(200);
    assert_eq!(numbers(&bob, "first_unread").await, [7]);
    // The next page goes on from there, whatever is unread by then.
    let page = bob.get(&format!("{}?limit=2&from=3", posts(&thread))).await.expect(200).json();
    let cursor = page["next_cursor"].as_str().unwrap();
    let path = format!("{}?limit=2&from=3&cursor={cursor}", posts(&thread));
    assert_eq!(items(&bob.get(&path).await.expect(200))[0]["number"], 5);
    for bad in ["0", "-1", "x"] {
        let path = format!("{}?from={bad}", posts(&thread));
        assert_eq!(bob.get(&path).await.refused(422, "validation").fields(), [("from", "invalid")]);
    }
    let client = forum.node.client();
    let first =
        client.get(&format!("{}?from=first_unread&limit=1", posts(&thread))).await.expect(200);
    assert_eq!(items(&first)[0]["number"], 1);
    client.get(&format!("{THREADS}/0000000000009/posts?from=last")).await.refused(404, "not_found");
}

/// More threads than are looked at for one page, of which one is unread.
async fn whoever_has_read_nearly_everything_gets_through_the_rest(backend: Backend) {
    let forum = Forum::start(backend).await;
    let bob = forum.member("bob").await;
    forum.thread(&forum.admin, "unread").await;
    forum.thread(&forum.admin, "read").await;
    let mut db = forum.database.raw_sql("forum").await;
    let id: i64 = db
        .texts("SELECT CAST(id AS TEXT) FROM authors WHERE username_key = 'bob'", 0)
        .await
        .unwrap()[0]
        .parse()
        .unwrap();
    let copies = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4500) ";
    let title = "FROM n, threads t WHERE t.title = 'read'";
    db.run(&format!(
        "INSERT INTO threads (id, category_id, author_id, title, slug, created_at, last_post_at) {copies}\
         SELECT t.id + i, t.category_id, t.author_id, 'copy', 'copy', t.created_at, t.last_post_at + i {title}"
    ))
    .await;
    db.run(&format!(
        "INSERT INTO thread_readers (user_id, thread_id, last_read) \
         SELECT {id}, t.id, 1 FROM threads t WHERE t.title IN ('copy', 'read')"
    ))
    .await;
    for also in ["", &format!("&category={}", forum.category.as_str().unwrap())] {
        let first = format!("{THREADS}?unread=true{also}");
        let (mut page, mut pages, mut found) = (first.clone(), 0, Vec::new());
        loop {
            let answer = bob.get(&page).await.expect(200);
            pages += 1;
            found.extend(each(&items(&answer), "title"));
            let answer = answer.json();
            let Some(cursor) = answer["next_cursor"].as_str() else { break };
            page = format!("{first}&cursor={cursor}");
        }
        assert_eq!((found, pages), (vec!["unread".to_owned()], 3));
    }
}

async fn everything_can_be_read_at_once(backend: Backend) {
    let forum = Forum::start(backend).await;
    let bob = forum.member("bob").await;
    let thread = forum.thread(&forum.admin, "one").await;
    forum.thread(&forum.admin, "two").await;
    act(&bob, &thread, "watch", json!({})).await.expect(200);
    assert_eq!(unread(&bob).await, ["two", "one"]);
    bob.delete(UNREAD).await.expect(204);
    assert_eq!((unread(&bob).await, followed(&bob).await), (vec![], vec![]));
    let more = reply(&forum.admin, &thread, "more").await;
    assert_eq!(followed(&bob).await, ["one"]);
    // Going on, he begins at what is new, not at what he has dismissed.
    let page = bob.get(&format!("{}?from=first_unread", posts(&thread))).await.expect(200);
    assert_eq!(items(&page)[0]["number"], more["number"]);
}
