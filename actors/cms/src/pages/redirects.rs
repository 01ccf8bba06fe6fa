//! Where an address leads at which there is nothing.

use axum::extract::{OriginalUri, State};
use axum::response::IntoResponse as _;
use http::{StatusCode, header};
use panel_kernel::http::{CacheFor, Caller, RouteError};

use super::{Refused, Shown};
use crate::api::Shared;
use crate::store::redirects;
use crate::tags;

/// Any address below ours that is none of a page.
pub(super) async fn follow(
    State(cms): State<Shared>,
    OriginalUri(uri): OriginalUri,
    caller: Caller,
) -> Shown {
    or_redirect(&cms, &caller, uri.path(), RouteError::NotFound("page")).await
}

/// What the address leads to; if that is nothing, this refusal. What is gone for good leads nowhere.
pub(super) async fn or_redirect(
    cms: &Shared,
    caller: &Caller,
    path: &str,
    refusal: RouteError,
) -> Shown {
    if !matches!(refusal, RouteError::NotFound(_)) {
        return Err(Refused::from(refusal));
    }
    let found = redirects::target(&mut cms.db.reader().await?, path).await?;
    let target = found.ok_or(refusal)?;
    let cache = CacheFor::everybody(&caller.principal).tagged([tags::REDIRECTS]);
    let there = [(header::LOCATION, target)];
    Ok((StatusCode::MOVED_PERMANENTLY, cache, there).into_response())
}
