//! An article's way: draft, in review, scheduled, published, archived.

use axum::extract::State;
use http::StatusCode;
use panel_kernel::data::Answer;
use panel_kernel::http::validate::Check;
use panel_kernel::http::{Payload, Refusal, RouteError, SignedIn};
use panel_kernel::time::Timestamp;
use serde::Deserialize;
use utoipa::ToSchema;

use super::Shared;
use super::views::ArticleView;
use super::writing::{Named, current};
use crate::rules::local_time::moment;
use crate::rules::{self, Status, Step, fields};
use crate::settling;
use crate::store::articles::Article;

/// When something is to appear.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Plan {
    /// A time with an offset (RFC 3339), such as `2026-05-01T09:00:00Z`; or what clocks show in the `time_zone`, such
    /// as `2026-05-01T09:00:00`. The first of two, where clocks are put back; refused, where they are put forward over it.
    publish_at: String,
    /// Of the IANA database: `Europe/Berlin`.
    time_zone: Option<String>,
}

impl Plan {
    fn moment(&self, now: Timestamp) -> Result<Timestamp, panel_kernel::problem::Problem> {
        moment(&self.publish_at, self.time_zone.as_deref(), now)
    }
}

/// What an editor says to the author.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Verdict {
    /// At most 2,000 characters.
    note: Option<String>,
}

/// What goes with a step.
#[derive(Clone, Debug, Default)]
struct With {
    publish_at: Option<Timestamp>,
    note: Option<String>,
}

/// Say that it is done
///
/// From draft to in review. Its author may say when it should appear.
#[utoipa::path(post, path = "/{id}/submit", tag = "cms", request_body = Option<Plan>,
    params(("id" = String, Path), ("If-Match" = String, Header)),
    responses((status = 200, description = "As it is now", body = ArticleView), Refusal))]
pub(super) async fn submit(
    State(cms): State<Shared>,
    by: SignedIn,
    named: Named,
    plan: Option<Payload<Plan>>,
) -> Result<Answer, RouteError> {
    let publish_at = plan.map(|Payload(plan)| plan.moment(by.context.now)).transpose()?;
    let with = With { publish_at, note: None };
    take(&cms, by, named, Step::Submit, with).await
}

/// Agree to what is in review
///
/// It is published, or scheduled, if its author wished a time that is ahead.
#[utoipa::path(post, path = "/{id}/approve", tag = "cms",
    params(("id" = String, Path), ("If-Match" = String, Header)),
    responses((status = 200, description = "As it is now", body = ArticleView), Refusal))]
pub(super) async fn approve(
    State(cms): State<Shared>,
    by: SignedIn,
    named: Named,
) -> Result<Answer, RouteError> {
    take(&cms, by, named, Step::Approve, With::default()).await
}

/// Give what is in review back to its author
#[utoipa::path(post, path = "/{id}/reject", tag = "cms", request_body = Option<Verdict>,
    params(("id" = String, Path), ("If-Match" = String, Header)),
    responses((status = 200, description = "As it is now", body = ArticleView), Refusal))]
pub(super) async fn reject(
    State(cms): State<Shared>,
    by: SignedIn,
    named: Named,
    verdict: Option<Payload<Verdict>>,
) -> Result<Answer, RouteError> {
    let mut check = Check::new();
    let note = verdict.and_then(|Payload(verdict)| verdict.note);
    let note = note.and_then(|text| fields::note(&mut check, &text));
    check.done()?;
    let with = With { publish_at: None, note };
    take(&cms, by, named, Step::Reject, with).await
}

/// Show it to everybody
#[utoipa::path(post, path = "/{id}/publish", tag = "cms",
    params(("id" = String, Path), ("If-Match" = String, Header)),
    responses((status = 200, description = "As it is now", body = ArticleView), Refusal))]
pub(super) async fn publish(
    State(cms): State<Shared>,
    by: SignedIn,
    named: Named,
) -> Result<Answer, RouteError> {
    take(&cms, by, named, Step::Publish, With::default()).await
}

/// Have it appear by itself
///
/// Within a second of the time, once, whichever nodes there are by then.
#[utoipa::path(post, path = "/{id}/schedule", tag = "cms", request_body = Plan,
    params(("id" = String, Path), ("If-Match" = String, Header)),
    responses((status = 200, description = "As it is now", body = ArticleView), Refusal))]
pub(super) async fn schedule(
    State(cms): State<Shared>,
    by: SignedIn,
    named: Named,
    Payload(plan): Payload<Plan>,
) -> Result<Answer, RouteError> {
    let with = With { publish_at: Some(plan.moment(by.context.now)?), note: None };
    take(&cms, by, named, Step::Schedule, with).await
}

/// Make it a draft again
///
/// Nobody else reads it any more. Its author may take back what is in review.
#[utoipa::path(post, path = "/{id}/unpublish", tag = "cms",
    params(("id" = String, Path), ("If-Match" = String, Header)),
    responses((status = 200, description = "As it is now", body = ArticleView), Refusal))]
pub(super) async fn unpublish(
    State(cms): State<Shared>,
    by: SignedIn,
    named: Named,
) -> Result<Answer, RouteError> {
    take(&cms, by, named, Step::Unpublish, With::default()).await
}

/// Put it away
///
/// Nobody else reads it any more, and it is kept.
#[utoipa::path(post, path = "/{id}/archive", tag = "cms",
    params(("id" = String, Path), ("If-Match" = String, Header)),
    responses((status = 200, description = "As it is now", body = ArticleView), Refusal))]
pub(super) async fn archive(
    State(cms): State<Shared>,
    by: SignedIn,
    named: Named,
) -> Result<Answer, RouteError> {
    take(&cms, by, named, Step::Archive, With::default()).await
}

async fn take(
    cms: &Shared,
    by: SignedIn,
    Named { kind, name, if_match }: Named,
    step: Step,
    with: With,
) -> Result<Answer, RouteError> {
    cms.write(by, move |mut writing| {
        Box::pin(async move {
            let before = writing.held(kind, &name).await?;
            current(if_match, &before)?;
            let now = writing.by.context.now;
            let place = (before.is_by(writing.viewer), before.status);
            let status = rules::takes(step, writing.viewer, place, (before.publish_at, now))?;
            let after = stepped(before.clone(), (step, status), with, now);
            settling::settle(writing.tx, &before, &after).await?;
            writing.audit_article(step.name(), Some(&before), &after);
            Ok(writing.shown(StatusCode::OK, after))
        })
    })
    .await
}

/// The article after a step.
fn stepped(
    mut article: Article,
    (step, status): (Step, Status),
    with: With,
    now: Timestamp,
) -> Article {
    article.status = status;
    article.publish_at = match (step, status) {
        (Step::Submit | Step::Schedule, _) => with.publish_at,
        // As its author wished, and may wish again.
        (Step::Reject, _) | (_, Status::Scheduled) => article.publish_at,
        _ => None,
    };
    match step {
        Step::Reject => article.review_note = with.note,
        Step::Submit | Step::Approve | Step::Publish | Step::Schedule => article.review_note = None,
        Step::Unpublish | Step::Archive => {}
    }
    if status == Status::Published {
        article.published_at.get_or_insert(now);
    }
    article.updated_at = now;
    article.version += 1;
    article
}
