//! Where requests and workers meet. Who brings a request hands it to a worker that is free, or leaves it
//! here; a worker that is done takes what waits, or waits itself. No actor stands between them: a request
//! costs the one message to its worker.

use std::collections::VecDeque;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use ractor::{ActorId, ActorRef, MessagingErr};

use super::rank::Rank;
use super::worker::Job;
use crate::message::Refusal;

/// One life of a pool: its workers that are free, and the requests that wait for one.
#[derive(Debug)]
pub(super) struct Desk {
    state: Mutex<State>,
    /// The most clients' requests that may wait. Insiders' are bounded by their places.
    queue: usize,
}

#[derive(Debug)]
struct State {
    is_open: bool,
    /// The one that was busy last is the next, because it is warm.
    free: Vec<ActorRef<Job>>,
    insiders: VecDeque<Job>,
    clients: VecDeque<Job>,
}

impl Desk {
    /// Nobody is there yet.
    pub(super) fn new(queue: usize) -> Self {
        let state = State {
            is_open: true,
            free: Vec::new(),
            insiders: VecDeque::new(),
            clients: VecDeque::new(),
        };
        Self { state: Mutex::new(state), queue }
    }

    /// Hands a request to a worker, or lets it wait.
    ///
    /// # Errors
    /// The request and why it is refused; nothing was done.
    pub(super) fn give(&self, mut job: Job) -> Result<(), (Job, Refusal)> {
        loop {
            let mut state = self.state.lock();
            let Some(worker) = state.free.pop() else {
                return state.wait(job, self.queue);
            };
            drop(state);
            job = match worker.send_message(job) {
                // It has ended since; the next one has not, perhaps.
                Err(MessagingErr::SendErr(job)) => job,
                _ => return Ok(()),
            };
        }
    }

    /// What this worker is to do next; if there is nothing, it counts as free from now on.
    pub(super) fn next(&self, worker: &ActorRef<Job>) -> Option<Job> {
        let mut state = self.state.lock();
        if !state.is_open {
            return None;
        }
        let next = state.insiders.pop_front().or_else(|| state.clients.pop_front());
        if next.is_none() {
            state.free.push(worker.clone());
        }
        next
    }

    /// This worker has ended.
    pub(super) fn gone(&self, worker: ActorId) {
        self.state.lock().free.retain(|free| free.get_id() != worker);
    }

    /// Nobody is served here any more; what waits is handed back.
    pub(super) fn close(&self) -> Vec<Job> {
        let mut state = self.state.lock();
        state.is_open = false;
        state.free.clear();
        let mut waiting = std::mem::take(&mut state.insiders);
        waiting.append(&mut state.clients);
        waiting.into()
    }
}

impl State {
    fn wait(&mut self, job: Job, most: usize) -> Result<(), (Job, Refusal)> {
        if !self.is_open {
            return Err((job, Refusal::Busy));
        }
        match Rank::of(&job.envelope.principal) {
            Rank::Insider => self.insiders.push_back(job),
            Rank::Client if self.clients.len() < most => self.clients.push_back(job),
            Rank::Client => return Err((job, Refusal::Busy)),
        }
        Ok(())
    }
}

/// Where the pool's desk is, whichever life the pool is in.
#[derive(Clone, Debug, Default)]
pub(super) struct Desks(Arc<ArcSwapOption<Desk>>);

impl Desks {
    /// From now on, requests go to this one.
    pub(super) fn open(&self, desk: &Arc<Desk>) {
        self.0.store(Some(Arc::clone(desk)));
    }

    /// As [`Desk::give`]; a pool between two lives refuses.
    ///
    /// # Errors
    /// The request and why it is refused; nothing was done.
    pub(super) fn give(&self, job: Job) -> Result<(), (Job, Refusal)> {
        match &*self.0.load() {
            Some(desk) => desk.give(job),
            None => Err((job, Refusal::Busy)),
        }
    }
}

#[cfg(test)]
mod tests;
