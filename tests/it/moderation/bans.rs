//! Bans and silences.

use std::time::Duration;

use panel_harness::{Answer, Backend, Session, eventually, on_both_databases};
use panel_kernel::time::Clock;
use serde_json::{Value, json};

use super::{BANS, SOON, act, flag, items, post_at, queue, reply};
use crate::forum::{Forum, THREADS, id};

on_both_databases!(
    who_is_banned_takes_no_part,
    who_is_silenced_writes_nothing,
    a_ban_from_a_category_is_for_what_is_below_it_too,
    a_ban_ends_with_its_time,
    an_appeal_is_read_by_moderators,
    bans_are_checked,
);

async fn ban(by: &Session, user: &Session, more: Value) -> Answer {
    let mut body = json!({"user_id": user.user_id, "kind": "ban", "reason": "rude"});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    by.post(BANS).json(&body).await
}

async fn who_is_banned_takes_no_part(backend: Backend) {
    let forum = Forum::start(backend).await;
    let (ada, eve) = (forum.member("ada").await, forum.member("eve").await);
    let thread = forum.thread(&ada, "t").await;
    let post = reply(&ada, &thread, "two").await.expect(201).json();
    let own = reply(&eve, &thread, "three").await.expect(201).json();
    let made = ban(&forum.admin, &eve, json!({})).await.expect(201);
    let banned = made.json();
    assert_eq!(made.header("location"), Some(format!("{BANS}/{}", id(&banned)).as_str()));
    assert_eq!((&banned["user"]["name"], &banned["until"]), (&json!("eve"), &Value::Null));
    let refused = reply(&eve, &thread, "four").await.refused(403, "forbidden");
    assert_eq!(refused.detail, "you may not take part here: rude");
    assert_eq!(refused.code.as_deref(), Some("banned"));
    let body = json!({"category_id": forum.category, "title": "t", "body": "b"});
    eve.post(THREADS).json(&body).await.refused(403, "forbidden");
    eve.patch(&post_at(&own)).json(&json!({"body": "x"})).await.refused(403, "forbidden");
    eve.delete(&post_at(&own)).await.refused(403, "forbidden");
    eve.put(&format!("{}/reactions/like", post_at(&post))).await.refused(403, "forbidden");
    flag(&eve, &post).await.refused(403, "forbidden");
    // Reading, and what nobody else sees, goes on.
    eve.get(&post_at(&post)).await.expect(200);
    eve.put("/api/v2/forum/drafts/d").json(&json!({"body": "why"})).await.expect(200);
    let standing = eve.get("/api/v2/forum/standing").await.expect(200).json();
    assert_eq!(
        (&standing["bans"][0]["reason"], &standing["bans"][0]["created_by"]),
        (&json!("rude"), &Value::Null)
    );
    assert!(standing["appeals"].as_str().unwrap().contains("appeal"));
    let listed = items(&forum.admin.get(&format!("{BANS}?active=true")).await.expect(200));
    assert_eq!(listed[0]["created_by"]["name"], "root");

    forum.admin.delete(&format!("{BANS}/{}", id(&banned))).await.expect(204);
    forum.admin.delete(&format!("{BANS}/{}", id(&banned))).await.expect(204);
    reply(&eve, &thread, "thank you").await.expect(201);
    assert!(items(&forum.admin.get(&format!("{BANS}?active=true")).await.expect(200)).is_empty());
    let all = format!("{BANS}?user={}", eve.user_id);
    let ended = items(&forum.admin.get(&all).await.expect(200)).remove(0);
    assert!(ended["ended_at"].is_string(), "{ended}");
}

