//! What webhooks are told, and what came of it.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use panel_kernel::data::Answer;
use panel_kernel::http::{
    IdPath, Listing, PageQuery, Params, Refusal, RouteError, Segments, SignedIn,
};
use panel_kernel::ids::Id;
use panel_kernel::problem::{Kind as ProblemKind, Problem};
use panel_kernel::time::Timestamp;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use utoipa::IntoParams;

use super::{AttemptView, DeliveryDetail, DeliveryView};
use crate::api::Shared;
use crate::rules::webhooks::{DeliveryState, KEEP_TRYING, MOST_PENDING, PING};
use crate::store::webhooks::deliveries::{self, Delivery, Wanted};
use crate::store::webhooks::hooks::{self, Webhook};
use crate::webhooks::delivery_of;

/// When what somebody waits for is sent: before whatever else waits.
const AT_ONCE: Timestamp = Timestamp::from_micros(-1);

/// Which deliveries are wanted.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct DeliveryQuery {
    /// `pending`, `delivered` or `failed`.
    state: Option<String>,
}

/// What one was told, the newest first, of the last fourteen days
#[utoipa::path(get, path = "/api/v2/cms/webhooks/{id}/deliveries", tag = "cms",
    params(("id" = Id, Path), DeliveryQuery, PageQuery),
    responses((status = 200, description = "One page", body = Listing<DeliveryView>), Refusal))]
pub(in crate::api) async fn list_deliveries(
    State(cms): State<Shared>,
    IdPath(id): IdPath,
    Params(query): Params<DeliveryQuery>,
    Params(page): Params<PageQuery>,
) -> Result<Json<Listing<DeliveryView>>, RouteError> {
    let named = |name: &String| {
        DeliveryState::named(name)
            .ok_or_else(|| Problem::field("state", "invalid", "can be: pending, delivered, failed"))
    };
    let state = query.state.as_ref().map(named).transpose()?;
    let scope = format!("cms.webhook_deliveries {id} {state:?}");
    let page = page.newest_first(&cms.cursors, scope)?;
    let mut conn = cms.db.reader().await?;
    hooks::find(&mut conn, id).await?.ok_or(RouteError::NotFound("webhook"))?;
    let before = Id::from_raw(page.before);
    let wanted = Wanted { webhook: id, state, before, most: page.fetch() };
    let found = deliveries::list(&mut conn, wanted).await?;
    Ok(Json(page.listing(found, |it| it.id).map(|it| DeliveryView::from(&it))))
}

/// What it is told, and what came of it each time
#[utoipa::path(get, path = "/api/v2/cms/webhooks/{id}/deliveries/{delivery}", tag = "cms",
    params(("id" = Id, Path), ("delivery" = Id, Path)),
    responses((status = 200, description = "As it is now", body = DeliveryDetail), Refusal))]
pub(in crate::api) async fn read_delivery(
    State(cms): State<Shared>,
    Segments((id, delivery)): Segments<(Id, Id)>,
) -> Result<Json<DeliveryDetail>, RouteError> {
    let mut conn = cms.db.reader().await?;
    hooks::find(&mut conn, id).await?.ok_or(RouteError::NotFound("webhook"))?;
    let found = deliveries::find(&mut conn, delivery).await?.filter(|it| it.webhook == id);
    let found = found.ok_or(RouteError::NotFound("delivery"))?;
    let attempts = deliveries::attempts(&mut conn, delivery).await?;
    let view = DeliveryView::from(&found);
    let body = RawValue::from_string(found.body).map_err(|_| Problem::internal())?;
    let log = attempts.into_iter().map(AttemptView::from).collect();
    Ok(Json(DeliveryDetail { delivery: view, body, log }))
}

/// Send something that says nothing, to see whether it comes
#[utoipa::path(post, path = "/api/v2/cms/webhooks/{id}/ping", tag = "cms", params(("id" = Id, Path)),
    responses((status = 202, description = "It is sent", body = DeliveryView), Refusal))]
