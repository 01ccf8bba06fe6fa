//! Answers in Redis, for all gateways: for while a service can't be asked, and this gateway has not read what it is
//! asked for, or not since it began.
//!
//! No request waits for Redis while there is a service to ask. What is kept is put there every ten seconds at most, by
//! a task of its own ([`Sharer`]); what it has no time for is left out. It is sealed with the cluster's key, so that
//! Redis learns nothing and nobody but gateways can put words there. It takes `gateway.cache.redis_bytes`, of which
//! what was put there longest ago makes room; and no more than a day.
//!
//! What is gone must be gone there as well: services stamp that ([`stamps`]), and an answer is believed
//! only if it was asked for after the last stamp of each of its tags, and this gateway has never been told that one
//! of them was gone.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use panel_kernel::ids::hex;
use panel_kernel::keys::{SealingKey, sha256};
use panel_kernel::purge::stamps;
use panel_kernel::redis::{Cmd, Redis, RedisHealth, cmd};
use panel_kernel::service::Runtime;
use panel_kernel::supervision::ChildSpec;
use panel_kernel::time::Timestamp;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::control::Lifetime;
use super::kept::Kept;
use super::marks::Marks;
use super::question::Question;
use crate::compression::Variants;
use crate::tags::Tags;

/// The form in which answers lie there.
const VERSION: u32 = 2;
/// The largest of them, in bytes of content.
const LARGEST: usize = 64 * 1024;
/// Between two times that the same is put there.
const EVERY: Duration = Duration::from_secs(10);
/// Answers that wait to be put there.
const MOST_WAITING: usize = 256;
/// What one costs there beside its bytes, about.
const OVERHEAD: usize = 400;

/// Puts one there, and makes room. KEYS: the answer; the order in which they came, their sizes, and the sum of those.
/// ARGV: its name, itself, for how many seconds, when it was asked for, its size, the most there may be, and what
/// comes before each name.
const PUT: &str = r"
local before = tonumber(redis.call('HGET', KEYS[3], ARGV[1])) or 0
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
redis.call('ZADD', KEYS[2], ARGV[4], ARGV[1])
redis.call('HSET', KEYS[3], ARGV[1], ARGV[5])
local sum = redis.call('INCRBY', KEYS[4], ARGV[5] - before)
for _ = 1, 100 do
  if sum <= tonumber(ARGV[6]) then break end
  local oldest = redis.call('ZPOPMIN', KEYS[2])[1]
  if not oldest then redis.call('DEL', KEYS[3], KEYS[4]) break end
  local size = tonumber(redis.call('HGET', KEYS[3], oldest)) or 0
  redis.call('DEL', ARGV[7] .. oldest)
  redis.call('HDEL', KEYS[3], oldest)
  sum = redis.call('INCRBY', KEYS[4], -size)
end";
const PLACE: &str = "panel:cache:1:";

/// What it takes to keep answers in Redis.
pub(crate) struct Sharing {
    redis: Redis,
    key: SealingKey,
    most: u64,
}

impl Sharing {
    /// So many bytes, in the node's Redis; `None` if it has none, or none are to be kept.
    pub(crate) fn of(runtime: &Runtime, most: u64) -> Option<Self> {
        let has_redis = runtime.redis.health() != RedisHealth::NotConfigured;
        let key = || runtime.key.derive("edge cache");
        (has_redis && most > 0).then(|| Self { redis: runtime.redis.clone(), key: key(), most })
    }
}

/// The answers in Redis.
pub(super) struct Shared {
    sharing: Sharing,
    waiting: Mutex<Vec<Arc<Kept>>>,
    told: Notify,
}

/// An answer as it lies there, but for its content, which comes behind it.
#[derive(Serialize, Deserialize)]
struct Form {
    version: u32,
    /// What it answers.
    key: String,
    asked_at: i64,
    headers: Vec<(String, String)>,
    route: Option<String>,
    tags: String,
    /// In seconds.
    fresh: u64,
    stale: u64,
}

impl Shared {
    pub(super) fn new(sharing: Sharing) -> Self {
        Self { sharing, waiting: Mutex::default(), told: Notify::new() }
    }

    /// Whether an answer is to be put there, if what lies there was asked for at that time.
    pub(super) fn is_due(&self, kept: &Kept, before: Option<Timestamp>) -> bool {
        let is_new = before.is_none_or(|at| at.until(kept.asked_at) >= EVERY);
        // One that depends on headers is looked for by what is known here of which.
        let is_plain = kept.vary.is_empty() && !kept.lifetime.stale.is_zero();
        is_new && is_plain && kept.body.len() <= LARGEST && self.sharing.redis.is_up()
    }

    /// Has it put there.
    pub(super) fn offer(&self, kept: &Arc<Kept>) {
        let mut waiting = self.waiting.lock();
        if waiting.len() < MOST_WAITING {
            waiting.push(Arc::clone(kept));
            self.told.notify_one();
        }
    }

    /// What there is for a question, if it is believed.
    pub(super) async fn find(&self, question: &Question<'_>, marks: &Marks) -> Option<Kept> {
        let Sharing { redis, key, .. } = &self.sharing;
        let name = name(&question.place);
        let mut command = cmd("GET");
        command.arg(format!("{PLACE}{name}"));
        let sealed: Option<Vec<u8>> = redis.query(&command).await.ok()?;
        let plain = key.open(name.as_bytes(), &sealed?).ok()?;
        let tags = |said: &str| marks.tags(said, question.service);
        let kept = read(&plain, tags).filter(|kept| kept.key == question.place)?;
        for (service, tags) in kept.tags.by_service() {
            let tags = tags.iter().map(AsRef::as_ref);
            if stamps::is_gone(redis, service, tags, kept.asked_at).await != Ok(false) {
                return None;
            }
        }
        Some(kept)
    }

