//! The receiving side: each fact has its effect once.

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::data::{Database, DbError, Tx, sql};
use crate::purge::Purge;
use crate::time::Timestamp;

/// A fact as it arrives.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    /// Its place in the publisher's outbox; with the source, its identity.
    pub position: i64,
    /// What happened: `user.registered`.
    pub topic: String,
    /// When.
    pub at: Timestamp,
    /// The fact itself.
    pub payload: Box<RawValue>,
}

/// Facts on their way from one service to another.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Batch {
    /// The publishing service.
    pub(crate) source: String,
    /// In the order in which they were committed.
    pub(crate) events: Vec<Event>,
}

/// Why a fact was not handled.
#[derive(Debug, thiserror::Error)]
pub enum Rejected {
    /// It makes no sense here and never will. Recorded, and passed over.
    #[error("{0}")]
    Nonsense(String),
    /// The database did not do it. Tried again.
    #[error(transparent)]
    Database(#[from] DbError),
}

impl From<serde_json::Error> for Rejected {
    fn from(error: serde_json::Error) -> Self {
        Self::Nonsense(error.to_string())
    }
}

/// What a service does with the facts it subscribed to.
pub trait Consumer: Send + Sync + 'static {
    /// Takes a fact into account. Runs in a transaction with the inbox row; a fact is given
    /// once, in the publisher's order. A topic it does not know must be passed over with `Ok`:
    /// a newer publisher may tell more.
    ///
    /// What it makes old of the public answers it says in the transaction ([`Tx::makes_old`]); where it says nothing,
    /// that is everything.
    fn apply<'t>(
        &'t self,
        tx: &'t mut Tx,
        source: &'t str,
        event: &'t Event,
    ) -> BoxFuture<'t, Result<(), Rejected>>;
}

/// Handles a batch: in one transaction if all goes well, else one by one, so that a fact that
/// makes no sense costs nothing but itself. What is purged beside what the transactions say: if a fact was
/// handled before and nobody heard of that, what it made old may not have been told either.
pub(crate) async fn receive(
    db: &Database,
    consumer: &std::sync::Arc<dyn Consumer>,
    batch: Batch,
) -> Result<Purge, DbError> {
    match apply(db, consumer, &batch.source, batch.events.clone()).await {
        Ok(purge) => return Ok(purge),
        Err(Rejected::Database(error)) => return Err(error),
        Err(Rejected::Nonsense(_)) => {}
    }
    let mut purge = Purge::nothing();
    for event in batch.events {
        match apply(db, consumer, &batch.source, vec![event.clone()]).await {
            Ok(more) => purge.add(more),
            Err(Rejected::Database(error)) => return Err(error),
            Err(Rejected::Nonsense(reason)) => {
                let (source, position, topic) = (&batch.source, event.position, &event.topic);
                tracing::error!(source, position, topic, reason, "fact rejected");
                reject(db, source.clone(), event, reason).await?;
            }
        }
    }
    Ok(purge)
}

async fn apply(
    db: &Database,
    consumer: &std::sync::Arc<dyn Consumer>,
    source: &str,
    events: Vec<Event>,
) -> Result<Purge, Rejected> {
    let (consumer, source) = (std::sync::Arc::clone(consumer), source.to_owned());
    let now = db.clock().now();
    db.transact(move |tx| {
        Box::pin(async move {
            let (mut purge, mut is_told_again) = (Purge::nothing(), false);
            for event in &events {
                if note(tx, &source, event.position, now, None).await? {
                    consumer.apply(tx, &source, event).await?;
                    purge.add(tx.take_purge().unwrap_or_else(Purge::everything));
                } else {
                    is_told_again = true;
                }
            }
            tx.purges(purge);
            Ok(if is_told_again { Purge::everything_gone() } else { Purge::nothing() })
        })
    })
    .await
}

async fn reject(
    db: &Database,
    source: String,
    event: Event,
    reason: String,
) -> Result<(), DbError> {
    let now = db.clock().now();
    db.transact(move |tx| {
        Box::pin(async move {
            let kept = format!("{reason}: {} {}", event.topic, event.payload);
            note(tx, &source, event.position, now, Some(kept)).await.map(|_| ())
        })
    })
    .await
}

/// Writes the inbox row; `false` if it was there, and the fact has been handled.
async fn note(
    tx: &mut Tx,
    source: &str,
    position: i64,
    now: Timestamp,
    rejected: Option<String>,
) -> Result<bool, DbError> {
    tx.changed(
        sql("INSERT INTO inbox (source, position, received_at, rejected) \
             VALUES ($1, $2, $3, $4) ON CONFLICT (source, position) DO NOTHING")
        .bind(source)
        .bind(position)
        .bind(now)
        .bind(rejected),
    )
    .await
}
