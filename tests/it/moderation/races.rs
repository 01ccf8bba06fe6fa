//! Many at once: whatever they do, nothing is counted twice, and nobody waits for ever.

use futures::future::join_all;
use panel_harness::{Backend, eventually, on_both_databases};
use serde_json::json;

use super::{KNOWN, QUEUE, SOON, flag, items, post_at, queue, reply, staff, thread_at};
use crate::forum::{Forum, id};

on_both_databases!(flags_and_decisions_at_once_agree, a_ban_stops_what_comes_after_it);

async fn flags_and_decisions_at_once_agree(backend: Backend) {
    let forum = Forum::configured(backend, &KNOWN).await;
    let ada = forum.member("ada").await;
    let moderator = staff(&forum, "mod1", "moderator").await;
    let mut people = Vec::new();
    for n in 0..6 {
        people.push(forum.member(&format!("user{n}")).await);
    }
    let thread = forum.thread(&forum.admin, "t").await;
    for round in 0..5 {
        let post = reply(&ada, &thread, &format!("round {round}")).await.expect(201).json();
        flag(&people[0], &post).await.expect(201);
        let item = queue(&moderator).await.remove(0);
        let path = format!("{QUEUE}/{}", id(&item));
        let flags = join_all(people[1..].iter().map(|person| flag(person, &post)));
        let decide = |by: &panel_harness::Session, action: &str| {
            by.post(&format!("{path}/{action}")).json(&json!({}))
        };
        let (approve, reject) = (decide(&moderator, "approve"), decide(&forum.admin, "reject"));
        let delete = ada.delete(&post_at(&post));
        let (flagged, approved, rejected, deleted) =
            tokio::join!(flags, async { approve.await }, async { reject.await }, async {
                delete.await
            });
        for answer in &flagged {
            assert!([201, 404, 409].contains(&answer.status.as_u16()), "{answer:?}");
        }
        let both = [approved.status.as_u16(), rejected.status.as_u16()];
        assert!(both.iter().all(|status| [200, 409, 503].contains(status)), "{both:?}");
        assert!(both.iter().filter(|status| **status == 200).count() <= 1, "{both:?}");
        assert!([204, 404, 503].contains(&deleted.status.as_u16()), "{deleted:?}");
        // Whatever came of it: what is left is decided, and the counts are those of what is there.
        for item in queue(&moderator).await {
            let path = format!("{QUEUE}/{}/reject", id(&item));
            eventually("it is rejected", SOON, || async {
                [200, 409].contains(&moderator.post(&path).await.status.as_u16())
            })
            .await;
        }
        let shown = items(&ada.get(&crate::forum::posts(&thread)).await.expect(200));
        let there = shown.iter().filter(|post| post["deleted"] != true).count() - 1;
        let thread = ada.get(&thread_at(&thread)).await.expect(200).json();
        assert_eq!(thread["reply_count"], there, "{shown:?}");
    }
    assert!(queue(&moderator).await.is_empty());
}

async fn a_ban_stops_what_comes_after_it(backend: Backend) {
    let forum = Forum::start(backend).await;
    let eve = forum.member("eve").await;
    let thread = forum.thread(&forum.admin, "t").await;
    let ban = json!({"user_id": eve.user_id, "kind": "ban", "reason": "r"});
    let writing = join_all((0..20).map(|n| {
        let (eve, thread) = (&eve, &thread);
        async move { reply(eve, thread, &n.to_string()).await }
    }));
    let banning = async { forum.admin.post(super::BANS).json(&ban).await };
    let (written, banned) = tokio::join!(writing, banning);
    banned.expect(201);
    for answer in &written {
        assert!([201, 403, 503].contains(&answer.status.as_u16()), "{answer:?}");
    }
    reply(&eve, &thread, "after").await.refused(403, "forbidden");
    let taken = written.iter().filter(|answer| answer.status == 201).count();
    let shown = eve.get(&thread_at(&thread)).await.expect(200).json();
    assert_eq!(shown["reply_count"], taken);
    let standing = eve.get("/api/v2/forum/standing").await.expect(200).json();
    assert_eq!(standing["post_count"], taken);
}
