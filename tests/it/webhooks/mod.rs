//! Servers of others that are told what becomes of articles, on both databases.

mod delivering;
mod failing;
mod guarding;
mod managing;
mod nodes;

use std::time::Duration;

use panel_harness::{Backend, Client, Receiver, Rig, RigBuilder, eventually};
use panel_kernel::ids::Id;
use panel_kernel::role::Role;
use panel_kernel::time::{Clock, Timestamp};
use serde_json::{Value, json};

use crate::cms::POSTS;
use crate::deaths::configured;

const WEBHOOKS: &str = "/api/v2/cms/webhooks";
const SOON: Duration = Duration::from_secs(20);
const HOUR: Duration = Duration::from_secs(3_600);

/// A service that tells webhooks, and who works with it.
struct Scene {
    rig: Rig,
    clock: Clock,
    /// An administrator.
    root: Client,
}

impl Scene {
    async fn start(backend: Backend) -> Self {
        Self::with(backend, json!({"allowed_networks": ["127.0.0.1"]})).await
    }

    /// With these settings of webhooks.
    async fn with(backend: Backend, settings: Value) -> Self {
        Self::at(backend, settings, Clock::manual(Timestamp::from_seconds(1_800_000_000))).await
    }

    async fn at(backend: Backend, settings: Value, clock: Clock) -> Self {
        let spec = configured(&panel_cms::SERVICE, json!({"webhooks": settings}));
        let builder = RigBuilder::new(backend.database().await).clock(clock.clone());
        let rig = Box::pin(builder.service(spec).start()).await;
        let root = rig.signed_in(Role::Admin);
        Self { rig, clock, root }
    }

    /// So much later, signed in anew.
    fn later(&mut self, time: Duration) {
        self.clock.advance(time);
        self.root = self.rig.signed_in(Role::Admin);
    }

    async fn shown(&self, webhook: &Value) -> Value {
        self.root.get(&at(webhook)).await.expect(200).json()
    }

    async fn deliveries(&self, webhook: &Value) -> Vec<Value> {
        let listed = self.root.get(&format!("{}/deliveries", at(webhook))).await.expect(200).json();
        listed["items"].as_array().unwrap().clone()
    }

    async fn detail(&self, webhook: &Value, delivery: &Value) -> Value {
        let id = delivery["id"].as_str().unwrap();
        self.root.get(&format!("{}/deliveries/{id}", at(webhook))).await.expect(200).json()
    }

    /// Waits until the only delivery is in this state after so many attempts; what there is of it.
    async fn delivery_is(&self, webhook: &Value, state: &str, attempts: u64) -> Value {
        let what = format!("the delivery is {state} after {attempts} attempts");
        eventually(&what, SOON, async || {
            let delivery = self.deliveries(webhook).await.pop().ok_or(json!("none"))?;
            let detail = self.detail(webhook, &delivery).await;
            let is_settled = detail["log"][0]["millis"] != Value::Null;
            let is_so = detail["state"] == state && detail["attempts"] == attempts;
            if is_so && is_settled { Ok(detail) } else { Err(detail) }
        })
        .await
    }

    async fn ping(&self, webhook: &Value) -> Value {
        self.root.post(&format!("{}/ping", at(webhook))).await.expect(202).json()
    }
}

fn at(webhook: &Value) -> String {
    format!("{WEBHOOKS}/{}", webhook["id"].as_str().unwrap())
}

/// One that is told these.
async fn made(by: &Client, url: &str, topics: Value) -> Value {
    by.post(WEBHOOKS).json(&json!({"url": url, "topics": topics})).await.expect(201).json()
}

/// One that takes everything, and its receiver.
async fn listening(scene: &Scene) -> (Receiver, Value) {
    let receiver = Receiver::start().await;
    let webhook = made(&scene.root, &receiver.url(), json!(["*"])).await;
    (receiver, webhook)
}

async fn published(by: &Client, title: &str) -> Value {
    let draft = by.post(POSTS).json(&json!({"title": title, "body": "text"})).await.expect(201);
    let draft = draft.json();
    step(by, &draft, "publish").await
}

async fn step(by: &Client, article: &Value, name: &str) -> Value {
    let path = format!("{POSTS}/{}/{name}", article["id"].as_str().unwrap());
    let version = format!("\"{}\"", article["version"]);
    by.post(&path).header("if-match", &version).await.expect(200).json()
}

/// The acts in the audit log, the oldest first.
async fn acts(rig: &Rig) -> Vec<Value> {
    let mut sql = rig.raw_sql("cms").await;
    let acts = "SELECT payload FROM outbox WHERE topic = 'audit' ORDER BY position";
    let acts = sql.texts(acts, 0).await.unwrap();
    acts.iter().map(|act| serde_json::from_str(act).unwrap()).collect()
}

fn id_of(thing: &Value) -> Id {
    thing["id"].as_str().unwrap().parse().unwrap()
}
