//! Where an address leads at which there is nothing.

use axum::extract::{OriginalUri, State};
use axum::response::{IntoResponse as _, Redirect};
use http::{StatusCode, header};
use panel_kernel::http::{CacheFor, Caller, RouteError};
use panel_kernel::problem::Kind;

use super::{Refused, Shown};
use crate::api::Shared;
use crate::store::redirects;
use crate::tags;

/// Any address below ours that is none of a page. One with a slash at its end is the one without.
pub(super) async fn follow(
    State(cms): State<Shared>,
    OriginalUri(uri): OriginalUri,
    caller: Caller,
) -> Shown {
    let (path, bare) = (uri.path(), uri.path().trim_end_matches('/'));
    match or_redirect(&cms, &caller, path, RouteError::NotFound("page")).await {
        Err(Refused(problem)) if problem.kind == Kind::NotFound && bare.len() < path.len() => {
            Ok(Redirect::permanent(bare).into_response())
        }
        done => done,
    }
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
    let bare = path.trim_end_matches('/');
    let found = redirects::target(&mut cms.db.reader().await?, bare).await?;
    let target = found.ok_or(refusal)?;
    let cache = CacheFor::everybody(&caller.principal).tagged([tags::REDIRECTS]);
    let there = [(header::LOCATION, target)];
    Ok((StatusCode::MOVED_PERMANENTLY, cache, there).into_response())
}
