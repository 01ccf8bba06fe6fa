//! How a session begins, whatever has led to it.

use std::sync::Arc;

use http::{HeaderMap, StatusCode, header};
use panel_kernel::data::{Answer, Audit, Tx, WriteContext};
use panel_kernel::identity::{ACCESS_TOKEN_LIFE, CredentialKind};
use panel_kernel::ids::Id;
use panel_kernel::problem::Problem;
use panel_kernel::time::Timestamp;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::session::audit;
use super::{App, Shared, UserView};
use crate::error::AuthError;
use crate::rules::MAX_SESSIONS;
use crate::store::sessions::{self, NewSession};
use crate::store::users::UserRow;
use crate::tokens::{self, Bearer, OneTime, SigningKey};

const USER_AGENT_MAX: usize = 256;

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

/// A session about to begin.
pub(super) struct Beginning {
    session: NewSession,
    /// For browsers.
    cookie: Option<String>,
    /// Where a browser goes on, that has come from elsewhere.
    return_to: Option<String>,
    issue: Issue,
}

impl Beginning {
    /// Of an account's session; in a cookie, if `cookie` is the text of one.
    pub(super) async fn of(
        app: &Shared,
        user: Id,
        cookie: Option<String>,
        headers: &HeaderMap,
        context: &WriteContext,
    ) -> Result<Self, AuthError> {
        let session = NewSession {
            id: app.db.next_id().await?,
            user,
            now: context.now,
            expires_at: context.now.plus(app.config.session_life.0),
            ip: context.client_ip.clone(),
            user_agent: user_agent(headers),
            cookie: cookie.as_ref().map(|cookie| CredentialKind::Cookie.hash(cookie)),
        };
        Ok(Self { session, cookie, return_to: None, issue: Issue::begin(app, context).await? })
    }

    /// The browser goes on there, if it keeps the session in a cookie.
    pub(super) fn returning_to(mut self, path: &str) -> Self {
        self.return_to = Some(path.to_owned());
        self
    }

    /// Begins it, and ends the oldest where there are too many. The account is held.
    pub(super) async fn begin(
        self,
        tx: &mut Tx,
        user: &UserRow,
        context: &WriteContext,
    ) -> Result<Answer, AuthError> {
        let Self { session, cookie, return_to, issue } = self;
        let ended = sessions::make_room(tx, user.id, MAX_SESSIONS, session.now).await?;
        if ended > 0 {
            tx.audit(&Audit {
                action: "session.end_oldest",
                target: format!("user:{}", user.id),
                before: Some(json!({"sessions": ended})),
                after: None,
                context,
            });
        }
        sessions::begin(tx, &session).await?;
        tx.audit(&Audit {
            after: Some(json!({"user_id": user.id})),
            ..audit("session.begin", session.id, context)
        });
        match cookie {
            Some(cookie) => {
                let answer = issue.cookie(&cookie, user, session.id);
                Ok(match return_to {
                    Some(path) => answer.going_on(&path),
                    None => answer,
                })
            }
            None => issue.tokens(tx, user, session.id).await,
        }
    }
}

/// The account, if somebody may sign in to it.
///
/// # Errors
/// If there is none, if it is suspended, or if its address must be confirmed first.
pub(super) fn may_begin(user: Option<UserRow>, now: Timestamp) -> Result<UserRow, AuthError> {
    let user = super::session::active(user, now)?;
    if user.must_verify { Err(AuthError::MustVerify) } else { Ok(user) }
}

/// The cookie of a new session, for who wants one.
pub(super) fn new_cookie(app: &App, wanted: bool) -> Result<Option<String>, Problem> {
    if !wanted {
        return Ok(None);
    }
    if app.cookies_are_safe() {
        return Ok(Some(OneTime::generate().text));
    }
    let message = "would travel in the clear: serve the site over https (node.public_url), or set \
                   auth.insecure_cookies";
    Err(Problem::field("cookie", "insecure", message))
}

fn user_agent(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::USER_AGENT)?.to_str().ok()?;
    Some(text.chars().take(USER_AGENT_MAX).collect())
}

/// What is needed to hand out a session.
pub(super) struct Issue {
    pub(super) app: Shared,
    key: Arc<SigningKey>,
    jti: Id,
    now: Timestamp,
}

impl Issue {
    pub(super) async fn begin(app: &Shared, context: &WriteContext) -> Result<Self, AuthError> {
        // Which is refused at once while the database is down: nobody waits for keys then.
        let jti = app.db.next_id().await?;
        let key = app.keys.current(context.now).await?;
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
        Answer::json(StatusCode::OK, &answer).cookie(&set).sealed()
    }
}
