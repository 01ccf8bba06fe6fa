//! The supervisor actor.

use std::time::{Duration, Instant};

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent};
use ractor_cluster::RactorMessage;

use super::{Backoff, ChildSpec, Intensity, Restart, RestartWindow, Strategy, Tree};

/// A supervisor's table.
#[derive(Clone, Debug)]
pub struct SupervisorSpec {
    /// Its path in the tree; empty for the root.
    pub path: String,
    /// Who else is restarted when a child ends.
    pub strategy: Strategy,
    /// When it gives up.
    pub intensity: Intensity,
    /// How long it waits before a restart.
    pub backoff: Backoff,
    /// Whom it keeps running, in starting order. They stop in the opposite order.
    pub children: Vec<ChildSpec>,
    /// Where it reports.
    pub tree: Tree,
}

impl SupervisorSpec {
    /// One-for-one, three restarts in ten seconds, waiting 50 ms to 5 s: what most want.
    #[must_use]
    pub fn new(path: impl Into<String>, tree: &Tree) -> Self {
        Self {
            path: path.into(),
            strategy: Strategy::OneForOne,
            intensity: Intensity::new(3, Duration::from_secs(10)),
            backoff: Backoff { first: Duration::from_millis(50), most: Duration::from_secs(5) },
            children: Vec::new(),
            tree: tree.clone(),
        }
    }

    /// With another strategy.
    #[must_use]
    pub const fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// With another intensity.
    #[must_use]
    pub const fn intensity(mut self, intensity: Intensity) -> Self {
        self.intensity = intensity;
        self
    }

    /// With another backoff.
    #[must_use]
    pub const fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// With one more child, started after those already there.
    #[must_use]
    pub fn child(mut self, child: ChildSpec) -> Self {
        self.children.push(child);
        self
    }

    /// This supervisor as a child of another. It gets 15 seconds to stop its own.
    #[must_use]
    pub fn into_child(self, id: &'static str) -> ChildSpec {
        ChildSpec::new(id, move || (Supervisor, self.clone())).shutdown(Duration::from_secs(15))
    }
}

/// What a supervisor is told.
#[derive(Debug, RactorMessage)]
pub enum SupervisorMessage {
    /// Are you there?
    Ping(RpcReplyPort<()>),
    /// An operator wants this child (and, by the strategy, those after it) restarted now.
    Restart(String),
    /// The backoff of a child that ended is over. A tick, sent by the supervisor to itself;
    /// `life` tells whether the child was started by other means in between.
    Due {
        /// The child's place in the table.
        place: usize,
        /// The life that ended.
        life: u64,
    },
}

/// Keeps its children running as its [`SupervisorSpec`] says.
#[derive(Clone, Copy, Debug)]
pub struct Supervisor;

struct Child {
    spec: ChildSpec,
    path: String,
    cell: Option<ActorCell>,
    /// Counts starts; tells a late tick from a current one.
    life: u64,
    /// Ends in a row without a time of health between them.
    streak: u32,
    started: Instant,
}

/// The children and what became of them.
pub struct SupervisorState {
    spec: SupervisorSpec,
    children: Vec<Child>,
    window: RestartWindow,
}

impl Actor for Supervisor {
    type Msg = SupervisorMessage;
    type State = SupervisorState;
    type Arguments = SupervisorSpec;

    async fn pre_start(
        &self,
        myself: ActorRef<SupervisorMessage>,
        spec: SupervisorSpec,
    ) -> Result<SupervisorState, ActorProcessingErr> {
        spec.tree.supervised_by(&spec.path, &myself);
        let children = spec
            .children
            .iter()
            .map(|child| Child {
                path: join(&spec.path, child.id),
                spec: child.clone(),
                cell: None,
                life: 0,
                streak: 0,
                started: Instant::now(),
            })
            .collect();
        let mut state =
            SupervisorState { window: RestartWindow::new(spec.intensity), children, spec };
        for place in 0..state.children.len() {
            if let Err(error) = state.start(&myself, place).await {
                state.stop_from(0).await;
                return Err(error);
            }
        }
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<SupervisorMessage>,
        message: SupervisorMessage,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            SupervisorMessage::Ping(port) => {
                drop(port.send(()));
                Ok(())
            }
            SupervisorMessage::Restart(id) => {
                let Some(place) = state.children.iter().position(|child| child.spec.id == id)
                else {
                    tracing::warn!(supervisor = state.spec.path, child = id, "no such child");
                    return Ok(());
                };
                let path = state.children[place].path.clone();
                tracing::info!(actor = path, "restarting on request");
                state.spec.tree.restarting(&path, "restarted on request");
                state.stop_group(place).await;
                state.resume(&myself, place).await
            }
            SupervisorMessage::Due { place, life } => {
                if state.children.get(place).is_some_and(|child| child.life == life) {
                    state.resume(&myself, place).await?;
                }
                Ok(())
            }
        }
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<SupervisorMessage>,
        event: SupervisionEvent,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        let (who, failure) = match event {
            SupervisionEvent::ActorFailed(who, error) => (who, Some(error.to_string())),
            SupervisionEvent::ActorTerminated(who, _, reason) => {
                // A killed actor ends "normally" as far as ractor is concerned; for us it failed.
                let failed = matches!(reason.as_deref(), Some("killed" | "actor_task_cancelled"));
                (who, failed.then(|| "killed".to_owned()))
            }
            _ => return Ok(()),
        };
        // Children that were stopped on purpose are no longer in the table when they report.
        let place = state.children.iter().position(|child| {
            child.cell.as_ref().is_some_and(|cell| cell.get_id() == who.get_id())
        });
        match place {
            Some(place) => state.ended(&myself, place, failure).await,
            None => Ok(()),
        }
    }

    async fn post_stop(
        &self,
        _: ActorRef<SupervisorMessage>,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        state.stop_from(0).await;
        Ok(())
    }
}

