//! Webhooks, for administrators: which there are, what they were told, and what came of it.

mod deliveries;
mod managing;

use panel_kernel::access::{Guarded as _, Need};
use panel_kernel::ids::Id;
use panel_kernel::role::Role;
use panel_kernel::time::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Shared;
use crate::rules::webhooks::{DeliveryState, DisabledBecause};
use crate::store::webhooks::deliveries::{Attempt, Delivery};
use crate::store::webhooks::hooks::Webhook;

/// What they send away is the site's, and so is where to.
const ADMINISTRATOR: Need = Need::Rank(Role::Admin);
const ROUTE: &str = "/api/v2/cms/webhooks";

/// The routes.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .guarded(ADMINISTRATOR, routes!(managing::list_webhooks, managing::create_webhook))
        .guarded(
            ADMINISTRATOR,
            routes!(managing::read_webhook, managing::edit_webhook, managing::delete_webhook),
        )
        .guarded(ADMINISTRATOR, routes!(managing::rotate_webhook_secret))
        .guarded(ADMINISTRATOR, routes!(deliveries::ping_webhook))
        .guarded(ADMINISTRATOR, routes!(deliveries::list_deliveries))
        .guarded(ADMINISTRATOR, routes!(deliveries::read_delivery))
        .guarded(ADMINISTRATOR, routes!(deliveries::redeliver))
}

/// A server that is told what becomes of articles.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Webhook)]
pub(super) struct WebhookView {
    id: Id,
    /// Where it is.
    url: String,
    /// What it is for.
    description: String,
    /// What it is told; `*`: everything, also what later releases tell.
    topics: Vec<String>,
    /// Whether anything is sent there.
    enabled: bool,
    /// Why not, where nobody has said so.
    disabled_because: Option<DisabledBecause>,
    /// How much of what it is to be told waits.
    pending: i64,
    /// How often in a row it could not be reached.
    failures: i64,
    /// When it is tried again after that.
    resumes_at: Option<Timestamp>,
    /// When it took something last.
    delivered_at: Option<Timestamp>,
    /// Until when deliveries are signed with its earlier secret, too.
    earlier_secret_until: Option<Timestamp>,
    created_at: Timestamp,
    updated_at: Timestamp,
    version: i64,
}

impl From<Webhook> for WebhookView {
    fn from(it: Webhook) -> Self {
        Self {
            id: it.id,
            url: it.url,
            description: it.description,
            topics: it.topics,
            enabled: it.enabled,
            disabled_because: it.disabled_because,
            pending: it.pending,
            failures: it.failures,
            resumes_at: (it.failures > 0).then_some(it.resumes_at),
            delivered_at: it.delivered_at,
            earlier_secret_until: it.earlier_until,
            created_at: it.created_at,
            updated_at: it.updated_at,
            version: it.version,
        }
    }
}

/// A webhook and its secret, which is shown this once.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = WebhookWithSecret)]
pub(super) struct WithSecret {
    /// What its deliveries are signed with: `whsec_…`.
    secret: String,
    #[serde(flatten)]
    webhook: WebhookView,
}

/// Something that a webhook is told.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = WebhookDelivery)]
pub(super) struct DeliveryView {
    /// What it is known by to the webhook, too (`webhook-id`), each time that it is sent.
    id: Id,
    topic: String,
    state: DeliveryState,
    /// How often it was sent. None, and failed: too much waited already.
    attempts: i64,
    created_at: Timestamp,
    /// When it is sent next.
    next_at: Option<Timestamp>,
    /// When it is given up.
    give_up_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
}

impl From<&Delivery> for DeliveryView {
    fn from(it: &Delivery) -> Self {
        let is_pending = it.state == DeliveryState::Pending;
        Self {
            id: it.id,
            topic: it.topic.clone(),
            state: it.state,
            attempts: it.attempts,
            created_at: it.created_at,
            next_at: is_pending.then_some(it.next_at.max(it.created_at)),
            give_up_at: is_pending.then_some(it.give_up_at),
            finished_at: it.finished_at,
        }
    }
}

/// The same, with what is sent and what came of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookDeliveryDetail)]
pub(super) struct DeliveryDetail {
    #[serde(flatten)]
    delivery: DeliveryView,
    /// What is sent: `{"type", "timestamp", "data"}`.
    #[schema(value_type = Object)]
    body: Box<RawValue>,
    /// Each time that it was sent, the latest first; the last fifty.
    log: Vec<AttemptView>,
}

/// A time that it was sent.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = WebhookAttempt)]
pub(super) struct AttemptView {
    /// From 1.
    number: i64,
    at: Timestamp,
    /// How long it took. Null, as all below: it goes on, or whoever sent it has ended.
    millis: Option<i64>,
    /// What it was answered with.
    status: Option<u16>,
    /// The beginning of what was said.
    answer: Option<String>,
    /// Why there is no answer, or why it does not count.
    error: Option<String>,
}

impl From<Attempt> for AttemptView {
    fn from(Attempt { number, at, outcome }: Attempt) -> Self {
        let (millis, status) = (outcome.millis, outcome.status);
        Self { number, at, millis, status, answer: outcome.answer, error: outcome.error }
    }
}
