//! Articles, over HTTP, on both databases.

mod authors;
mod importing;
mod languages;
mod lists;
mod menus;
mod moving_pictures;
mod nodes;
mod pages;
mod previews;
mod revisions;
mod scheduling;
mod searching;
mod terms;
mod transfer;
mod workflow;
mod writing;

use panel_harness::{Answer, Backend, Client, Rig, RigBuilder};
use panel_kernel::role::Role;
use panel_kernel::time::{Clock, Timestamp};
use serde_json::{Value, json};

use crate::deaths::configured;

pub(crate) const POSTS: &str = "/api/v2/cms/posts";
const PAGES: &str = "/api/v2/cms/pages";
const CATEGORIES: &str = "/api/v2/cms/categories";

/// A service, and who works with it.
struct Cms {
    rig: Rig,
    clock: Clock,
    /// An editor.
    eve: Client,
    /// Who writes.
    ann: Client,
}

impl Cms {
    async fn start(backend: Backend) -> Self {
        let spec = configured(&panel_cms::SERVICE, json!({}));
        let clock = Clock::manual(Timestamp::from_seconds(1_800_000_000));
        let builder = RigBuilder::new(backend.database().await).clock(clock.clone());
        let rig = Box::pin(builder.service(spec).start()).await;
        // Whoever signs in is somebody else.
        let (eve, ann) = (rig.signed_in(Role::Moderator), rig.signed_in(Role::Premium));
        Self { rig, clock, eve, ann }
    }

    fn client(&self) -> Client {
        self.rig.client()
    }
}

pub(crate) fn at(article: &Value) -> String {
    format!("{POSTS}/{}", article["id"].as_str().unwrap())
}

pub(crate) async fn begun(by: &Client, article: Value) -> Value {
    by.post(POSTS).json(&article).await.expect(201).json()
}

/// Takes a step with what is there now.
async fn step(by: &Client, article: &Value, name: &str) -> Answer {
    let version = format!("\"{}\"", article["version"]);
    by.post(&format!("{}/{name}", at(article))).header("if-match", &version).await
}

pub(crate) async fn took(by: &Client, article: &Value, name: &str) -> Value {
    step(by, article, name).await.expect(200).json()
}

pub(crate) async fn patch(by: &Client, article: &Value, change: Value) -> Answer {
    let version = format!("\"{}\"", article["version"]);
    by.patch(&at(article)).header("if-match", &version).json(&change).await
}

pub(crate) async fn published(by: &Client, article: Value) -> Value {
    let article = begun(by, article).await;
    took(by, &article, "publish").await
}

fn slugs(listing: &Value) -> Vec<&str> {
    let items = listing["items"].as_array().unwrap();
    items.iter().map(|item| item["slug"].as_str().unwrap()).collect()
}

fn post(title: &str) -> Value {
    json!({"title": title, "body": format!("The text of *{title}*.")})
}
