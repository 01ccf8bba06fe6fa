//! Coming back from a provider.

use axum::extract::{Path, State};
use http::HeaderMap;
use panel_kernel::data::{Answer, DbError, WriteContext};
use panel_kernel::http::{Caller, Params, Payload, Write};
use panel_kernel::keys::constant_time_eq;
use panel_kernel::problem::{Problem, ProblemBody};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::away::{Going, Whither};
use super::settle::{self, Arrival, Settled};
use super::{redirect, talk, told};
use crate::api::Shared;
use crate::api::beginning::SessionAnswer;
use crate::api::second_factor::Given;
use crate::error::AuthError;
use crate::federation::{Identity, Provider};
use crate::rules::federation::with_error;
use crate::throttle::Guessed;

/// The longest text of a provider that is told.
const TOLD: usize = 200;

/// What a provider sends a browser back with.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct CallbackQuery {
    /// As we have sent it there.
    #[serde(default)]
    state: String,
    /// For one token.
    code: Option<String>,
    /// Instead of it, why there is none.
    error: Option<String>,
    /// The same in words.
    error_description: Option<String>,
    /// Who says so (RFC 9207).
    iss: Option<String>,
}

/// Come back from a provider. Whoever has left for it signs in: with a cookie, and goes on to where they
/// wanted to; or with tokens. An account that has a second factor asks for it (`totp_required`):
/// `oauth/finish`.
#[utoipa::path(get, path = "/api/v2/auth/oauth/{provider}/callback", tag = "auth",
    params(("provider" = String, Path, description = "The provider's id"), CallbackQuery),
    responses((status = 200, body = SessionAnswer), (status = 303, description = "On to the site"),
              (status = 400, body = ProblemBody), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
              (status = 409, body = ProblemBody), (status = 503, body = ProblemBody)))]
pub(in crate::api) async fn callback(
    State(app): State<Shared>,
    headers: HeaderMap,
    caller: Caller,
    Path(provider): Path<String>,
    Params(query): Params<CallbackQuery>,
) -> Result<Answer, AuthError> {
    let (going, returned) = app.away.gone(&caller)?;
    let same = constant_time_eq(going.agreed.state.as_bytes(), query.state.as_bytes());
    if !same || going.provider != provider {
        return Err(AuthError::BadReturn);
    }
    let whither = going.whither.clone();
    let arrival = Arrival { app: &app, headers: &headers, caller: &caller, returned };
    let (error, cookie) = match come_back(&arrival, going, query).await {
        Ok(Settled::Done(answer)) => return Ok(answer.cookie(&app.away.over())),
        Ok(Settled::Waits(waiting)) => {
            (AuthError::FactorRequired, app.away.waits(waiting, caller.now)?)
        }
        // Perhaps it was done: it is asked again.
        Err(error @ AuthError::Database(DbError::OutcomeUnknown(_))) => return Err(error),
        Err(error) => (error, app.away.over()),
    };
    let problem = Problem::from(error);
    let answer = match whither.return_to() {
        Some(path) => {
            let word = problem.code.unwrap_or_else(|| problem.kind.name());
            Answer::see_other(&with_error(path, word))
        }
        None => Answer::problem(&problem),
    };
    Ok(answer.cookie(&cookie))
}

async fn come_back(
    arrival: &Arrival<'_>,
    going: Going,
    query: CallbackQuery,
) -> Result<Settled, AuthError> {
    let app = arrival.app;
    if let Some(error) = query.error {
        let why = query.error_description.unwrap_or(error);
        return Err(AuthError::Declined(why.chars().take(TOLD).collect()));
    }
    let provider = app.federation.provider(&going.provider).ok_or(AuthError::BadReturn)?;
    let code = query.code.ok_or(AuthError::BadReturn)?;
    if query.iss.is_some_and(|issuer| !provider.may_be(&issuer)) {
        return Err(AuthError::BadReturn);
    }
    let context = arrival.context();
    let redirect = redirect(app, provider);
    let identity = match provider.identify(&code, &going.agreed, &talk(app, &redirect)).await {
        Ok(identity) => identity,
        // A code is good once. If this came before, it was answered.
        Err(error) => {
            let refused = app.db.refuse(&context, told(provider, &error)).await;
            return refused.map(Settled::Done);
        }
    };
    let whither = going.whither;
    let once = || settled(arrival, provider, identity.clone(), whither.clone(), context.clone());
    match Box::pin(once()).await {
        // Nothing was done. Who comes again has a code that was good once, so it is not left to the gateway.
        Err(AuthError::Database(DbError::Ended(_))) => Box::pin(once()).await,
        settled => settled,
    }
}

async fn settled(
    arrival: &Arrival<'_>,
    provider: &Provider,
    identity: Identity,
    whither: Whither,
    context: WriteContext,
) -> Result<Settled, AuthError> {
    match whither {
        Whither::SignIn { return_to, invitation } => {
            settle::sign_in(arrival, provider, identity, (return_to, invitation), context).await
        }
        Whither::Link { user, session, return_to } => {
            let whose = (user, session);
            settle::link(arrival, provider, identity, whose, return_to, context).await
        }
    }
}

/// The second factor of who has come back from a provider: one of these.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct FinishRequest {
    /// The code of an authenticator.
    totp_code: Option<String>,
    /// Instead of it, one of the codes for who has lost it.
    recovery_code: Option<String>,
}

/// Finish signing in through a provider, to an account that has a second factor: within five minutes
/// after coming back.
#[utoipa::path(post, path = "/api/v2/auth/oauth/finish", tag = "auth", request_body = FinishRequest,
    responses((status = 200, body = SessionAnswer), (status = 400, body = ProblemBody),
              (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
              (status = 429, body = ProblemBody)))]
pub(in crate::api) async fn finish(
    State(app): State<Shared>,
    headers: HeaderMap,
    caller: Caller,
    Write(context): Write,
    Payload(request): Payload<FinishRequest>,
) -> Result<Answer, AuthError> {
    let (waiting, returned) = app.away.waiting(&caller)?;
    let given = Given::of(request.totp_code, request.recovery_code);
    let address = context.client_ip.as_deref();
    let code = app.throttle.take(Guessed::Factor(waiting.user), address).await;
    let code = code.map_err(|wait| app.throttle.refuse(wait))?;
    let arrival = Arrival { app: &app, headers: &headers, caller: &caller, returned };
    let user = waiting.user;
    let answer = settle::begin(&arrival, waiting, None, given, &context).await;
    match &answer {
        Ok(_) => code.succeeded().await,
        Err(AuthError::BadFactor) => app.tell_of_guessing(user, &code, &context).await,
        Err(_) => code.withdraw().await,
    }
    Ok(answer?.cookie(&app.away.over()))
}
