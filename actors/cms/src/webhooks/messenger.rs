//! Sends what one webhook is to be told, one after the other, under a lease.
//!
//! An attempt is written down before it is made: one whose messenger ends over it counts, and the next is made after
//! the usual pause. When there is nothing to send, it ends, and lets another node have the webhook.
//!
//! Failure: another is made, here or, once its lease has run out, on another node.

use std::time::{Duration, Instant};

use futures::FutureExt as _;
use http::{HeaderMap, Request, header};
use panel_kernel::data::{DbError, Lease};
use panel_kernel::http::validate::printable;
use panel_kernel::ids::Id;
use panel_kernel::supervision::{Backoff, Bell};
use ractor::{Actor, ActorProcessingErr, ActorRef, Message};

use super::settling::Counted;
use super::{Webhooks, settling, signing};
use crate::rules::webhooks::{Verdict, verdict};
use crate::store::webhooks::deliveries::{self, Delivery, Outcome};
use crate::store::webhooks::hooks::Webhook;

/// For how long a node has a webhook to itself without a sign of life.
const LEASE: Duration = Duration::from_secs(60);
/// After which the lease is prolonged: what remains is longer than any attempt takes.
const PROLONG: Duration = Duration::from_secs(20);
/// How often an attempt is settled before that is given up, and the pauses between.
const SETTLING: u32 = 6;
const AGAIN: Backoff = Backoff { first: Duration::from_millis(100), most: Duration::from_secs(2) };
/// Kept of what somebody else says, in characters.
const MOST_CHARS: usize = 500;

/// What a messenger is told.
#[derive(Debug)]
pub(super) enum MessengerMessage {
    /// There may be something to send.
    Go,
}

impl Message for MessengerMessage {}

/// Sends to one webhook.
pub(super) struct Messenger {
    pub(super) room: Webhooks,
    pub(super) webhook: Id,
    pub(super) bell: Bell<MessengerMessage>,
}

/// The lease that it has, and since when.
type Held = Option<(Lease, Instant)>;

impl Actor for Messenger {
    type Msg = MessengerMessage;
    type State = Held;
    type Arguments = ();

    async fn pre_start(
        &self,
        myself: ActorRef<MessengerMessage>,
        (): (),
    ) -> Result<Held, ActorProcessingErr> {
        self.bell.answered_by(&myself);
        Ok(None)
    }

    async fn handle(
        &self,
        myself: ActorRef<MessengerMessage>,
        MessengerMessage::Go: MessengerMessage,
        held: &mut Held,
    ) -> Result<(), ActorProcessingErr> {
        self.bell.heard();
        match self.send_next(held).await {
            // What else it is told, also to stop, finds its turn in between.
            Ok(true) => self.bell.ring(),
            // Whoever wakes it again makes another.
            Ok(false) => myself.stop(None),
            Err(error) => {
                *held = None;
                if !error.is_outage() {
                    tracing::warn!(webhook = %self.webhook, %error, "a webhook waits");
                }
                myself.stop(None);
            }
        }
        Ok(())
    }

    async fn post_stop(
        &self,
        _: ActorRef<MessengerMessage>,
        held: &mut Held,
    ) -> Result<(), ActorProcessingErr> {
        // Another node may have it; else it would have to wait until the lease runs out.
        if let Some((lease, _)) = held.take() {
            drop(lease.release(&self.room.0.db).await);
        }
        Ok(())
    }
}

impl Messenger {
    /// Sends one delivery; whether there may be more.
    async fn send_next(&self, held: &mut Held) -> Result<bool, DbError> {
        let room = &self.room.0;
        let now = room.db.clock().now();
        let due = deliveries::due(&mut room.db.reader().await?, self.webhook, now).await?;
        let Some(due) = due else { return Ok(false) };
        let Some(lease) = self.lease(held).await? else { return Ok(false) };
        let beginning = lease.clone();
        let begun = room.db.transact(move |tx| {
            async move {
                beginning.fence(tx).await?;
                settling::begin(tx, due, now).await
            }
            .boxed()
        });
        let Some((webhook, delivery)) = begun.await? else { return Ok(false) };
        let (outcome, verdict) = self.attempt(&webhook, &delivery).await;
        let attempt = (delivery.id, delivery.attempts);
        let counted = self.settled(lease, attempt, &outcome, (webhook.version, &verdict)).await?;
        room.outcomes().with_label_values(&["cms", counted.name()]).inc();
        Ok(true)
    }

