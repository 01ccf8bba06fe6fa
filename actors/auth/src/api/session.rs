//! Staying signed in, and signing out.

use axum::Json;
use axum::extract::State;
use http::header;
use panel_kernel::data::{Answer, Audit, WriteContext};
use panel_kernel::http::{Caller, Payload, Write};
use panel_kernel::ids::Id;
use panel_kernel::problem::ProblemBody;
use panel_kernel::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::beginning::{Issue, TokenAnswer};
use super::{Shared, UserView};
use crate::error::AuthError;
use crate::mail::Letter;
use crate::store::sessions;
use crate::store::users::{self, UserRow};
use crate::tokens::OneTime;

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
