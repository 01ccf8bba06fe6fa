//! Articles, and a forum on another node that is gone, or hangs.

use std::time::{Duration, Instant};

use panel_harness::{Client, Cluster, eventually};
use serde_json::{Value, json};

use super::{FORUM_POSTS, SOON, comments, discussion, page, said};
use crate::cms::{POSTS, at};

/// A node for each, with two gateways, and an article about which something was said.
async fn cluster() -> (Cluster, Client, Value) {
    let builder = Cluster::builder().await.node("n1", "gateway,auth,admin");
    let cluster = builder.node("n2", "cms").node("n3", "forum").start().await;
    let eve = cluster.node("n1").admin("eve").await;
    let eve = eve.client.with_header("authorization", &format!("Bearer {}", eve.access_token));
    let wants = json!({"title": "Hello", "body": "The text.", "comments": true});
    let draft = eve.post(POSTS).json(&wants).await.expect(201).json();
    let publish = eve.post(&format!("{}/publish", at(&draft))).header("if-match", "\"1\"");
    let article = publish.await.expect(200).json();
    discussion(&eve, &article).await;
    (cluster, eve, article)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_article_is_read_without_the_forum_and_its_comments_come_back_with_it() {
    let (mut cluster, eve, article) = cluster().await;
    said(&eve, &article, "Something said.").await;
    let client = cluster.client("n1");
    let shown = client.get(page(&article)).await.expect(200);
    assert!(shown.text().contains("Something said."));
    cluster.node_mut("n3").kill9();
    let without = eventually("it is shown without", SOON, async || {
        let answer = client.get(page(&article)).await;
        let html = answer.text();
        let is_without = answer.status == 200 && html.contains("can’t be shown at the moment");
        if is_without { Ok(html) } else { Err(answer) }
    })
    .await;
    assert!(without.contains("The text.") && !without.contains("Something said."), "{without}");
    let refused = eve.get(&comments(&article)).await.refused(503, "unavailable");
    assert_eq!(refused.service.as_deref(), Some("forum"));
    let words = json!({"body": "More."});
    eve.post(&comments(&article)).json(&words).await.refused(503, "unavailable");
    cluster.node_mut("n3").restart().await;
    eventually("it is shown with its comments", SOON, async || {
        let answer = client.get(page(&article)).await;
        if answer.text().contains("Something said.") { Ok(()) } else { Err(answer) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forum_that_hangs_costs_a_reader_half_a_second_and_the_next_nothing() {
    let (cluster, _, article) = cluster().await;
    let client = cluster.client("n1");
    client.get(page(&article)).await.expect(200);
    cluster.node("n3").signal("STOP");
    let mut took = Vec::new();
    for _ in 0..10 {
        let began = Instant::now();
        client.get(page(&article)).await.expect(200);
        took.push(began.elapsed());
    }
    took.sort_unstable();
    // Who finds out waits; nobody else does, and nobody long.
    assert!(took[7] < Duration::from_millis(300), "{took:?}");
    assert!(took[9] < Duration::from_millis(1_500), "{took:?}");
    cluster.node("n3").signal("CONT");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_taken_back_does_not_come_back_while_the_cms_is_gone() {
    let (mut cluster, eve, article) = cluster().await;
    let comment = said(&eve, &article, "Something rash.").await;
    let client = cluster.client("n1");
    let other = json!({"title": "Other", "body": "b"});
    let other = eve.post(POSTS).json(&other).await.expect(201).json();
    let publish = eve.post(&format!("{}/publish", at(&other))).header("if-match", "\"1\"");
    let other = publish.await.expect(200).json();
    for _ in 0..2 {
        assert!(client.get(page(&article)).await.expect(200).text().contains("rash"));
        client.get(page(&other)).await.expect(200);
    }
    cluster.node_mut("n2").kill9();
    eventually("what was read stands in", SOON, async || {
        let answer = client.get(page(&other)).await;
        if answer.header("x-panel-stale").is_some() { Ok(()) } else { Err(answer) }
    })
    .await;
    let stale = client.get(page(&article)).await.expect(200);
    assert!(stale.text().contains("rash"), "{stale:?}");
    let post = format!("{}/{}", FORUM_POSTS, comment["id"].as_str().unwrap());
    eve.delete(&post).await.expect(204);
    eventually("it stands in no more", SOON, async || {
        let answer = client.get(page(&article)).await;
        if answer.status == 503 && !answer.text().contains("rash") { Ok(()) } else { Err(answer) }
    })
    .await;
    client.get(page(&other)).await.expect(200);
}
