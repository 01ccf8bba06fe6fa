//! Who can say something about an article, and who is refused.

use std::time::{Duration, Instant};

use futures::future::join_all;
use panel_harness::{Backend, RigBuilder, on_both_databases};
use serde_json::json;

use super::{Site, bodies, comments, said, thread};
use crate::cms::{POSTS, begun, patch, took};

on_both_databases!(
    what_is_refused_says_why,
    what_is_said_twice_under_one_key_is_said_once,
    what_the_forum_holds_or_forbids_holds_here,
    many_at_once_are_answered_and_who_is_not_makes_nothing_old,
);

async fn what_is_refused_says_why(backend: Backend) {
    let site = Site::start(backend).await;
    let words = json!({"body": "Words."});
    let wants = json!({"title": "a", "comments": true});
    let draft = begun(&site.ann, wants).await;
    assert_eq!(draft["comments"], true);
    // As long as it is not published, nobody discusses it; and nobody else knows of it.
    site.ann.post(&comments(&draft)).json(&words).await.refused(409, "conflict");
    site.ann.get(&comments(&draft)).await.refused(409, "conflict");
    site.bob.post(&comments(&draft)).json(&words).await.refused(404, "not_found");
    let (article, discussion) = site.discussed(json!({"title": "b"})).await;
    site.client().post(&comments(&article)).json(&words).await.refused(401, "unauthorized");
    for bad in [json!({"body": ""}), json!({"body": "x", "reply_to": "0123456789abc"})] {
        site.bob.post(&comments(&article)).json(&bad).await.refused(422, "validation");
    }
    let more = json!({"body": "x", "quote": null});
    site.bob.post(&comments(&article)).json(&more).await.refused(422, "validation");
    site.bob.get(&format!("{POSTS}/none/comments")).await.refused(404, "not_found");
    // Moderators alone go on in what is locked.
    site.eve.post(&format!("{}/lock", thread(&discussion))).await.expect(200);
    site.bob.post(&comments(&article)).json(&words).await.refused(403, "forbidden");
    said(&site.eve, &article, "The last word.").await;
    let listed = site.client().get(&comments(&article)).await.expect(200).json();
    assert_eq!(listed["discussion"]["locked"], true);
    // Pages take none.
    let page = json!({"title": "p", "comments": true});
    let problem = site.eve.post("/api/v2/cms/pages").json(&page).await.refused(422, "validation");
    assert_eq!(problem.errors[0].field, "comments");
    let page = site.eve.post("/api/v2/cms/pages").json(&json!({"title": "p"})).await.expect(201);
    let at = format!("/api/v2/cms/pages/{}", page.json()["id"].as_str().unwrap());
    let wants = site.eve.patch(&at).header("if-match", "\"1\"").json(&json!({"comments": true}));
    wants.await.refused(422, "validation");
    // Where the author has thought better of it, what was said stays in the forum.
    patch(&site.eve, &article, json!({"comments": false})).await.expect(200);
    site.bob.get(&comments(&article)).await.refused(409, "conflict");
    site.client().get(&thread(&discussion)).await.expect(200);
    site.rig.shutdown().await;
}

async fn what_is_said_twice_under_one_key_is_said_once(backend: Backend) {
    let site = Site::start(backend).await;
    let (article, _) = site.discussed(json!({"title": "a"})).await;
    let say = async |key: &str, body: &str| {
        let say = site.bob.post(&comments(&article)).header("idempotency-key", key);
        say.json(&json!({"body": body})).await
    };
    let first = say("one", "Once.").await.expect(201);
    let again = say("one", "Once.").await.expect(201);
    assert_eq!(first.json(), again.json());
    say("one", "Something else.").await.refused(422, "idempotency_mismatch");
    say("two", "Twice.").await.expect(201);
    let listed = site.bob.get(&comments(&article)).await.expect(200).json();
    assert_eq!(bodies(&listed), ["Once.", "Twice."]);
    site.rig.shutdown().await;
}

