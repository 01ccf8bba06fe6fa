//! Where an address leads at which there is nothing.

use axum::extract::{OriginalUri, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use http::{HeaderMap, StatusCode, header};
use panel_kernel::http::{CacheFor, Caller, RouteError};
use panel_kernel::problem::Kind;

use super::{Refused, Shown};
use crate::api::Shared;
use crate::rules::fields;
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

/// `/`: where the site begins.
pub(super) async fn home(State(cms): State<Shared>) -> Redirect {
    Redirect::temporary(&cms.home)
}

/// An address that is nobody's. People are told so on a page, programs are not.
pub(super) async fn elsewhere(
    State(cms): State<Shared>,
    OriginalUri(uri): OriginalUri,
    caller: Caller,
    headers: HeaderMap,
) -> Response {
    if uri.path().starts_with("/api/") || uri.path().starts_with("/.") {
        return StatusCode::NOT_FOUND.into_response();
    }
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let reads_pages = accepted.is_some_and(|accepted| accepted.contains("text/html"));
    match or_redirect(&cms, &caller, uri.path(), RouteError::NotFound("page")).await {
        Err(Refused(problem)) if !reads_pages => problem.into_response(),
        shown => shown.into_response(),
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
    let mut conn = cms.db.reader().await?;
    let mut found = redirects::target(&mut conn, bare).await?;
    let usual = fields::usual_path(bare);
    if found.is_none() && usual != bare {
        found = redirects::target(&mut conn, &usual).await?;
    }
    drop(conn);
    let target = found.ok_or(refusal)?;
    let cache = CacheFor::everybody(&caller.principal).tagged([tags::REDIRECTS]);
    let there = [(header::LOCATION, target)];
    Ok((StatusCode::MOVED_PERMANENTLY, cache, there).into_response())
}
