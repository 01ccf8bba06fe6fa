//! Flags, and what becomes of a post that has some.

use panel_harness::{Backend, Session, on_both_databases};
use serde_json::{Value, json};

use super::{
    KNOWN, QUEUE, act, flag, in_thread, is_hidden, items, post_at, queue, reply, thread_at,
};
use crate::forum::{Forum, THREADS, id};

on_both_databases!(
    a_flag_brings_a_post_before_moderators,
    who_flags_what_is_checked,
    flags_that_weigh_enough_hide_a_post,
    a_crowd_of_new_accounts_hides_nothing,
    what_opens_a_thread_is_hidden_with_it,
);

async fn a_flag_brings_a_post_before_moderators(backend: Backend) {
    let forum = Forum::start(backend).await;
    let (ada, bob, eve) =
        (forum.member("ada").await, forum.member("bob").await, forum.member("eve").await);
    let thread = forum.thread(&ada, "t").await;
    let post = reply(&eve, &thread, "buy my things").await.expect(201).json();
    let spam = json!({"reason": "spam", "note": " look at it "});
    let set = bob.post(&format!("{}/flags", post_at(&post))).json(&spam).await.expect(201).json();
    assert_eq!(
        (&set["reason"], &set["note"], &set["post_id"]),
        (&json!("spam"), &json!("look at it"), &post["id"])
    );
    flag(&ada, &post).await.expect(201);
    // One item, however many flags.
    let open = queue(&forum.admin).await;
    let [item] = open.as_slice() else { panic!("{open:?}") };
    assert_eq!((&item["kind"], &item["flag_count"]), (&json!("flagged"), &json!(2)));
    assert_eq!(
        (&item["post"]["id"], &item["post"]["excerpt"], &item["post"]["hidden"]),
        (&post["id"], &json!("buy my things"), &json!(false))
    );
    assert_eq!(item["author"], json!({"id": eve.user_id, "name": "eve"}));
    let address = format!("{QUEUE}/{}", id(item));
    let details = forum.admin.get(&address).await.expect(200);
    let tag = details.header("etag").unwrap().to_owned();
    let details = details.json();
    assert_eq!(details["whole_post"]["body"], "buy my things");
    let (flags, standing) = (details["flags"].as_array().unwrap(), &details["standing"]);
    assert_eq!(
        (&flags[0]["user"]["name"], &flags[0]["note"]),
        (&json!("bob"), &json!("look at it"))
    );
    assert_eq!((&standing["trust"], &standing["post_count"]), (&json!("new"), &json!(1)));
    let page = items(&forum.admin.get(&format!("{address}/flags?limit=1")).await.expect(200));
    assert_eq!(page[0]["user"]["name"], "bob");

    // Somebody takes care of it, and says something about it.
    let taken = forum.admin.post(&format!("{address}/assign")).await.expect(200).json();
    assert_eq!(taken["assignee"]["name"], "root");
    let note = json!({"text": "is it spam?"});
    forum.admin.post(&format!("{address}/note")).json(&note).await.expect(201);
    let nobody = act(&forum.admin, item, "assign", json!({"user_id": null})).await.expect(200);
    assert_eq!(nobody.json()["assignee"], Value::Null);
    let to_bob = act(&forum.admin, item, "assign", json!({"user_id": bob.user_id})).await;
    assert_eq!(to_bob.refused(422, "validation").fields(), [("user_id", "unknown")]);
    let details = forum.admin.get(&address).await.expect(200).json();
    assert_eq!(details["notes"][0]["text"], "is it spam?");
    // Two moderators at once: the second has to look again.
    let late = forum.admin.post(&format!("{address}/reject")).header("if-match", &tag);
    late.await.refused(412, "precondition_failed");

    // It is good.
    let decided = forum.admin.post(&format!("{address}/approve")).await.expect(200).json();
    assert_eq!(
        (&decided["status"], &decided["resolved_by"]["name"]),
        (&json!("approved"), &json!("root"))
    );
    assert!(queue(&forum.admin).await.is_empty());
    let resolved = items(&forum.admin.get(&format!("{QUEUE}?status=resolved")).await.expect(200));
    assert_eq!(resolved[0]["id"], item["id"]);
    act(&forum.admin, item, "reject", json!({})).await.refused(409, "conflict");
    act(&forum.admin, item, "assign", json!({})).await.refused(409, "conflict");
    // Whoever flagged it does not bring it back, until it is another text.
    flag(&bob, &post).await.refused(409, "conflict");
    eve.patch(&post_at(&post)).json(&json!({"body": "buy more"})).await.expect(200);
    flag(&bob, &post).await.expect(201);
    let open = queue(&forum.admin).await;
    assert_eq!((open.len(), &open[0]["flag_count"]), (1, &json!(1)));
    assert_ne!(open[0]["id"], item["id"]);

    // It is not.
    let reason = json!({"reason": "advertisement"});
    act(&forum.admin, &open[0], "reject", reason).await.expect(200);
    eve.get(&post_at(&post)).await.refused(404, "not_found");
    let tombstone = in_thread(&bob, &thread, 2).await;
    assert_eq!((&tombstone["deleted"], tombstone.get("hidden")), (&json!(true), None));
    let shown = bob.get(&thread_at(&thread)).await.expect(200).json();
    assert_eq!(shown["reply_count"], 0);
    let standing = eve.get("/api/v2/forum/standing").await.expect(200).json();
    assert_eq!((&standing["refused_count"], &standing["trust"]), (&json!(1), &json!("new")));
}

