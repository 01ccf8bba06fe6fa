//! Sends what one webhook is to be told, one after the other, under a lease.
//!
//! An attempt is written down before it is made: one whose messenger ends over it counts, and the next is made after
//! the usual pause.
//!
//! Failure: another is made, here or on another node.

use std::time::{Duration, Instant};

use futures::FutureExt as _;
use http::{HeaderMap, Request, header};
use panel_kernel::data::{DbError, Lease};
use panel_kernel::http::validate::printable;
use panel_kernel::ids::Id;
use panel_kernel::supervision::Bell;
use ractor::{Actor, ActorProcessingErr, ActorRef, Message};

use super::{Webhooks, settling, signing};
use crate::rules::webhooks::{Verdict, verdict};
use crate::store::webhooks::deliveries::{self, Delivery, Outcome};
use crate::store::webhooks::hooks::{self, Webhook};

/// For how long a node has a webhook to itself without a sign of life.
const LEASE: Duration = Duration::from_secs(60);
/// After which the lease is prolonged: what remains is longer than any attempt takes.
const PROLONG: Duration = Duration::from_secs(20);
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

/// What there is to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// Perhaps something.
    More,
    /// Nothing for now.
    Nothing,
    /// Nothing any more.
    Gone,
}

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
            Ok(Next::More) => self.bell.ring(),
            Ok(Next::Nothing) => self.let_go(held).await,
            Ok(Next::Gone) => {
                self.let_go(held).await;
                myself.stop(None);
            }
            // The courier says when there is something to do.
            Err(error) => {
                *held = None;
                if !error.is_outage() {
                    tracing::warn!(webhook = %self.webhook, %error, "a webhook waits");
                }
            }
        }
        Ok(())
    }
}

impl Messenger {
    /// Sends one delivery, if there is one.
    async fn send_next(&self, held: &mut Held) -> Result<Next, DbError> {
        let room = &self.room.0;
        let now = room.db.clock().now();
        let mut conn = room.db.reader().await?;
        let found = hooks::find(&mut conn, self.webhook).await?;
        let Some(webhook) = found.filter(|it| it.enabled) else { return Ok(Next::Gone) };
        if now < webhook.resumes_at {
            return Ok(Next::Nothing);
        }
        let Some(due) = deliveries::due(&mut conn, webhook.id, now).await? else {
            return Ok(Next::Nothing);
        };
        drop(conn);
        let Some(lease) = self.lease(held).await? else { return Ok(Next::Nothing) };
        let beginning = lease.clone();
        let begun = room.db.transact(move |tx| {
            async move {
                beginning.fence(tx).await?;
                settling::begin(tx, due, now).await
            }
            .boxed()
        });
        let Some(begun) = begun.await? else { return Ok(Next::More) };
        let (outcome, verdict) = self.attempt(&webhook, &begun).await;
        let (own, delivery) = (self.room.clone(), begun.id);
        let settled = room.db.transact(move |tx| {
            async move {
                lease.fence(tx).await?;
                deliveries::end(tx, (delivery, begun.attempts), &outcome).await?;
                settling::settle(tx, &own, delivery, &verdict).await
            }
            .boxed()
        });
        let counted = settled.await?;
        room.outcomes().with_label_values(&["cms", counted]).inc();
        Ok(Next::More)
    }

    /// The lease, as long as it has to be; none while another node has it.
    async fn lease(&self, held: &mut Held) -> Result<Option<Lease>, DbError> {
        if let Some((lease, since)) = held
            && since.elapsed() < PROLONG
        {
            return Ok(Some(lease.clone()));
        }
        let since = Instant::now();
        let name = format!("webhook:{}", self.webhook);
        let lease = self.room.0.leases.acquire(name, LEASE).await?;
        *held = lease.clone().map(|lease| (lease, since));
        Ok(lease)
    }

    /// Lets another node have it, if there is something to do there.
    async fn let_go(&self, held: &mut Held) {
        if let Some((lease, _)) = held.take() {
            // Else it runs out.
            drop(lease.release(&self.room.0.db).await);
        }
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
        let refused = |why: &str| (Outcome::default(), Verdict::Refused(why.to_owned()));
        let Some(secrets) = room.secrets(webhook, now) else {
            return refused("its secret is sealed with another cluster key; make a new one");
        };
        let (id, second) = (delivery.id.to_string(), now.as_micros() / 1_000_000);
        let signature = signing::signatures(&secrets, &id, second, &delivery.body);
        let request = Request::post(&webhook.url)
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", second)
            .header("webhook-signature", signature)
            .body(delivery.body.clone().into_bytes());
        let Ok(request) = request else { return refused("its URL can't be asked") };
        match room.outbound.send(request).await {
            Err(error) => (Outcome::default(), Verdict::Unreachable(error.to_string(), None)),
            Ok(answer) => {
                let headers = answer.headers();
                let location = text(headers, header::LOCATION).map(shortened);
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

/// The beginning of what somebody else says, as it can be stored and shown.
fn shortened(text: &str) -> String {
    printable(text).chars().take(MOST_CHARS).collect()
}