async fn who_is_silenced_writes_nothing(backend: Backend) {
    let forum = Forum::start(backend).await;
    let (ada, eve) = (forum.member("ada").await, forum.member("eve").await);
    let thread = forum.thread(&ada, "t").await;
    let post = reply(&ada, &thread, "two").await.expect(201).json();
    let own = reply(&eve, &thread, "three").await.expect(201).json();
    let theirs = forum.thread(&eve, "hers").await;
    ban(&forum.admin, &eve, json!({"kind": "silence"})).await.expect(201);
    let refused = reply(&eve, &thread, "four").await.refused(403, "forbidden");
    assert_eq!(refused.detail, "you may not write here: rude");
    eve.patch(&post_at(&own)).json(&json!({"body": "x"})).await.refused(403, "forbidden");
    let title = json!({"title": "shout"});
    let rename = eve.patch(&format!("{THREADS}/{}", id(&theirs))).json(&title);
    rename.await.refused(403, "forbidden");
    eve.put(&format!("{}/reactions/like", post_at(&post))).await.expect(200);
    flag(&eve, &post).await.expect(201);
    eve.delete(&post_at(&own)).await.expect(204);
}

async fn a_ban_from_a_category_is_for_what_is_below_it_too(backend: Backend) {
    let forum = Forum::start(backend).await;
    let eve = forum.member("eve").await;
    let category = async |body: Value| {
        forum.admin.post("/api/v2/forum/categories").json(&body).await.expect(201).json()
    };
    let above = category(json!({"name": "Above"})).await;
    let below = category(json!({"name": "Below", "parent_id": above["id"]})).await;
    let open = async |category: &Value| {
        let body = json!({"category_id": category["id"], "title": "t", "body": "b"});
        forum.admin.post(THREADS).json(&body).await.expect(201).json()
    };
    let (up, down) = (open(&above).await, open(&below).await);
    let elsewhere = forum.thread(&eve, "t").await;
    let limited = json!({"category_id": above["id"]});
    let banned = ban(&forum.admin, &eve, limited).await.expect(201).json();
    let refused = reply(&eve, &up, "x").await.refused(403, "forbidden");
    assert_eq!(refused.detail, "you may not take part in this category: rude");
    reply(&eve, &down, "x").await.refused(403, "forbidden");
    reply(&eve, &elsewhere, "x").await.expect(201);
    forum.admin.delete(&format!("{BANS}/{}", id(&banned))).await.expect(204);
    // From the one below only; it ends with the category.
    let banned = ban(&forum.admin, &eve, json!({"category_id": below["id"]})).await.expect(201);
    reply(&eve, &up, "x").await.expect(201);
    reply(&eve, &down, "x").await.refused(403, "forbidden");
    let empty = category(json!({"name": "Empty"})).await;
    let gone = ban(&forum.admin, &eve, json!({"category_id": empty["id"]})).await.expect(201);
    forum.admin.delete(&format!("/api/v2/forum/categories/{}", id(&empty))).await.expect(204);
    let active = format!("{BANS}?active=true&user={}", eve.user_id);
    let active = items(&forum.admin.get(&active).await.expect(200));
    assert_eq!((active.len(), &active[0]["id"]), (1, &banned.json()["id"]));
    assert_ne!(gone.json()["id"], banned.json()["id"]);
}

async fn a_ban_ends_with_its_time(backend: Backend) {
    let forum = Forum::start(backend).await;
    let eve = forum.member("eve").await;
    let thread = forum.thread(&eve, "t").await;
    let until = Clock::system().now().plus(Duration::from_secs(3));
    let banned = ban(&forum.admin, &eve, json!({"until": until})).await.expect(201).json();
    reply(&eve, &thread, "x").await.refused(403, "forbidden");
    eventually("she may write again", SOON, || async {
        let answer = reply(&eve, &thread, "x").await;
        answer.status == 201
    })
    .await;
    assert!(Clock::system().now() >= until);
    eventually("it is written down", SOON, || async {
        let log = items(&forum.admin.get("/api/v2/forum/moderation/log").await.expect(200));
        log[0]["action"] == "ban.end" && log[0]["reason"] == "time"
    })
    .await;
    let all = items(&forum.admin.get(BANS).await.expect(200));
    assert!(all[0]["id"] == banned["id"] && all[0]["ended_at"].is_string());
    let late = eve.post(&format!("{BANS}/{}/appeal", id(&banned))).json(&json!({"text": "x"}));
    late.await.refused(409, "conflict");
}

