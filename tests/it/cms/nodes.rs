//! Articles on several nodes.

use std::time::Duration;

use futures::future::join_all;
use panel_harness::{Backend, Cluster, Node, eventually, on_both_databases};
use serde_json::json;

use super::{POSTS, at};

/// Long enough for five requests of a busy machine.
const AHEAD: Duration = Duration::from_secs(6);
/// Until then, and what a busy machine puts to the second that it may be late.
const SOON: Duration = Duration::from_secs(26);

on_both_databases!(an_author_is_called_as_they_are_called);

async fn an_author_is_called_as_they_are_called(backend: Backend) {
    let database = backend.database().await;
    let node = Node::builder().database(&database).start().await;
    let root = node.admin("root").await;
    let draft = root.post(POSTS).json(&json!({"title": "a", "body": "b"})).await.expect(201);
    let draft = draft.json();
    let publish = root.post(&format!("{}/publish", at(&draft))).header("if-match", "\"1\"");
    publish.await.expect(200);
    let edit = root.patch(&at(&draft)).header("if-match", "\"2\"").json(&json!({"body": "c"}));
    edit.await.expect(200);
    let name = json!({"display_name": "Grace"});
    root.patch("/api/v2/auth/profile").json(&name).await.expect(200);
    eventually("it is shown under the new name", SOON, async || {
        let read = root.get(&at(&draft)).await.expect(200).json();
        let listed = node.client().get(POSTS).await.expect(200).json();
        let revision = root.get(&format!("{}/revisions/1", at(&draft))).await.expect(200).json();
        let names = [
            &read["author"]["name"],
            &read["edited_by"]["name"],
            &listed["items"][0]["author"]["name"],
            &revision["editor"]["name"],
        ];
        if names == ["Grace"; 4] { Ok(()) } else { Err(json!(names)) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_scheduled_appears_once_although_the_node_dies_that_was_asked() {
    let builder = Cluster::builder().await.node("n1", "gateway,auth").node("n2", "cms");
    let mut cluster = builder.node("n3", "cms,admin,forum").start().await;
    let eve = cluster.node("n1").admin("eve").await;
    let mut articles = Vec::new();
    for n in 0..5 {
        let draft = eve.post(POSTS).json(&json!({"title": format!("a{n}")})).await;
        articles.push(draft.expect(201).json());
    }
    let due = panel_kernel::time::Clock::system().now().plus(AHEAD);
    join_all(articles.iter().map(async |draft| {
        let schedule = eve.post(&format!("{}/schedule", at(draft))).header("if-match", "\"1\"");
        schedule.json(&json!({"publish_at": due})).await.expect(200);
    }))
    .await;
    cluster.node_mut("n2").kill9();
    assert!(panel_kernel::time::Clock::system().now() < due, "it was killed before");
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
