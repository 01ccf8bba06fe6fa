//! Rules for what is written: words and links.

use panel_harness::{Answer, Backend, eventually, on_both_databases};
use serde_json::{Value, json};

use super::{SOON, act, in_thread, items, post_at, queue, reply, thread_at};
use crate::forum::{Forum, THREADS, id};

on_both_databases!(
    words_and_links_are_refused_held_or_flagged,
    what_is_held_appears_when_approved,
    rules_are_checked
);

const RULES: &str = "/api/v2/forum/moderation/rules";

async fn rule(forum: &Forum, kind: &str, pattern: &str, action: &str) -> Answer {
    let rule = json!({"kind": kind, "pattern": pattern, "action": action, "message": "not here"});
    forum.admin.post(RULES).json(&rule).await
}

/// Waits until a reply by her with this text is taken, or is not.
async fn holds(forum: &Forum, thread: &Value, text: &str, status: u16) -> Answer {
    let ada =
        forum.member(&format!("ada{}", panel_kernel::ids::random_hex()[..8].to_owned())).await;
    eventually("the rule holds", SOON, || async {
        let answer = reply(&ada, thread, text).await;
        if answer.status == status { Ok(answer) } else { Err(answer) }
    })
    .await
}

async fn words_and_links_are_refused_held_or_flagged(backend: Backend) {
    let forum = Forum::start(backend).await;
    let ada = forum.member("ada").await;
    let thread = forum.thread(&ada, "t").await;
    let made = rule(&forum, "word", "  Cheap   PILLS ", "refuse").await.expect(201).json();
    assert_eq!((&made["pattern"], &made["action"]), (&json!("cheap pills"), &json!("refuse")));
    rule(&forum, "link", "https://www.bad.example/", "hold").await.expect(201);
    rule(&forum, "word", "casin*", "flag").await.expect(201);
    let refused = holds(&forum, &thread, "Buy **çheap** pills!", 422).await;
    assert_eq!(refused.refused(422, "validation").fields(), [("body", "refused")]);
    assert!(refused.text().contains("not here"));
    let title = json!({"category_id": forum.category, "title": "Cheap pills", "body": "b"});
    let refused = ada.post(THREADS).json(&title).await.refused(422, "validation");
    assert_eq!(refused.fields(), [("title", "refused")]);
    let rename = ada.patch(&thread_at(&thread)).json(&json!({"title": "cheap pills"}));
    assert_eq!(rename.await.refused(422, "validation").fields(), [("title", "refused")]);
    let before = queue(&forum.admin).await.len();
    // Flagged: shown, and in the queue with the rule.
    let shown = reply(&ada, &thread, "a casino").await.expect(201).json();
    assert_eq!(shown.get("hidden"), None);
    let open = queue(&forum.admin).await;
    assert_eq!(open.len(), before + 1);
    let item = open.last().unwrap();
    assert_eq!(
        (&item["kind"], &item["detail"], &item["flag_count"]),
        (&json!("matched"), &json!("word rule: casin*"), &json!(0))
    );
    // Whoever edits it into a post is not better off.
    let post = reply(&ada, &thread, "harmless").await.expect(201).json();
    let bad = json!({"body": "see [this](http://www.bad.example/x)"});
    let held = ada.patch(&post_at(&post)).json(&bad).await.expect(200).json();
    assert_eq!((&held["hidden"], &held["deleted"]), (&json!(true), &json!(true)));
    let pills = json!({"body": "cheap pills"});
    ada.patch(&post_at(&shown)).json(&pills).await.refused(422, "validation");
    // The address of the site itself, and other hosts, are fine.
    reply(&ada, &thread, "http://notbad.example and /forum").await.expect(201);
    // Staff say what they like.
    reply(&forum.admin, &thread, "no cheap pills, no http://www.bad.example").await.expect(201);
    // A rule that is gone holds no more.
    forum.admin.delete(&format!("{RULES}/{}", id(&made))).await.expect(204);
    forum.admin.delete(&format!("{RULES}/{}", id(&made))).await.refused(404, "not_found");
    holds(&forum, &thread, "cheap pills", 201).await;
}

