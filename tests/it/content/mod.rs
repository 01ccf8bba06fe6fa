//! What people do with threads and posts beside writing them, over HTTP, on both databases.

mod cursors;
mod feeds;
mod merging;
mod pages;
mod races;
mod reactions;
mod reading;
mod search;
mod texts;
mod thread_actions;

use panel_harness::{Answer, Session};
use serde_json::{Value, json};

use crate::forum::{Forum, THREADS, id, posts};

const POSTS: &str = "/api/v2/forum/posts";

/// The address of a thread.
fn thread_at(thread: &Value) -> String {
    format!("{THREADS}/{}", id(thread))
}

/// The address of a post.
fn post_at(post: &Value) -> String {
    format!("{POSTS}/{}", id(post))
}

/// Replies.
async fn reply(by: &Session, thread: &Value, body: &str) -> Value {
    by.post(&posts(thread)).json(&json!({"body": body})).await.expect(201).json()
}

/// Has something done to a thread.
async fn act(by: &Session, thread: &Value, action: &str, body: Value) -> Answer {
    by.post(&format!("{}/{action}", thread_at(thread))).json(&body).await
}

/// The items of a list.
fn items(answer: &Answer) -> Vec<Value> {
    answer.json()["items"].as_array().unwrap().clone()
}

/// A field of each of them.
fn each(items: &[Value], field: &str) -> Vec<String> {
    items.iter().map(|item| item[field].as_str().unwrap_or_default().to_owned()).collect()
}

/// All posts of a thread, as a moderator sees them.
async fn all_posts(forum: &Forum, thread: &Value) -> Vec<Value> {
    items(&forum.admin.get(&format!("{}?limit=100", posts(thread))).await.expect(200))
}
