//! Signing in.

use std::sync::Arc;

use axum::extract::State;
use http::HeaderMap;
use panel_kernel::data::Answer;
use panel_kernel::http::{Payload, Write};
use panel_kernel::ids::Id;
use panel_kernel::problem::ProblemBody;
use panel_kernel::time::Timestamp;
use serde::Deserialize;
use utoipa::ToSchema;

use super::beginning::{Beginning, SessionAnswer, may_begin, new_cookie};
use super::second_factor::Given;
use super::{App, Shared};
use crate::error::AuthError;
use crate::hashing::Verdict;
use crate::store::{locks, sessions, users};
use crate::throttle::{Attempt, Guessed, Wait};

/// Who wants to sign in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LoginRequest {
    /// The username or the mail address.
    login: String,
    /// The password.
    password: String,
    /// The code of an authenticator, where the account has a second factor.
    totp_code: Option<String>,
    /// Instead of it, one of the codes for who has lost it.
    recovery_code: Option<String>,
    /// For browsers: the session is kept in a cookie that scripts can't read, and no token is in the
    /// answer.
    #[serde(default)]
    cookie: bool,
}

/// Sign in.
#[utoipa::path(post, path = "/api/v2/auth/login", tag = "auth", request_body = LoginRequest,
    responses((status = 200, body = SessionAnswer), (status = 401, body = ProblemBody),
              (status = 422, body = ProblemBody), (status = 429, body = ProblemBody)))]
pub(super) async fn login(
    State(app): State<Shared>,
    headers: HeaderMap,
    Write(context): Write,
    Payload(request): Payload<LoginRequest>,
) -> Result<Answer, AuthError> {
    let cookie = new_cookie(&app, request.cookie)?;
    let turn = app.passwords.turn()?;
    let found = locks::by_login(&mut app.db.reader().await?, &request.login).await?;
    let address = context.client_ip.as_deref();
    let account = found.as_ref().map(|lock| lock.id);
    let attempt = attempt(&app, &request.login, account, address, context.now).await?;
    let hash = found.as_ref().map(|lock| lock.hash.clone());
    let verdict = turn.verify(&request.password, hash).await?;
    let (Some(lock), true) = (found, verdict != Verdict::Wrong) else {
        attempt.failed().await;
        return Err(AuthError::BadCredentials);
    };
    let hash = if let Verdict::RightAs(hash) = verdict { hash } else { lock.hash.clone() };
    let beginning = Beginning::of(&app, lock.id, cookie, &headers, &context).await?;
    let given = Given::of(request.totp_code, request.recovery_code);
    let mail = app.db.next_id().await?;
    let code = match given {
        Given::Nothing => None,
        _ => {
            let code = app.throttle.take(Guessed::Factor(lock.id), address).await;
            Some(code.map_err(|wait| app.throttle.refuse(wait))?)
        }
    };
    let user = lock.id;
    let (written, sharing) = (context.clone(), Arc::clone(&app));
    let answer = app.db.write(&context, move |tx| {
        Box::pin(async move {
            // Whoever changes the password ends the sessions there are, and must not miss one.
            if !locks::sign_in(tx, &lock, &hash, written.now).await? {
                return Err(AuthError::BadCredentials);
            }
            let user = may_begin(users::by_id(tx, lock.id).await?, written.now)?;
            sharing.pass_factor(tx, mail, user.id, &given, &written).await?;
            beginning.begin(tx, &user, &written).await
        })
    });
    let answer = answer.await;
    match &answer {
        Ok(_) => {
            app.post.ring();
            attempt.succeeded().await;
            if let Some(code) = code {
                code.succeeded().await;
            }
        }
        Err(AuthError::BadFactor) => {
            attempt.failed().await;
            if let Some(code) = code {
                app.tell_of_guessing(user, &code, &context).await;
            }
        }
        // Of who has the password, and perhaps no more, nothing is forgiven.
        Err(_) => {
            if let Some(code) = code {
                code.withdraw().await;
            }
        }
    }
    answer
}

/// An attempt at the password of whoever is called `login`. Its own people, where they are signed in
/// already, need not wait for strangers.
async fn attempt(
    app: &App,
    login: &str,
    account: Option<Id>,
    address: Option<&str>,
    now: Timestamp,
) -> Result<Attempt, AuthError> {
    let throttle = &app.throttle;
    let mut attempt = throttle.attempt(Guessed::Name(login), address).await;
    if let (Err(Wait { whose: true, .. }), Some(account), Some(at)) = (&attempt, account, address)
        && sessions::is_known_at(&mut app.db.reader().await?, account, at, now).await?
    {
        attempt = throttle.attempt(Guessed::At(account, at), address).await;
    }
    attempt.map_err(|wait| throttle.refuse(wait))
}