    async fn put(&self, kept: &Kept) {
        let Sharing { redis, key, most } = &self.sharing;
        let name = name(&kept.key);
        let sealed = written(kept).and_then(|plain| key.seal(name.as_bytes(), &plain).ok());
        if let Some(sealed) = sealed {
            // That Redis is down was said where it was noticed.
            let _ = redis.query::<()>(&put((&name, &sealed), kept, *most)).await;
        }
    }
}

fn put((name, sealed): (&str, &[u8]), kept: &Kept, most: u64) -> Cmd {
    let life = kept.lifetime.fresh + kept.lifetime.stale;
    let mut command = cmd("EVAL");
    command.arg(PUT).arg(4).arg(format!("{PLACE}{name}"));
    command.arg("panel:cached:order").arg("panel:cached:sizes").arg("panel:cached:sum");
    command.arg(name).arg(sealed).arg(life.as_secs()).arg(kept.asked_at.as_micros() / 1_000);
    command.arg(sealed.len() + OVERHEAD).arg(most).arg(PLACE);
    command
}

/// Under which it lies there.
fn name(key: &str) -> String {
    hex(&sha256(&[b"edge cache", key.as_bytes()]))
}

fn written(kept: &Kept) -> Option<Vec<u8>> {
    let headers = kept.headers.iter();
    let headers =
        headers.map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())));
    let form = Form {
        version: VERSION,
        key: kept.key.to_string(),
        asked_at: kept.asked_at.as_micros(),
        headers: headers.collect::<Option<_>>()?,
        route: kept.route.clone(),
        tags: kept.tags.said(),
        fresh: kept.lifetime.fresh.as_secs(),
        stale: kept.lifetime.stale.as_secs(),
    };
    let mut written = serde_json::to_vec(&form).ok()?;
    written.push(b'\n');
    written.extend_from_slice(&kept.body);
    Some(written)
}

/// The answer, to stand in and for nothing else: as if it had been asked for before anything this gateway knows of.
fn read(plain: &[u8], tags: impl FnOnce(&str) -> Option<Tags>) -> Option<Kept> {
    let end = plain.iter().position(|byte| *byte == b'\n')?;
    let form: Form = serde_json::from_slice(&plain[..end]).ok()?;
    if form.version != VERSION {
        return None;
    }
    let mut headers = HeaderMap::with_capacity(form.headers.len());
    for (name, value) in form.headers {
        headers.append(name.parse::<HeaderName>().ok()?, value.parse::<HeaderValue>().ok()?);
    }
    let seconds = Duration::from_secs;
    let asked_at = Timestamp::from_micros(form.asked_at);
    Some(Kept {
        headers,
        body: Bytes::copy_from_slice(&plain[end + 1..]),
        route: form.route,
        variants: Variants::default(),
        key: form.key.into(),
        vary: Arc::from([]),
        lifetime: Lifetime {
            fresh: Duration::ZERO,
            revalidating: Duration::ZERO,
            stale: seconds(form.fresh + form.stale),
        },
        tags: tags(&form.tags)?,
        asked: 0,
        asked_at,
        shared_at: Some(asked_at),
    })
}

/// Puts answers into Redis that wait for it. Its failure means that some are not there.
pub(crate) struct Sharer(pub(super) Arc<Shared>);

impl Sharer {
    /// The task, as a child of the gateway.
    pub(crate) fn child(&self) -> ChildSpec {
        let shared = Arc::clone(&self.0);
        ChildSpec::task("cache", move || {
            let shared = Arc::clone(&shared);
            async move {
                loop {
                    shared.told.notified().await;
                    let waiting = std::mem::take(&mut *shared.waiting.lock());
                    for kept in waiting {
                        shared.put(&kept).await;
                    }
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(said: &str) -> Option<Tags> {
        Marks::of(["forum", "cms"].into_iter(), None).tags(said, "forum")
    }

    fn kept() -> Kept {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", "text/plain".parse().unwrap());
        headers.append("link", "<a>".parse().unwrap());
        headers.append("link", "<b>".parse().unwrap());
        Kept {
            headers,
            body: Bytes::from_static(b"one\ntwo\n\xff"),
            route: Some("/a".to_owned()),
            variants: Variants::default(),
            key: "forum /a?b=1".into(),
            vary: Arc::from([]),
            lifetime: Lifetime {
                fresh: Duration::from_secs(1),
                revalidating: Duration::from_secs(10),
                stale: Duration::from_secs(86_400),
            },
            tags: tags("threads thread:1 cms/article:2").unwrap(),
            asked: 7,
            asked_at: Timestamp::from_micros(1_800_000_000_000_001),
            shared_at: None,
        }
    }

    #[test]
    fn what_lies_there_is_what_was_put_there_and_only_stands_in() {
        let written = written(&kept()).unwrap();
        let (was, is) = (kept(), read(&written, tags).unwrap());
        assert_eq!((&is.headers, &is.body, &is.route), (&was.headers, &was.body, &was.route));
        assert_eq!((&is.key, &is.tags, is.asked_at), (&was.key, &was.tags, was.asked_at));
        assert!(is.only_stands_in() && is.asked == 0);
        assert_eq!(is.lifetime.stale, Duration::from_secs(86_401));
        // What another release has put there is nothing.
        let text = String::from_utf8_lossy(&written).replace("\"version\":2", "\"version\":3");
        assert!(read(text.as_bytes(), tags).is_none());
        assert!(read(b"", tags).is_none() && read(b"{}\n", tags).is_none());
    }
}
