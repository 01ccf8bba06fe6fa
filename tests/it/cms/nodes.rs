//! Articles on several nodes.

use std::time::Duration;

use panel_harness::{Cluster, eventually};
use serde_json::json;

use super::{POSTS, at};

/// What a schedule may be late by: a second, and what a busy machine puts to it.
const SOON: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_scheduled_appears_once_although_the_node_dies_that_was_asked() {
    let builder = Cluster::builder().await.node("n1", "gateway,auth").node("n2", "cms");
    let mut cluster = builder.node("n3", "cms,admin,forum").start().await;
    let eve = cluster.node("n1").admin("eve").await;
    let mut articles = Vec::new();
    let due = panel_kernel::time::Clock::system().now().plus(Duration::from_secs(3));
    for n in 0..5 {
        let draft = eve.post(POSTS).json(&json!({"title": format!("a{n}")})).await;
        let draft = draft.expect(201).json();
        let schedule = eve.post(&format!("{}/schedule", at(&draft))).header("if-match", "\"1\"");
        schedule.json(&json!({"publish_at": due})).await.expect(200);
        articles.push(draft);
    }
    cluster.node_mut("n2").kill9();
    let client = cluster.client("n1");
    for article in &articles {
        let public = eventually("it is published", SOON, async || {
            let answer = client.get(&at(article)).await;
            if answer.status == 200 { Ok(answer.json()) } else { Err(answer) }
        })
        .await;
        // Draft, scheduled, published: once.
        assert_eq!(public["version"], 3);
        assert_eq!(public["published_at"], json!(due));
    }
}
