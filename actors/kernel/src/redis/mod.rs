//! Redis, where one is configured: a memory that nodes share and that everything works without.
//!
//! Whoever asks has an answer or [`Unavailable`] within `redis.timeout`, and then goes on with
//! what the node itself knows. After one failure Redis counts as *down* and costs callers
//! nothing, until the watcher has seen it take a write again: a breaker that callers open and the
//! watcher closes. How many may ask at the same time is bounded, so a Redis that hangs holds up
//! that many for one timeout, and nobody after them.
//!
//! Nothing that must not be lost is kept there.

mod config;
mod watcher;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use deadpool_redis::{Config, Connection, Pool, PoolConfig, Runtime};
use prometheus::{IntCounterVec, IntGauge, Opts};
use tokio::sync::Semaphore;

use crate::metrics::Metrics;
use crate::supervision::ChildSpec;

pub use config::RedisConfig;
/// A command, and what its answer may be read as.
pub use deadpool_redis::redis::{Cmd, FromRedisValue, cmd};
use watcher::Watcher;

/// Callers per connection: one that asks, and a few that wait for it.
const CALLERS_PER_CONNECTION: usize = 4;

/// The handle. Cheap to clone; clones share connections and what is known.
#[derive(Clone, Default)]
pub struct Redis(Option<Arc<Server>>);

/// No answer: Redis is to be done without. It may have done what it was told all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// There is none.
    #[error("redis is not configured")]
    NotConfigured,
    /// It failed, and has not been seen well since. It was not asked.
    #[error("redis is down")]
    Down,
    /// Too many ask already. It was not asked.
    #[error("redis is asked too much")]
    Busy,
    /// It did not answer in time, or with an error. Now it is down.
    #[error("redis failed")]
    Failed,
}

/// How Redis is, as far as the node knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedisHealth {
    /// There is none.
    NotConfigured,
    /// It answers.
    Up,
    /// It does not, or has not yet.
    Down,
}

struct Server {
    pool: Pool,
    timeout: Duration,
    callers: Semaphore,
    /// How often it went up or down: odd while it is up. A failure counts only against the life
    /// it was seen in, so that a late one does not end the next.
    turn: AtomicU64,
    up: IntGauge,
    errors: IntCounterVec,
}

/// Why it is down, for the log.
enum Failure {
    TimedOut,
    Error(String),
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Redis({:?})", self.health())
    }
}

impl Redis {
    /// No Redis: every question is [`Unavailable::NotConfigured`].
    #[must_use]
    pub const fn none() -> Self {
        Self(None)
    }

    /// The Redis of this configuration, down until [`Redis::child`] has seen it; none if the
    /// configuration names none. Nothing is connected here.
    ///
    /// # Errors
    /// In words, for a URL that can't be used.
    pub fn new(config: &RedisConfig, metrics: &Metrics) -> Result<Self, String> {
        if config.url.expose().is_empty() {
            return Ok(Self::none());
        }
        let pool = Config::from_url(config.url.expose())
            .builder()
            .map_err(|error| format!("redis.url: {} can't be used: {error}", config.url))?
            .config(PoolConfig::new(config.connections))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| format!("redis.url: {} can't be used: {error}", config.url))?;
        let up = IntGauge::new("panel_redis_up", "1 while Redis answers.");
        let errors = IntCounterVec::new(
            Opts::new("panel_redis_errors_total", "Questions that Redis did not answer well."),
            &["reason"],
        );
        let kept = |error: prometheus::Error| error.to_string();
        Ok(Self(Some(Arc::new(Server {
            pool,
            timeout: config.timeout.0,
            callers: Semaphore::new(config.connections * CALLERS_PER_CONNECTION),
            turn: AtomicU64::new(0),
            up: up.and_then(|up| metrics.register(up)).map_err(kept)?,
            errors: errors.and_then(|errors| metrics.register(errors)).map_err(kept)?,
        }))))
    }

    /// The watcher, to be supervised by the node; `None` if there is nothing to watch.
    #[must_use]
    pub fn child(&self) -> Option<ChildSpec> {
        let server = Arc::clone(self.0.as_ref()?);
        Some(ChildSpec::new("redis", move || (Watcher { server: Arc::clone(&server) }, ())))
    }

    /// How it is, from what is already known.
    #[must_use]
    pub fn health(&self) -> RedisHealth {
        match &self.0 {
            None => RedisHealth::NotConfigured,
            Some(server) if is_up(server.turn.load(Ordering::Acquire)) => RedisHealth::Up,
            Some(_) => RedisHealth::Down,
        }
    }

    /// Whether asking it makes sense now.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.health() == RedisHealth::Up
    }

    /// Sends one command and waits for its answer, at most `redis.timeout` with everything.
    ///
    /// # Errors
    /// [`Unavailable`], at once unless it is [`Unavailable::Failed`].
    pub async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Unavailable> {
        let server = self.0.as_deref().ok_or(Unavailable::NotConfigured)?;
        let turn = server.turn.load(Ordering::Acquire);
        if !is_up(turn) {
            return Err(Unavailable::Down);
        }
        let Ok(_place) = server.callers.try_acquire() else {
            server.errors.with_label_values(&["busy"]).inc();
            return Err(Unavailable::Busy);
        };
        server.ask(command).await.map_err(|failure| {
            server.lost(turn, &failure);
            Unavailable::Failed
        })
    }
}

const fn is_up(turn: u64) -> bool {
    turn % 2 == 1
}

impl Server {
    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Failure> {
        let asking = async {
            let mut conn = self.pool.get().await.map_err(Failure::error)?;
            let answered = command.query_async(&mut conn).await;
            if answered.is_err() {
                // Whatever is wrong with it, the next caller shall have another.
                drop(Connection::take(conn));
            }
            answered.map_err(Failure::error)
        };
        tokio::time::timeout(self.timeout, asking).await.unwrap_or(Err(Failure::TimedOut))
    }

    /// Notes a failure of the life `turn`. Gives whether that ended it.
    fn lost(&self, turn: u64, failure: &Failure) -> bool {
        self.errors.with_label_values(&[failure.reason()]).inc();
        let ended = is_up(turn) && self.turn_over(turn);
        if ended {
            self.up.set(0);
            // What is connected to a Redis that hangs would hang the next callers.
            self.pool.retain(|_, _| false);
            tracing::warn!(why = failure.why(), "redis is down");
        }
        ended
    }

    /// Notes that it was seen well.
    fn found(&self, turn: u64) {
        if !is_up(turn) && self.turn_over(turn) {
            self.up.set(1);
            tracing::info!("redis is up");
        }
    }

    fn turn_over(&self, turn: u64) -> bool {
        let turned =
            self.turn.compare_exchange(turn, turn + 1, Ordering::AcqRel, Ordering::Acquire);
        turned.is_ok()
    }
}

impl Failure {
    fn error(error: impl std::fmt::Display) -> Self {
        Self::Error(error.to_string())
    }

    const fn reason(&self) -> &'static str {
        match self {
            Self::TimedOut => "timeout",
            Self::Error(_) => "error",
        }
    }

    fn why(&self) -> &str {
        match self {
            Self::TimedOut => "it did not answer in time",
            Self::Error(error) => error,
        }
    }
}
