//! Which webhooks there are.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use http::{StatusCode, header};
use panel_kernel::data::{Answer, Lease};
use panel_kernel::http::validate::Check;
use panel_kernel::http::{
    IdPath, IfMatch, Listing, PageQuery, Params, Payload, Refusal, RouteError, SignedIn, etag,
    present,
};
use panel_kernel::ids::Id;
use panel_kernel::outbound::NotAsked;
use panel_kernel::time::Timestamp;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{ROUTE, WebhookView, WithSecret};
use crate::api::{Cms, Shared};
use crate::rules::webhooks as rules;
use crate::store::webhooks::deliveries;
use crate::store::webhooks::hooks::{self, Webhook};
use crate::webhooks::{signing, summary};

/// A webhook that is wanted.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct NewWebhook {
    /// `https://…`, at a public address or in one of `cms.webhooks.allowed_networks`.
    url: String,
    /// What it is told: `article.published`, `article.edited`, `article.unpublished`; `*`: everything.
    topics: Vec<String>,
    /// At most 200 characters.
    #[serde(default)]
    description: String,
    /// Whether anything is sent there.
    #[serde(default = "yes")]
    enabled: bool,
}

const fn yes() -> bool {
    true
}

/// Changes; what is absent stays.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::api) struct WebhookPatch {
    #[serde(deserialize_with = "present")]
    #[schema(nullable = false)]
    url: Option<String>,
    #[serde(deserialize_with = "present")]
    #[schema(nullable = false)]
    topics: Option<Vec<String>>,
    #[serde(deserialize_with = "present")]
    #[schema(nullable = false)]
    description: Option<String>,
    #[serde(deserialize_with = "present")]
    #[schema(nullable = false)]
    enabled: Option<bool>,
}

/// Webhooks, the newest first
#[utoipa::path(get, path = "/api/v2/cms/webhooks", tag = "cms", params(PageQuery),
    responses((status = 200, description = "One page", body = Listing<WebhookView>), Refusal))]
pub(in crate::api) async fn list_webhooks(
    State(cms): State<Shared>,
    Params(query): Params<PageQuery>,
) -> Result<Json<Listing<WebhookView>>, RouteError> {
    let page = query.newest_first(&cms.cursors, "cms.webhooks")?;
    let found = hooks::list(&mut cms.db.reader().await?, page.before, page.fetch()).await?;
    Ok(Json(page.listing(found, |it| it.id).map(WebhookView::from)))
}

/// One of them
#[utoipa::path(get, path = "/api/v2/cms/webhooks/{id}", tag = "cms", params(("id" = Id, Path)),
    responses((status = 200, description = "As it is now", body = WebhookView), Refusal))]
pub(in crate::api) async fn read_webhook(
    State(cms): State<Shared>,
    IdPath(id): IdPath,
) -> Result<Response, RouteError> {
    let found = hooks::find(&mut cms.db.reader().await?, id).await?;
    let webhook = found.ok_or(RouteError::NotFound("webhook"))?;
    Ok(etag::versioned(webhook.version, &WebhookView::from(webhook)))
}

/// Make one
///
/// The answer has its secret, which is not shown again.
#[utoipa::path(post, path = "/api/v2/cms/webhooks", tag = "cms", request_body = NewWebhook,
    responses((status = 201, description = "Made", body = WithSecret), Refusal))]
pub(in crate::api) async fn create_webhook(
    State(cms): State<Shared>,
    by: SignedIn,
    Payload(new): Payload<NewWebhook>,
) -> Result<Answer, RouteError> {
    let mut check = Check::new();
    let url = url(&cms, &mut check, &new.url);
    let topics = rules::topics(&mut check, &new.topics);
    let description = rules::description(&mut check, &new.description);
    check.done()?;
    let (now, secret) = (by.context.now, signing::secret());
    let own = std::sync::Arc::clone(&cms);
    cms.write(by, move |mut writing| {
        Box::pin(async move {
            if hooks::count(writing.tx).await? >= rules::MOST {
                return Err(RouteError::Conflict("there are as many webhooks as there may be"));
            }
            let id = writing.kept_id;
            let webhook = Webhook {
                id,
                url,
                description,
                topics,
                enabled: new.enabled,
                since: now,
                secret: own.webhooks.sealed(id, &secret)?,
                earlier_secret: None,
                earlier_until: None,
                created_at: now,
                updated_at: now,
                version: 1,
                pending: 0,
                numbered: 0,
                failures: 0,
                misses: 0,
                failing_since: None,
                resumes_at: Timestamp::from_micros(0),
                delivered_at: None,
                disabled_because: None,
            };
            hooks::insert(writing.tx, &webhook).await?;
            writing.tx.makes_nothing_old();
            writing.audit("webhook.create", target(id), (None, Some(summary(&webhook))));
            let shown = WithSecret { secret: signing::shown(&secret), webhook: webhook.into() };
            let answer = Answer::json(StatusCode::CREATED, &shown).sealed();
            Ok(answer.header(header::LOCATION, &format!("{ROUTE}/{id}")))
        })
    })
    .await
}

/// Change one
///
/// `If-Match` has to name the version that is changed. One that is enabled again is tried at once.
#[utoipa::path(patch, path = "/api/v2/cms/webhooks/{id}", tag = "cms",
    params(("id" = Id, Path), ("If-Match" = String, Header)), request_body = WebhookPatch,
    responses((status = 200, description = "As it is now", body = WebhookView), Refusal))]
