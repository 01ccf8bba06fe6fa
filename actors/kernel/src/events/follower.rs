//! An actor that follows the facts of its own service.
//!
//! What one part of a service does because of another goes this way where it may come a moment later: the
//! act commits without it, and it is done once, whatever ends in between. How far it is, is a row in the
//! service's own database, which advances in the transaction of what was done: there is nothing to be told
//! twice, and no message that could be lost. Nodes of a cluster take turns, whoever is there first.
//!
//! Failure: facts wait in the outbox; whoever follows next, here or elsewhere, goes on where the last
//! transaction ended. A fact that makes no sense is passed over with a line in the log, and so is one with
//! which the database has failed many times: the others do not wait for it for ever.

use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use ractor::{Actor, ActorProcessingErr, ActorRef, Message};

use super::relay::outbox::{BATCH_ROWS, Outbox, OutboxRow, Place};
use super::subscription::wants;
use super::{Event, Rejected};
use crate::data::{Conn, Database, DbError, Tx, sql};
use crate::metrics::Metrics;
use crate::supervision::{Backoff, Bell, ChildSpec};

/// Between two looks, where nobody has said that there is something to do here.
const LOOK: Duration = Duration::from_secs(1);
/// How long facts gather: what is done for one of them costs a commit, and for many of them the same.
const GATHER: Duration = Duration::from_millis(10);
/// When to look again where another node is at it, or an earlier transaction is still under way.
/// Each time twice as long, up to half a second or so.
const AGAIN: Duration = Duration::from_millis(20);
const MOST_DOUBLED: u32 = 5;
const BACKOFF: Backoff =
    Backoff { first: Duration::from_millis(100), most: Duration::from_secs(10) };
/// As often as facts may fail to be taken before they are taken one by one; and as often as the database may fail over one
/// before that is passed over.
const ONE_BY_ONE: u32 = 5;
const PASSED_OVER: u32 = 8;

/// What is done because of facts.
pub trait Follow: Clone + Send + Sync + 'static {
    /// What others are told of after the transaction has committed.
    type News: Default + Send + 'static;

    /// The topics it wants to hear of, exact or ending in `*`.
    const TOPICS: &'static [&'static str];

    /// Takes a fact into account, in the transaction that notes that it was.
    fn apply<'t>(
        &'t self,
        tx: &'t mut Tx,
        event: &'t Event,
        news: &'t mut Self::News,
    ) -> BoxFuture<'t, Result<(), Rejected>>;

    /// Whether there is work left over from facts that was too much for one transaction.
    fn has_more<'c>(&'c self, conn: &'c mut Conn) -> BoxFuture<'c, Result<bool, DbError>>;

    /// Does a piece of it.
    fn piece<'t>(
        &'t self,
        tx: &'t mut Tx,
        news: &'t mut Self::News,
    ) -> BoxFuture<'t, Result<(), DbError>>;

    /// Tells others; what was done has committed.
    fn tell(&self, news: Self::News) -> BoxFuture<'_, ()>;

    /// It begins to follow, perhaps after a failure: what was to be told may not have been.
    fn begins(&self) -> BoxFuture<'_, ()>;
}

/// What a follower is told.
#[derive(Debug)]
pub enum FollowerMessage {
    /// Facts were committed here.
    Wake,
    /// Those facts have had a moment to gather, or there were more. A tick.
    Go,
    /// What was still under way may be there now. A tick.
    Again,
    /// The regular look. A tick.
    Look,
}

impl Message for FollowerMessage {}

/// The actor called `name`, as a child of the service that has `db`.
pub fn follower<F: Follow>(
    name: &'static str,
    (db, metrics): (&Database, &Metrics),
    follow: F,
) -> ChildSpec {
    let bell = Bell::new(|| FollowerMessage::Wake);
    let rung = bell.clone();
    db.on_published(move || rung.ring());
    let (db, metrics) = (db.clone(), metrics.clone());
    ChildSpec::new(name, move || {
        let follower = Follower {
            name,
            db: db.clone(),
            metrics: metrics.clone(),
            follow: follow.clone(),
            bell: bell.clone(),
        };
        (follower, ())
    })
}

