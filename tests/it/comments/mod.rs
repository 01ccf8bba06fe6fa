//! Articles are discussed in the forum, and what is said there is shown with them.

mod following;
mod nodes;
mod saying;
mod showing;

use std::time::Duration;

use panel_harness::{Backend, Client, Rig, RigBuilder, eventually};
use panel_kernel::role::Role;
use panel_kernel::time::{Clock, Timestamp};
use serde_json::{Value, json};

use crate::cms::{POSTS, at, took};
use crate::deaths::configured;

const THREADS: &str = "/api/v2/forum/threads";
const FORUM_POSTS: &str = "/api/v2/forum/posts";
const SOON: Duration = Duration::from_secs(10);

/// The cms and the forum, and who works with them, on a clock that stands still: what a gateway keeps is fresh until
/// it is told that it is old.
struct Site {
    rig: Rig,
    /// An editor, and a moderator of the forum.
    eve: Client,
    /// Who writes.
    ann: Client,
    /// Who reads, and says something.
    bob: Client,
}

impl Site {
    async fn start(backend: Backend) -> Self {
        Self::of(RigBuilder::new(backend.database().await)).await
    }

    async fn of(builder: RigBuilder) -> Self {
        Self::with(builder, json!({})).await
    }

    /// With a cms that is configured so.
    async fn with(builder: RigBuilder, cms: Value) -> Self {
        let clock = Clock::manual(Timestamp::from_seconds(1_800_000_000));
        let builder = builder.clock(clock).service(configured(&panel_forum::SERVICE, json!({})));
        let rig = Box::pin(builder.service(configured(&panel_cms::SERVICE, cms)).start()).await;
        let [eve, ann, bob] =
            [Role::Moderator, Role::Premium, Role::User].map(|role| rig.signed_in(role));
        Self { rig, eve, ann, bob }
    }

    fn client(&self) -> Client {
        self.rig.client()
    }

    /// An article of Ann's that wants comments, published, with its thread.
    async fn discussed(&self, mut article: Value) -> (Value, Value) {
        article["comments"] = json!(true);
        let draft = self.ann.post(POSTS).json(&article).await.expect(201).json();
        let article = took(&self.eve, &draft, "publish").await;
        let discussion = self.discussion(&article).await;
        (article, discussion)
    }

    /// The thread of an article, when it is there.
    async fn discussion(&self, article: &Value) -> Value {
        discussion(&self.bob, article).await
    }
}

/// The thread of an article, when it is there for this reader.
async fn discussion(reader: &Client, article: &Value) -> Value {
    eventually("there is a thread", SOON, async || {
        let answer = reader.get(&comments(article)).await;
        let page = if answer.status == 200 { answer.json() } else { Value::Null };
        if page["discussion"].is_object() { Ok(page["discussion"].clone()) } else { Err(answer) }
    })
    .await
}

/// `/api/v2/cms/posts/<id>/comments`.
fn comments(article: &Value) -> String {
    format!("{}/comments", at(article))
}

/// `/blog/<slug>`.
fn page(article: &Value) -> &str {
    article["path"].as_str().unwrap()
}

fn thread(discussion: &Value) -> String {
    format!("{THREADS}/{}", discussion["id"].as_str().unwrap())
}

async fn said(by: &Client, article: &Value, body: &str) -> Value {
    by.post(&comments(article)).json(&json!({"body": body})).await.expect(201).json()
}

/// What comments say, deleted ones nothing.
fn bodies(page: &Value) -> Vec<&str> {
    let items = page["items"].as_array().unwrap();
    items.iter().map(|item| item["body"].as_str().unwrap()).collect()
}
