//! Signing in, staying signed in, signing out.

use axum::extract::State;
use http::{HeaderMap, StatusCode, header};
use panel_kernel::data::{Answer, Audit, Tx, WriteContext};
use panel_kernel::http::{Caller, Payload, Write};
use panel_kernel::identity::ACCESS_TOKEN_LIFE;
use panel_kernel::ids::Id;
use panel_kernel::problem::{Kind, Problem, ProblemBody};
use panel_kernel::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{App, Shared, UserView};
use crate::error::AuthError;
use crate::hashing::Verdict;
use crate::mail::Letter;
use crate::store::sessions::{self, NewSession};
use crate::store::users::{self, UserRow};
use crate::throttle::{Attempt, Guessed, Wait};
use crate::tokens::{self, Bearer, OneTime, SigningKey};

const USER_AGENT_MAX: usize = 256;

/// Who wants to sign in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LoginRequest {
    /// The username or the mail address.
    login: String,
    /// The password.
    password: String,
}

/// A session's tokens.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SessionAnswer {
    /// For `Authorization: Bearer`.
    access_token: String,
    /// `Bearer`.
    token_type: &'static str,
    /// Seconds until the access token ends.
    expires_in: u64,
    /// For one refresh.
    refresh_token: String,
    /// The session.
    session_id: Id,
    /// The account.
    user: UserView,
}

/// Sign in.
#[utoipa::path(post, path = "/api/v2/auth/login", tag = "auth", request_body = LoginRequest,
    responses((status = 200, body = SessionAnswer), (status = 401, body = ProblemBody),
              (status = 429, body = ProblemBody)))]
pub(super) async fn login(
    State(app): State<Shared>,
    headers: HeaderMap,
    Write(context): Write,
    Payload(request): Payload<LoginRequest>,
) -> Result<Answer, AuthError> {
    let turn = app.passwords.turn()?;
    let found = users::by_login(&mut app.db.reader().await?, &request.login).await?;
    let address = context.client_ip.as_deref();
    let account = found.as_ref().map(|lock| lock.id);
    let attempt = attempt(&app, &request.login, account, address, context.now).await?;
    let hash = found.as_ref().map(|lock| lock.hash.clone());
    let verdict = turn.verify(&request.password, hash).await?;
    let (Some(lock), true) = (found, verdict != Verdict::Wrong) else {
        attempt.failed().await;
        return Err(AuthError::BadCredentials);
    };
    attempt.succeeded().await;
    let hash = if let Verdict::RightAs(hash) = verdict { hash } else { lock.hash.clone() };
    let key = app.keys.current(context.now)?;
    let session = NewSession {
        id: app.db.next_id().await?,
        user: lock.id,
        now: context.now,
        expires_at: context.now.plus(app.config.session_life.0),
        ip: context.client_ip.clone(),
        user_agent: user_agent(&headers),
    };
    let jti = app.db.next_id().await?;
    let (written, issuing) = (context.clone(), app.clone());
    app.db
        .write(&context, move |tx| {
            Box::pin(async move {
                // Whoever changes the password ends the sessions there are, and must not miss one.
                if !users::sign_in(tx, &lock, &hash, written.now).await? {
                    return Err(AuthError::BadCredentials);
                }
                let user = active(users::by_id(tx, lock.id).await?)?;
                if user.must_verify {
                    return Err(AuthError::MustVerify);
                }
                sessions::begin(tx, &session).await?;
                tx.audit(&audit("session.begin", session.id, &written));
                issue(tx, &issuing, (&key, jti), &user, session.id, &written).await
            })
        })
        .await
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

/// The refresh token.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RefreshRequest {
    /// As given at login or at the last refresh.
    refresh_token: String,
}

/// Trade the refresh token for new tokens. A token that is used again ends its session.
#[utoipa::path(post, path = "/api/v2/auth/refresh", tag = "auth", request_body = RefreshRequest,
    responses((status = 200, body = SessionAnswer), (status = 401, body = ProblemBody)))]
