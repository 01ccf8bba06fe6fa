//! Who can say something about an article, and who is refused.

use futures::future::join_all;
use panel_harness::{Backend, on_both_databases};
use serde_json::json;

use super::{Site, bodies, comments, said, thread};
use crate::cms::{POSTS, begun, patch};

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
