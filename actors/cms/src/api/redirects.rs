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
use crate::rules::fields;
use crate::store::redirects::{self, Redirect};
use crate::tags;

/// The most there may be.
const MOST: i64 = 50_000;
/// So many in a row are followed to see whether they lead back.
const HOPS: usize = 10;
const ROUTE: &str = "/api/v2/cms/redirects";

/// An address that is to lead to another.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRedirect {
    /// A path below `/blog/` or `/pages/`, without a query. Where there is an article, that is shown.
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
            if redirects::count(writing.tx, MOST).await? >= MOST {
                return Err(RouteError::Conflict("there are as many redirects as there may be"));
            }
            if !redirects::insert(writing.tx, &redirect).await? {
                let taken = "this address leads somewhere already; remove that first";
                return Err(Problem::new(ProblemKind::Conflict, taken).code("taken").into());
            }
            let mut at = redirect.to.clone();
            let mut hops = 0;
            while let Some(here) = on_this_site(&at, &site).map(str::to_owned) {
                if here == redirect.from || hops == HOPS {
                    let message = "leads back to where it came from, or through too many others";
                    return Err(Problem::field("to", "cycle", message).into());
                }
                hops += 1;
                match redirects::target(writing.tx, &here).await? {
                    Some(next) => at = next,
                    None => break,
                }
            }
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

/// The path of an address, if it is on this site.
fn on_this_site<'a>(address: &'a str, site: &str) -> Option<&'a str> {
    let path = address.strip_prefix(site).unwrap_or(address);
    let path = path.split(['?', '#']).next().unwrap_or_default();
    path.starts_with('/').then(|| path.trim_end_matches('/'))
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
