//! Turning the second factor on and off.

use std::ops::ControlFlow;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use panel_kernel::data::{Answer, Audit, Tx, WriteContext};
use panel_kernel::http::{Caller, Payload, Write};
use panel_kernel::ids::{Id, random_bytes};
use panel_kernel::message::User;
use panel_kernel::problem::{Problem, ProblemBody};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{App, Shared, step_up};
use crate::error::AuthError;
use crate::mail::Letter;
use crate::rules::totp;
use crate::store::factors::{self, TotpRow};
use crate::store::locks::Lock;
use crate::store::users;
use crate::throttle::Guessed;

/// Who one is, shown again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PasswordRequest {
    /// The password. An account that has none takes a session in which somebody has shown who they are
    /// in the last five minutes.
    password: Option<String>,
}

/// How it is with the second factor.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TotpStatus {
    /// Whether it is asked for at login.
    enabled: bool,
    /// How many recovery codes are left.
    recovery_codes_left: i64,
}

/// A new secret, shown this once.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Enrolled {
    /// For authenticators, usually as a picture.
    otpauth_uri: String,
    /// The same, to be typed (base32).
    secret: String,
}

/// A code.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CodeRequest {
    /// Six digits.
    code: String,
}

/// Codes for who has lost the device, shown this once.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RecoveryCodes {
    /// Each signs in once, as `recovery_code`.
    recovery_codes: Vec<String>,
}

/// Whether the second factor is on.
#[utoipa::path(get, path = "/api/v2/auth/totp", tag = "auth",
    responses((status = 200, body = TotpStatus), (status = 401, body = ProblemBody)))]
pub(super) async fn status(
    State(app): State<Shared>,
    caller: Caller,
) -> Result<Json<TotpStatus>, AuthError> {
    let user = caller.principal.user()?.id;
    let mut conn = app.db.reader().await?;
    let enabled = factors::totp(&mut conn, user).await?.is_some_and(|row| row.is_confirmed());
    let recovery_codes_left = factors::recovery_codes_left(&mut conn, user).await?;
    Ok(Json(TotpStatus { enabled, recovery_codes_left }))
}

/// Begin with a second factor: a secret for an authenticator. It is asked for at login once it was
/// confirmed with a code.
#[utoipa::path(post, path = "/api/v2/auth/totp/enroll", tag = "auth",
    request_body = PasswordRequest,
    responses((status = 201, body = Enrolled), (status = 401, body = ProblemBody),
              (status = 409, body = ProblemBody), (status = 422, body = ProblemBody)))]
pub(super) async fn enroll(
    State(app): State<Shared>,
    caller: Caller,
    Write(context): Write,
    Payload(request): Payload<PasswordRequest>,
) -> Result<Answer, AuthError> {
    let (owner, lock) = match shown(&app, &caller, &context, &request).await? {
        ControlFlow::Continue(shown) => shown,
        ControlFlow::Break(remembered) => return Ok(remembered),
    };
    let user = owner.id;
    let account = users::by_id(&mut app.db.reader().await?, user).await?;
    let account = account.ok_or(AuthError::NoSuchAccount)?;
    let secret = random_bytes::<{ totp::SECRET_BYTES }>();
    let shown = totp::shown(&secret, &app.runtime.public_url, &account.username);
    let unusable = || AuthError::Crypto("a secret can't be shown".to_owned());
    let (otpauth_uri, text) = shown.ok_or_else(unusable)?;
    let sealed = app.factors.seal(user, &secret)?;
    let written = context.clone();
    app.db
        .write(&context, move |tx| {
            Box::pin(async move {
                step_up::hold(tx, &owner, lock.as_ref()).await?;
                if !factors::enroll(tx, user, sealed, written.now).await? {
                    return Err(AuthError::FactorThere);
                }
                audit(tx, "totp.enroll", user, &written);
                let enrolled = Enrolled { otpauth_uri, secret: text };
                Ok(Answer::json(StatusCode::CREATED, &enrolled).sealed())
            })
        })
        .await
}

/// Turn the second factor on, with a code of the authenticator. The recovery codes are shown in this
/// answer and never again.
#[utoipa::path(post, path = "/api/v2/auth/totp/confirm", tag = "auth", request_body = CodeRequest,
    responses((status = 200, body = RecoveryCodes), (status = 401, body = ProblemBody),
              (status = 409, body = ProblemBody), (status = 422, body = ProblemBody)))]