pub(super) async fn refresh(
    State(app): State<Shared>,
    Write(context): Write,
    Payload(request): Payload<RefreshRequest>,
) -> Result<Answer, AuthError> {
    let key = app.keys.current(context.now)?;
    let hash = OneTime::hash_of(&request.refresh_token);
    let (jti, mail) = (app.db.next_id().await?, app.db.next_id().await?);
    let (written, issuing) = (context.clone(), app.clone());
    app.db
        .write(&context, move |tx| {
            Box::pin(async move {
                let token = sessions::token(tx, hash).await?.ok_or(AuthError::BadRefreshToken)?;
                if token.revoked_at.is_some() {
                    return Err(AuthError::BadRefreshToken);
                }
                // Used before, or by somebody else in this very moment: one of the two is not
                // its owner, and nobody can tell which.
                let fresh =
                    token.used_at.is_none() && sessions::use_token(tx, hash, written.now).await?;
                if !fresh {
                    sessions::revoke(tx, token.session, written.now).await?;
                    tx.audit(&audit("session.refresh_reuse", token.session, &written));
                    if let Some(owner) = users::by_id(tx, token.user).await? {
                        let (to, letter) = (owner.recipient(), Letter::SessionStolen);
                        issuing.post.send(tx, mail, &to, &letter, written.now).await?;
                    }
                    return Ok(Answer::problem(&AuthError::BadRefreshToken.into()));
                }
                if token.expires_at <= written.now {
                    return Err(AuthError::BadRefreshToken);
                }
                let user = active(users::by_id(tx, token.user).await?)?;
                let life = issuing.config.session_life.0;
                let (now, until) = (written.now, written.now.plus(life));
                if !sessions::prolong(tx, token.session, now, until).await? {
                    return Err(AuthError::BadRefreshToken);
                }
                issue(tx, &issuing, (&key, jti), &user, token.session, &written).await
            })
        })
        .await
}

/// End the session this request came with.
#[utoipa::path(post, path = "/api/v2/auth/logout", tag = "auth",
    responses((status = 204), (status = 401, body = ProblemBody)))]
pub(super) async fn logout(
    State(app): State<Shared>,
    caller: Caller,
    Write(context): Write,
) -> Result<Answer, AuthError> {
    let session = caller.principal.user()?.session;
    let written = context.clone();
    app.db
        .write(&context, move |tx| {
            Box::pin(async move {
                if sessions::revoke(tx, session, written.now).await? {
                    tx.audit(&audit("session.end", session, &written));
                }
                Ok(Answer::no_content())
            })
        })
        .await
}

/// Writes a new refresh token and puts the answer together.
async fn issue(
    tx: &mut Tx,
    app: &App,
    (key, jti): (&SigningKey, Id),
    user: &UserRow,
    session: Id,
    context: &WriteContext,
) -> Result<Answer, AuthError> {
    let refresh = OneTime::generate();
    let expires_at = context.now.plus(app.config.session_life.0);
    sessions::add_token(tx, refresh.hash, session, expires_at).await?;
    let bearer =
        Bearer { user: user.id, session, role: user.role(), name: user.display_name.clone() };
    let issuer = &app.runtime.issuer;
    let answer = SessionAnswer {
        access_token: tokens::access_token(key, issuer, &bearer, jti, context.now)?,
        token_type: "Bearer",
        expires_in: ACCESS_TOKEN_LIFE.as_secs(),
        refresh_token: refresh.text,
        session_id: session,
        user: UserView::from(user),
    };
    Ok(Answer::json(StatusCode::OK, &answer).sealed())
}

fn active(user: Option<UserRow>) -> Result<UserRow, AuthError> {
    let user = user.ok_or(AuthError::BadCredentials)?;
    if user.is_active() {
        Ok(user)
    } else {
        Err(Problem::new(Kind::Forbidden, "this account is suspended").into())
    }
}

pub(super) fn audit<'a>(action: &'static str, session: Id, context: &'a WriteContext) -> Audit<'a> {
    Audit { action, target: format!("session:{session}"), before: None, after: None, context }
}

fn user_agent(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::USER_AGENT)?.to_str().ok()?;
    Some(text.chars().take(USER_AGENT_MAX).collect())
}