pub(in crate::api) async fn edit_webhook(
    State(cms): State<Shared>,
    by: SignedIn,
    IdPath(id): IdPath,
    if_match: IfMatch,
    Payload(patch): Payload<WebhookPatch>,
) -> Result<Answer, RouteError> {
    let mut check = Check::new();
    let url = patch.url.map(|text| url(&cms, &mut check, &text));
    let topics = patch.topics.map(|given| rules::topics(&mut check, &given));
    let description = patch.description.map(|text| rules::description(&mut check, &text));
    check.done()?;
    let now = by.context.now;
    let answer = cms.write(by, move |mut writing| {
        Box::pin(async move {
            writing.tx.makes_nothing_old();
            let found = hooks::held(writing.tx, id).await?;
            let before = found.ok_or(RouteError::NotFound("webhook"))?;
            if_match.required()?.check(before.version)?;
            let mut after = before.clone();
            after.url = url.unwrap_or(after.url);
            after.topics = topics.unwrap_or(after.topics);
            after.description = description.unwrap_or(after.description);
            after.enabled = patch.enabled.unwrap_or(after.enabled);
            if after != before {
                after.version += 1;
                after.updated_at = now;
                after.disabled_because = after.disabled_because.filter(|_| !after.enabled);
                if after.enabled && !before.enabled {
                    after.since = now;
                }
                begin_anew(&mut after);
                hooks::update(writing.tx, &after).await?;
                deliveries::hurry(writing.tx, id, now).await?;
                let states = (Some(summary(&before)), Some(summary(&after)));
                writing.audit("webhook.edit", target(id), states);
            }
            let version = after.version;
            Ok(Answer::versioned(StatusCode::OK, version, &WebhookView::from(after)))
        })
    });
    let answer = answer.await?;
    cms.webhooks.ring();
    Ok(answer)
}

/// Remove one, and what it was to be told
#[utoipa::path(delete, path = "/api/v2/cms/webhooks/{id}", tag = "cms", params(("id" = Id, Path)),
    responses((status = 204, description = "Gone"), Refusal))]
pub(in crate::api) async fn delete_webhook(
    State(cms): State<Shared>,
    by: SignedIn,
    IdPath(id): IdPath,
) -> Result<Answer, RouteError> {
    let now = by.context.now;
    cms.write(by, move |mut writing| {
        Box::pin(async move {
            // First the lease, as whoever sends does.
            Lease::forget(writing.tx, &crate::webhooks::lease(id)).await?;
            let found = hooks::held(writing.tx, id).await?;
            let webhook = found.ok_or(RouteError::NotFound("webhook"))?;
            hooks::delete(writing.tx, &webhook, now).await?;
            writing.tx.makes_nothing_old();
            writing.audit("webhook.delete", target(id), (Some(summary(&webhook)), None));
            Ok(Answer::no_content())
        })
    })
    .await
}

/// Give one a new secret
///
/// For a day its deliveries are signed with the one before, too. The answer has the new one, which is not shown again.
#[utoipa::path(post, path = "/api/v2/cms/webhooks/{id}/rotate-secret", tag = "cms",
    params(("id" = Id, Path)),
    responses((status = 200, description = "As it is now", body = WithSecret), Refusal))]
pub(in crate::api) async fn rotate_webhook_secret(
    State(cms): State<Shared>,
    by: SignedIn,
    IdPath(id): IdPath,
) -> Result<Answer, RouteError> {
    let (now, secret) = (by.context.now, signing::secret());
    let own = std::sync::Arc::clone(&cms);
    let answer = cms.write(by, move |mut writing| {
        Box::pin(async move {
            let found = hooks::held(writing.tx, id).await?;
            let mut webhook = found.ok_or(RouteError::NotFound("webhook"))?;
            let sealed = own.webhooks.sealed(id, &secret)?;
            webhook.earlier_secret = Some(std::mem::replace(&mut webhook.secret, sealed));
            webhook.earlier_until = Some(now.plus(rules::BOTH_SECRETS));
            webhook.version += 1;
            webhook.updated_at = now;
            begin_anew(&mut webhook);
            hooks::update(writing.tx, &webhook).await?;
            deliveries::hurry(writing.tx, id, now).await?;
            writing.tx.makes_nothing_old();
            writing.audit("webhook.rotate_secret", target(id), (None, Some(summary(&webhook))));
            let shown = WithSecret { secret: signing::shown(&secret), webhook: webhook.into() };
            Ok(Answer::json(StatusCode::OK, &shown).sealed())
        })
    });
    let answer = answer.await?;
    cms.webhooks.ring();
    Ok(answer)
}

/// Whatever was wrong may be mended: it is tried at once, and not judged by what was.
const fn begin_anew(webhook: &mut Webhook) {
    webhook.failures = 0;
    webhook.resumes_at = Timestamp::from_micros(0);
    webhook.misses = 0;
    webhook.failing_since = None;
}

fn target(id: Id) -> String {
    format!("webhook:{id}")
}

/// Where it is, as it is stored.
fn url(cms: &Cms, check: &mut Check, text: &str) -> String {
    let text = rules::url(check, text);
    match cms.webhooks.check(&text) {
        // It may have become longer.
        Ok(url) => rules::url(check, &url),
        Err(why) => {
            let code = match why {
                NotAsked::Malformed => "invalid",
                NotAsked::NotHttps => "not_https",
                NotAsked::Credentials => "credentials",
                NotAsked::InTheClear(_) | NotAsked::Inside(_) => "not_public",
            };
            check.fail("url", code, why.to_string());
            text
        }
    }
}