    /// Settles an attempt. What was taken is told twice if that is lost, so it is tried some times.
    async fn settled(
        &self,
        lease: Lease,
        (delivery, number): (Id, i64),
        outcome: &Outcome,
        (version, verdict): (i64, &Verdict),
    ) -> Result<Counted, DbError> {
        let db = &self.room.0.db;
        let mut failures = 0;
        loop {
            let (lease, outcome, verdict) = (lease.clone(), outcome.clone(), verdict.clone());
            let now = db.clock().now();
            let settling = db.transact(move |tx| {
                async move {
                    lease.fence(tx).await?;
                    // It may have been settled, and nobody have heard of it.
                    if !deliveries::end(tx, (delivery, number), &outcome).await? {
                        return Ok(Counted::Deferred);
                    }
                    settling::settle(tx, delivery, (version, &verdict), now).await
                }
                .boxed()
            });
            failures += 1;
            match settling.await {
                Err(error) if failures < SETTLING && !matches!(error, DbError::LeaseLost) => {
                    tracing::debug!(webhook = %self.webhook, %error, "settling is tried again");
                    tokio::time::sleep(AGAIN.wait(failures)).await;
                }
                settled => return settled,
            }
        }
    }

    /// The lease, as long as it has to be; none while another node has it.
    async fn lease(&self, held: &mut Held) -> Result<Option<Lease>, DbError> {
        if let Some((lease, since)) = held
            && since.elapsed() < PROLONG
        {
            return Ok(Some(lease.clone()));
        }
        let since = Instant::now();
        let lease = self.room.0.leases.acquire(super::lease(self.webhook), LEASE).await?;
        *held = lease.clone().map(|lease| (lease, since));
        Ok(lease)
    }

    /// Sends it, and sees what comes of it.
    async fn attempt(&self, webhook: &Webhook, delivery: &Delivery) -> (Outcome, Verdict) {
        let begun = Instant::now();
        let (outcome, verdict) = self.exchange(webhook, delivery).await;
        let millis = i64::try_from(begun.elapsed().as_millis()).ok();
        let error = match &verdict {
            Verdict::Delivered => None,
            Verdict::Refused(why) | Verdict::Unreachable(why, _) => Some(shortened(why)),
            Verdict::Gone => Some("there is nobody any more".to_owned()),
        };
        (Outcome { millis, error, ..outcome }, verdict)
    }

    async fn exchange(&self, webhook: &Webhook, delivery: &Delivery) -> (Outcome, Verdict) {
        let room = &self.room.0;
        let now = room.db.clock().now();
        // Nothing else could be sent there, either.
        let unable = |why: &str| (Outcome::default(), Verdict::Unreachable(why.to_owned(), None));
        let Some(secrets) = room.secrets(webhook, now) else {
            return unable("its secret is sealed with another cluster key; make a new one");
        };
        let (id, second) = (delivery.id.to_string(), now.as_micros() / 1_000_000);
        let signature = signing::signatures(&secrets, &id, second, &delivery.body);
        let request = Request::post(&webhook.url)
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", second)
            .header("webhook-signature", signature)
            .body(delivery.body.clone().into_bytes());
        let Ok(request) = request else { return unable("its URL can't be asked") };
        match room.outbound.send(request).await {
            Err(error) => (Outcome::default(), Verdict::Unreachable(error.to_string(), None)),
            Ok(answer) => {
                let headers = answer.headers();
                let location = text(headers, header::LOCATION).map(without_query);
                let verdict = verdict(answer.status(), location.as_deref(), retry_after(headers));
                let said = String::from_utf8_lossy(answer.body());
                let outcome = Outcome {
                    status: Some(answer.status().as_u16()),
                    answer: (!said.is_empty()).then(|| shortened(&said)),
                    ..Outcome::default()
                };
                (outcome, verdict)
            }
        }
    }
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// When to come again, where that is said in seconds.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    text(headers, header::RETRY_AFTER)?.trim().parse().ok().map(Duration::from_secs)
}

/// An address without what may be a secret in it.
fn without_query(address: &str) -> String {
    shortened(address.split(['?', '#']).next().unwrap_or_default())
}

/// The beginning of what somebody else says, as it can be stored and shown.
fn shortened(text: &str) -> String {
    printable(text).chars().take(MOST_CHARS).collect()
}
