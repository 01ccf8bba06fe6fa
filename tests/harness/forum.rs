//! A thread to write in.

use panel_kernel::ids::random_hex;
use serde_json::{Value, json};

use crate::http::{Client, RequestBuilder};
use crate::session::Session;

const CATEGORIES: &str = "/api/v2/forum/categories";
const THREADS: &str = "/api/v2/forum/threads";

/// A thread in a category of its own.
#[derive(Clone, Debug)]
pub struct Thread {
    /// `/api/v2/forum/threads/<id>`.
    pub path: String,
    /// `/api/v2/forum/threads/<id>/posts`.
    pub posts: String,
}

impl Thread {
    /// Opened by a moderator, whose category it is in; with an opening post `first`.
    pub async fn open(moderator: &Session) -> Self {
        let name = format!("Category of {}", moderator.username);
        let category = moderator.post(CATEGORIES).json(&json!({"name": name})).await.expect(201);
        let thread = json!({
            "category_id": category.json()["id"], "title": "Thread", "body": "first",
        });
        let made = moderator.post(THREADS).json(&thread).await.expect(201).json();
        let path = format!("{THREADS}/{}", made["id"].as_str().unwrap());
        Self { posts: format!("{path}/posts"), path }
    }

    /// As far as it is known without reading it: its `id`.
    #[must_use]
    pub fn value(&self) -> Value {
        json!({"id": self.path.rsplit('/').next()})
    }

    /// A reply, not yet sent.
    pub fn reply(&self, by: &Session, body: &str) -> RequestBuilder {
        by.post(&self.posts).json(&json!({"body": body}))
    }

    /// The thread as everybody sees it.
    pub async fn read(&self, client: &Client) -> Value {
        client.get(&self.path).await.expect(200).json()
    }

    /// All its posts, in order, over all pages, as the service has them: what the edge keeps may be a
    /// second old, and nobody else asks under these addresses.
    ///
    /// # Panics
    /// If their numbers have a gap.
    pub async fn all(&self, client: &Client) -> Vec<Value> {
        let mut found: Vec<Value> = Vec::new();
        let first = format!("{}?limit=100&reading={}", self.posts, random_hex());
        let mut page = first.clone();
        loop {
            let mut listing = client.get(&page).await.expect(200).json();
            found.append(listing["items"].as_array_mut().unwrap());
            let Some(cursor) = listing["next_cursor"].as_str() else { break };
            page = format!("{first}&cursor={cursor}");
        }
        for (post, number) in found.iter().zip(1_u64..) {
            assert_eq!(post["number"], number, "{post}");
        }
        found
    }

    /// The texts of all its posts, in order.
    pub async fn bodies(&self, client: &Client) -> Vec<String> {
        let posts = self.all(client).await;
        posts.iter().map(|post| post["body"].as_str().unwrap().to_owned()).collect()
    }
}
