//! The sending side: one relay per consumer reads the outbox in commit order and delivers.
//!
//! One relay per consumer and cluster does the work (under a lease); on the other nodes it looks
//! once a second whether there is work that nobody does. The lease is only taken when there is
//! something to send, so that an idle installation writes nothing.
//!
//! Failure: facts wait in the outbox; a restarted relay, here or elsewhere, goes on where the
//! last acknowledged batch ended. A batch sent twice is handled once (inbox). A consumer that
//! hangs or is down delays nobody but itself.

mod delivery;
pub(super) mod outbox;

use std::time::{Duration, Instant};

use ractor::{Actor, ActorProcessingErr, ActorRef};
use ractor_cluster::RactorMessage;

use self::outbox::Outbox;
use super::Outlet;
use crate::data::{Database, DbError, Lease, Leases};
use crate::directory::Directory;
use crate::faults;
use crate::metrics::Metrics;
use crate::supervision::{Backoff, Bell};

const LOOK: Duration = Duration::from_secs(1);
/// How long facts gather before they are sent: a batch costs the consumer one commit, and the
/// publisher another, however many facts are in it.
const GATHER: Duration = Duration::from_millis(40);
const LEASE: Duration = Duration::from_secs(15);
const BACKOFF: Backoff =
    Backoff { first: Duration::from_millis(100), most: Duration::from_secs(10) };

/// What a relay is told.
#[derive(Debug, RactorMessage)]
pub enum RelayMessage {
    /// Facts were committed here.
    Wake,
    /// Those facts have had a moment to gather, or there were more than one batch takes. A tick.
    Send,
    /// The regular look. A tick.
    Look,
}

/// Delivers one service's facts to one consumer.
#[derive(Debug)]
pub(crate) struct Relay {
    /// Whose.
    pub(crate) db: Database,
    /// How the node takes leases.
    pub(crate) leases: Leases,
    /// Where the consumer is.
    pub(crate) directory: Directory,
    /// Who it is.
    pub(crate) outlet: Outlet,
    /// Where it is told of new facts.
    pub(crate) bell: Bell<RelayMessage>,
    /// Where it reports.
    pub(crate) metrics: Metrics,
}

/// What the relay remembers between looks.
#[derive(Debug, Default)]
pub(crate) struct RelayState {
    lease: Option<(Lease, Instant)>,
    /// The outbox was compared with the database server it is on.
    at_home: bool,
    /// After failures: how many, and until when it waits.
    delayed: Option<(u32, Instant)>,
}

/// What a batch left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Nothing,
    More,
}

impl Actor for Relay {
    type Msg = RelayMessage;
    type State = RelayState;
    type Arguments = ();

    async fn pre_start(
        &self,
        myself: ActorRef<RelayMessage>,
        (): (),
    ) -> Result<RelayState, ActorProcessingErr> {
        self.bell.answered_by(&myself);
        myself.send_message(RelayMessage::Look)?;
        Ok(RelayState::default())
    }

    async fn handle(
        &self,
        myself: ActorRef<RelayMessage>,
        message: RelayMessage,
        state: &mut RelayState,
    ) -> Result<(), ActorProcessingErr> {
        if matches!(message, RelayMessage::Wake) {
            drop(myself.send_after(GATHER, || RelayMessage::Send));
            return Ok(());
        }
        self.bell.heard();
        if matches!(message, RelayMessage::Look) {
            drop(myself.send_after(LOOK, || RelayMessage::Look));
            if state.at_home && self.nothing_waits().await {
                return Ok(());
            }
        }
        // One batch at a time: what else it is told, also to stop, finds its turn in between.
        if self.send(state).await == Left::More {
            myself.send_message(RelayMessage::Send)?;
        }
        Ok(())
    }

    async fn post_stop(
        &self,
        _: ActorRef<RelayMessage>,
        state: &mut RelayState,
    ) -> Result<(), ActorProcessingErr> {
        if let Some((lease, _)) = state.lease.take() {
            // Another node need not wait then; if it can't be given up it expires.
            drop(lease.release(&self.db).await);
        }
        Ok(())
    }
}

impl Relay {
    fn outbox(&self) -> Outbox<'_> {
        Outbox { db: &self.db, consumer: self.outlet.consumer }
    }

    /// Sends a batch, unless it waits after a failure.
    async fn send(&self, state: &mut RelayState) -> Left {
        if state.delayed.is_some_and(|(_, until)| Instant::now() < until) {
            return Left::Nothing;
        }
        match self.try_send(state).await {
            Ok(left) => {
                state.delayed = None;
                left
            }
            Err(error) => {
                let attempt = state.delayed.map_or(1, |(attempt, _)| attempt + 1);
                state.delayed = Some((attempt, Instant::now() + BACKOFF.wait(attempt)));
                if matches!(error, DbError::LeaseLost) {
                    state.lease = None;
                }
                let (service, consumer) = (self.db.service(), self.outlet.consumer);
                tracing::debug!(service, consumer, attempt, %error, "delivery waits");
                Left::Nothing
            }
        }
    }

    async fn try_send(&self, state: &mut RelayState) -> Result<Left, DbError> {
        if !state.at_home {
            self.outbox().make_at_home().await?;
            state.at_home = true;
        }
        let (after, rows) = self.outbox().pending().await?;
        if rows.is_empty() {
            return Ok(Left::Nothing);
        }
        let Some(lease) = self.lease(state).await? else { return Ok(Left::Nothing) };
        let last = rows.last().map_or(after, outbox::OutboxRow::place);
        let full = rows.len() == outbox::BATCH_ROWS;
        let (batch, reached) = delivery::batch(self.db.service(), &self.outlet, rows, after);
        if !batch.events.is_empty() {
            faults::pass(&faults::RELAY_DELIVER).await?;
            delivery::deliver(&self.db, &self.directory, self.outlet.consumer, &batch).await?;
            faults::pass(&faults::RELAY_DELIVERED).await?;
        }
        self.outbox().advance(lease, reached).await?;
        Ok(if full || reached != last { Left::More } else { Left::Nothing })
    }

    /// The lease, prolonged when a third of it is used up; `None` while another node has it.
    async fn lease(&self, state: &mut RelayState) -> Result<Option<Lease>, DbError> {
        if let Some((lease, since)) = &state.lease
            && since.elapsed() < LEASE / 3
        {
            return Ok(Some(lease.clone()));
        }
        let name = format!("relay:{}", self.outlet.consumer);
        let lease = self.leases.acquire(name, LEASE).await?;
        state.lease = lease.clone().map(|lease| (lease, Instant::now()));
        Ok(lease)
    }

    /// Whether the consumer has had everything; the metrics learn how far behind it is.
    async fn nothing_waits(&self) -> bool {
        let Ok((waiting, oldest)) = self.outbox().lag().await else { return false };
        let labels = [self.db.service(), self.outlet.consumer];
        self.metrics.outbox_lag.with_label_values(&labels).set(waiting);
        let age = oldest.map_or(Duration::ZERO, |oldest| oldest.until(self.db.clock().now()));
        self.metrics.outbox_age.with_label_values(&labels).set(age.as_secs_f64());
        waiting == 0
    }
}
