//! Reactions and drafts.

use panel_harness::{Backend, on_both_databases};
use serde_json::{Value, json};

use super::{each, items, post_at, reply};
use crate::forum::{Forum, posts};

on_both_databases!(reactions_are_counted_once_each, drafts_are_their_owner_s_alone);

async fn reactions_are_counted_once_each(backend: Backend) {
    let forum = Forum::start(backend).await;
    let (ada, bob) = (forum.member("ada").await, forum.member("bob").await);
    let thread = forum.thread(&ada, "t").await;
    let post = reply(&ada, &thread, "two").await;
    let at = |name: &str| format!("{}/reactions/{name}", post_at(&post));
    let liked = bob.put(&at("like")).await.expect(200).json();
    assert_eq!(
        (&liked["reactions"], &liked["my_reactions"]),
        (&json!({"like": 1}), &json!(["like"]))
    );
    bob.put(&at("like")).await.expect(200);
    ada.put(&at("like")).await.expect(200);
    let both = bob.put(&at("thanks")).await.expect(200).json();
    assert_eq!(both["reactions"], json!({"like": 2, "thanks": 1}));
    assert_eq!(both["my_reactions"], json!(["like", "thanks"]));
    // Everybody sees how many; who reads, how they did themselves.
    let client = forum.node.client();
    let shown = client.get(&post_at(&post)).await.expect(200).json();
    assert_eq!((&shown["reactions"], shown.get("my_reactions")), (&both["reactions"], None));
    let listing = items(&ada.get(&posts(&thread)).await.expect(200));
    assert_eq!(
        (&listing[0]["my_reactions"], &listing[1]["my_reactions"]),
        (&json!([]), &json!(["like"]))
    );
    let who = items(&client.get(&format!("{}/reactions", post_at(&post))).await.expect(200));
    assert_eq!(each(&who, "name"), ["thanks", "like", "like"]);
    let page =
        client.get(&format!("{}/reactions?name=like&limit=1", post_at(&post))).await.expect(200);
    assert_eq!(items(&page)[0]["user"]["name"], "ada");
    let cursor = page.json()["next_cursor"].as_str().unwrap().to_owned();
    let rest = format!("{}/reactions?name=like&limit=1&cursor={cursor}", post_at(&post));
    assert_eq!(items(&client.get(&rest).await.expect(200))[0]["user"]["name"], "bob");

    let less = bob.delete(&at("like")).await.expect(200).json();
    assert_eq!(less["reactions"], json!({"like": 1, "thanks": 1}));
    bob.delete(&at("like")).await.expect(200);
    let none = bob.delete(&at("thanks")).await.expect(200).json();
    assert_eq!((&none["reactions"], &none["my_reactions"]), (&json!({"like": 1}), &json!([])));
    let unknown = bob.put(&at("sneer")).await.refused(422, "validation");
    assert_eq!(unknown.fields(), [("name", "unknown")]);
    client.put(&at("like")).await.refused(401, "unauthorized");
    ada.delete(&post_at(&post)).await.expect(204);
    bob.put(&at("like")).await.refused(404, "not_found");
    forum.admin.put(&at("like")).await.refused(409, "conflict");

    // All at once: none is lost, none is counted twice.
    let post = reply(&ada, &thread, "three").await;
    let at = |name: &str| format!("{}/reactions/{name}", post_at(&post));
    let mut people = Vec::new();
    for n in 0..6 {
        people.push(forum.member(&format!("user{n}")).await);
    }
    let given = ["like", "love", "like", "laugh"];
    let all = people.iter().flat_map(|by| given.map(|name| by.put(&at(name))));
    for answer in futures::future::join_all(all.map(|it| async { it.await })).await {
        answer.expect(200);
    }
    let shown = ada.get(&post_at(&post)).await.expect(200).json();
    assert_eq!(shown["reactions"], json!({"laugh": 6, "like": 6, "love": 6}));
}

async fn drafts_are_their_owner_s_alone(backend: Backend) {
    let forum = Forum::start(backend).await;
    let (ada, bob) = (forum.member("ada").await, forum.member("bob").await);
    let at = |key: &str| format!("/api/v2/forum/drafts/{key}");
    let content =
        json!({"title": "Half a ti", "body": "", "category_id": forum.category, "tags": ["A!"]});
    let stored = ada.put(&at("new-thread")).json(&content).await.expect(200);
    let draft = stored.json();
    assert_eq!((&draft["key"], &draft["title"]), (&json!("new-thread"), &json!("Half a ti")));
    assert_eq!(ada.get(&at("new-thread")).await.expect(200).json(), draft);
    bob.get(&at("new-thread")).await.refused(404, "not_found");
    let in_place = bob.put(&at("new-thread")).header("if-match", "*").json(&json!({}));
    in_place.await.refused(412, "precondition_failed");
    bob.put(&at("new-thread")).json(&json!({"body": "his own"})).await.expect(200);
    // Two devices.
    let tag = stored.header("etag").unwrap();
    let store = |body: &str| {
        ada.put(&at("new-thread")).header("if-match", tag).json(&json!({"body": body}))
    };
    let newer = store("more").await.expect(200).json();
    assert_eq!((&newer["body"], newer.get("title")), (&json!("more"), None::<&Value>));
    store("other").await.refused(412, "precondition_failed");
    ada.put(&at("reply:1")).json(&json!({"reply_to": "0000000000007"})).await.expect(200);
    let listing = items(&ada.get("/api/v2/forum/drafts").await.expect(200));
    assert_eq!(each(&listing, "key"), ["reply:1", "new-thread"]);
    for (key, body, field) in [
        ("a%20b", json!({}), "key"),
        (&*"k".repeat(101), json!({}), "key"),
        ("k", json!({"bodies": ""}), "bodies"),
        ("k", json!({"body": "x".repeat(32_001)}), "body"),
        ("k", json!({"title": "x".repeat(201)}), "title"),
        ("k", json!({"tags": ["a", "b", "c", "d", "e", "f"]}), "tags"),
    ] {
        let refused = ada.put(&at(key)).json(&body).await.refused(422, "validation");
        assert_eq!(refused.fields()[0].0, field, "{key}");
    }
    // Long ones have room on several pages.
    for n in 0..12 {
        let long = json!({"body": "漢".repeat(31_000)});
        bob.put(&at(&format!("long{n}"))).json(&long).await.expect(200);
    }
    let (mut seen, mut page) = (0, "/api/v2/forum/drafts?limit=100".to_owned());
    loop {
        let answer = bob.get(&page).await.expect(200);
        assert!(answer.text().len() < 640 * 1024);
        seen += items(&answer).len();
        let answer = answer.json();
        let Some(cursor) = answer["next_cursor"].as_str() else { break };
        page = format!("/api/v2/forum/drafts?limit=100&cursor={cursor}");
    }
    assert_eq!(seen, 13);
    for n in 0..98 {
        ada.put(&at(&format!("n{n}"))).json(&json!({})).await.expect(200);
    }
    ada.put(&at("one-more")).json(&json!({})).await.refused(409, "conflict");
    ada.put(&at("n5")).json(&json!({"body": "still"})).await.expect(200);
    ada.delete(&at("n5")).await.expect(204);
    ada.delete(&at("n5")).await.refused(404, "not_found");
    ada.put(&at("one-more")).json(&json!({})).await.expect(200);
    forum.node.client().get("/api/v2/forum/drafts").await.refused(401, "unauthorized");
}
