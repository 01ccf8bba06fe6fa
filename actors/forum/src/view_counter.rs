//! Counts views of threads.
//!
//! It owns the views of the last few seconds, in memory, and writes them in one transaction:
//! five seconds after the first of them, or when it holds as many threads as it may, or when it
//! stops. Its failure loses what it holds, which is what a view count is worth; readers never
//! wait for it.
//!
//! Memory is bounded on both sides: views that come faster than they are counted, and views of
//! more threads than it holds while the database is down, are dropped.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use panel_kernel::data::{Database, DbError};
use panel_kernel::http::Caller;
use panel_kernel::ids::Id;
use panel_kernel::supervision::{Address, ChildSpec};
use ractor::{Actor, ActorProcessingErr, ActorRef, Message};

use crate::store;

const PERIOD: Duration = Duration::from_secs(5);
/// The most threads whose views are held.
const MAX_THREADS: usize = 10_000;
/// The most views on their way to the actor.
const MAX_WAITING: usize = 10_000;

/// What the counter is told.
#[derive(Debug)]
pub(crate) enum ViewCounterMessage {
    /// Somebody read this thread.
    Seen(Id),
    /// Time to write. A tick.
    Flush,
}

impl Message for ViewCounterMessage {}

/// Where views are reported. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Views {
    db: Database,
    address: Address<ViewCounterMessage>,
    waiting: Arc<AtomicUsize>,
}

impl Views {
    /// Views of threads in this database.
    pub(crate) fn new(db: Database) -> Self {
        Self { db, address: Address::new(), waiting: Arc::default() }
    }

    /// Counts a view, if somebody has one and there is room for it.
    pub(crate) fn seen(&self, caller: &Caller, thread: Id) {
        if !caller.is_mirrored
            && self.waiting.load(Ordering::Relaxed) < MAX_WAITING
            && self.address.send(ViewCounterMessage::Seen(thread)).is_ok()
        {
            self.waiting.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The actor behind it, as a child of the service.
    pub(crate) fn into_child(self) -> ChildSpec {
        ChildSpec::new("view_counter", move || (ViewCounter { views: self.clone() }, ()))
    }
}

struct ViewCounter {
    views: Views,
}

/// Views not yet written.
#[derive(Debug, Default)]
pub(crate) struct Held {
    counts: HashMap<Id, i64>,
    /// Whether the last attempt to write failed: then only the tick tries again.
    failing: bool,
}

impl Actor for ViewCounter {
    type Msg = ViewCounterMessage;
    type State = Held;
    type Arguments = ();

    async fn pre_start(
        &self,
        myself: ActorRef<ViewCounterMessage>,
        (): (),
    ) -> Result<Held, ActorProcessingErr> {
        // What waited for the one before went with it.
        self.views.waiting.store(0, Ordering::Relaxed);
        self.views.address.announce(&myself);
        drop(myself.send_after(PERIOD, || ViewCounterMessage::Flush));
        Ok(Held::default())
    }

    async fn handle(
        &self,
        myself: ActorRef<ViewCounterMessage>,
        message: ViewCounterMessage,
        held: &mut Held,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ViewCounterMessage::Seen(thread) => {
                self.left_mailbox();
                if held.is_full() && !held.counts.contains_key(&thread) && !held.failing {
                    self.flush(held).await;
                }
                held.count(thread);
            }
            ViewCounterMessage::Flush => {
                self.flush(held).await;
                drop(myself.send_after(PERIOD, || ViewCounterMessage::Flush));
            }
        }
        Ok(())
    }

    async fn post_stop(
        &self,
        _: ActorRef<ViewCounterMessage>,
        held: &mut Held,
    ) -> Result<(), ActorProcessingErr> {
        self.flush(held).await;
        Ok(())
    }
}

impl ViewCounter {
    /// One message less on its way. The sender counts after sending, so this may come first.
    fn left_mailbox(&self) {
        let one_less = |waiting: usize| Some(waiting.saturating_sub(1));
        self.views.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).ok();
    }

    async fn flush(&self, held: &mut Held) {
        if held.counts.is_empty() {
            return;
        }
        // Always in the same order, so that two nodes never wait for each other's rows.
        let mut views: Vec<(Id, i64)> = held.counts.iter().map(|(id, n)| (*id, *n)).collect();
        views.sort_unstable();
        let written = self
            .views
            .db
            .transact(move |tx| {
                Box::pin(async move { store::threads::add_views(tx, &views).await })
            })
            .await;
        held.failing = written.is_err();
        match written {
            Ok(()) => held.counts.clear(),
            // Better to lose views than to count them twice.
            Err(error) if !error.nothing_was_done() => held.counts.clear(),
            // The keeper reports an outage; whatever else stands in the way is worth a line.
            Err(error) if error.is_outage() => {}
            Err(DbError::Fault(error)) => {
                tracing::error!(%error, "views can't be written");
                held.counts.clear();
            }
            Err(error) => tracing::debug!(%error, "views wait"),
        }
    }
}

impl Held {
    fn is_full(&self) -> bool {
        self.counts.len() >= MAX_THREADS
    }

    fn count(&mut self, thread: Id) {
        let is_full = self.is_full();
        match self.counts.get_mut(&thread) {
            Some(count) => *count += 1,
            None if is_full => {}
            None => drop(self.counts.insert(thread, 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_bounded() {
        let mut held = Held::default();
        for raw in 0..20_000 {
            held.count(Id::from_raw(raw));
        }
        held.count(Id::from_raw(0));
        assert_eq!(held.counts.len(), MAX_THREADS);
        assert_eq!(held.counts[&Id::from_raw(0)], 2);
    }
}