pub(in crate::api) async fn ping_webhook(
    State(cms): State<Shared>,
    by: SignedIn,
    IdPath(id): IdPath,
) -> Result<Answer, RouteError> {
    let now = by.context.now;
    let answer = cms.write(by, move |mut writing| {
        Box::pin(async move {
            writing.tx.makes_nothing_old();
            let mut webhook = with_one_more(enabled(hooks::held(writing.tx, id).await?)?)?;
            let told = (PING, now, json!({"webhook_id": id}));
            let mut delivery = delivery_of(writing.kept_id, &webhook, told, now);
            delivery.next_at = AT_ONCE;
            webhook.numbered += 1;
            deliveries::insert(writing.tx, std::slice::from_ref(&delivery)).await?;
            try_now(writing.tx, webhook).await?;
            let target = format!("webhook:{id}");
            writing.audit("webhook.ping", target, (None, None));
            Ok(Answer::json(StatusCode::ACCEPTED, &DeliveryView::from(&delivery)))
        })
    });
    let answer = answer.await?;
    cms.webhooks.ring();
    Ok(answer)
}

/// Send it again
///
/// Under the same id, whatever came of it before, and for another three days.
#[utoipa::path(post, path = "/api/v2/cms/webhooks/{id}/deliveries/{delivery}/redeliver", tag = "cms",
    params(("id" = Id, Path), ("delivery" = Id, Path)),
    responses((status = 202, description = "It is sent", body = DeliveryView), Refusal))]
pub(in crate::api) async fn redeliver(
    State(cms): State<Shared>,
    by: SignedIn,
    Segments((id, delivery)): Segments<(Id, Id)>,
) -> Result<Answer, RouteError> {
    let now = by.context.now;
    let answer = cms.write(by, move |mut writing| {
        Box::pin(async move {
            writing.tx.makes_nothing_old();
            let mut webhook = enabled(hooks::held(writing.tx, id).await?)?;
            let found = deliveries::held(writing.tx, delivery).await?;
            let found = found.filter(|it| it.webhook == id);
            let before = found.ok_or(RouteError::NotFound("delivery"))?;
            if before.state != DeliveryState::Pending {
                webhook = with_one_more(webhook)?;
            }
            let after = Delivery {
                state: DeliveryState::Pending,
                next_at: AT_ONCE,
                give_up_at: now.plus(KEEP_TRYING),
                finished_at: None,
                ..before
            };
            deliveries::update(writing.tx, &after).await?;
            try_now(writing.tx, webhook).await?;
            let target = format!("webhook:{id}");
            writing.audit("webhook.redeliver", target, (None, Some(json!({"delivery": delivery}))));
            Ok(Answer::json(StatusCode::ACCEPTED, &DeliveryView::from(&after)))
        })
    });
    let answer = answer.await?;
    cms.webhooks.ring();
    Ok(answer)
}

/// One to which something is sent.
fn enabled(found: Option<Webhook>) -> Result<Webhook, RouteError> {
    let webhook = found.ok_or(RouteError::NotFound("webhook"))?;
    if webhook.enabled {
        return Ok(webhook);
    }
    let detail = "it is disabled; enable it first";
    Err(Problem::new(ProblemKind::Conflict, detail).code("disabled").into())
}

/// The same, with one more delivery that waits.
fn with_one_more(webhook: Webhook) -> Result<Webhook, RouteError> {
    if webhook.pending >= MOST_PENDING {
        return Err(RouteError::Conflict("too much waits for it already"));
    }
    Ok(Webhook { pending: webhook.pending + 1, ..webhook })
}

/// Somebody wants to know now, however it did before.
async fn try_now(tx: &mut panel_kernel::data::Tx, webhook: Webhook) -> Result<(), RouteError> {
    let resumes_at = Timestamp::from_micros(0);
    hooks::update(tx, &Webhook { resumes_at, ..webhook }).await.map_err(RouteError::from)
}