async fn what_the_forum_holds_or_forbids_holds_here(backend: Backend) {
    let site = Site::start(backend).await;
    let (article, _) = site.discussed(json!({"title": "a"})).await;
    let comment = said(&site.bob, &article, "Spam.").await;
    // Hidden by a moderator, it is not shown with the article either.
    let flags = format!("{}/{}/flags", super::FORUM_POSTS, comment["id"].as_str().unwrap());
    site.ann.post(&flags).json(&json!({"reason": "spam"})).await.expect(201);
    let queue = site.eve.get("/api/v2/forum/moderation/queue").await.expect(200).json();
    let item = queue["items"][0]["id"].as_str().unwrap();
    site.client().get(&comments(&article)).await.expect(200);
    site.client().get(super::page(&article)).await.expect(200);
    site.eve.post(&format!("/api/v2/forum/moderation/queue/{item}/hide")).await.expect(200);
    let listed = site.client().get(&comments(&article)).await.expect(200).json();
    assert_eq!(bodies(&listed), [""]);
    let html = site.client().get(super::page(&article)).await.expect(200).text();
    assert!(!html.contains("Spam."), "{html}");
    // Who is banned from the forum says nothing here.
    let banned = comment["author"]["id"].as_str().unwrap();
    let ban = json!({"user_id": banned, "kind": "ban", "reason": "Spam."});
    site.eve.post("/api/v2/forum/moderation/bans").json(&ban).await.expect(201);
    let words = json!({"body": "More."});
    site.bob.post(&comments(&article)).json(&words).await.refused(403, "forbidden");
    site.rig.shutdown().await;
}

async fn many_at_once_are_answered_and_who_is_not_makes_nothing_old(backend: Backend) {
    let site = Site::start(backend).await;
    let (article, _) = site.discussed(json!({"title": "a"})).await;
    let listed = join_all((0..40).map(async |_| site.bob.get(&comments(&article)).await)).await;
    assert!(listed.iter().all(|answer| answer.status == 200), "{listed:?}");
    let (other, _) = site.discussed(json!({"title": "b"})).await;
    let other = format!("{POSTS}/{}", other["slug"].as_str().unwrap());
    let kept = async || {
        let answer = site.client().get(&other).await.expect(200);
        answer.header("cache-status").unwrap().contains("hit")
    };
    kept().await;
    assert!(kept().await);
    site.rig.handle("forum").leave();
    let words = json!({"body": "Words."});
    site.bob.post(&comments(&article)).json(&words).await.refused(503, "unavailable");
    site.bob.post(&format!("{POSTS}/none/comments")).json(&words).await.refused(404, "not_found");
    assert!(kept().await);
    site.rig.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_many_wait_for_a_forum_that_hangs_articles_are_read() {
    let builder = RigBuilder::new(Backend::Postgres.database().await);
    let site = Site::with(builder, json!({"pool": {"workers": 8}})).await;
    let (article, _) = site.discussed(json!({"title": "a"})).await;
    let other = begun(&site.ann, json!({"title": "b"})).await;
    let other = took(&site.eve, &other, "publish").await;
    // Whoever asks where an article is discussed waits for this.
    let mut forum = site.rig.raw_sql("forum").await;
    forum.run("BEGIN").await;
    forum.run("LOCK TABLE discussions IN ACCESS EXCLUSIVE MODE").await;
    let asks = join_all((0..40_u32).map(async |n| {
        let asked = if n % 2 == 0 {
            site.bob.get(&comments(&article)).await
        } else {
            site.bob.post(&comments(&article)).json(&json!({"body": n.to_string()})).await
        };
        assert!(matches!(asked.status.as_u16(), 503 | 504), "{asked:?}");
    }));
    let reads = async {
        let began = Instant::now();
        for _ in 0..5 {
            site.bob.get(super::page(&other)).await.expect(200);
        }
        began.elapsed()
    };
    let (_, took) = tokio::join!(asks, reads);
    // All of the service's workers would wait for five seconds.
    assert!(took < Duration::from_secs(4), "{took:?}");
    forum.run("ROLLBACK").await;
    site.rig.shutdown().await;
}
