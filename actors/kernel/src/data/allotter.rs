//! Keeps the service's database supplied with a number to make ids with.
//!
//! Takes one as soon as the database is up, prolongs it while the process lives, takes another if
//! it was lost (the process was frozen for longer than the lease), and gives it back at the end.
//!
//! Failure: ids go on being made until the time that the number is good for; a restarted allotter
//! goes on. While there is no number, what needs an id is refused, and nothing else.

use std::time::{Duration, Instant};

use ractor::{Actor, ActorProcessingErr, ActorRef};
use ractor_cluster::RactorMessage;

use super::numbers::Numbers;
use super::{Database, DbError};
use crate::ids::Id;

/// How long a number is held without being prolonged. Long, so that a process that makes no ids
/// writes next to nothing; not longer, so that the numbers of those that were killed come back.
const LIFE: Duration = Duration::from_secs(300);
/// Between two looks at how much of it is left.
const LOOK: Duration = Duration::from_secs(30);
/// After a failure.
const AGAIN: Duration = Duration::from_millis(500);
/// How long an id is waited for, where there is no number at the moment.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the allotter is told.
#[derive(Debug, RactorMessage)]
pub(crate) enum AllotterMessage {
    /// Somebody waits for an id, or the database has come up.
    Wanted,
    /// The regular look. A tick.
    Look,
}

/// Supplies one service's database.
#[derive(Debug)]
pub(crate) struct Allotter {
    pub(crate) db: Database,
}

/// When it failed last, so that those who wait do not make it ask all the time.
#[derive(Debug, Default)]
pub(crate) struct AllotterState {
    failed: Option<Instant>,
}

impl Actor for Allotter {
    type Msg = AllotterMessage;
    type State = AllotterState;
    type Arguments = ();

    async fn pre_start(
        &self,
        myself: ActorRef<AllotterMessage>,
        (): (),
    ) -> Result<AllotterState, ActorProcessingErr> {
        self.db.0.allotter.announce(&myself);
        myself.send_message(AllotterMessage::Look)?;
        Ok(AllotterState::default())
    }

    async fn handle(
        &self,
        myself: ActorRef<AllotterMessage>,
        message: AllotterMessage,
        state: &mut AllotterState,
    ) -> Result<(), ActorProcessingErr> {
        let is_fresh = state.failed.is_none_or(|failed| failed.elapsed() >= AGAIN);
        // Without a database there is nothing to ask; it says when it is up.
        if self.db.is_usable() && is_fresh {
            let allotted = self.db.allot().await;
            self.note(state, allotted);
            if state.failed.is_some() {
                drop(myself.send_after(AGAIN, || AllotterMessage::Wanted));
            }
        }
        if matches!(message, AllotterMessage::Look) {
            drop(myself.send_after(LOOK, || AllotterMessage::Look));
        }
        Ok(())
    }

    async fn post_stop(
        &self,
        _: ActorRef<AllotterMessage>,
        _: &mut AllotterState,
    ) -> Result<(), ActorProcessingErr> {
        self.db.give_back().await;
        Ok(())
    }
}

impl Allotter {
    /// Logs the first failure of a row.
    fn note(&self, state: &mut AllotterState, allotted: Result<(), DbError>) {
        let service = self.db.service();
        match allotted {
            Ok(()) => {
                if state.failed.take().is_some() {
                    tracing::info!(service, "ids can be made again");
                }
            }
            Err(error) => {
                if state.failed.replace(Instant::now()).is_none() {
                    tracing::error!(service, %error, "no number to make ids with");
                }
            }
        }
    }
}

impl Database {
    /// A new id. Not inside a transaction: where there is no number at the moment, it waits for
    /// one to be taken.
    ///
    /// # Errors
    /// [`DbError::Unavailable`] while the database is down, [`DbError::NoNumber`] if none came in
    /// time.
    pub async fn next_id(&self) -> Result<Id, DbError> {
        if let Ok(id) = self.0.ids.next() {
            return Ok(id);
        }
        self.must_be_up()?;
        let allotted = async {
            loop {
                let allotted = self.0.allotted.notified();
                if let Ok(id) = self.0.ids.next() {
                    return id;
                }
                // Between two lives of the allotter: the next one begins with a look.
                drop(self.0.allotter.send(AllotterMessage::Wanted));
                allotted.await;
            }
        };
        tokio::time::timeout(PATIENCE, allotted).await.map_err(|_| DbError::NoNumber)
    }

    /// A new id, without waiting: also inside a transaction.
    ///
    /// # Errors
    /// [`DbError::NoNumber`] where there is no number at the moment; whoever comes again may find one.
    pub fn id_at_hand(&self) -> Result<Id, DbError> {
        self.0.ids.next().map_err(|_| {
            drop(self.0.allotter.send(AllotterMessage::Wanted));
            DbError::NoNumber
        })
    }

    /// Whether ids can be made right now.
    #[must_use]
    pub fn has_number(&self) -> bool {
        self.0.ids.grant().is_some_and(|grant| self.clock().now() < grant.until)
    }

    /// Sees to it that ids can be made for a while: prolongs the number there is when half of its
    /// time is over, or takes one.
    ///
    /// # Errors
    /// [`DbError::NoNumber`] if every number is taken.
    pub async fn allot(&self) -> Result<(), DbError> {
        let numbers = self.numbers();
        let now = self.clock().now();
        if let Some(held) = self.0.ids.grant() {
            if now.until(held.until) > LIFE / 2 {
                self.0.allotted.notify_waiters();
                return Ok(());
            }
            if let Some(until) = numbers.prolong(held.number, LIFE).await? {
                self.0.ids.prolong(held.number, until);
                self.0.allotted.notify_waiters();
                return Ok(());
            }
            if let Some((number, _)) = self.0.ids.withdraw() {
                let service = self.service();
                tracing::warn!(service, number, "the number for ids is another process's now");
            }
        }
        let grant = numbers.claim(LIFE).await?.ok_or(DbError::NoNumber)?;
        tracing::debug!(service = self.service(), number = grant.number, "a number for ids");
        self.0.ids.begin(grant);
        self.0.allotted.notify_waiters();
        Ok(())
    }

    /// For an administrative command: takes a number, and prolongs it for as long as the command runs.
    ///
    /// # Errors
    /// [`DbError::NoNumber`] if every number is taken.
    pub async fn supply(&self) -> Result<(), DbError> {
        self.allot().await?;
        #[allow(clippy::disallowed_methods, reason = "ends with the command it serves")]
        let spawned = Actor::spawn(None, Allotter { db: self.clone() }, ()).await;
        spawned.map(drop).map_err(|error| DbError::Unavailable(error.to_string()))
    }

    fn numbers(&self) -> Numbers {
        Numbers::new(self.clone(), &*self.0.holder)
    }

    /// Makes no more ids, and gives the number back, so that it need not expire.
    pub async fn give_back(&self) {
        let Some((number, unused)) = self.0.ids.withdraw() else { return };
        if let Err(error) = self.numbers().give_back(number, unused).await {
            tracing::debug!(service = self.service(), %error, "the number for ids must expire");
        }
    }
}
