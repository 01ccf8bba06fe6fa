//! What moderators did, and who may know it.

use panel_harness::{Backend, eventually, on_both_databases};
use serde_json::{Value, json};

use super::{SOON, act, flag, items, post_at, queue, reply, staff, thread_at};
use crate::forum::{Forum, THREADS, id};

on_both_databases!(
    moderators_read_what_was_done,
    the_public_part_is_as_configured,
    every_act_is_audited_with_what_was_before
);

const LOG: &str = "/api/v2/forum/moderation/log";

/// Some acts of moderators, to and in one thread.
async fn acts(forum: &Forum) -> Value {
    let ada = forum.member("ada").await;
    let thread = forum.thread(&ada, "t").await;
    let post = reply(&ada, &thread, "two").await.expect(201).json();
    let other = reply(&ada, &thread, "three").await.expect(201).json();
    for action in ["pin", "lock", "unlock"] {
        forum.admin.post(&format!("{}/{action}", thread_at(&thread))).await.expect(200);
    }
    forum.admin.patch(&post_at(&post)).json(&json!({"body": "2"})).await.expect(200);
    forum.admin.delete(&post_at(&post)).await.expect(204);
    forum.admin.post(&format!("{}/restore", post_at(&post))).await.expect(200);
    let bob = forum.member("bob").await;
    flag(&bob, &other).await.expect(201);
    let item = queue(&forum.admin).await.remove(0);
    act(&forum.admin, &item, "hide", json!({"reason": "wait"})).await.expect(200);
    act(&forum.admin, &item, "reject", json!({"reason": "no"})).await.expect(200);
    thread
}

async fn moderators_read_what_was_done(backend: Backend) {
    let forum = Forum::start(backend).await;
    let thread = acts(&forum).await;
    let entries = items(&forum.admin.get(LOG).await.expect(200));
    let done: Vec<&str> = entries.iter().map(|it| it["action"].as_str().unwrap()).collect();
    assert_eq!(
        done,
        [
            "post.reject",
            "post.hide",
            "post.restore",
            "post.delete",
            "post.edit",
            "thread.unlock",
            "thread.lock",
            "thread.pin"
        ]
    );
    assert_eq!(
        (&entries[0]["reason"], &entries[0]["moderator"]["name"], &entries[0]["user"]["name"]),
        (&json!("no"), &json!("root"), &json!("ada"))
    );
    // What somebody does to what is their own is none of it.
    let moderator = staff(&forum, "mod1", "moderator").await;
    let own = reply(&moderator, &thread, "x").await.expect(201).json();
    moderator.delete(&post_at(&own)).await.expect(204);
    assert_eq!(items(&forum.admin.get(LOG).await.expect(200)).len(), 8);
    for (query, found) in [
        (format!("thread={}", id(&thread)), 8),
        (format!("moderator={}", moderator.user_id), 0),
        (format!("moderator={}", forum.admin.user_id), 8),
        (format!("user={}", forum.admin.user_id), 0),
        ("limit=3".to_owned(), 3),
    ] {
        let answer = forum.admin.get(&format!("{LOG}?{query}")).await.expect(200);
        assert_eq!(items(&answer).len(), found, "{query}");
    }
    let ada = forum.member("eve").await;
    ada.get(LOG).await.refused(403, "forbidden");
    forum.node.client().get(LOG).await.refused(403, "forbidden");
}