async fn what_is_held_appears_when_approved(backend: Backend) {
    let forum = Forum::start(backend).await;
    let (ada, bob) = (forum.member("ada").await, forum.member("bob").await);
    let (old, new) = (forum.thread(&bob, "old").await, forum.thread(&bob, "new").await);
    rule(&forum, "word", "perhaps", "hold").await.expect(201);
    let held = eventually("the rule holds", SOON, || async {
        let post = reply(&ada, &old, "perhaps").await.expect(201).json();
        if post["hidden"] == true { Ok(post) } else { Err(post) }
    })
    .await;
    assert_eq!((&held["body"], &held["deleted"]), (&json!("perhaps"), &json!(true)));
    assert_eq!(ada.get(&post_at(&held)).await.expect(200).json()["body"], "perhaps");
    bob.get(&post_at(&held)).await.refused(404, "not_found");
    // Nobody hears of it, and its thread is no newer by it.
    let newer = reply(&bob, &new, "x").await.expect(201).json();
    let before = bob.get(&thread_at(&old)).await.expect(200).json();
    assert!(before["last_post_at"].as_str() < newer["created_at"].as_str());
    let number = held["number"].as_i64().unwrap();
    let tombstone = in_thread(&bob, &old, number).await;
    assert_eq!((&tombstone["hidden"], &tombstone["body"]), (&json!(true), &json!("")));
    let item = queue(&forum.admin).await.remove(0);
    assert_eq!((&item["kind"], &item["post"]["excerpt"]), (&json!("held"), &json!("perhaps")));
    act(&forum.admin, &item, "approve", json!({})).await.expect(200);
    assert_eq!(in_thread(&bob, &old, number).await["body"], "perhaps");
    // Now it is news.
    let first = items(&bob.get(THREADS).await.expect(200)).remove(0);
    assert_eq!(first["id"], old["id"]);
    assert_eq!(first["reply_count"], before["reply_count"].as_i64().unwrap() + 1);

    // A thread that is held is nowhere before.
    let body =
        json!({"category_id": forum.category, "title": "Perhaps", "body": "b", "tags": ["x"]});
    let thread = ada.post(THREADS).json(&body).await.expect(201).json();
    assert_eq!((&thread["hidden"], &thread["tags"]), (&json!(true), &json!(["x"])));
    bob.get(&thread_at(&thread)).await.refused(404, "not_found");
    assert!(items(&bob.get(&format!("{THREADS}?tag=x")).await.expect(200)).is_empty());
    let feed = bob.get("/api/v2/forum/feed.atom").await.expect(200).text();
    assert!(!feed.contains("Perhaps"));
    let item = queue(&forum.admin).await.remove(0);
    assert_eq!(item["post"]["title"], "Perhaps");
    act(&forum.admin, &item, "approve", json!({})).await.expect(200);
    let found = items(&bob.get(&format!("{THREADS}?tag=x")).await.expect(200)).remove(0);
    assert_eq!(found["title"], "Perhaps");
    // By another title it is held again, for as long as nobody has looked.
    let rename = json!({"title": "Perhaps not"});
    let held = ada.patch(&thread_at(&thread)).json(&rename).await.expect(200).json();
    assert_eq!(held["hidden"], true);
    let item = queue(&forum.admin).await.remove(0);
    act(&forum.admin, &item, "reject", json!({})).await.expect(200);
    ada.get(&thread_at(&thread)).await.refused(404, "not_found");
}

async fn rules_are_checked(backend: Backend) {
    let forum = Forum::start(backend).await;
    for (kind, pattern, action, field) in [
        ("sentence", "x", "flag", "kind"),
        ("word", "x", "ban", "action"),
        ("word", "", "flag", "pattern"),
        ("word", "!?", "flag", "pattern"),
        ("link", "not a host", "flag", "pattern"),
        ("link", &"x".repeat(101), "flag", "pattern"),
    ] {
        let refused = rule(&forum, kind, pattern, action).await.refused(422, "validation");
        assert_eq!(refused.fields()[0].0, field, "{kind} {pattern} {action}");
    }
    rule(&forum, "word", "Word", "flag").await.expect(201);
    rule(&forum, "word", "wörd", "refuse").await.refused(409, "conflict");
    rule(&forum, "link", "word", "flag").await.expect(201);
    let listed = items(&forum.admin.get(&format!("{RULES}?limit=1")).await.expect(200));
    assert_eq!((listed.len(), &listed[0]["kind"]), (1, &json!("link")));
    let ada = forum.member("ada").await;
    ada.get(RULES).await.refused(403, "forbidden");
}
