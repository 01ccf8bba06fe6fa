//! The sending side: reads the outbox in commit order and delivers to each consumer.
//!
//! One relay per service and cluster does the work (the lease `relay`); on the other nodes it
//! looks once a second whether there is work that nobody does. The lease is only taken when
//! there is something to send, so that an idle installation writes nothing.
//!
//! Failure: facts wait in the outbox; a restarted relay, here or elsewhere, goes on where the
//! last acknowledged batch ended. A batch sent twice is handled once (inbox).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderValue, Method, Uri, header};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use ractor_cluster::RactorMessage;
use serde_json::value::RawValue;

use super::{Batch, Event, Outlet, PATH};
use crate::data::{Database, DbError, Lease, Leases};
use crate::directory::Directory;
use crate::ids::random_hex;
use crate::message::{
    Envelope, Extensions, IdempotencyKey, KeyOrigin, Payload, Principal, TraceContext,
};
use crate::metrics::Metrics;
use crate::supervision::Backoff;
use crate::time::Timestamp;

const LOOK: Duration = Duration::from_secs(1);
/// How long facts gather before they are sent: a batch costs the consumer one commit, and the
/// publisher another, however many facts are in it.
const GATHER: Duration = Duration::from_millis(40);
const LEASE: Duration = Duration::from_secs(15);
const DELIVERY: Duration = Duration::from_secs(5);
const BATCH_ROWS: i64 = 100;
/// Below the 128 KiB a message may carry inline.
const BATCH_BYTES: usize = 96 * 1024;
const BACKOFF: Backoff =
    Backoff { first: Duration::from_millis(100), most: Duration::from_secs(10) };

/// What the relay is told.
#[derive(Debug, RactorMessage)]
pub enum RelayMessage {
    /// Facts were committed here.
    Wake,
    /// Those facts have had a moment to gather. A tick.
    Gathered,
    /// The regular look. A tick.
    Look,
}

/// Delivers one service's facts.
#[derive(Debug)]
pub struct Relay {
    /// Whose.
    pub db: Database,
    /// How the node takes leases.
    pub leases: Leases,
    /// Where the consumers are.
    pub directory: Directory,
    /// Who they are.
    pub outlets: Arc<[Outlet]>,
    /// Where it reports.
    pub metrics: Metrics,
}

