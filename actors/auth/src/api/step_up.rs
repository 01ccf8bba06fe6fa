//! Showing again who one is, before what guards the account is changed.

use std::ops::ControlFlow;
use std::time::Duration;

use axum::extract::State;
use panel_kernel::data::{Answer, Audit, WriteContext};
use panel_kernel::http::{Caller, Payload, Write};
use panel_kernel::message::User;
use panel_kernel::problem::{Kind, Problem, ProblemBody};
use panel_kernel::time::Timestamp;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{App, Shared};
use crate::error::AuthError;
use crate::hashing::{Turn, Verdict};
use crate::store::sessions;
use crate::store::users::{self, Lock};
use crate::throttle::Guessed;

/// How long that lasts.
pub(crate) const FRESH: Duration = Duration::from_secs(300);

/// Whether somebody has shown in this session, within the last five minutes, who they are.
///
/// # Errors
/// 403 with the code `reauthentication_required` if not.
pub(super) async fn fresh(app: &App, user: &User, now: Timestamp) -> Result<(), AuthError> {
    let shown = sessions::authenticated_at(&mut app.db.reader().await?, user.session).await?;
    if shown.is_some_and(|at| at.until(now) < FRESH) {
        return Ok(());
    }
    let detail = "show again who you are: POST /api/v2/auth/reauthenticate";
    Err(Problem::new(Kind::Forbidden, detail).code("reauthentication_required").into())
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
    let lock = users::lock(&mut app.db.reader().await?, user.id).await?;
    let lock = lock.ok_or(AuthError::NoSuchAccount)?;
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

/// Who one is, shown again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReauthenticateRequest {
    /// The password.
    password: String,
}

/// Show again who you are. For five minutes, this session may change what guards the account.
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
    let turn = app.passwords.turn()?;
    let given = ("password", request.password.as_str());
    if let ControlFlow::Break(remembered) = password(&app, &turn, &user, given, &context).await? {
        return Ok(remembered);
    }
    let written = context.clone();
    app.db
        .write(&context, move |tx| {
            Box::pin(async move {
                sessions::authenticated(tx, user.session, written.now).await?;
                tx.audit(&Audit {
                    action: "session.reauthenticate",
                    target: format!("session:{}", user.session),
                    before: None,
                    after: None,
                    context: &written,
                });
                Ok(Answer::no_content())
            })
        })
        .await
}
