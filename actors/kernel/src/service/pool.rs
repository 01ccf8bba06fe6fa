//! The pool: keeps a service's workers. Requests do not come by here; they and the workers meet at the
//! [`Desk`].

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use futures::future::join_all;
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};
use ractor_cluster::RactorMessage;

use super::desk::{Desk, Desks};
use super::load::Load;
use super::worker::{Job, PANICKED, RouterWorker};
use crate::config::PoolConfig;
use crate::message::Refusal;
use crate::metrics::Metrics;
use crate::purge::Purger;
use crate::supervision::{ChildSpec, Intensity, RestartWindow, Tree};
use crate::time::Clock;

/// Deaths of workers within [`WORKER_PERIOD`] that end the pool.
pub const WORKER_DEATHS: usize = 10;
/// The window in which deaths are counted.
pub const WORKER_PERIOD: Duration = Duration::from_secs(10);

/// What the pool is made of.
#[derive(Clone)]
pub(super) struct PoolSpec {
    pub(super) service: &'static str,
    pub(super) path: String,
    pub(super) config: PoolConfig,
    pub(super) router: Router,
    pub(super) desks: Desks,
    pub(super) load: Arc<Load>,
    pub(super) clock: Clock,
    pub(super) metrics: Metrics,
    pub(super) purger: Option<Purger>,
    pub(super) tree: Tree,
}

impl PoolSpec {
    /// The pool as a child of a supervisor.
    pub(super) fn into_child(self) -> ChildSpec {
        ChildSpec::new("pool", move || (Pool, self.clone()))
    }
}

/// Hires workers, and replaces those that end.
struct Pool;

/// A pool is told nothing.
#[derive(Debug, RactorMessage)]
enum PoolMessage {}

struct PoolState {
    spec: PoolSpec,
    desk: OpenDesk,
    workers: HashMap<ActorId, ActorRef<Job>>,
    deaths: RestartWindow,
}

/// A desk that is closed when its pool ends, however it ends.
struct OpenDesk {
    desk: Arc<Desk>,
    load: Arc<Load>,
}

impl OpenDesk {
    fn close(&self) {
        for job in self.desk.close() {
            self.load.count_refusal(Refusal::Draining);
            job.reply.refuse(Refusal::Draining);
        }
    }
}

impl Drop for OpenDesk {
    fn drop(&mut self) {
        self.close();
    }
}

impl Actor for Pool {
    type Msg = PoolMessage;
    type State = PoolState;
    type Arguments = PoolSpec;

    async fn pre_start(
        &self,
        myself: ActorRef<PoolMessage>,
        spec: PoolSpec,
    ) -> Result<PoolState, ActorProcessingErr> {
        let desk = Arc::new(Desk::new(spec.config.queue));
        let mut state = PoolState {
            desk: OpenDesk { desk: Arc::clone(&desk), load: Arc::clone(&spec.load) },
            workers: HashMap::new(),
            deaths: RestartWindow::new(Intensity::new(WORKER_DEATHS, WORKER_PERIOD)),
            spec,
        };
        for _ in 0..state.spec.config.workers {
            state.hire(&myself).await?;
        }
        state.spec.desks.open(&desk);
        Ok(state)
    }

    async fn handle(
        &self,
        _: ActorRef<PoolMessage>,
        message: PoolMessage,
        _: &mut PoolState,
    ) -> Result<(), ActorProcessingErr> {
        match message {}
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<PoolMessage>,
        event: SupervisionEvent,
        state: &mut PoolState,
    ) -> Result<(), ActorProcessingErr> {
        let (who, is_expected) = match event {
            SupervisionEvent::ActorFailed(who, _) => (who, false),
            SupervisionEvent::ActorTerminated(who, _, why) => {
                (who, why.as_deref() == Some(PANICKED))
            }
            _ => return Ok(()),
        };
        state.desk.desk.gone(who.get_id());
        if state.workers.remove(&who.get_id()).is_none() {
            return Ok(());
        }
        let why = if is_expected { PANICKED } else { "the worker died" };
        state.spec.tree.restarted(&format!("{}/worker", state.spec.path), why);
        if !is_expected && !state.deaths.allows(Instant::now()) {
            return Err(format!("workers of {} die too often", state.spec.service).into());
        }
        state.hire(&myself).await
    }

    async fn post_stop(
        &self,
        _: ActorRef<PoolMessage>,
        state: &mut PoolState,
    ) -> Result<(), ActorProcessingErr> {
        state.desk.close();
        // What they are at goes on to its end; who waits for the pool bounds that.
        let stopping = state.workers.drain().map(|(_, worker)| async move {
            drop(worker.stop_and_wait(None, None).await);
        });
        join_all(stopping).await;
        Ok(())
    }
}

impl PoolState {
    async fn hire(&mut self, pool: &ActorRef<PoolMessage>) -> Result<(), ActorProcessingErr> {
        let worker = RouterWorker {
            service: self.spec.service,
            router: self.spec.router.clone(),
            desk: Arc::clone(&self.desk.desk),
            clock: self.spec.clock.clone(),
            metrics: self.spec.metrics.clone(),
            purger: self.spec.purger.clone(),
        };
        #[allow(clippy::disallowed_methods, reason = "the pool is what supervises workers")]
        let (worker, _) = Actor::spawn_linked(None, worker, (), pool.get_cell()).await?;
        self.workers.insert(worker.get_id(), worker);
        Ok(())
    }
}