/// What the relay remembers between looks.
#[derive(Debug, Default)]
pub struct RelayState {
    lease: Option<(Lease, Instant)>,
    delayed: HashMap<&'static str, (u32, Instant)>,
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
        self.db.relay().announce(&myself);
        self.db.relay_looked();
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
            drop(myself.send_after(GATHER, || RelayMessage::Gathered));
            return Ok(());
        }
        self.db.relay_looked();
        for outlet in self.outlets.iter() {
            self.serve(outlet, state).await;
        }
        if matches!(message, RelayMessage::Look) {
            drop(myself.send_after(LOOK, || RelayMessage::Look));
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
    /// Serves one consumer as far as it goes.
    async fn serve(&self, outlet: &Outlet, state: &mut RelayState) {
        let delayed = state.delayed.get(outlet.consumer);
        if delayed.is_some_and(|(_, until)| Instant::now() < *until) {
            return;
        }
        match self.drain(outlet, state).await {
            Ok(()) => {
                state.delayed.remove(outlet.consumer);
            }
            Err(error) => {
                let attempt = state.delayed.get(outlet.consumer).map_or(1, |(n, _)| n + 1);
                let until = Instant::now() + BACKOFF.wait(attempt);
                state.delayed.insert(outlet.consumer, (attempt, until));
                if matches!(error, DbError::LeaseLost) {
                    state.lease = None;
                }
                let (service, consumer) = (self.db.service(), outlet.consumer);
                tracing::debug!(service, consumer, attempt, %error, "delivery waits");
            }
        }
    }

    async fn drain(&self, outlet: &Outlet, state: &mut RelayState) -> Result<(), DbError> {
        loop {
            let (after, rows) = self.pending(outlet.consumer).await?;
            let lag =
                self.metrics.outbox_lag.with_label_values(&[self.db.service(), outlet.consumer]);
            lag.set(i64::try_from(rows.len()).unwrap_or(i64::MAX));
            if rows.is_empty() {
                return Ok(());
            }
            let Some(lease) = self.lease(state).await? else { return Ok(()) };
            let (batch, reached) = self.batch(outlet, rows, after);
            if !batch.events.is_empty() {
                self.deliver(outlet.consumer, &batch).await?;
            }
            self.advance(outlet.consumer, lease, reached).await?;
        }
    }

    /// The lease, prolonged when a third of it is used up; `None` while another node has it.
    async fn lease(&self, state: &mut RelayState) -> Result<Option<Lease>, DbError> {
        if let Some((lease, since)) = &state.lease
            && since.elapsed() < LEASE / 3
        {
            return Ok(Some(lease.clone()));
        }
        let lease = self.leases.acquire("relay", LEASE).await?;
        state.lease = lease.clone().map(|lease| (lease, Instant::now()));
        Ok(lease)
    }

    /// The rows after what the consumer has had, oldest first, never past a row that a
    /// transaction still running might put in front of them.
    async fn pending(
        &self,
        consumer: &'static str,
    ) -> Result<((i64, i64), Vec<OutboxRow>), DbError> {
        let mut conn = self.db.reader().await?;
        let progress =
            crate::data::sql("SELECT epoch, position FROM outbox_progress WHERE consumer = $1");
        let after = match conn.optional::<(i64, i64)>(progress.bind(consumer)).await? {
            Some(after) => after,
            None => {
                self.enlist(consumer).await?;
                (0, 0)
            }
        };
        // On SQLite there is one writer, and the position alone is the order.
        let rows = if self.db.is_postgres() {
            crate::data::sql(
                "SELECT epoch, position, topic, payload, created_at FROM outbox \
                 WHERE (epoch, position) > ($1, $2) \
                   AND epoch < (pg_snapshot_xmin(pg_current_snapshot())::text::bigint) \
                 ORDER BY epoch, position LIMIT $3",
            )
            .bind(after.0)
            .bind(after.1)
            .bind(BATCH_ROWS)
        } else {
            crate::data::sql(
                "SELECT epoch, position, topic, payload, created_at FROM outbox \
                 WHERE position > $1 ORDER BY position LIMIT $2",
            )
            .bind(after.1)
            .bind(BATCH_ROWS)
        };
        Ok((after, conn.all(rows).await?))
    }

    /// Gives a consumer that was never served a place at the beginning. The row holds back what
    /// would otherwise be forgotten after a while.
    async fn enlist(&self, consumer: &'static str) -> Result<(), DbError> {
        self.db
            .transact(move |tx| {
                Box::pin(async move {
                    let row = "INSERT INTO outbox_progress (consumer, epoch, position) \
                               VALUES ($1, 0, 0) ON CONFLICT (consumer) DO NOTHING";
                    tx.execute(crate::data::sql(row).bind(consumer)).await.map(|_| ())
                })
            })
            .await
    }

    /// As many rows as fit a message, and how far they reach.
    fn batch(
        &self,
        outlet: &Outlet,
        rows: Vec<OutboxRow>,
        mut reached: (i64, i64),
    ) -> (Batch, (i64, i64)) {
        let mut batch = Batch { source: self.db.service().to_owned(), events: Vec::new() };
        let mut bytes = 0;
        for row in rows {
            if outlet.wants(&row.topic) {
                bytes += row.payload.len() + 128;
                if bytes > BATCH_BYTES && !batch.events.is_empty() {
                    break;
                }
                let payload = RawValue::from_string(row.payload)
                    .or_else(|error| RawValue::from_string(format!("{:?}", error.to_string())));
                if let Ok(payload) = payload {
                    batch.events.push(Event {
                        position: row.position,
                        topic: row.topic,
                        at: row.created_at,
                        payload,
                    });
                }
            }
            reached = (row.epoch, row.position);
        }
        (batch, reached)
    }

    async fn deliver(&self, consumer: &'static str, batch: &Batch) -> Result<(), DbError> {
        let unavailable = |why: String| DbError::Unavailable(format!("{consumer}: {why}"));
        let member =
            self.directory.any(consumer).ok_or_else(|| unavailable("no member is up".into()))?;
        let body = serde_json::to_vec(batch).map_err(|error| unavailable(error.to_string()))?;
        let clock = self.db.clock();
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let envelope = Envelope {
            method: Method::POST,
            uri: Uri::from_static(PATH),
            headers,
            body: Payload::Inline(body.into()),
            principal: Principal::Service(self.db.service().to_owned()),
            deadline: clock.now().plus(DELIVERY),
            idempotency_key: Some(IdempotencyKey {
                value: random_hex(),
                origin: KeyOrigin::Gateway,
            }),
            trace: TraceContext::begin(),
            request_id: random_hex(),
            extensions: Extensions::default(),
        };
        match member.call(envelope, clock).await {
            Ok(reply) if reply.status.is_success() => Ok(()),
            Ok(reply) => Err(unavailable(format!("answered {}", reply.status))),
            Err(error) => Err(unavailable(error.to_string())),
        }
    }

    async fn advance(
        &self,
        consumer: &'static str,
        lease: Lease,
        (epoch, position): (i64, i64),
    ) -> Result<(), DbError> {
        self.db
            .transact(move |tx| {
                Box::pin(async move {
                    lease.fence(tx).await?;
                    tx.execute(
                        crate::data::sql(
                            "INSERT INTO outbox_progress (consumer, epoch, position) \
                             VALUES ($1, $2, $3) ON CONFLICT (consumer) DO UPDATE \
                             SET epoch = excluded.epoch, position = excluded.position",
                        )
                        .bind(consumer)
                        .bind(epoch)
                        .bind(position),
                    )
                    .await?;
                    Ok(())
                })
            })
            .await
    }
}

struct OutboxRow {
    epoch: i64,
    position: i64,
    topic: String,
    payload: String,
    created_at: Timestamp,
}

crate::from_row!(OutboxRow { epoch, position, topic, payload, created_at });
