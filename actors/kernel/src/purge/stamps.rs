//! What is gone, as it is written in Redis: for gateways that look there for what they do not keep themselves, and
//! were not there to be told.
//!
//! A stamp says when something of a service was gone last. What can't be written is written later, with a later
//! time, so that it is gone for certain; and as long as that is so, and at the beginning of a process, when nobody
//! knows what the one before it could not write, everything of the service counts as gone.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Scope;
use crate::redis::{Redis, RedisHealth, Unavailable, cmd};
use crate::time::{Clock, Timestamp};

/// How long stamps are kept: longer than any answer.
const LIFE: Duration = Duration::from_secs(25 * 3_600);
/// When it is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// No two clocks of a cluster differ more.
const SKEW: Duration = Duration::from_secs(5);

/// KEYS: stamps of tags. ARGV: the time, and for how many seconds it is of use.
const WRITE: &str =
    "for _, key in ipairs(KEYS) do redis.call('SET', key, ARGV[1], 'EX', ARGV[2]) end";

/// What is to be written.
#[derive(Debug, Default)]
pub(super) struct Owed {
    scope: Mutex<Scope>,
    told: Notify,
}

impl Owed {
    pub(super) fn add(&self, scope: &Scope) {
        self.scope.lock().add(scope.clone());
        self.told.notify_one();
    }

    /// Writes it, again and again.
    pub(super) async fn write(
        &self,
        service: &str,
        redis: &Redis,
        clock: &Clock,
    ) -> Result<(), String> {
        self.add(&Scope::Everything);
        loop {
            self.told.notified().await;
            loop {
                let scope = std::mem::take(&mut *self.scope.lock());
                if scope.is_nothing() || stamp(redis, service, &scope, clock.now()).await.is_ok() {
                    break;
                }
                self.scope.lock().add(scope);
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

/// Whether there is a Redis to write to.
pub(super) fn is_wanted(redis: &Redis) -> bool {
    redis.health() != RedisHealth::NotConfigured
}

async fn stamp(
    redis: &Redis,
    service: &str,
    scope: &Scope,
    now: Timestamp,
) -> Result<(), Unavailable> {
    match scope {
        // Kept for good: without it nothing of the service is believed.
        Scope::Everything => {
            let mut command = cmd("SET");
            redis.query::<()>(command.arg(key(service, None)).arg(now.as_micros())).await
        }
        Scope::Tags(tags) => {
            let keys: Vec<String> = tags.iter().map(|tag| key(service, Some(tag))).collect();
            let mut command = cmd("EVAL");
            command.arg(WRITE).arg(keys.len()).arg(keys).arg(now.as_micros()).arg(LIFE.as_secs());
            redis.query::<()>(&command).await
        }
    }
}

/// Whether a service's answer with these tags, asked for at that time, is gone by what is written.
///
/// # Errors
/// [`Unavailable`]: nobody knows, and it is to be taken for gone.
pub async fn is_gone<'t>(
    redis: &Redis,
    service: &str,
    tags: impl Iterator<Item = &'t str>,
    asked_at: Timestamp,
) -> Result<bool, Unavailable> {
    let mut command = cmd("MGET");
    command.arg(key(service, None));
    for tag in tags {
        command.arg(key(service, Some(tag)));
    }
    let stamps: Vec<Option<i64>> = redis.query(&command).await?;
    // That everything was gone once is known of every service that has run.
    let is_known = stamps.first().is_some_and(Option::is_some);
    let mut stamps = stamps.into_iter().flatten().map(Timestamp::from_micros);
    Ok(!is_known || stamps.any(|gone| asked_at < gone.plus(SKEW)))
}

fn key(service: &str, tag: Option<&str>) -> String {
    match tag {
        Some(tag) => format!("panel:gone:{service}:{tag}"),
        None => format!("panel:gone:{service}"),
    }
}