async fn who_flags_what_is_checked(backend: Backend) {
    let forum = Forum::start(backend).await;
    let (ada, bob) = (forum.member("ada").await, forum.member("bob").await);
    let thread = forum.thread(&ada, "t").await;
    let post = reply(&ada, &thread, "x").await.expect(201).json();
    let flags = format!("{}/flags", post_at(&post));
    let client = forum.node.client();
    let spam = json!({"reason": "spam"});
    client.post(&flags).json(&spam).await.refused(401, "unauthorized");
    ada.post(&flags).json(&spam).await.refused(409, "conflict");
    for (body, field) in [
        (json!({"reason": "because"}), "reason"),
        (json!({"reason": "other"}), "note"),
        (json!({"reason": "other", "note": "x".repeat(1_001)}), "note"),
        (json!({"reason": "spam", "weight": 9}), "weight"),
    ] {
        let refused = bob.post(&flags).json(&body).await.refused(422, "validation");
        assert_eq!(refused.fields()[0].0, field, "{body}");
    }
    bob.post(&flags).json(&spam).await.expect(201);
    bob.post(&flags).json(&spam).await.refused(409, "conflict");
    let nothing = "/api/v2/forum/posts/0000000000000/flags";
    bob.post(nothing).json(&spam).await.refused(404, "not_found");
    // The queue is for moderators.
    let item = queue(&forum.admin).await.remove(0);
    for path in [QUEUE.to_owned(), format!("{QUEUE}/{}", id(&item))] {
        bob.get(&path).await.refused(403, "forbidden");
        client.get(&path).await.refused(401, "unauthorized");
    }
    for action in ["approve", "reject", "hide", "assign"] {
        act(&bob, &item, action, json!({})).await.refused(403, "forbidden");
        let nothing = format!("{QUEUE}/0000000000000/{action}");
        forum.admin.post(&nothing).await.refused(404, "not_found");
    }
    for query in ["status=all", "kind=x", "assignee=x", "category=x", "author=x", "limit=0"] {
        forum.admin.get(&format!("{QUEUE}?{query}")).await.refused(422, "validation");
    }
    for (query, found) in [
        ("kind=flagged".to_owned(), 1),
        ("kind=held".to_owned(), 0),
        ("assignee=nobody".to_owned(), 1),
        ("assignee=me".to_owned(), 0),
        (format!("author={}", ada.user_id), 1),
        (format!("author={}", bob.user_id), 0),
        (format!("category={}", forum.category.as_str().unwrap()), 1),
        ("category=0000000000000".to_owned(), 0),
    ] {
        let answer = forum.admin.get(&format!("{QUEUE}?{query}")).await.expect(200);
        assert_eq!(items(&answer).len(), found, "{query}");
    }
    // What is gone is not flagged; what was flagged before is still to be looked at.
    ada.delete(&post_at(&post)).await.expect(204);
    let eve = forum.member("eve").await;
    flag(&eve, &post).await.refused(404, "not_found");
    flag(&forum.admin, &post).await.refused(409, "conflict");
    let open = queue(&forum.admin).await;
    assert_eq!(open[0]["post"]["deleted"], true);
    act(&forum.admin, &open[0], "hide", json!({})).await.refused(409, "conflict");
    act(&forum.admin, &open[0], "approve", json!({})).await.expect(200);
    // Nobody has brought it back by that.
    ada.get(&post_at(&post)).await.refused(404, "not_found");
}

async fn several(forum: &Forum, names: &[&str]) -> Vec<Session> {
    let mut people = Vec::new();
    for name in names {
        people.push(forum.member(name).await);
    }
    people
}