struct Follower<F> {
    name: &'static str,
    db: Database,
    metrics: Metrics,
    follow: F,
    bell: Bell<FollowerMessage>,
}

/// After failures: how many, of which the database's own, and until when it waits.
#[derive(Debug, Default)]
struct Trouble {
    attempts: u32,
    faults: u32,
    until: Option<Instant>,
}

/// What a round left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Nothing,
    /// There is more to do.
    More,
    /// There will be, in a moment.
    Soon,
}

impl<F: Follow> Actor for Follower<F> {
    type Msg = FollowerMessage;
    type State = FollowerState;
    type Arguments = ();

    async fn pre_start(
        &self,
        myself: ActorRef<FollowerMessage>,
        (): (),
    ) -> Result<FollowerState, ActorProcessingErr> {
        self.bell.answered_by(&myself);
        myself.send_message(FollowerMessage::Look)?;
        Ok(FollowerState {
            has_begun: false,
            looks_again: false,
            waits: 0,
            trouble: Trouble::default(),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<FollowerMessage>,
        message: FollowerMessage,
        state: &mut FollowerState,
    ) -> Result<(), ActorProcessingErr> {
        if !state.has_begun {
            state.has_begun = true;
            self.follow.begins().await;
        }
        if matches!(message, FollowerMessage::Wake) {
            drop(myself.send_after(GATHER, || FollowerMessage::Go));
            return Ok(());
        }
        self.bell.heard();
        if matches!(message, FollowerMessage::Again) {
            state.looks_again = false;
        }
        if matches!(message, FollowerMessage::Look) {
            drop(myself.send_after(LOOK, || FollowerMessage::Look));
            // The metrics learn of it; what stands in the way is seen below.
            drop(self.lag().await);
        }
        // One round at a time: what else it is told, also to stop, finds its turn in between.
        match self.patiently(&mut state.trouble).await {
            // One such look at a time, however many facts are committed meanwhile.
            Left::Soon if state.looks_again => {}
            Left::Soon => {
                let wait = AGAIN * (1 << state.waits.min(MOST_DOUBLED));
                (state.looks_again, state.waits) = (true, state.waits + 1);
                drop(myself.send_after(wait, || FollowerMessage::Again));
            }
            Left::More => {
                state.waits = 0;
                myself.send_message(FollowerMessage::Go)?;
            }
            Left::Nothing => state.waits = 0,
        }
        Ok(())
    }
}

/// What a follower remembers between looks.
#[derive(Debug)]
struct FollowerState {
    has_begun: bool,
    /// Whether it is to look again in a moment.
    looks_again: bool,
    /// How often in a row it looked for what is still under way.
    waits: u32,
    trouble: Trouble,
}

impl<F: Follow> Follower<F> {
    async fn patiently(&self, trouble: &mut Trouble) -> Left {
        if trouble.until.is_some_and(|until| Instant::now() < until) {
            return Left::Nothing;
        }
        match self.round(trouble).await {
            Ok(left) => {
                *trouble = Trouble::default();
                left
            }
            Err(error) => {
                trouble.attempts += 1;
                trouble.until = Some(Instant::now() + BACKOFF.wait(trouble.attempts));
                let (service, name, attempts) = (self.db.service(), self.name, trouble.attempts);
                if let DbError::Fault(error) = &error {
                    tracing::error!(service, name, attempts, %error, "facts can't be followed");
                } else {
                    tracing::debug!(service, name, attempts, %error, "following waits");
                }
                Left::Nothing
            }
        }
    }

    async fn round(&self, trouble: &mut Trouble) -> Result<Left, DbError> {
        let outbox = Outbox { db: &self.db, consumer: self.name };
        let (_, waiting) = outbox.pending().await?;
        let mut left = Left::Nothing;
        if !waiting.is_empty() {
            // Also where they took too long together.
            let most = if trouble.attempts >= ONE_BY_ONE { 1 } else { BATCH_ROWS };
            let taken = self.take(most, trouble.faults >= PASSED_OVER).await;
            match &taken {
                Ok(_) => trouble.faults = 0,
                Err(DbError::Fault(_)) => trouble.faults += 1,
                Err(_) => {}
            }
            left = taken?;
        } else if self.lag().await? > 0 {
            left = Left::Soon;
        }
        let mut conn = self.db.reader().await?;
        if self.follow.has_more(&mut conn).await? {
            drop(conn);
            let follow = self.follow.clone();
            let news: F::News = self
                .db
                .transact(move |tx| {
                    Box::pin(async move {
                        let mut news = F::News::default();
                        follow.piece(tx, &mut news).await?;
                        Ok::<_, DbError>(news)
                    })
                })
                .await?;
            self.follow.tell(news).await;
            left = Left::More;
        }
        Ok(left)
    }

    /// How many rows wait; the metrics learn of it.
    async fn lag(&self) -> Result<i64, DbError> {
        let (waiting, oldest) = Outbox { db: &self.db, consumer: self.name }.lag().await?;
        let age = oldest.map_or(Duration::ZERO, |oldest| oldest.until(self.db.clock().now()));
        let labels = [self.db.service(), self.name];
        self.metrics.outbox_lag.with_label_values(&labels).set(waiting);
        self.metrics.outbox_age.with_label_values(&labels).set(age.as_secs_f64());
        Ok(waiting)
    }

    /// Takes at most so many facts into account, in one transaction. With `skip`, the first that is wanted is
    /// passed over.
    async fn take(&self, most: usize, skip: bool) -> Result<Left, DbError> {
        let (follow, name, service) = (self.follow.clone(), self.name, self.db.service());
        let done: Option<(Left, F::News)> = self
            .db
            .transact(move |tx| {
                Box::pin(async move {
                    let Some(after) = hold(tx, name).await? else { return Ok(None) };
                    let rows = Outbox::after(tx, after, most).await?;
                    let Some(last) = rows.last().map(OutboxRow::place) else {
                        return Ok(Some((Left::Soon, F::News::default())));
                    };
                    let is_full = rows.len() >= most;
                    let mut news = F::News::default();
                    for row in rows.into_iter().filter(|row| wants(F::TOPICS, &row.topic)) {
                        let (position, topic) = (row.position, row.topic.clone());
                        if skip {
                            tracing::error!(service, name, position, topic, "fact passed over");
                            continue;
                        }
                        let applied = match Event::try_from(row) {
                            Ok(event) => follow.apply(tx, &event, &mut news).await,
                            Err(error) => Err(error.into()),
                        };
                        match applied {
                            Ok(()) => {}
                            Err(Rejected::Nonsense(reason)) => {
                                tracing::error!(
                                    service,
                                    name,
                                    position,
                                    topic,
                                    reason,
                                    "fact rejected"
                                );
                            }
                            Err(Rejected::Database(error)) => return Err(error),
                        }
                    }
                    advance(tx, name, last).await?;
                    Ok(Some((if is_full { Left::More } else { Left::Nothing }, news)))
                })
            })
            .await?;
        let Some((left, news)) = done else { return Ok(Left::Soon) };
        self.follow.tell(news).await;
        Ok(left)
    }
}

/// How far it is; nothing while another node is at it. Nobody else goes on until the transaction ends.
async fn hold(tx: &mut Tx, name: &'static str) -> Result<Option<Place>, DbError> {
    let text = if tx.is_postgres() {
        "SELECT epoch, position FROM outbox_progress WHERE consumer = $1 FOR UPDATE SKIP LOCKED"
    } else {
        "SELECT epoch, position FROM outbox_progress WHERE consumer = $1"
    };
    tx.optional(sql(text).bind(name)).await
}

async fn advance(tx: &mut Tx, name: &'static str, (epoch, position): Place) -> Result<(), DbError> {
    let advance = "UPDATE outbox_progress SET epoch = $2, position = $3 WHERE consumer = $1";
    tx.execute(sql(advance).bind(name).bind(epoch).bind(position)).await.map(|_| ())
}