impl SupervisorState {
    async fn start(
        &mut self,
        myself: &ActorRef<SupervisorMessage>,
        place: usize,
    ) -> Result<(), ActorProcessingErr> {
        let child = &mut self.children[place];
        child.life += 1;
        child.started = Instant::now();
        let cell = (child.spec.start)(myself.get_cell()).await?;
        child.cell = Some(cell.clone());
        self.spec.tree.up(&child.path, cell);
        Ok(())
    }

    /// A child ended by itself.
    async fn ended(
        &mut self,
        myself: &ActorRef<SupervisorMessage>,
        place: usize,
        failure: Option<String>,
    ) -> Result<(), ActorProcessingErr> {
        let child = &mut self.children[place];
        child.cell = None;
        let wanted = match child.spec.restart {
            Restart::Permanent => true,
            Restart::Transient => failure.is_some(),
            Restart::Temporary => false,
        };
        if !wanted {
            self.spec.tree.down(&child.path);
            return Ok(());
        }
        let why = failure.unwrap_or_else(|| "ended".to_owned());
        self.schedule_restart(myself, place, &why).await
    }

    /// Counts a restart against the intensity, and either schedules it or gives up.
    async fn schedule_restart(
        &mut self,
        myself: &ActorRef<SupervisorMessage>,
        place: usize,
        why: &str,
    ) -> Result<(), ActorProcessingErr> {
        let child = &mut self.children[place];
        if child.started.elapsed() > self.spec.intensity.period {
            child.streak = 0;
        }
        child.streak += 1;
        let (path, life, wait) =
            (child.path.clone(), child.life, self.spec.backoff.wait(child.streak));
        self.spec.tree.restarting(&path, why);
        if !self.window.allows(Instant::now()) {
            tracing::error!(actor = path, why, "too many restarts, giving up");
            self.stop_from(0).await;
            return Err(format!("{path} was restarted too often, last because: {why}").into());
        }
        tracing::warn!(actor = path, why, wait_ms = wait.as_millis(), "restarting");
        if self.spec.strategy == Strategy::RestForOne {
            self.stop_from(place + 1).await;
        }
        drop(myself.send_after(wait, move || SupervisorMessage::Due { place, life }));
        Ok(())
    }

    /// Starts the child at `place` and, by the strategy, those after it.
    async fn resume(
        &mut self,
        myself: &ActorRef<SupervisorMessage>,
        place: usize,
    ) -> Result<(), ActorProcessingErr> {
        let last = match self.spec.strategy {
            Strategy::OneForOne => place + 1,
            Strategy::RestForOne => self.children.len(),
        };
        for place in place..last {
            if self.children[place].cell.is_some() {
                continue;
            }
            if let Err(error) = self.start(myself, place).await {
                return self.schedule_restart(myself, place, &error.to_string()).await;
            }
        }
        Ok(())
    }

    async fn stop_group(&mut self, place: usize) {
        match self.spec.strategy {
            Strategy::OneForOne => self.stop(place).await,
            Strategy::RestForOne => self.stop_from(place).await,
        }
    }

    /// Stops the children from `place` on, last first.
    async fn stop_from(&mut self, place: usize) {
        for place in (place..self.children.len()).rev() {
            self.stop(place).await;
        }
    }

    async fn stop(&mut self, place: usize) {
        let child = &mut self.children[place];
        let Some(cell) = child.cell.take() else { return };
        if cell.stop_and_wait(None, Some(child.spec.shutdown)).await.is_err() {
            tracing::warn!(actor = child.path, "did not stop in time and was killed");
            drop(cell.kill_and_wait(Some(Duration::from_secs(1))).await);
        }
        self.spec.tree.down(&child.path);
    }
}

fn join(parent: &str, id: &str) -> String {
    if parent.is_empty() { id.to_owned() } else { format!("{parent}/{id}") }
}
