//! What becomes of an article's thread because of what becomes of the article, and of the thread.

use panel_harness::{Backend, Client, eventually, on_both_databases};
use serde_json::{Value, json};

use super::{SOON, Site, bodies, comments, page, said, thread};
use crate::cms::{at, patch, took};

on_both_databases!(
    the_thread_follows_the_article_until_somebody_changes_it,
    a_thread_goes_with_its_article_and_comes_back_with_it,
    what_moderators_have_done_stays,
    comments_follow_a_thread_that_is_merged,
    a_category_that_fewer_may_read_shows_nothing_to_others,
);

/// Waits until the forum has heard what there was to tell until now: it hears of one thing after the other.
async fn heard(site: &Site) {
    site.discussed(json!({"title": "The last"})).await;
}

async fn read(client: &Client, discussion: &Value) -> Value {
    client.get(&thread(discussion)).await.expect(200).json()
}

async fn opening(client: &Client, discussion: &Value) -> Value {
    let posts = format!("{}/posts?limit=1", thread(discussion));
    client.get(&posts).await.expect(200).json()["items"][0].clone()
}

async fn the_thread_follows_the_article_until_somebody_changes_it(backend: Backend) {
    let site = Site::start(backend).await;
    let (article, discussion) = site.discussed(json!({"title": "One", "excerpt": "First."})).await;
    let before = opening(&site.bob, &discussion).await;
    let article =
        patch(&site.eve, &article, json!({"title": "Two", "excerpt": "Second."})).await.expect(200);
    let article = article.json();
    let found = eventually("the thread is called so", SOON, async || {
        let found = read(&site.bob, &discussion).await;
        if found["title"] == "Two" { Ok(found) } else { Err(found) }
    })
    .await;
    assert_eq!(found["slug"], "two");
    let after = opening(&site.bob, &discussion).await;
    assert!(after["body"].as_str().unwrap().contains("Second"), "{after}");
    assert_eq!((&after["id"], &after["edited_at"]), (&before["id"], &Value::Null));
    // What is found is what it is called now.
    eventually("it is found", SOON, async || {
        let found = site.client().get("/api/v2/forum/search?q=second").await.expect(200).json();
        if found["items"].as_array().unwrap().len() == 1 { Ok(()) } else { Err(found) }
    })
    .await;
    // Its author has something to add, and a moderator calls it something else.
    let post = format!("{}/{}", super::FORUM_POSTS, after["id"].as_str().unwrap());
    site.ann.patch(&post).json(&json!({"body": "My own words."})).await.expect(200);
    site.eve.patch(&thread(&discussion)).json(&json!({"title": "Mine"})).await.expect(200);
    patch(&site.eve, &article, json!({"title": "Three", "excerpt": "Third."})).await.expect(200);
    heard(&site).await;
    assert_eq!(read(&site.bob, &discussion).await["title"], "Mine");
    assert_eq!(opening(&site.bob, &discussion).await["body"], "My own words.");
    site.rig.shutdown().await;
}

async fn a_thread_goes_with_its_article_and_comes_back_with_it(backend: Backend) {
    let site = Site::start(backend).await;
    let (article, discussion) = site.discussed(json!({"title": "One"})).await;
    said(&site.bob, &article, "Words.").await;
    site.client().get(page(&article)).await.expect(200);
    let draft = took(&site.eve, &article, "unpublish").await;
    eventually("the thread is gone", SOON, async || {
        let answer = site.client().get(&thread(&discussion)).await;
        if answer.status == 404 { Ok(()) } else { Err(answer) }
    })
    .await;
    site.client().get(page(&article)).await.expect(404);
    let listed = site.client().get("/api/v2/forum/threads").await.expect(200).json();
    assert_eq!(listed["items"], json!([]));
    let again = took(&site.eve, &draft, "publish").await;
    assert_eq!(site.discussion(&again).await["id"], discussion["id"]);
    let listed = site.client().get(&comments(&again)).await.expect(200).json();
    assert_eq!(bodies(&listed), ["Words."]);
    // Deleted, it goes as well; and taken back, it is a draft.
    let version = format!("\"{}\"", again["version"]);
    site.eve.delete(&at(&again)).header("if-match", &version).await.expect(204);
    eventually("the thread is gone again", SOON, async || {
        let answer = site.client().get(&thread(&discussion)).await;
        if answer.status == 404 { Ok(()) } else { Err(answer) }
    })
    .await;
    let back = site.eve.post(&format!("{}/restore", at(&again))).await.expect(200).json();
    let back = took(&site.eve, &back, "publish").await;
    assert_eq!(site.discussion(&back).await["id"], discussion["id"]);
    // What wants no comments by then does not bring it back.
    let draft = took(&site.eve, &back, "unpublish").await;
    let draft = patch(&site.eve, &draft, json!({"comments": false})).await.expect(200).json();
    took(&site.eve, &draft, "publish").await;
    heard(&site).await;
    site.client().get(&thread(&discussion)).await.expect(404);
    site.rig.shutdown().await;
}