async fn an_appeal_is_read_by_moderators(backend: Backend) {
    let forum = Forum::start(backend).await;
    let (ada, eve) = (forum.member("ada").await, forum.member("eve").await);
    let thread = forum.thread(&ada, "t").await;
    let banned = ban(&forum.admin, &eve, json!({})).await.expect(201).json();
    let appeal = format!("{BANS}/{}/appeal", id(&banned));
    let text = json!({"text": "it was not me"});
    ada.post(&appeal).json(&text).await.refused(404, "not_found");
    eve.post(&appeal).json(&json!({"text": " "})).await.refused(422, "validation");
    let told = eve.post(&appeal).json(&text).await.expect(200).json();
    assert_eq!((&told["appeal"], &told["created_by"]), (&json!("it was not me"), &Value::Null));
    eve.post(&appeal).json(&text).await.refused(409, "conflict");
    let item = queue(&forum.admin).await.remove(0);
    assert_eq!(
        (&item["kind"], &item["detail"], &item["post"], &item["ban_id"]),
        (&json!("appeal"), &json!("it was not me"), &Value::Null, &banned["id"])
    );
    act(&forum.admin, &item, "hide", json!({})).await.refused(409, "conflict");
    act(&forum.admin, &item, "reject", json!({"reason": "it was"})).await.expect(200);
    reply(&eve, &thread, "x").await.refused(403, "forbidden");
    // Once per ban.
    eve.post(&appeal).json(&text).await.refused(409, "conflict");
    let second = ban(&forum.admin, &eve, json!({"kind": "silence"})).await.expect(201).json();
    eve.post(&format!("{BANS}/{}/appeal", id(&second))).json(&text).await.expect(200);
    let item = queue(&forum.admin).await.remove(0);
    act(&forum.admin, &item, "approve", json!({})).await.expect(200);
    let active = items(&forum.admin.get(&format!("{BANS}?active=true")).await.expect(200));
    assert_eq!((active.len(), &active[0]["id"]), (1, &banned["id"]));
    // Whoever ends a ban by the other way has decided about the appeal.
    forum.admin.delete(&format!("{BANS}/{}", id(&banned))).await.expect(204);
    let third = ban(&forum.admin, &eve, json!({})).await.expect(201).json();
    eve.post(&format!("{BANS}/{}/appeal", id(&third))).json(&text).await.expect(200);
    forum.admin.delete(&format!("{BANS}/{}", id(&third))).await.expect(204);
    assert!(queue(&forum.admin).await.is_empty());
    reply(&eve, &thread, "x").await.expect(201);
}

async fn bans_are_checked(backend: Backend) {
    let forum = Forum::start(backend).await;
    let eve = forum.member("eve").await;
    let past = json!({"until": "2026-01-01T00:00:00Z"});
    for (more, field) in [
        (json!({"kind": "exile"}), "kind"),
        (json!({"reason": "  "}), "reason"),
        (json!({"reason": "x".repeat(1_001)}), "reason"),
        (past, "until"),
        (json!({"user_id": "0000000000000"}), "user_id"),
        (json!({"category_id": "0000000000000"}), "category_id"),
        (json!({"for": "ever"}), "for"),
    ] {
        let refused = ban(&forum.admin, &eve, more.clone()).await.refused(422, "validation");
        assert_eq!(refused.fields()[0].0, field, "{more}");
    }
    ban(&eve, &eve, json!({})).await.refused(403, "forbidden");
    ban(&forum.admin, &forum.admin, json!({})).await.refused(409, "conflict");
    let nothing = format!("{BANS}/0000000000000");
    forum.admin.delete(&nothing).await.refused(404, "not_found");
    eve.get(BANS).await.refused(403, "forbidden");
    for query in ["active=yes", "user=x", "limit=101"] {
        forum.admin.get(&format!("{BANS}?{query}")).await.refused(422, "validation");
    }
}
