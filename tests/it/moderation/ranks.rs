//! Nobody acts against their own rank, or a higher one.

use panel_harness::{Backend, on_both_databases};
use serde_json::json;

use super::{BANS, act, flag, post_at, queue, reply, staff, thread_at};
use crate::forum::{Forum, id};

on_both_databases!(nobody_moderates_their_equals, a_new_rank_is_known_at_once);

async fn nobody_moderates_their_equals(backend: Backend) {
    let forum = Forum::start(backend).await;
    let (mod1, mod2) =
        (staff(&forum, "mod1", "moderator").await, staff(&forum, "mod2", "moderator").await);
    let boss = staff(&forum, "boss", "admin").await;
    let ada = forum.member("ada").await;
    let thread = forum.thread(&boss, "t").await;
    let of_mod2 = reply(&mod2, &thread, "by mod2").await.expect(201).json();
    let of_boss = reply(&boss, &thread, "by boss").await.expect(201).json();
    let of_ada = reply(&ada, &thread, "by ada").await.expect(201).json();
    let edit = json!({"body": "edited"});
    for post in [&of_mod2, &of_boss] {
        mod1.patch(&post_at(post)).json(&edit).await.refused(403, "forbidden");
        mod1.delete(&post_at(post)).await.refused(403, "forbidden");
        let revision = format!("{}/revisions/1", post_at(post));
        mod1.delete(&revision).await.refused(403, "forbidden");
        flag(&ada, post).await.expect(201);
    }
    mod1.patch(&thread_at(&thread)).json(&json!({"title": "x"})).await.refused(403, "forbidden");
    mod1.delete(&thread_at(&thread)).await.refused(403, "forbidden");
    for item in queue(&mod1).await {
        for action in ["approve", "reject", "hide"] {
            act(&mod1, &item, action, json!({})).await.refused(403, "forbidden");
        }
        // To talk about it is fine.
        act(&mod1, &item, "note", json!({"text": "boss?"})).await.expect(201);
    }
    for person in [&mod2, &boss, &forum.admin] {
        let ban = json!({"user_id": person.user_id, "kind": "ban", "reason": "r"});
        mod1.post(BANS).json(&ban).await.refused(403, "forbidden");
    }
    // Housekeeping is everybody's who moderates.
    mod1.post(&format!("{}/lock", thread_at(&thread))).await.expect(200);
    mod1.post(&format!("{}/unlock", thread_at(&thread))).await.expect(200);
    // Those below are theirs; and what a higher rank did stays done.
    mod1.patch(&post_at(&of_ada)).json(&edit).await.expect(200);
    boss.patch(&post_at(&of_mod2)).json(&edit).await.expect(200);
    boss.delete(&post_at(&of_ada)).await.expect(204);
    mod1.post(&format!("{}/restore", post_at(&of_ada))).await.refused(403, "forbidden");
    forum.admin.post(&format!("{}/restore", post_at(&of_ada))).await.expect(200);
    mod1.delete(&post_at(&of_ada)).await.expect(204);
    mod2.post(&format!("{}/restore", post_at(&of_ada))).await.expect(200);
    let ban = json!({"user_id": ada.user_id, "kind": "ban", "reason": "r"});
    let banned = boss.post(BANS).json(&ban).await.expect(201).json();
    mod1.delete(&format!("{BANS}/{}", id(&banned))).await.refused(403, "forbidden");
    // Nor does anybody decide about a ban of somebody above: whoever is banned by a moderator of equal rank.
    let banned = json!({"user_id": mod2.user_id, "kind": "silence", "reason": "r"});
    boss.post(BANS).json(&banned).await.expect(201);
    reply(&mod2, &thread, "x").await.refused(403, "forbidden");
}

async fn a_new_rank_is_known_at_once(backend: Backend) {
    let forum = Forum::start(backend).await;
    let ada = forum.member("ada").await;
    forum.knows(&ada, "user").await;
    let moderator = staff(&forum, "mod1", "moderator").await;
    let thread = forum.thread(&ada, "t").await;
    let role = json!({"role": "moderator"});
    let path = format!("/api/v2/admin/users/{}/role", ada.user_id);
    forum.admin.post(&path).json(&role).await.expect(200);
    forum.knows(&ada, "moderator").await;
    moderator.delete(&thread_at(&thread)).await.refused(403, "forbidden");
    forum.admin.post(&path).json(&json!({"role": "user"})).await.expect(200);
    forum.knows(&ada, "user").await;
    moderator.delete(&thread_at(&thread)).await.expect(204);
}
