//! The supervisor actor.
//!
//! It never waits for a child to stop: that may take long, and meanwhile it must say that it is
//! there. Children are stopped by a task whose end is a message; what happens in between waits
//! its turn.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use ractor::{
    Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent,
};
use ractor_cluster::RactorMessage;

use super::stopping::{Leaving, Stopping, Then, stop_all};
use super::{ChildSpec, Restart, RestartWindow, Strategy, SupervisorSpec};

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
    /// The children that were to stop have stopped. Sent by the supervisor to itself.
    Stopped,
}

/// What a supervisor does something about, one after the other.
enum Event {
    Restart(String),
    Due { place: usize, life: u64 },
    Ended(ActorId, Option<String>),
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
    stopping: Option<Stopping>,
    /// What happened since something is being stopped.
    waiting: VecDeque<Event>,
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
        let mut state = SupervisorState {
            window: RestartWindow::new(spec.intensity),
            children,
            spec,
            stopping: None,
            waiting: VecDeque::new(),
        };
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
            SupervisorMessage::Ping(port) => drop(port.send(())),
            SupervisorMessage::Restart(id) => state.take(&myself, Event::Restart(id)).await,
            SupervisorMessage::Due { place, life } => {
                state.take(&myself, Event::Due { place, life }).await;
            }
            SupervisorMessage::Stopped => state.stopped(&myself).await?,
        }
        Ok(())
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
        crate::faults::has_ended(who.get_id());
        state.take(&myself, Event::Ended(who.get_id(), failure)).await;
        Ok(())
    }

    async fn post_stop(
        &self,
        _: ActorRef<SupervisorMessage>,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        if let Some(stopping) = state.stopping.take() {
            stopping.done().await;
        }
        state.stop_from(0).await;
        Ok(())
    }
}

impl SupervisorState {
    /// Does something about it, now or when what is being stopped has stopped.
    async fn take(&mut self, myself: &ActorRef<SupervisorMessage>, event: Event) {
        self.waiting.push_back(event);
        self.go_on(myself).await;
    }

    async fn go_on(&mut self, myself: &ActorRef<SupervisorMessage>) {
        while self.stopping.is_none()
            && let Some(event) = self.waiting.pop_front()
        {
            match event {
                Event::Restart(id) => self.restart(myself, &id),
                Event::Due { place, life } => {
                    if self.children.get(place).is_some_and(|child| child.life == life) {
                        self.resume(myself, place).await;
                    }
                }
                Event::Ended(who, failure) => {
                    // Children that were stopped on purpose are no longer in the table.
                    let is_it = |child: &Child| {
                        child.cell.as_ref().is_some_and(|cell| cell.get_id() == who)
                    };
                    if let Some(place) = self.children.iter().position(is_it) {
                        self.ended(myself, place, failure);
                    }
                }
            }
        }
    }

    /// What was being stopped has stopped.
    async fn stopped(
        &mut self,
        myself: &ActorRef<SupervisorMessage>,
    ) -> Result<(), ActorProcessingErr> {
        match self.stopping.take().map(Stopping::then) {
            Some(Then::Resume(place)) => self.resume(myself, place).await,
            Some(Then::ResumeLater { place, wait }) => self.resume_later(myself, place, wait),
            Some(Then::GiveUp(why)) => return Err(why.into()),
            None => {}
        }
        self.go_on(myself).await;
        Ok(())
    }

    fn restart(&mut self, myself: &ActorRef<SupervisorMessage>, id: &str) {
        let Some(place) = self.children.iter().position(|child| child.spec.id == id) else {
            tracing::warn!(supervisor = self.spec.path, child = id, "no such child");
            return;
        };
        let path = self.children[place].path.clone();
        tracing::info!(actor = path, "restarting on request");
        self.spec.tree.restarting(&path, "restarted on request");
        let places = match self.spec.strategy {
            Strategy::OneForOne => place..place + 1,
            Strategy::RestForOne => place..self.children.len(),
        };
        self.stop_then(myself, places, Then::Resume(place));
    }

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
    fn ended(
        &mut self,
        myself: &ActorRef<SupervisorMessage>,
        place: usize,
        failure: Option<String>,
    ) {
        let child = &mut self.children[place];
        child.cell = None;
        let wanted = match child.spec.restart {
            Restart::Permanent => true,
            Restart::Transient => failure.is_some(),
            Restart::Temporary => false,
        };
        if !wanted {
            self.spec.tree.down(&child.path);
            return;
        }
        let why = failure.unwrap_or_else(|| "ended".to_owned());
        self.schedule_restart(myself, place, &why);
    }

    /// Counts a restart against the intensity, and either schedules it or gives up.
    fn schedule_restart(&mut self, myself: &ActorRef<SupervisorMessage>, place: usize, why: &str) {
        let child = &mut self.children[place];
        if child.started.elapsed() > self.spec.intensity.period {
            child.streak = 0;
        }
        child.streak += 1;
        let (path, wait) = (child.path.clone(), self.spec.backoff.wait(child.streak));
        self.spec.tree.restarting(&path, why);
        let all = self.children.len();
        if !self.window.allows(Instant::now()) {
            tracing::error!(actor = path, why, "too many restarts, giving up");
            let why = format!("{path} was restarted too often, last because: {why}");
            self.stop_then(myself, 0..all, Then::GiveUp(why));
            return;
        }
        tracing::warn!(actor = path, why, wait_ms = wait.as_millis(), "restarting");
        match self.spec.strategy {
            Strategy::OneForOne => self.resume_later(myself, place, wait),
            Strategy::RestForOne => {
                self.stop_then(myself, place + 1..all, Then::ResumeLater { place, wait });
            }
        }
    }

    fn resume_later(&self, myself: &ActorRef<SupervisorMessage>, place: usize, wait: Duration) {
        let life = self.children[place].life;
        drop(myself.send_after(wait, move || SupervisorMessage::Due { place, life }));
    }

    /// Starts the child at `place` and, by the strategy, those after it.
    async fn resume(&mut self, myself: &ActorRef<SupervisorMessage>, place: usize) {
        let last = match self.spec.strategy {
            Strategy::OneForOne => place + 1,
            Strategy::RestForOne => self.children.len(),
        };
        for place in place..last {
            if self.children[place].cell.is_some() {
                continue;
            }
            if let Err(error) = self.start(myself, place).await {
                return self.schedule_restart(myself, place, &error.to_string());
            }
        }
    }

    /// Stops the children at these places, last first, and then goes on.
    fn stop_then(
        &mut self,
        myself: &ActorRef<SupervisorMessage>,
        places: std::ops::Range<usize>,
        then: Then,
    ) {
        let leaving = self.leaving(places);
        self.stopping = Some(Stopping::begin(myself, &self.spec.tree, leaving, then));
    }

    /// Stops the children from `place` on, last first, and waits for it: where nothing comes
    /// after it.
    async fn stop_from(&mut self, place: usize) {
        let leaving = self.leaving(place..self.children.len());
        stop_all(&self.spec.tree, leaving).await;
    }

    /// Takes these children out of the table, last first: they are no longer watched.
    fn leaving(&mut self, places: std::ops::Range<usize>) -> Vec<Leaving> {
        let children = self.children[places].iter_mut().rev();
        children
            .filter_map(|child| {
                let cell = child.cell.take()?;
                Some(Leaving { cell, path: child.path.clone(), within: child.spec.shutdown })
            })
            .collect()
    }
}

fn join(parent: &str, id: &str) -> String {
    if parent.is_empty() { id.to_owned() } else { format!("{parent}/{id}") }
}