async fn flags_that_weigh_enough_hide_a_post(backend: Backend) {
    let forum = Forum::configured(backend, &KNOWN).await;
    let ada = forum.member("ada").await;
    let people = several(&forum, &["bob", "cyd", "dan"]).await;
    let thread = forum.thread(&ada, "t").await;
    let post = reply(&ada, &thread, "shouting").await.expect(201).json();
    for person in &people[..2] {
        flag(person, &post).await.expect(201);
    }
    assert_eq!(in_thread(&people[0], &thread, 2).await["body"], "shouting");
    flag(&people[2], &post).await.expect(201);
    is_hidden(&people[0], &thread, 2).await;
    let tombstone = in_thread(&people[0], &thread, 2).await;
    assert_eq!(
        (&tombstone["body"], &tombstone["deleted"], &tombstone["number"]),
        (&json!(""), &json!(true), &json!(2))
    );
    people[0].get(&post_at(&post)).await.refused(404, "not_found");
    // Its author still sees it, and can't make another of it meanwhile.
    let own = ada.get(&post_at(&post)).await.expect(200).json();
    assert_eq!((&own["body"], &own["hidden"]), (&json!("shouting"), &json!(true)));
    let edit = ada.patch(&post_at(&post)).json(&json!({"body": "soft"}));
    edit.await.refused(409, "conflict");
    let shown = people[0].get(&thread_at(&thread)).await.expect(200).json();
    assert_eq!(shown["reply_count"], 0);
    // What was done without a moderator is in the log as that.
    let log = items(&forum.admin.get("/api/v2/forum/moderation/log").await.expect(200));
    assert_eq!(
        (&log[0]["action"], &log[0]["moderator"], &log[0]["reason"], &log[0]["post_id"]),
        (&json!("post.hide"), &Value::Null, &json!("flags"), &post["id"])
    );
    let open = queue(&forum.admin).await;
    assert_eq!((&open[0]["weight"], &open[0]["post"]["hidden"]), (&json!(3), &json!(true)));
    act(&forum.admin, &open[0], "approve", json!({})).await.expect(200);
    let back = people[0].get(&post_at(&post)).await.expect(200).json();
    assert_eq!((&back["body"], back.get("hidden")), (&json!("shouting"), None));
    let shown = people[0].get(&thread_at(&thread)).await.expect(200).json();
    assert_eq!(shown["reply_count"], 1);

    // Nobody hides what staff wrote.
    let word = reply(&forum.admin, &thread, "the rules").await.expect(201).json();
    for person in &people {
        flag(person, &word).await.expect(201);
    }
    let last = reply(&ada, &thread, "more shouting").await.expect(201).json();
    for person in &people {
        flag(person, &last).await.expect(201);
    }
    // What was flagged after it is hidden: it had its turn.
    is_hidden(&people[0], &thread, 4).await;
    assert_eq!(in_thread(&people[0], &thread, 3).await["body"], "the rules");
}

async fn a_crowd_of_new_accounts_hides_nothing(backend: Backend) {
    let forum = Forum::configured(backend, &[("PANEL_FORUM__MODERATION__HIDE_AT", "1")]).await;
    let ada = forum.member("ada").await;
    let thread = forum.thread(&ada, "t").await;
    let first = reply(&ada, &thread, "one").await.expect(201).json();
    for person in several(&forum, &["bob", "cyd", "dan", "eve"]).await {
        flag(&person, &first).await.expect(201);
    }
    let second = reply(&ada, &thread, "two").await.expect(201).json();
    flag(&forum.admin, &second).await.expect(201);
    is_hidden(&ada, &thread, 3).await;
    assert_eq!(in_thread(&ada, &thread, 2).await["body"], "one");
    let open = queue(&forum.admin).await;
    assert_eq!((&open[0]["flag_count"], &open[0]["weight"]), (&json!(4), &json!(0)));
}

async fn what_opens_a_thread_is_hidden_with_it(backend: Backend) {
    let forum = Forum::start(backend).await;
    let (ada, bob) = (forum.member("ada").await, forum.member("bob").await);
    let body = json!({"category_id": forum.category, "title": "Loud", "body": "first",
                      "tags": ["noise"]});
    let thread = ada.post(THREADS).json(&body).await.expect(201).json();
    reply(&bob, &thread, "what?").await.expect(201);
    let opening = in_thread(&bob, &thread, 1).await;
    flag(&bob, &opening).await.expect(201);
    let item = queue(&forum.admin).await.remove(0);
    let hidden = act(&forum.admin, &item, "hide", json!({"reason": "loud"})).await.expect(200);
    assert_eq!(hidden.json()["post"]["hidden"], true);
    act(&forum.admin, &item, "hide", json!({})).await.refused(409, "conflict");
    bob.get(&thread_at(&thread)).await.refused(404, "not_found");
    let lists = [THREADS.to_owned(), format!("{THREADS}?tag=noise")];
    for list in &lists {
        assert!(items(&bob.get(list).await.expect(200)).is_empty(), "{list}");
    }
    let own = ada.get(&thread_at(&thread)).await.expect(200).json();
    assert_eq!((&own["hidden"], &own["deleted"]), (&json!(true), &json!(true)));
    assert_eq!(in_thread(&ada, &thread, 1).await["body"], "first");
    reply(&ada, &thread, "why?").await.refused(409, "conflict");
    act(&forum.admin, &item, "approve", json!({})).await.expect(200);
    for list in &lists {
        assert_eq!(items(&bob.get(list).await.expect(200))[0]["reply_count"], 1, "{list}");
    }
    // Rejected, it is deleted like any other.
    flag(&forum.admin, &opening).await.expect(201);
    let item = queue(&forum.admin).await.remove(0);
    act(&forum.admin, &item, "reject", json!({})).await.expect(200);
    ada.get(&thread_at(&thread)).await.refused(404, "not_found");
    let kept = forum.admin.get(&thread_at(&thread)).await.expect(200).json();
    assert_eq!((&kept["deleted"], kept.get("hidden")), (&json!(true), None));
    // A moderator who looks again restores it, by the ways there are.
    forum.admin.post(&format!("{}/restore", thread_at(&thread))).await.expect(200);
    assert_eq!(items(&bob.get(&lists[1]).await.expect(200)).len(), 1);
}
