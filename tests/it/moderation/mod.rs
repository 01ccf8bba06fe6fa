//! Moderation of the forum, over HTTP, on both databases.

mod bans;
mod content_rules;
mod deciding;
mod flags;
mod log;
mod races;
mod ranks;
mod told_again;
mod trust;

use std::time::Duration;

use panel_harness::{Answer, Session, eventually};
use serde_json::{Value, json};

use crate::forum::{Forum, THREADS, id, posts};

const QUEUE: &str = "/api/v2/forum/moderation/queue";
const BANS: &str = "/api/v2/forum/moderation/bans";
/// For what the forum does by itself, and for what it is told.
const SOON: Duration = Duration::from_secs(10);
/// Everybody counts as known from the beginning.
const KNOWN: [(&str, &str); 2] =
    [("PANEL_FORUM__TRUST__KNOWN_AFTER", "0s"), ("PANEL_FORUM__TRUST__KNOWN_POSTS", "0")];

/// The address of a post.
fn post_at(post: &Value) -> String {
    format!("/api/v2/forum/posts/{}", id(post))
}

fn thread_at(thread: &Value) -> String {
    format!("{THREADS}/{}", id(thread))
}

async fn reply(by: &Session, thread: &Value, body: &str) -> Answer {
    by.post(&posts(thread)).json(&json!({"body": body})).await
}

/// Flags a post.
async fn flag(by: &Session, post: &Value) -> Answer {
    by.post(&format!("{}/flags", post_at(post))).json(&json!({"reason": "spam"})).await
}

/// The items of a list.
fn items(answer: &Answer) -> Vec<Value> {
    answer.json()["items"].as_array().unwrap().clone()
}

/// What is open in the queue.
async fn queue(by: &Session) -> Vec<Value> {
    items(&by.get(&format!("{QUEUE}?limit=100")).await.expect(200))
}

/// Does something about an item of the queue.
async fn act(by: &Session, item: &Value, action: &str, body: Value) -> Answer {
    by.post(&format!("{QUEUE}/{}/{action}", id(item))).json(&body).await
}

/// A member of staff, whom the forum knows as that.
async fn staff(forum: &Forum, name: &str, role: &str) -> Session {
    let session = forum.node.account(name, role).await;
    forum.knows(&session, role).await;
    session
}

/// What somebody else reads of a post in its thread.
async fn in_thread(by: &Session, thread: &Value, number: i64) -> Value {
    let from = format!("{}?from={number}&limit=1", posts(thread));
    items(&by.get(&from).await.expect(200)).remove(0)
}

/// Waits until a post is hidden.
async fn is_hidden(by: &Session, thread: &Value, number: i64) {
    eventually("the post is hidden", SOON, || async {
        in_thread(by, thread, number).await["hidden"] == true
    })
    .await;
}
