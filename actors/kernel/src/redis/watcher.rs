//! Looks whether Redis is well: about once a second while it is, with growing waits while it is
//! not.
//!
//! Failure: a watcher that dies is restarted and looks again. Until then a Redis that was up stays
//! up for its callers, and one that was down stays down, which costs nothing but shared limits.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use ractor_cluster::RactorMessage;

use super::{Failure, Server, cmd};
use crate::supervision::Backoff;

const WHEN_UP: Duration = Duration::from_secs(1);
const WHEN_DOWN: Backoff =
    Backoff { first: Duration::from_millis(250), most: Duration::from_secs(2) };
/// For a connection. Callers then find it in the pool.
const CONNECT: Duration = Duration::from_secs(1);
/// Written at every look, by a script as everything else is: a Redis that is full, loading, a
/// replica, or that allows no scripts, answers pings, and is of no use.
const SCRIPT: &str = "return redis.call('SET', KEYS[1], 1, 'PX', ARGV[1])";
const KEY: &str = "panel:watch";
const KEY_LIFE_MILLIS: u64 = 60_000;

/// What the watcher is told.
#[derive(Debug, RactorMessage)]
pub(super) enum WatcherMessage {
    /// Time to look. A tick.
    Look,
}

pub(super) struct Watcher {
    pub(super) server: Arc<Server>,
}

/// Looks since it was last well.
#[derive(Debug, Default)]
pub(super) struct Failures(u32);

impl Actor for Watcher {
    type Msg = WatcherMessage;
    type State = Failures;
    type Arguments = ();

    async fn pre_start(
        &self,
        myself: ActorRef<WatcherMessage>,
        (): (),
    ) -> Result<Failures, ActorProcessingErr> {
        myself.send_message(WatcherMessage::Look)?;
        Ok(Failures::default())
    }

    async fn handle(
        &self,
        myself: ActorRef<WatcherMessage>,
        WatcherMessage::Look: WatcherMessage,
        failures: &mut Failures,
    ) -> Result<(), ActorProcessingErr> {
        let turn = self.server.turn.load(Ordering::Acquire);
        let next = match self.look().await {
            Ok(()) => {
                self.server.found(turn);
                failures.0 = 0;
                WHEN_UP
            }
            Err(failure) => {
                let ended = self.server.lost(turn, &failure);
                if turn == 0 && failures.0 == 0 && !ended {
                    tracing::warn!(why = failure.why(), "redis is down");
                }
                failures.0 = failures.0.saturating_add(1);
                WHEN_DOWN.wait(failures.0)
            }
        };
        drop(myself.send_after(next, || WatcherMessage::Look));
        Ok(())
    }
}

impl Watcher {
    async fn look(&self) -> Result<(), Failure> {
        let connecting = tokio::time::timeout(CONNECT, self.server.pool.get()).await;
        let conn = connecting.map_err(|_| Failure::TimedOut)?.map_err(Failure::error)?;
        drop(conn);
        let mut write = cmd("EVAL");
        write.arg(SCRIPT).arg(1).arg(KEY).arg(KEY_LIFE_MILLIS);
        self.server.ask(&write).await
    }
}
