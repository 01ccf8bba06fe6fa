//! Signing in through somebody else: leaving for a provider, and coming back.
//!
//! What was agreed on travels with the browser, sealed, in a cookie of its own: so whoever comes back is
//! the browser that has left, at whatever node. A provider's word that an address is somebody's does
//! not make an account that has the address theirs: they sign in to it once, and link it.

mod away;
mod back;
mod settle;

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use panel_kernel::data::Answer;
use panel_kernel::http::{Caller, Listing, Params, Payload};
use panel_kernel::problem::{Problem, ProblemBody};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::beginning::new_cookie;
use super::{App, Shared};
use crate::error::AuthError;
use crate::federation::{FederationError, Identity, Provider, Talk};
use crate::rules::federation as rules;
use crate::tokens::OneTime;

pub(crate) use away::Away;
use away::Going;
pub(super) use away::Whither;
pub(super) use back::{__path_callback, __path_finish, callback, finish};
pub(super) use settle::audit;

/// A place where people may have an account to sign in with.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProviderView {
    /// Its name in paths.
    id: String,
    /// What people call it.
    label: String,
}

impl From<&Provider> for ProviderView {
    fn from(provider: &Provider) -> Self {
        Self { id: provider.name.clone(), label: provider.label.clone() }
    }
}

/// Where people may have an account to sign in with.
#[utoipa::path(get, path = "/api/v2/auth/oauth", tag = "auth",
    responses((status = 200, body = Listing<ProviderView>)))]
pub(super) async fn providers(State(app): State<Shared>) -> Json<Listing<ProviderView>> {
    let items = app.federation.all().map(ProviderView::from).collect();
    Json(Listing { items, next_cursor: None })
}

/// How somebody wants to come back.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct StartQuery {
    /// For browsers: the session is kept in a cookie that scripts can't read, and the browser goes on to
    /// `return_to`, with `oauth_error` in its query if it did not succeed. Else the answer has tokens.
    #[serde(default)]
    cookie: bool,
    /// A path of this site; `/` if not given.
    return_to: Option<String>,
}

/// The same, for who makes an account with an invitation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StartRequest {
    /// For browsers: the session is kept in a cookie that scripts can't read, and the browser goes on to
    /// `return_to`, with `oauth_error` in its query if it did not succeed. Else the answer has tokens.
    #[serde(default)]
    cookie: bool,
    /// A path of this site; `/` if not given.
    return_to: Option<String>,
    /// The token of an invitation, where registration takes one.
    invitation: Option<String>,
}

/// Where to send the browser.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Leaving {
    /// A page of the provider.
    authorize_url: String,
}

/// Leave for a provider, to sign in with an account there, or to make one here.
#[utoipa::path(get, path = "/api/v2/auth/oauth/{provider}/start", tag = "auth",
    params(("provider" = String, Path, description = "The provider's id"), StartQuery),
    responses((status = 303, description = "To a page of the provider"),
              (status = 404, body = ProblemBody), (status = 422, body = ProblemBody),
              (status = 503, body = ProblemBody)))]
pub(super) async fn start(
    State(app): State<Shared>,
    caller: Caller,
    Path(provider): Path<String>,
    Params(query): Params<StartQuery>,
) -> Result<Answer, AuthError> {
    let StartQuery { cookie, return_to } = query;
    let whither = whither(&app, cookie, return_to.as_deref(), None)?;
    let (url, carried) = leave(&app, &provider, whither, &caller).await?;
    Ok(Answer::see_other(&url).cookie(&carried))
}

/// Leave for a provider, to sign in with an account there, or to make one here with an invitation.
#[utoipa::path(post, path = "/api/v2/auth/oauth/{provider}/start", tag = "auth",
    params(("provider" = String, Path, description = "The provider's id")),
    request_body = StartRequest,
    responses((status = 200, body = Leaving), (status = 404, body = ProblemBody),
              (status = 422, body = ProblemBody), (status = 503, body = ProblemBody)))]
pub(super) async fn start_with(
    State(app): State<Shared>,
    caller: Caller,
    Path(provider): Path<String>,
    Payload(request): Payload<StartRequest>,
) -> Result<Answer, AuthError> {
    let StartRequest { cookie, return_to, invitation } = request;
    let invitation = invitation.map(|token| OneTime::hash_of(&token));
    let whither = whither(&app, cookie, return_to.as_deref(), invitation)?;
    leaving(&app, &provider, whither, &caller).await
}

/// The answer to who leaves by a script.
pub(super) async fn leaving(
    app: &App,
    provider: &str,
    whither: Whither,
    caller: &Caller,
) -> Result<Answer, AuthError> {
    let (authorize_url, carried) = leave(app, provider, whither, caller).await?;
    Ok(Answer::json(StatusCode::OK, &Leaving { authorize_url }).cookie(&carried))
}

fn whither(
    app: &App,
    cookie: bool,
    return_to: Option<&str>,
    invitation: Option<[u8; 32]>,
) -> Result<Whither, AuthError> {
    // Whether there may be one is better said before than after.
    new_cookie(app, cookie)?;
    let return_to = rules::return_to(return_to.unwrap_or("/"))?;
    Ok(Whither::SignIn { return_to: cookie.then_some(return_to), invitation })
}

/// Where the browser goes, and the cookie it goes with.
async fn leave(
    app: &App,
    provider: &str,
    whither: Whither,
    caller: &Caller,
) -> Result<(String, String), AuthError> {
    let provider = app.federation.provider(provider);
    let provider = provider.ok_or_else(|| Problem::not_found("provider"))?;
    let redirect = redirect(app, provider);
    let departure = provider.depart(&talk(app, &redirect)).await;
    let departure = departure.map_err(|error| told(provider, &error))?;
    let going = Going { provider: provider.name.clone(), agreed: departure.agreed, whither };
    Ok((departure.url, app.away.goes(going, caller.now)?))
}

/// Where a provider sends browsers back to.
fn redirect(app: &App, provider: &Provider) -> String {
    format!("{}/api/v2/auth/oauth/{}/callback", app.runtime.public_url, provider.name)
}

fn talk<'a>(app: &'a App, redirect: &'a str) -> Talk<'a> {
    Talk { redirect, clock: &app.runtime.clock, outcomes: &app.runtime.metrics.outbound }
}

fn told(provider: &Provider, error: &FederationError) -> AuthError {
    match error {
        FederationError::Unavailable(_) => AuthError::NoProvider(provider.label.clone()),
        FederationError::Refused(_) => AuthError::NotBelieved(provider.label.clone()),
    }
}

/// What an account elsewhere is called.
fn called(identity: &Identity) -> String {
    let names = [&identity.username, &identity.email, &identity.name];
    let name = names.into_iter().flatten().next().unwrap_or(&identity.subject);
    name.chars().take(100).collect()
}