async fn the_public_part_is_as_configured(backend: Backend) {
    for (setting, shows) in [("anonymous", Value::Null), ("named", json!("root"))] {
        let public = ("PANEL_FORUM__MODERATION__PUBLIC_LOG", setting);
        let forum = Forum::configured(backend, &[public]).await;
        acts(&forum).await;
        // In a category that is not for everybody.
        let staff = json!({"name": "Staff", "read_role": "moderator", "post_role": "moderator"});
        let staff = forum.admin.post("/api/v2/forum/categories").json(&staff).await.expect(201);
        let moderator = super::staff(&forum, "mod1", "moderator").await;
        let body = json!({"category_id": staff.json()["id"], "title": "secret", "body": "b"});
        let secret = moderator.post(THREADS).json(&body).await.expect(201).json();
        forum.admin.post(&format!("{}/lock", thread_at(&secret))).await.expect(200);
        let client = forum.node.client();
        let entries = items(&client.get(LOG).await.expect(200));
        assert_eq!(entries.len(), 8);
        assert_eq!(entries[0]["moderator"]["name"], shows);
        assert_eq!(items(&forum.admin.get(LOG).await.expect(200)).len(), 9);
        let by = format!("{LOG}?moderator={}", forum.admin.user_id);
        let status = client.get(&by).await.status.as_u16();
        assert_eq!(status, if setting == "named" { 200 } else { 422 });
    }
}

async fn every_act_is_audited_with_what_was_before(backend: Backend) {
    let forum = Forum::configured(backend, &super::KNOWN).await;
    acts(&forum).await;
    let eve = forum.member("eve").await;
    let ban = json!({"user_id": eve.user_id, "kind": "silence", "reason": "r"});
    let ban = forum.admin.post(super::BANS).json(&ban).await.expect(201).json();
    let appeal = format!("{}/{}/appeal", super::BANS, id(&ban));
    eve.post(&appeal).json(&json!({"text": "please"})).await.expect(200);
    forum.admin.delete(&format!("{}/{}", super::BANS, id(&ban))).await.expect(204);
    let rule = json!({"kind": "word", "pattern": "x", "action": "flag"});
    let rules = "/api/v2/forum/moderation/rules";
    let rule = forum.admin.post(rules).json(&rule).await.expect(201).json();
    forum.admin.delete(&format!("{rules}/{}", id(&rule))).await.expect(204);
    // Hidden by flags, without a moderator.
    let thread = forum.thread(&forum.admin, "t").await;
    let ada = forum.member("cyd").await;
    let post = reply(&ada, &thread, "loud").await.expect(201).json();
    for name in ["dan", "fay", "gil"] {
        let person = forum.member(name).await;
        flag(&person, &post).await.expect(201);
    }
    let records = eventually("everything is in the audit log", SOON, || async {
        let statement = "SELECT record FROM audit";
        let found = forum.database.raw_sql("admin").await.texts(statement, 0).await.unwrap();
        let records: Vec<Value> =
            found.iter().map(|record| serde_json::from_str(record).unwrap()).collect();
        let is_there = |action: &str| records.iter().any(|it| it["action"] == action);
        let missing: Vec<&str> = [
            "post.flag",
            "moderation.hide",
            "moderation.reject",
            "ban.create",
            "ban.appeal",
            "ban.end",
            "content_rule.create",
            "content_rule.delete",
            "post.hide",
            "post.edit",
            "post.delete",
            "post.restore",
            "thread.pin",
            "thread.lock",
            "thread.unlock",
        ]
        .into_iter()
        .filter(|action| !is_there(action))
        .collect();
        if missing.is_empty() { Ok(records) } else { Err(missing.join(" ")) }
    })
    .await;
    let of = |action: &str| records.iter().find(|it| it["action"] == action).unwrap();
    let hidden = of("post.hide");
    assert_eq!(hidden["actor"], "service:forum");
    assert_eq!(
        (&hidden["before"], &hidden["after"]),
        (&json!({"hidden": false, "weight": 3}), &json!({"hidden": true, "weight": 3}))
    );
    let rejected = of("moderation.reject");
    assert_eq!(
        (&rejected["before"], &rejected["after"]),
        (
            &json!({"status": "open", "hidden": true}),
            &json!({"status": "rejected", "hidden": false})
        )
    );
    assert_eq!(of("ban.end")["before"]["user_id"], eve.user_id.as_str());
}
