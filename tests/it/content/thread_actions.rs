//! Pinning, locking, moving, deleting and restoring threads.

use panel_harness::{Backend, on_both_databases};
use serde_json::json;

use super::{act, each, items, reply, thread_at};
use crate::forum::{Forum, THREADS, id, posts};

on_both_databases!(
    pinned_threads_come_first_where_threads_go_by_activity,
    nobody_but_moderators_writes_in_a_locked_thread,
    a_thread_moves_to_another_category,
    what_is_deleted_can_be_restored,
    moderators_alone_act_on_threads,
);

async fn pinned_threads_come_first_where_threads_go_by_activity(backend: Backend) {
    let forum = Forum::start(backend).await;
    let ada = forum.member("ada").await;
    let mut threads = Vec::new();
    for title in ["t0", "t1", "t2", "t3"] {
        let body =
            json!({"category_id": forum.category, "title": title, "body": "b", "tags": ["x"]});
        threads.push(ada.post(THREADS).json(&body).await.expect(201).json());
    }
    let pinned = act(&forum.admin, &threads[0], "pin", json!({})).await.expect(200);
    assert_eq!(pinned.json()["pinned"], true);
    act(&forum.admin, &threads[2], "pin", json!({})).await.expect(200);
    // Again is the same as once.
    let again = act(&forum.admin, &threads[0], "pin", json!({})).await.expect(200);
    assert_eq!(again.header("etag"), pinned.header("etag"));
    let client = forum.node.client();
    let category = forum.category.as_str().unwrap();
    for also in ["", "&tag=x", &format!("&category={category}")] {
        for (sort, expected) in
            [("activity", ["t2", "t0", "t3", "t1"]), ("created", ["t3", "t2", "t1", "t0"])]
        {
            // Over two pages, so that the cursor knows as well.
            let path = format!(
                "{THREADS}?sort={sort}&limit=2&at={}{also}",
                panel_kernel::ids::random_hex()
            );
            let first = client.get(&path).await.expect(200);
            let cursor = first.json()["next_cursor"].as_str().unwrap().to_owned();
            let second = client.get(&format!("{path}&cursor={cursor}")).await.expect(200);
            let titles = each(&[items(&first), items(&second)].concat(), "title");
            assert_eq!(titles, expected, "{sort} {also}");
            assert!(second.json()["next_cursor"].is_null());
        }
    }
    act(&forum.admin, &threads[2], "unpin", json!({})).await.expect(200);
    let listing = items(&ada.get(THREADS).await.expect(200));
    assert_eq!(each(&listing, "title"), ["t0", "t3", "t2", "t1"]);
    let tagged = items(&ada.get(&format!("{THREADS}?tag=x")).await.expect(200));
    assert_eq!(each(&tagged, "title"), ["t0", "t3", "t2", "t1"]);
}

async fn nobody_but_moderators_writes_in_a_locked_thread(backend: Backend) {
    let forum = Forum::start(backend).await;
    let (ada, moderator) =
        (forum.member("ada").await, forum.node.account("mod", "moderator").await);
    let thread = forum.thread(&ada, "t").await;
    let post = reply(&ada, &thread, "mine").await;
    let locked = act(&moderator, &thread, "lock", json!({})).await.expect(200).json();
    assert_eq!(locked["locked"], true);
    let write = || ada.post(&posts(&thread)).json(&json!({"body": "x"}));
    write().await.refused(403, "forbidden");
    let edit = |path: String| ada.patch(&path).json(&json!({"body": "x"}));
    edit(super::post_at(&post)).await.refused(403, "forbidden");
    ada.delete(&super::post_at(&post)).await.refused(403, "forbidden");
    ada.delete(&thread_at(&thread)).await.refused(403, "forbidden");
    reply(&moderator, &thread, "the last word").await;
    let unlocked = act(&moderator, &thread, "unlock", json!({})).await.expect(200).json();
    assert_eq!(unlocked["locked"], false);
    write().await.expect(201);
}

