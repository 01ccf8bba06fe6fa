//! Showing again who one is, before what guards the account is changed.

use std::ops::ControlFlow;
use std::time::Duration;

use axum::extract::State;
use panel_kernel::data::{Answer, Tx, WriteContext};
use panel_kernel::http::{Caller, Payload, Write};
use panel_kernel::message::User;
use panel_kernel::problem::{Kind, Problem, ProblemBody};
use panel_kernel::time::Timestamp;
use serde::Deserialize;
use utoipa::ToSchema;

use super::passkeys::{self, PasskeyAnswer};
use super::second_factor::{Given, Passed};
use super::session::audit;
use super::{App, Shared};
use crate::error::AuthError;
use crate::hashing::{Turn, Verdict};
use crate::store::locks::{self, Lock};
use crate::store::{sessions, users};
use crate::throttle::Guessed;

/// How long that lasts.
pub(crate) const FRESH: Duration = Duration::from_secs(300);

/// Whether somebody has shown in this session, within the last five minutes, who they are; and until when
/// that is so.
///
/// # Errors
/// 403 with the code `reauthentication_required` if not.
pub(super) async fn fresh(app: &App, user: &User, now: Timestamp) -> Result<Timestamp, AuthError> {
    let shown = sessions::authenticated_at(&mut app.db.reader().await?, user.session).await?;
    if let Some(at) = shown.filter(|at| at.until(now) < FRESH) {
        return Ok(at.plus(FRESH));
    }
    let detail = "show again who you are: POST /api/v2/auth/reauthenticate";
    Err(Problem::new(Kind::Forbidden, detail).code("reauthentication_required").into())
}

/// Whether the session is still there, in a transaction that holds its account.
///
/// # Errors
/// 401 if it was ended meanwhile.
pub(super) async fn still(tx: &mut Tx, user: &User) -> Result<(), AuthError> {
    let there = sessions::authenticated_at(tx, user.session).await?;
    let ended = || Problem::new(Kind::Unauthorized, "the session was ended").into();
    there.map(drop).ok_or_else(ended)
}

/// Holds the account of who asks, and makes sure that their session is still there; and that the password
/// they have shown is still the account's.
///
/// # Errors
/// As [`still`]; [`AuthError::PasswordChanged`].
pub(super) async fn hold(tx: &mut Tx, user: &User, shown: Option<&Lock>) -> Result<(), AuthError> {
    users::hold(tx, user.id).await?;
    still(tx, user).await?;
    let Some(shown) = shown else { return Ok(()) };
    let now = locks::lock(tx, user.id).await?;
    let same = now.is_some_and(|now| now.since == shown.since);
    if same { Ok(()) } else { Err(AuthError::PasswordChanged) }
}

/// Who one is, shown again with the request itself.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PasswordAgain {
    /// The password; not needed by who has shown who they are in the last five minutes.
    password: Option<String>,
}

/// The same as [`shown`], for a request whose body is that and no more.
///
/// # Errors
/// As [`shown`].
pub(super) async fn shown_again(
    app: &App,
    user: &User,
    request: Option<Payload<PasswordAgain>>,
    context: &WriteContext,
) -> Result<ControlFlow<Answer>, AuthError> {
    let given = request.and_then(|Payload(request)| request.password);
    shown(app, user, given.as_deref(), context).await
}

/// Whether who asks shows the password, or has shown in the last five minutes who they are; or what the
/// request was answered with when it came before.
///
/// # Errors
/// As [`password`] and [`fresh`].
pub(super) async fn shown(
    app: &App,
    user: &User,
    given: Option<&str>,
    context: &WriteContext,
) -> Result<ControlFlow<Answer>, AuthError> {
    let Some(given) = given else {
        return match fresh(app, user, context.now).await {
            Ok(_) => Ok(ControlFlow::Continue(())),
            Err(stale) => app.db.refuse(context, stale).await.map(ControlFlow::Break),
        };
    };
    let turn = app.passwords.turn()?;
    let shown = password(app, &turn, user, ("password", given), context).await?;
    Ok(shown.map_continue(drop))
}

/// Checks the password of who is signed in already: what it is checked against, if it is the one; or what
/// the request was answered with when it came before, and the password may have been another.
/// Mistakes are counted for the account, apart from those of strangers.
pub(super) async fn password(
    app: &App,
    turn: &Turn,
    user: &User,
    (field, password): (&str, &str),
    context: &WriteContext,
) -> Result<ControlFlow<Answer, Lock>, AuthError> {
    let address = context.client_ip.as_deref();
    let lock = locks::lock(&mut app.db.reader().await?, user.id).await?;
    let lock = lock.ok_or(AuthError::NoPassword)?;
    let attempt = app.throttle.attempt(Guessed::SignedIn(user.id), address).await;
    let attempt = attempt.map_err(|wait| app.throttle.refuse(wait))?;
    if turn.verify(password, Some(lock.hash.clone())).await? == Verdict::Wrong {
        let wrong = Problem::field(field, "wrong", "is not your password");
        let refused = app.db.refuse(context, AuthError::Problem(wrong)).await;
        if refused.is_err() {
            attempt.failed().await;
        }
        return refused.map(ControlFlow::Break);
    }
    attempt.succeeded().await;
    Ok(ControlFlow::Continue(lock))
}

