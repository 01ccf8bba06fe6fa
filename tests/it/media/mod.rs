//! Pictures that people send, over HTTP, on both databases.

mod failing;
mod keeping;
mod progress;
mod refusing;
mod sending;

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use image::RgbImage;
use panel_harness::{Answer, Backend, Client, Rig, RigBuilder, eventually, new_id};
use panel_kernel::ids::{Id, hex};
use panel_kernel::role::Role;
use panel_kernel::time::{Clock, Timestamp};
use serde_json::{Value, json};

use crate::deaths::configured;
use crate::uploads::keys;

const MEDIA: &str = "/api/v2/cms/media";
const SOON: Duration = Duration::from_secs(20);

/// A service, and who works with it.
struct Library {
    rig: Rig,
    clock: Clock,
    ids: [Id; 2],
    /// A moderator.
    eve: Client,
    /// Who writes.
    ann: Client,
}

impl Library {
    async fn start(backend: Backend) -> Self {
        Self::with(backend, json!({})).await
    }

    /// With these settings of pictures.
    async fn with(backend: Backend, media: Value) -> Self {
        let mut settings = json!({"workers": 2});
        for (key, value) in media.as_object().unwrap() {
            settings[key] = value.clone();
        }
        let spec = configured(&panel_cms::SERVICE, json!({"media": settings}));
        let clock = Clock::manual(Timestamp::from_seconds(1_800_000_000));
        let builder = RigBuilder::new(backend.database().await).clock(clock.clone());
        let rig = Box::pin(builder.service(spec).start()).await;
        let ids = [new_id(), new_id()];
        let [eve, ann] = signed_in(&rig, ids);
        Self { rig, clock, ids, eve, ann }
    }

    /// So much later, signed in again, and whatever nobody has by then was looked for.
    async fn later(&mut self, time: Duration) {
        self.clock.advance(time);
        [self.eve, self.ann] = signed_in(&self.rig, self.ids);
        self.swept().await;
    }

    /// Waits for a round of the sweeper that begins after this: what goes last in it is gone.
    async fn swept(&self) {
        let last = "INSERT INTO assets (id, state, since) VALUES (1, 'going', 9000000000000000)";
        self.rig.raw_sql("cms").await.run(last).await;
        self.rig.kill("cms/media/sweeper").await;
        eventually("the sweeper was there", SOON, async || {
            let mut sql = self.rig.raw_sql("cms").await;
            let left = sql.texts("SELECT state FROM assets WHERE id = 1", 0).await.unwrap();
            if left.is_empty() { Ok(()) } else { Err(left) }
        })
        .await;
    }

    /// The files that there are, but for those of pictures that are shown.
    async fn other_files(&self) -> Vec<String> {
        let mut keys = keys(&self.rig).await;
        let mut sql = self.rig.raw_sql("cms").await;
        let kept = "SELECT CAST(id AS TEXT) FROM assets WHERE state = 'kept'";
        for id in sql.texts(kept, 0).await.unwrap() {
            let id = Id::from_raw(id.parse().unwrap());
            keys.retain(|key| !key.starts_with(&format!("media/{id}/")));
        }
        keys
    }

    /// How what is kept of pictures is, the oldest first.
    async fn assets(&self) -> Vec<String> {
        let mut sql = self.rig.raw_sql("cms").await;
        sql.texts("SELECT state FROM assets ORDER BY id", 0).await.unwrap()
    }

    /// What became of pictures that were sent.
    fn outcome(&self, outcome: &str) -> u64 {
        let labels = [("service", "cms"), ("outcome", outcome)];
        self.rig.metrics().count("panel_pictures_total", &labels)
    }
}

fn signed_in(rig: &Rig, [eve, ann]: [Id; 2]) -> [Client; 2] {
    [(eve, Role::Moderator), (ann, Role::Premium)].map(|(id, role)| {
        let token = rig.probe.issuer.token(&rig.runtime, id, role);
        rig.client().with_header("authorization", &format!("Bearer {token}"))
    })
}

async fn sent(by: &Client, file: &[u8]) -> Answer {
    by.post(MEDIA).body("image/jpeg", file.to_vec()).await
}

async fn kept(by: &Client, file: &[u8]) -> Value {
    sent(by, file).await.expect(201).json()
}

fn at(media: &Value) -> String {
    format!("{MEDIA}/{}", media["id"].as_str().unwrap())
}

fn url(file: &Value) -> &str {
    file["url"].as_str().unwrap()
}

/// A picture with something on it, and another for each number.
fn scene(width: u32, height: u32, number: u8) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let light = u8::try_from(255 - 100 * y / height).unwrap();
        if x < width / 2 { [light, 20, number] } else { [20, number, light] }.into()
    })
}

fn sha256(file: &[u8]) -> String {
    hex(digest(&SHA256, file).as_ref())
}

/// A form with these parts: their heads, and what is in them.
fn form(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut form = Vec::new();
    for (head, content) in parts {
        form.extend(format!("--B\r\nContent-Disposition: form-data; {head}\r\n\r\n").bytes());
        form.extend_from_slice(content);
        form.extend(b"\r\n");
    }
    form.extend(b"--B--\r\n");
    form
}

async fn sent_as_form(by: &Client, parts: &[(&str, &[u8])]) -> Answer {
    by.post(MEDIA).body("multipart/form-data; boundary=B", form(parts)).await
}
