//! What people are told, over HTTP, on both databases.

mod digests;
mod kept;
mod telling;

use std::time::Duration;

use panel_harness::{Answer, Session, eventually};
use serde_json::{Value, json};

use crate::forum::posts;

const NOTIFICATIONS: &str = "/api/v2/forum/notifications";
const SOON: Duration = Duration::from_secs(10);

fn items(answer: &Answer) -> Vec<Value> {
    answer.json()["items"].as_array().unwrap().clone()
}

/// What somebody was told, the latest first.
async fn told(session: &Session) -> Vec<Value> {
    items(&session.get(&format!("{NOTIFICATIONS}?limit=100")).await.expect(200))
}

/// Kinds and details of it, once there is as much.
async fn hears(session: &Session, wanted: &[(&str, &str)]) -> Vec<Value> {
    eventually(&format!("{} hears {wanted:?}", session.username), SOON, || async {
        let told = told(session).await;
        let kinds: Vec<(&str, &str)> = told
            .iter()
            .map(|it| (it["kind"].as_str().unwrap(), it["detail"].as_str().unwrap()))
            .collect();
        if kinds == wanted { Ok(told) } else { Err(format!("{kinds:?}")) }
    })
    .await
}

async fn write(by: &Session, thread: &Value, body: Value) -> Value {
    by.post(&posts(thread)).json(&body).await.expect(201).json()
}

async fn reply(by: &Session, thread: &Value, body: &str) -> Value {
    write(by, thread, json!({"body": body})).await
}