/// The same where it has to be the password: of an account that has none, who asks must have shown in
/// the last five minutes who they are. Gives what was checked, if it was the password.
///
/// # Errors
/// As [`password`] and [`fresh`]; 422 where the password is missing.
pub(super) async fn password_if_any(
    app: &App,
    turn: &Turn,
    user: &User,
    (field, given): (&str, Option<&str>),
    context: &WriteContext,
) -> Result<ControlFlow<Answer, Option<Lock>>, AuthError> {
    if let Some(given) = given {
        let shown = password(app, turn, user, (field, given), context).await?;
        return Ok(shown.map_continue(Some));
    }
    let refusal = if locks::lock(&mut app.db.reader().await?, user.id).await?.is_some() {
        Problem::field(field, "required", "is required").into()
    } else {
        match fresh(app, user, context.now).await {
            Ok(_) => return Ok(ControlFlow::Continue(None)),
            Err(stale) => stale,
        }
    };
    app.db.refuse(context, refusal).await.map(ControlFlow::Break)
}

/// Who one is, shown again: by one of these.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReauthenticateRequest {
    /// The password.
    password: Option<String>,
    /// The code of an authenticator.
    totp_code: Option<String>,
    /// A code for who has lost it.
    recovery_code: Option<String>,
    /// A passkey's answer to `passkeys/login/start`.
    passkey: Option<PasskeyAnswer>,
}

/// Show again who you are, by the password, the second factor or a passkey. For five minutes, this
/// session may change what guards the account.
#[utoipa::path(post, path = "/api/v2/auth/reauthenticate", tag = "auth",
    request_body = ReauthenticateRequest,
    responses((status = 204), (status = 401, body = ProblemBody),
              (status = 422, body = ProblemBody), (status = 429, body = ProblemBody)))]
pub(super) async fn reauthenticate(
    State(app): State<Shared>,
    caller: Caller,
    Write(context): Write,
    Payload(request): Payload<ReauthenticateRequest>,
) -> Result<Answer, AuthError> {
    let user = caller.principal.user()?.clone();
    let ReauthenticateRequest { password, totp_code, recovery_code, passkey } = request;
    if let Some(answer) = passkey {
        return by_passkey(&app, user, &answer, context).await;
    }
    if let Some(password) = password {
        return by_password(&app, user, &password, context).await;
    }
    by_factor(&app, user, Given::of(totp_code, recovery_code), context).await
}

/// Notes that somebody has shown in their session who they are.
async fn note(tx: &mut Tx, user: &User, context: &WriteContext) -> Result<Answer, AuthError> {
    sessions::authenticated(tx, user.session, context.now).await?;
    tx.audit(&audit("session.reauthenticate", user.session, context));
    Ok(Answer::no_content())
}

async fn by_password(
    app: &App,
    user: User,
    given: &str,
    context: WriteContext,
) -> Result<Answer, AuthError> {
    let shown = shown(app, &user, Some(given), &context).await?;
    if let ControlFlow::Break(remembered) = shown {
        return Ok(remembered);
    }
    let written = context.clone();
    app.db.write(&context, move |tx| Box::pin(async move { note(tx, &user, &written).await })).await
}

async fn by_factor(
    app: &Shared,
    user: User,
    given: Given,
    context: WriteContext,
) -> Result<Answer, AuthError> {
    let wrong = |field: &str, why: String| AuthError::from(Problem::field(field, "wrong", why));
    if let Given::Nothing = given {
        let detail = "give it, or totp_code, recovery_code or passkey";
        return Err(Problem::field("password", "required", detail).into());
    }
    let (mail, written, sharing) = (app.db.next_id().await?, context.clone(), app.clone());
    let address = context.client_ip.as_deref();
    let attempt = app.throttle.take(Guessed::Factor(user.id), address).await;
    let attempt = attempt.map_err(|wait| app.throttle.refuse(wait))?;
    let account = user.id;
    let answer = app.db.write(&context, move |tx| {
        Box::pin(async move {
            hold(tx, &user, None).await?;
            let passed = sharing.pass_factor(tx, mail, user.id, &given, &written).await?;
            if passed == Passed::Needless {
                return Err(wrong("totp_code", "there is no second factor".to_owned()));
            }
            note(tx, &user, &written).await
        })
    });
    match answer.await {
        Err(bad @ AuthError::BadFactor) => {
            app.tell_of_guessing(account, &attempt, &context).await;
            Err(wrong("totp_code", bad.to_string()))
        }
        Err(error) => {
            attempt.withdraw().await;
            Err(error)
        }
        Ok(answer) => {
            attempt.succeeded().await;
            app.post.ring();
            Ok(answer)
        }
    }
}

async fn by_passkey(
    app: &Shared,
    user: User,
    answer: &PasskeyAnswer,
    context: WriteContext,
) -> Result<Answer, AuthError> {
    let wrong = || Problem::field("passkey", "wrong", AuthError::BadPasskey.to_string()).into();
    let shown = match passkeys::shown(app, answer, &context).await {
        Ok(shown) if shown.kept.user == user.id => shown,
        Ok(_) | Err(AuthError::BadPasskey) => return app.db.refuse(&context, wrong()).await,
        Err(error) => return Err(error),
    };
    let written = context.clone();
    app.db
        .write(&context, move |tx| {
            Box::pin(async move {
                shown.use_up(tx, written.now).await.map_err(|error| match error {
                    AuthError::BadPasskey => wrong(),
                    error => error,
                })?;
                note(tx, &user, &written).await
            })
        })
        .await
}