async fn a_thread_moves_to_another_category(backend: Backend) {
    let forum = Forum::start(backend).await;
    let ada = forum.member("ada").await;
    let thread = forum.thread(&ada, "t").await;
    let staff = json!({"name": "Staff", "read_role": "moderator"});
    let staff = forum.admin.post("/api/v2/forum/categories").json(&staff).await.expect(201).json();
    let to = |category: &serde_json::Value| json!({"category_id": category});
    let moved = act(&forum.admin, &thread, "move", to(&staff["id"])).await.expect(200).json();
    assert_eq!(moved["category_id"], staff["id"]);
    ada.get(&thread_at(&thread)).await.refused(404, "not_found");
    let again = act(&forum.admin, &thread, "move", to(&staff["id"])).await.expect(200);
    assert_eq!(again.json(), moved);
    let nowhere = act(&forum.admin, &thread, "move", to(&json!("0000000000009"))).await;
    assert_eq!(nowhere.refused(422, "validation").fields(), [("category_id", "unknown")]);
    act(&forum.admin, &thread, "move", to(&forum.category)).await.expect(200);
    ada.get(&thread_at(&thread)).await.expect(200);
}

async fn what_is_deleted_can_be_restored(backend: Backend) {
    let forum = Forum::start(backend).await;
    let ada = forum.member("ada").await;
    let body =
        json!({"category_id": forum.category, "title": "t", "body": "b", "tags": ["x", "y"]});
    let thread = ada.post(THREADS).json(&body).await.expect(201).json();
    let post = reply(&ada, &thread, "two").await;
    ada.delete(&super::post_at(&post)).await.expect(204);
    // Nobody changes what is not there, not even who can see it.
    let edit = forum.admin.patch(&super::post_at(&post)).json(&json!({"body": "x"})).await;
    assert_eq!(edit.refused(409, "conflict").detail, "this post is deleted");
    let restore = |path: String| forum.admin.post(&format!("{path}/restore"));
    ada.post(&format!("{}/restore", super::post_at(&post))).await.refused(403, "forbidden");
    let restored = restore(super::post_at(&post)).await.expect(200).json();
    assert_eq!((&restored["body"], restored.get("deleted")), (&json!("two"), None));
    let shown = ada.get(&thread_at(&thread)).await.expect(200).json();
    assert_eq!(shown["reply_count"], 1);
    // Restoring what is there changes nothing.
    restore(super::post_at(&post)).await.expect(200);
    assert_eq!(ada.get(&thread_at(&thread)).await.expect(200).json()["reply_count"], 1);

    ada.delete(&super::post_at(&post)).await.expect(204);
    ada.delete(&thread_at(&thread)).await.expect(204);
    assert!(items(&ada.get(&format!("{THREADS}?tag=y")).await.expect(200)).is_empty());
    let hidden = restore(super::post_at(&post)).await.refused(409, "conflict");
    assert_eq!(hidden.detail, "its thread is deleted; restore that");
    let restored = restore(thread_at(&thread)).await.expect(200).json();
    assert_eq!((restored.get("deleted"), &restored["tags"]), (None, &json!(["x", "y"])));
    let tagged = items(&ada.get(&format!("{THREADS}?tag=y")).await.expect(200));
    assert_eq!(tagged[0]["id"], thread["id"]);
    // Each of these acts is on record, with who did it.
    let audit = format!(
        "SELECT action FROM audit WHERE record LIKE '%thread:{}%' ORDER BY action",
        id(&thread)
    );
    panel_harness::eventually("the acts are recorded", super::races::SOON, async || {
        let mut admin = forum.database.raw_sql("admin").await;
        let actions = admin.texts(&audit, 0).await.unwrap();
        let all = ["thread.create", "thread.delete", "thread.restore"];
        if actions == all { Ok(()) } else { Err(actions) }
    })
    .await;
}

async fn moderators_alone_act_on_threads(backend: Backend) {
    let forum = Forum::start(backend).await;
    let ada = forum.member("ada").await;
    let thread = forum.thread(&ada, "t").await;
    for (action, body) in [
        ("pin", json!({})),
        ("unpin", json!({})),
        ("lock", json!({})),
        ("unlock", json!({})),
        ("restore", json!({})),
        ("move", json!({"category_id": forum.category})),
        ("merge", json!({"into": thread["id"]})),
        ("split", json!({"post_ids": [], "title": "t"})),
    ] {
        act(&ada, &thread, action, body.clone()).await.refused(403, "forbidden");
        let path = format!("{}/{action}", thread_at(&thread));
        forum.node.client().post(&path).json(&body).await.refused(401, "unauthorized");
        let nowhere = format!("{THREADS}/0000000000009/{action}");
        let nowhere = forum.admin.post(&nowhere).json(&body).await;
        assert!(matches!(nowhere.status.as_u16(), 404 | 422), "{action}: {nowhere:?}");
    }
}
