//! Watches Redis, where one is configured, and says how it is. Nothing in this release depends
//! on it.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use deadpool_redis::{Config, Pool, Runtime};
use panel_gateway::DependencyHealth;
use panel_kernel::secret::SecretUrl;
use panel_kernel::supervision::ChildSpec;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use ractor_cluster::RactorMessage;

const LOOK: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(1);

/// How Redis is, as last seen. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct RedisHealth(Arc<ArcSwap<DependencyHealth>>);

impl RedisHealth {
    /// As last seen.
    pub(crate) fn report(&self) -> DependencyHealth {
        self.0.load().as_ref().clone()
    }
}

/// The watcher as a child of the root, if there is anything to watch.
pub(crate) fn watch(url: &SecretUrl) -> Result<(RedisHealth, Option<ChildSpec>), String> {
    if url.expose().is_empty() {
        let health = ArcSwap::from_pointee(DependencyHealth::not_configured());
        return Ok((RedisHealth(Arc::new(health)), None));
    }
    let pool = Config::from_url(url.expose())
        .create_pool(Some(Runtime::Tokio1))
        .map_err(|error| format!("{url} can't be used: {error}"))?;
    let health =
        RedisHealth(Arc::new(ArcSwap::from_pointee(DependencyHealth::down("redis is starting"))));
    let watched = health.clone();
    let child = ChildSpec::new("redis", move || {
        (Watcher { pool: pool.clone(), health: watched.clone() }, ())
    });
    Ok((health, Some(child)))
}

/// What the watcher is told.
#[derive(Debug, RactorMessage)]
enum WatcherMessage {
    /// Time to look. A tick.
    Look,
}

struct Watcher {
    pool: Pool,
    health: RedisHealth,
}

impl Actor for Watcher {
    type Msg = WatcherMessage;
    type State = ();
    type Arguments = ();

    async fn pre_start(
        &self,
        myself: ActorRef<WatcherMessage>,
        (): (),
    ) -> Result<(), ActorProcessingErr> {
        myself.send_message(WatcherMessage::Look)?;
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<WatcherMessage>,
        WatcherMessage::Look: WatcherMessage,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        let pinged = tokio::time::timeout(PATIENCE, self.ping()).await;
        self.found(pinged.unwrap_or_else(|_| Err("it did not answer in time".to_owned())));
        drop(myself.send_after(LOOK, || WatcherMessage::Look));
        Ok(())
    }
}

impl Watcher {
    /// Logs a change, with the details; who asks for health hears that it is so.
    fn found(&self, pinged: Result<(), String>) {
        let health = match pinged {
            Ok(()) => DependencyHealth::up(),
            Err(_) => DependencyHealth::down("redis is not available"),
        };
        let before = self.health.0.swap(Arc::new(health.clone()));
        match pinged {
            _ if *before == health => {}
            Ok(()) => tracing::info!("redis is up"),
            Err(why) => tracing::warn!(why, "redis is down"),
        }
    }

    async fn ping(&self) -> Result<(), String> {
        let mut conn = self.pool.get().await.map_err(|error| error.to_string())?;
        deadpool_redis::redis::cmd("PING")
            .query_async::<()>(&mut conn)
            .await
            .map_err(|error| error.to_string())
    }
}
