//! `/api/v2/cms/redirects`: what moved here from another site, or was called otherwise before.

use axum::Json;
use axum::extract::State;
use http::{StatusCode, header};
use panel_kernel::data::Answer;
use panel_kernel::http::validate::Check;
use panel_kernel::http::{
    IdPath, Listing, PageQuery, Params, Payload, Refusal, RouteError, SignedIn,
};
use panel_kernel::ids::Id;
use panel_kernel::problem::{Kind as ProblemKind, Problem};
use serde::Deserialize;
use utoipa::ToSchema;

use super::Shared;
use crate::redirecting::{self, Unled};
use crate::rules::fields;
use crate::store::redirects::{self, Redirect};
use crate::tags;

const ROUTE: &str = "/api/v2/cms/redirects";

/// An address that is to lead to another.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRedirect {
    /// A path without a query, and none of the API. Where there is a page of this site, that is shown.
    from: String,
    /// A path on this site, or the address of another.
    to: String,
}

/// Addresses that lead to others, the newest first
#[utoipa::path(get, path = "/api/v2/cms/redirects", tag = "cms", params(PageQuery),
    responses((status = 200, description = "One page", body = Listing<Redirect>), Refusal))]
pub(super) async fn list_redirects(
    State(cms): State<Shared>,
    Params(query): Params<PageQuery>,
) -> Result<Json<Listing<Redirect>>, RouteError> {
    let page = query.checked()?;
    let scope = "cms.redirects";
    let [before] = page.after(&cms.cursors, scope)?.unwrap_or([i64::MAX]);
    let rows = redirects::list(&mut cms.db.reader().await?, before, page.fetch()).await?;
    let next = |last: &Redirect| cms.cursors.encode(scope, &[last.id.raw()]);
    Ok(Json(Listing::from_excess(rows, page.limit, next)))
}

/// Have an address lead to another, for good (301)
#[utoipa::path(post, path = "/api/v2/cms/redirects", tag = "cms", request_body = NewRedirect,
    responses((status = 201, description = "Made", body = Redirect), Refusal))]
pub(super) async fn create_redirect(
    State(cms): State<Shared>,
    by: SignedIn,
    Payload(new): Payload<NewRedirect>,
) -> Result<Answer, RouteError> {
    let mut check = Check::new();
    let from = fields::source(&mut check, &new.from);
    let to = fields::address(&mut check, "to", &new.to).unwrap_or_default();
    if to.is_empty() {
        check.fail("to", "required", "must be an address");
    }
    check.done()?;
    let (id, created_at) = (cms.db.next_id().await?, by.context.now);
    let redirect = Redirect { id, from, to, created_at };
    let site = std::sync::Arc::clone(&cms.public_url);
    cms.write(by, move |mut writing| {
        Box::pin(async move {
            redirecting::lead(writing.tx, &redirect, &site).await.map_err(refusal)?;
            writing.tx.makes_old([tags::REDIRECTS]);
            let target = format!("redirect:{id}");
            let made = serde_json::to_value(&redirect).ok();
            writing.audit("redirect.create", target, (None, made));
            let answer = Answer::json(StatusCode::CREATED, &redirect);
            Ok(answer.header(header::LOCATION, &format!("{ROUTE}/{id}")))
        })
    })
    .await
}

fn refusal(why: Unled) -> RouteError {
    match why {
        Unled::Full => RouteError::Conflict("there are as many redirects as there may be"),
        Unled::Taken => {
            let taken = "this address leads somewhere already; remove that first";
            Problem::new(ProblemKind::Conflict, taken).code("taken").into()
        }
        Unled::Cycle => {
            let message = "leads back to where it came from, or through too many others";
            Problem::field("to", "cycle", message).into()
        }
        Unled::Database(error) => error.into(),
    }
}

/// Have an address lead nowhere any more
#[utoipa::path(delete, path = "/api/v2/cms/redirects/{id}", tag = "cms", params(("id" = Id, Path)),
    responses((status = 204, description = "Gone"), Refusal))]
pub(super) async fn delete_redirect(
    State(cms): State<Shared>,
    by: SignedIn,
    IdPath(id): IdPath,
) -> Result<Answer, RouteError> {
    cms.write(by, move |mut writing| {
        Box::pin(async move {
            let found = redirects::delete(writing.tx, id).await?;
            let redirect = found.ok_or(RouteError::NotFound("redirect"))?;
            writing.tx.removes([tags::REDIRECTS]);
            let was = serde_json::to_value(&redirect).ok();
            writing.audit("redirect.delete", format!("redirect:{id}"), (was, None));
            Ok(Answer::no_content())
        })
    })
    .await
}
