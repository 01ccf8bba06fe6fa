//! The live picture of the supervision tree of this process.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;
use ractor::{ActorCell, ActorRef};
use serde::Serialize;

use super::SupervisorMessage;
use crate::metrics::Metrics;
use crate::time::{Clock, Timestamp};

/// What a supervised actor is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorState {
    /// Running.
    Up,
    /// Ended; waiting for its restart.
    Restarting,
    /// Stopped on purpose, or not to be restarted.
    Down,
}

/// One actor of the tree.
#[derive(Clone, Debug, Serialize)]
pub struct ActorStatus {
    /// What it is doing.
    pub state: ActorState,
    /// How often it was restarted since the process began.
    pub restarts: u64,
    /// Why it ended last.
    pub last_failure: Option<String>,
    /// Since when it is in this state.
    pub since: Timestamp,
}

/// Knows every supervised actor by its path (`forum/serving/pool`). Cheap to clone.
#[derive(Clone, Debug)]
pub struct Tree(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Clock,
    metrics: Metrics,
    actors: RwLock<BTreeMap<String, ActorStatus>>,
    supervisors: RwLock<BTreeMap<String, ActorRef<SupervisorMessage>>>,
    running: RwLock<BTreeMap<String, ActorCell>>,
}

impl Tree {
    /// An empty tree.
    #[must_use]
    pub fn new(clock: Clock, metrics: Metrics) -> Self {
        Self(Arc::new(Inner {
            clock,
            metrics,
            actors: RwLock::default(),
            supervisors: RwLock::default(),
            running: RwLock::default(),
        }))
    }

    /// Every actor's status, by path.
    #[must_use]
    pub fn snapshot(&self) -> BTreeMap<String, ActorStatus> {
        self.0.actors.read().clone()
    }

    /// One actor's status.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<ActorStatus> {
        self.0.actors.read().get(path).cloned()
    }

    /// The actor that runs at `path` now, if one does. For whoever wants to see it fail.
    #[must_use]
    pub fn actor(&self, path: &str) -> Option<ActorCell> {
        self.0.running.read().get(path).cloned()
    }

    /// Restarts the actor at `path` (with those after it, where its supervisor's strategy says
    /// so). Returns whether there is a supervisor to ask.
    #[must_use]
    pub fn restart(&self, path: &str) -> bool {
        let (supervisor, id) = path.rsplit_once('/').unwrap_or(("", path));
        let supervisors = self.0.supervisors.read();
        supervisors.get(supervisor).is_some_and(|supervisor| {
            supervisor.send_message(SupervisorMessage::Restart(id.to_owned())).is_ok()
        })
    }

    pub(super) fn supervised_by(&self, path: &str, supervisor: &ActorRef<SupervisorMessage>) {
        self.0.supervisors.write().insert(path.to_owned(), supervisor.clone());
    }

    pub(super) fn up(&self, path: &str, actor: ActorCell) {
        self.0.running.write().insert(path.to_owned(), actor);
        self.set(path, ActorState::Up, None);
    }

    pub(super) fn down(&self, path: &str) {
        self.0.running.write().remove(path);
        self.set(path, ActorState::Down, None);
    }

    /// Counts a restart. For pools, which restart their workers themselves.
    pub(crate) fn restarting(&self, path: &str, why: &str) {
        self.0.running.write().remove(path);
        self.set(path, ActorState::Restarting, Some(why));
        self.count_restart(path);
    }

    /// Counts a restart that has already happened.
    pub(crate) fn restarted(&self, path: &str, why: &str) {
        self.set(path, ActorState::Up, Some(why));
        self.count_restart(path);
    }

    fn count_restart(&self, path: &str) {
        self.0.metrics.restarts.with_label_values(&[path]).inc();
        if let Some(status) = self.0.actors.write().get_mut(path) {
            status.restarts += 1;
        }
    }

    fn set(&self, path: &str, state: ActorState, failure: Option<&str>) {
        let now = self.0.clock.now();
        let mut actors = self.0.actors.write();
        let status = actors.entry(path.to_owned()).or_insert(ActorStatus {
            state,
            restarts: 0,
            last_failure: None,
            since: now,
        });
        if status.state != state {
            status.since = now;
        }
        status.state = state;
        if let Some(failure) = failure {
            status.last_failure = Some(failure.to_owned());
        }
    }
}
