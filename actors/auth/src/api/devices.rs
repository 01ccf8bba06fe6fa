//! Where one is signed in, and ending that from afar.

use axum::Json;
use axum::extract::State;
use panel_kernel::data::{Answer, Audit};
use panel_kernel::http::{Caller, IdPath, Listing, PageQuery, Params, Write};
use panel_kernel::ids::Id;
use panel_kernel::problem::ProblemBody;
use panel_kernel::time::Timestamp;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::Shared;
use super::session::audit;
use crate::error::AuthError;
use crate::store::sessions::{self, SessionRow};
use crate::store::{one_time, users};

/// A session.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SessionView {
    /// Its id.
    id: Id,
    /// Whether this request came with it.
    current: bool,
    /// When somebody signed in.
    created_at: Timestamp,
    /// When its tokens were changed last.
    last_used_at: Timestamp,
    /// When it ends if it is not used.
    expires_at: Timestamp,
    /// The address it was begun from.
    ip: Option<String>,
    /// The program it was begun with, as that calls itself.
    user_agent: Option<String>,
}

/// Where one is signed in, the newest session first.
#[utoipa::path(get, path = "/api/v2/auth/sessions", tag = "auth", params(PageQuery),
    responses((status = 200, body = Listing<SessionView>), (status = 401, body = ProblemBody)))]
pub(super) async fn list(
    State(app): State<Shared>,
    caller: Caller,
    Params(query): Params<PageQuery>,
) -> Result<Json<Listing<SessionView>>, AuthError> {
    let user = caller.principal.user()?;
    let page = query.newest_first(&app.runtime.cursors, format!("auth.sessions {}", user.id))?;
    let mut conn = app.db.reader().await?;
    let now = app.db.clock().now();
    let rows = sessions::live(&mut conn, user.id, page.before, now, page.fetch()).await?;
    Ok(Json(page.listing(rows, |row| row.id).map(
        |SessionRow { id, created_at, last_used_at, expires_at, ip, user_agent }| {
            let current = id == user.session;
            SessionView { id, current, created_at, last_used_at, expires_at, ip, user_agent }
        },
    )))
}

/// End one of one's own sessions. Its access token is refused everywhere within a second.
#[utoipa::path(delete, path = "/api/v2/auth/sessions/{id}", tag = "auth",
    params(("id" = String, Path, description = "The session")),
    responses((status = 204), (status = 401, body = ProblemBody), (status = 404, body = ProblemBody)))]
pub(super) async fn end(
    State(app): State<Shared>,
    caller: Caller,
    IdPath(session): IdPath,
    Write(context): Write,
) -> Result<Answer, AuthError> {
    let user = caller.principal.user()?.id;
    let written = context.clone();
    app.db
        .write(&context, move |tx| {
            Box::pin(async move {
                if !sessions::revoke_own(tx, user, session, written.now).await? {
                    return Err(AuthError::NoSuchSession);
                }
                tx.audit(&audit("session.end", session, &written));
                Ok(Answer::no_content())
            })
        })
        .await
}

/// End all of one's own sessions, this one as well.
#[utoipa::path(post, path = "/api/v2/auth/logout-all", tag = "auth",
    responses((status = 204), (status = 401, body = ProblemBody)))]
pub(super) async fn end_all(
    State(app): State<Shared>,
    caller: Caller,
    Write(context): Write,
) -> Result<Answer, AuthError> {
    let user = caller.principal.user()?.id;
    let written = context.clone();
    app.db
        .write(&context, move |tx| {
            Box::pin(async move {
                users::hold(tx, user).await?;
                let ended = sessions::revoke_all(tx, user, None, written.now).await?;
                one_time::forget_all(tx, user).await?;
                tx.audit(&Audit {
                    action: "session.end_all",
                    target: format!("user:{user}"),
                    before: Some(json!({"sessions": ended})),
                    after: None,
                    context: &written,
                });
                Ok(Answer::no_content())
            })
        })
        .await
}
