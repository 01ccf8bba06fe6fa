//! What an operator finds in the log.

use std::time::Duration;

use panel_harness::{Node, eventually};
use serde_json::{Value, json};
use sqlx::{ConnectOptions as _, Executor as _};

/// Makes a table of the forum's vanish under a running node.
async fn lose_posts(node: &Node) {
    let file = node.data_dir().join("db/forum.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
    let mut conn = options.connect().await.unwrap();
    conn.execute("ALTER TABLE posts RENAME TO elsewhere").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_is_logged_under_the_id_its_answer_names() {
    let node = Node::start().await;
    let admin = node.admin("root").await;
    let category = admin.post("/api/v2/forum/categories").json(&json!({"name": "C"}));
    let category = category.await.expect(201).json()["id"].clone();
    let thread = json!({"category_id": category, "title": "T", "body": "first"});
    let thread = admin.post("/api/v2/forum/threads").json(&thread).await.expect(201).json();
    let posts = format!("/api/v2/forum/threads/{}/posts", thread["id"].as_str().unwrap());
    lose_posts(&node).await;
    let read = admin.get(&posts).header("x-request-id", "the-read").await;
    assert_eq!(read.refused(500, "internal").request_id, "the-read");
    let reply = json!({"body": "second"});
    let write = admin.post(&posts).header("x-request-id", "the-write").json(&reply).await;
    assert_eq!(write.refused(500, "internal").request_id, "the-write");
    for id in ["the-read", "the-write"] {
        let fault = |line: &Value| {
            line["request_id"] == id
                && line["level"] == "ERROR"
                && line["service"] == "forum"
                && line["why"].as_str().is_some_and(|why| why.contains("posts"))
        };
        eventually("the fault is in the log", Duration::from_secs(10), async || {
            node.log_json().iter().any(fault)
        })
        .await;
    }
}