pub(super) async fn confirm(
    State(app): State<Shared>,
    caller: Caller,
    Write(context): Write,
    Payload(request): Payload<CodeRequest>,
) -> Result<Answer, AuthError> {
    let owner = caller.principal.user()?.clone();
    let user = owner.id;
    let (mail, written, sharing) = (app.db.next_id().await?, context.clone(), app.clone());
    let address = context.client_ip.as_deref();
    let attempt = app.throttle.take(Guessed::Factor(user), address).await;
    let attempt = attempt.map_err(|wait| app.throttle.refuse(wait))?;
    let answer = app.db.write(&context, move |tx| {
        Box::pin(async move {
            step_up::hold(tx, &owner, None).await?;
            let row = factors::totp(tx, user).await?.filter(|row| !row.is_confirmed());
            let row = row.ok_or(AuthError::NothingToConfirm)?;
            let step = sharing.factors.step(user, &row, &request.code, written.now)?;
            if !factors::confirm(tx, (user, &row), step, written.now).await? {
                return Err(AuthError::NothingToConfirm);
            }
            let codes = new_codes(tx, user).await?;
            audit(tx, "totp.enable", user, &written);
            sharing.tell(tx, mail, user, &Letter::FactorAdded, written.now).await?;
            Ok(Answer::json(StatusCode::OK, &codes).sealed())
        })
    });
    match answer.await {
        Err(AuthError::BadFactor) => {
            Err(Problem::field("code", "wrong", "is not the code of this moment").into())
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

/// Turn the second factor off.
#[utoipa::path(delete, path = "/api/v2/auth/totp", tag = "auth", request_body = PasswordRequest,
    responses((status = 204), (status = 401, body = ProblemBody), (status = 404, body = ProblemBody),
              (status = 422, body = ProblemBody)))]
pub(super) async fn remove(
    State(app): State<Shared>,
    caller: Caller,
    Write(context): Write,
    Payload(request): Payload<PasswordRequest>,
) -> Result<Answer, AuthError> {
    let (owner, lock) = match shown(&app, &caller, &context, &request).await? {
        ControlFlow::Continue(shown) => shown,
        ControlFlow::Break(remembered) => return Ok(remembered),
    };
    let user = owner.id;
    let (mail, written, sharing) = (app.db.next_id().await?, context.clone(), app.clone());
    let answer = app.db.write(&context, move |tx| {
        Box::pin(async move {
            step_up::hold(tx, &owner, lock.as_ref()).await?;
            if !factors::remove(tx, user).await? {
                return Err(Problem::not_found("second factor").into());
            }
            audit(tx, "totp.disable", user, &written);
            sharing.tell(tx, mail, user, &Letter::FactorRemoved, written.now).await?;
            Ok(Answer::no_content())
        })
    });
    let answer: Result<Answer, AuthError> = answer.await;
    app.post.ring();
    answer
}

/// Have new recovery codes, instead of those there are.
#[utoipa::path(post, path = "/api/v2/auth/totp/recovery-codes", tag = "auth",
    request_body = PasswordRequest,
    responses((status = 200, body = RecoveryCodes), (status = 401, body = ProblemBody),
              (status = 404, body = ProblemBody), (status = 422, body = ProblemBody)))]
pub(super) async fn renew_codes(
    State(app): State<Shared>,
    caller: Caller,
    Write(context): Write,
    Payload(request): Payload<PasswordRequest>,
) -> Result<Answer, AuthError> {
    let (owner, lock) = match shown(&app, &caller, &context, &request).await? {
        ControlFlow::Continue(shown) => shown,
        ControlFlow::Break(remembered) => return Ok(remembered),
    };
    let user = owner.id;
    let (mail, written, sharing) = (app.db.next_id().await?, context.clone(), app.clone());
    let answer: Result<Answer, AuthError> = app
        .db
        .write(&context, move |tx| {
            Box::pin(async move {
                step_up::hold(tx, &owner, lock.as_ref()).await?;
                let row = factors::totp(tx, user).await?.filter(TotpRow::is_confirmed);
                row.ok_or_else(|| Problem::not_found("second factor"))?;
                let codes = new_codes(tx, user).await?;
                audit(tx, "recovery_codes.renew", user, &written);
                sharing.tell(tx, mail, user, &Letter::RecoveryCodesRenewed, written.now).await?;
                Ok(Answer::json(StatusCode::OK, &codes).sealed())
            })
        })
        .await;
    app.post.ring();
    answer
}

/// Who asks, and the password that they have shown once more; or what was answered when this came before.
async fn shown(
    app: &App,
    caller: &Caller,
    context: &WriteContext,
    request: &PasswordRequest,
) -> Result<ControlFlow<Answer, (User, Option<Lock>)>, AuthError> {
    let user = caller.principal.user()?;
    let turn = app.passwords.turn()?;
    let given = ("password", request.password.as_deref());
    let shown = step_up::password_if_any(app, &turn, user, given, context).await?;
    Ok(shown.map_continue(|lock| (user.clone(), lock)))
}

async fn new_codes(tx: &mut Tx, user: Id) -> Result<RecoveryCodes, AuthError> {
    let codes = (0..totp::RECOVERY_CODES).map(|_| totp::recovery_code(random_bytes()));
    let recovery_codes: Vec<String> = codes.collect();
    let hashes = recovery_codes.iter().map(|code| totp::recovery_hash(user, code)).collect();
    factors::set_recovery_codes(tx, user, hashes).await?;
    Ok(RecoveryCodes { recovery_codes })
}

fn audit(tx: &mut Tx, action: &'static str, user: Id, context: &WriteContext) {
    let target = format!("user:{user}");
    tx.audit(&Audit { action, target, before: None, after: None, context });
}
