//! Staying signed in, and signing out.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::{StatusCode, header};
use panel_kernel::data::{Answer, Audit, Tx, WriteContext};
use panel_kernel::http::{Caller, Payload, Write};
use panel_kernel::identity::ACCESS_TOKEN_LIFE;
use panel_kernel::ids::Id;
use panel_kernel::problem::ProblemBody;
use panel_kernel::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Shared, UserView};
use crate::error::AuthError;
use crate::mail::Letter;
use crate::store::sessions;
use crate::store::users::{self, UserRow};
use crate::tokens::{self, Bearer, OneTime, SigningKey};

/// A session that has begun or goes on.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum SessionAnswer {
    /// For programs: its tokens.
    Tokens(TokenAnswer),
    /// For browsers: what goes with its cookie.
    Cookie(CookieAnswer),
}

/// A session's tokens.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TokenAnswer {
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

/// What a page needs to know beside the cookie that it can't read.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CookieAnswer {
    /// For `X-CSRF-Token`, with everything that changes something. The same for the whole session.
    csrf_token: String,
    /// The session.
    session_id: Id,
    /// The account.
    user: UserView,
}

/// What is needed to hand out a session.
pub(super) struct Issue {
    app: Shared,
    key: Arc<SigningKey>,
    jti: Id,
    now: Timestamp,
}

impl Issue {
    pub(super) async fn begin(app: &Shared, context: &WriteContext) -> Result<Self, AuthError> {
        let (key, jti) = (app.keys.current(context.now)?, app.db.next_id().await?);
        Ok(Self { app: Arc::clone(app), key, jti, now: context.now })
    }

    /// Writes a new refresh token, and gives it with an access token.
    pub(super) async fn tokens(
        &self,
        tx: &mut Tx,
        user: &UserRow,
        session: Id,
    ) -> Result<Answer, AuthError> {
        let refresh = OneTime::generate();
        let expires_at = self.now.plus(self.app.config.session_life.0);
        sessions::add_token(tx, refresh.hash, session, expires_at).await?;
        let bearer =
            Bearer { user: user.id, session, role: user.role(), name: user.display_name.clone() };
        let issuer = &self.app.runtime.issuer;
        let answer = SessionAnswer::Tokens(TokenAnswer {
            access_token: tokens::access_token(&self.key, issuer, &bearer, self.jti, self.now)?,
            token_type: "Bearer",
            expires_in: ACCESS_TOKEN_LIFE.as_secs(),
            refresh_token: refresh.text,
            session_id: session,
            user: UserView::from(user),
        });
        Ok(Answer::json(StatusCode::OK, &answer).sealed())
    }

    /// Gives a browser its cookie.
    pub(super) fn cookie(&self, cookie: &str, user: &UserRow, session: Id) -> Answer {
        let answer = SessionAnswer::Cookie(CookieAnswer {
            csrf_token: self.app.csrf.of(session),
            session_id: session,
            user: UserView::from(user),
        });
        let set = self.app.cookie.set(cookie);
        Answer::json(StatusCode::OK, &answer).header(header::SET_COOKIE, &set).sealed()
    }
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
    responses((status = 200, body = TokenAnswer), (status = 401, body = ProblemBody)))]
pub(super) async fn refresh(
    State(app): State<Shared>,
    Write(context): Write,
    Payload(request): Payload<RefreshRequest>,
) -> Result<Answer, AuthError> {
    let hash = OneTime::hash_of(&request.refresh_token);
    let (issue, mail) = (Issue::begin(&app, &context).await?, app.db.next_id().await?);
    let written = context.clone();
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
                        issue.app.post.send(tx, mail, &to, &letter, written.now).await?;
                    }
                    return Ok(Answer::problem(&AuthError::BadRefreshToken.into()));
                }
                if token.expires_at <= written.now {
                    return Err(AuthError::BadRefreshToken);
                }
                let user = active(users::by_id(tx, token.user).await?, written.now)?;
                let life = issue.app.config.session_life.0;
                let (now, until) = (written.now, written.now.plus(life));
                if !sessions::prolong(tx, token.session, now, until).await? {
                    return Err(AuthError::BadRefreshToken);
                }
                issue.tokens(tx, &user, token.session).await
            })
        })
        .await
}

/// The session a request came with.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CurrentSession {
    /// Its id.
    session_id: Id,
    /// For `X-CSRF-Token`, where it is a cookie's.
    csrf_token: String,
    /// When somebody showed in it last who they are. What guards the account can be changed for five
    /// minutes after that.
    authenticated_at: Timestamp,
    /// The account.
    user: UserView,
}

/// The session this request came with: what a page asks for when it is opened.
#[utoipa::path(get, path = "/api/v2/auth/session", tag = "auth",
    responses((status = 200, body = CurrentSession), (status = 401, body = ProblemBody)))]
pub(super) async fn current(
    State(app): State<Shared>,
    caller: Caller,
) -> Result<Json<CurrentSession>, AuthError> {
    let caller = caller.principal.user()?;
    let mut conn = app.db.reader().await?;
    let shown = sessions::authenticated_at(&mut conn, caller.session).await?;
    let user = users::by_id(&mut conn, caller.id).await?.ok_or(AuthError::NoSuchAccount)?;
    Ok(Json(CurrentSession {
        session_id: caller.session,
        csrf_token: app.csrf.of(caller.session),
        authenticated_at: shown.ok_or(AuthError::NoSuchSession)?,
        user: UserView::from(&user),
    }))
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
    let (written, cookie) = (context.clone(), app.cookie);
    app.db
        .write(&context, move |tx| {
            Box::pin(async move {
                if sessions::revoke(tx, session, written.now).await? {
                    tx.audit(&audit("session.end", session, &written));
                }
                let answer = Answer::no_content();
                let has_cookie = sessions::has_cookie(tx, session).await?;
                let clear = || cookie.clear();
                Ok(if has_cookie { answer.header(header::SET_COOKIE, &clear()) } else { answer })
            })
        })
        .await
}

pub(super) fn active(user: Option<UserRow>, now: Timestamp) -> Result<UserRow, AuthError> {
    let user = user.ok_or(AuthError::BadCredentials)?;
    if user.is_active(now) { Ok(user) } else { Err(AuthError::Suspended(user.suspended_until)) }
}

pub(super) fn audit<'a>(action: &'static str, session: Id, context: &'a WriteContext) -> Audit<'a> {
    Audit { action, target: format!("session:{session}"), before: None, after: None, context }
}