async fn what_moderators_have_done_stays(backend: Backend) {
    let site = Site::start(backend).await;
    let (article, discussion) = site.discussed(json!({"title": "One"})).await;
    site.client().get(page(&article)).await.expect(200);
    site.eve.delete(&thread(&discussion)).await.expect(204);
    // At once: what is kept of the page has it no more.
    let html = site.client().get(page(&article)).await.expect(200).text();
    assert!(html.contains("Nobody can comment yet."), "{html}");
    let listed = site.eve.get(&comments(&article)).await.expect(200).json();
    assert_eq!((&listed["discussion"], &listed["items"]), (&Value::Null, &json!([])));
    let words = json!({"body": "Words."});
    site.bob.post(&comments(&article)).json(&words).await.refused(404, "not_found");
    let draft = took(&site.eve, &article, "unpublish").await;
    let again = took(&site.eve, &draft, "publish").await;
    heard(&site).await;
    site.client().get(&thread(&discussion)).await.expect(404);
    // A moderator thinks better of it.
    site.eve.post(&format!("{}/restore", thread(&discussion))).await.expect(200);
    said(&site.bob, &again, "Words.").await;
    let html = site.client().get(page(&again)).await.expect(200).text();
    assert!(html.contains("Words."), "{html}");
    site.rig.shutdown().await;
}

async fn comments_follow_a_thread_that_is_merged(backend: Backend) {
    let site = Site::start(backend).await;
    let (article, discussion) = site.discussed(json!({"title": "One"})).await;
    said(&site.bob, &article, "Before.").await;
    site.client().get(page(&article)).await.expect(200);
    let (_, into) = site.discussed(json!({"title": "Two"})).await;
    let reply = json!({"body": "Not about it."});
    site.ann.post(&format!("{}/posts", thread(&into))).json(&reply).await.expect(201);
    let merge = json!({"into": into["id"]});
    site.eve.post(&format!("{}/merge", thread(&discussion))).json(&merge).await.expect(200);
    let listed = site.client().get(&comments(&article)).await.expect(200).json();
    assert_eq!(bodies(&listed), ["Before."]);
    assert_eq!(listed["discussion"]["id"], into["id"]);
    said(&site.bob, &article, "After.").await;
    let html = site.client().get(page(&article)).await.expect(200).text();
    assert!(html.contains("Before.") && html.contains("After."), "{html}");
    assert!(!html.contains("Not about it."), "{html}");
    // The thread is the other article's: it does not go with this one, and is not called after it.
    let renamed = patch(&site.eve, &article, json!({"title": "Three"})).await.expect(200).json();
    took(&site.eve, &renamed, "unpublish").await;
    heard(&site).await;
    assert_eq!(read(&site.bob, &into).await["title"], "Two");
    site.rig.shutdown().await;
}

async fn a_category_that_fewer_may_read_shows_nothing_to_others(backend: Backend) {
    let site = Site::start(backend).await;
    let (article, discussion) = site.discussed(json!({"title": "One"})).await;
    said(&site.bob, &article, "Words.").await;
    assert!(site.client().get(page(&article)).await.expect(200).text().contains("Words."));
    let category = read(&site.eve, &discussion).await["category_id"].clone();
    let category = format!("/api/v2/forum/categories/{}", category.as_str().unwrap());
    site.eve.patch(&category).json(&json!({"read_role": "user"})).await.expect(200);
    let html = site.client().get(page(&article)).await.expect(200).text();
    assert!(!html.contains("Words."), "{html}");
    let html = site.bob.get(page(&article)).await.expect(200);
    assert!(html.text().contains("Words."));
    assert!(html.header("cache-control").is_none_or(|said| !said.contains("public")));
    site.rig.shutdown().await;
}
