//! Accounts elsewhere that sign in to one's own here.

use std::ops::ControlFlow;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use panel_kernel::data::Answer;
use panel_kernel::http::{Caller, IdPath, Listing, Payload, Write};
use panel_kernel::ids::Id;
use panel_kernel::problem::{Problem, ProblemBody};
use panel_kernel::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::oauth::{self, Leaving, Whither};
use super::{Shared, step_up, ways_in};
use crate::error::AuthError;
use crate::federation::Federation;
use crate::mail::Letter;
use crate::rules::federation as rules;
use crate::store::identities::{self, IdentityRow};

/// An account elsewhere.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct IdentityView {
    /// The id of the link.
    id: Id,
    /// The provider's id; `null` if it is none any more, and so of no use.
    provider: Option<String>,
    /// What people call the provider.
    label: String,
    /// What the account is called there.
    name: String,
    /// When it was linked.
    created_at: Timestamp,
    /// When somebody signed in by it last.
    last_used_at: Option<Timestamp>,
}

impl IdentityView {
    pub(super) fn of(row: IdentityRow, federation: &Federation) -> Self {
        let IdentityRow { id, name, created_at, last_used_at, issuer, .. } = row;
        let there = federation.of_issuer(&issuer);
        let provider = there.map(|provider| provider.name.clone());
        let label = there.map_or(issuer, |provider| provider.label.clone());
        Self { id, provider, label, name, created_at, last_used_at }
    }
}

/// One's own accounts elsewhere, the newest first.
#[utoipa::path(get, path = "/api/v2/auth/identities", tag = "auth",
    responses((status = 200, body = Listing<IdentityView>), (status = 401, body = ProblemBody)))]
pub(super) async fn list(
    State(app): State<Shared>,
    caller: Caller,
) -> Result<Json<Listing<IdentityView>>, AuthError> {
    let user = caller.principal.user()?.id;
    let rows = identities::of_user(&mut app.db.reader().await?, user).await?;
    let items = rows.into_iter().map(|row| IdentityView::of(row, &app.federation)).collect();
    Ok(Json(Listing { items, next_cursor: None }))
}

/// How somebody wants to come back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LinkRequest {
    /// For browsers: a path of this site to go on to, with `oauth_error` in its query if it did not
    /// succeed. Else coming back is answered with the link.
    return_to: Option<String>,
}

/// Leave for a provider, to link an account there to one's own. Takes a session in which somebody has
/// shown who they are in the last five minutes.
#[utoipa::path(post, path = "/api/v2/auth/oauth/{provider}/link", tag = "auth",
    params(("provider" = String, Path, description = "The provider's id")),
    request_body = LinkRequest,
    responses((status = 200, body = Leaving), (status = 401, body = ProblemBody),
              (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
              (status = 503, body = ProblemBody)))]
pub(super) async fn link(
    State(app): State<Shared>,
    caller: Caller,
    Path(provider): Path<String>,
    Payload(request): Payload<LinkRequest>,
) -> Result<Answer, AuthError> {
    let user = caller.principal.user()?;
    step_up::fresh(&app, user, caller.now).await?;
    let return_to = request.return_to.as_deref().map(rules::return_to).transpose()?;
    let whither = Whither::Link { user: user.id, session: user.session, return_to };
    oauth::leaving(&app, &provider, whither, &caller).await
}

/// Unlink an account elsewhere: it does not sign in to one's own any more. Takes a session in which
/// somebody has shown who they are in the last five minutes. The last way to sign in stays.
#[utoipa::path(delete, path = "/api/v2/auth/identities/{id}", tag = "auth",
    params(("id" = String, Path, description = "The link")),
    responses((status = 204), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
              (status = 404, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub(super) async fn unlink(
    State(app): State<Shared>,
    caller: Caller,
    IdPath(id): IdPath,
    Write(context): Write,
) -> Result<Answer, AuthError> {
    let user = caller.principal.user()?.clone();
    if let ControlFlow::Break(before) = step_up::shown(&app, &user, None, &context).await? {
        return Ok(before);
    }
    let (mail, written, sharing) = (app.db.next_id().await?, context.clone(), Arc::clone(&app));
    let answer = app.db.write(&context, move |tx| {
        Box::pin(async move {
            step_up::hold(tx, &user, None).await?;
            let rows = identities::of_user(tx, user.id).await?;
            let row = rows.into_iter().find(|row| row.id == id);
            let row = row.ok_or_else(|| Problem::not_found("identity"))?;
            identities::remove(tx, user.id, id).await?;
            if !ways_in::any(tx, user.id, &sharing.federation).await? {
                return Err(AuthError::LastCredential);
            }
            tx.audit(&oauth::audit("identity.unlink", &row, &written));
            let provider = IdentityView::of(row, &sharing.federation).label;
            let letter = Letter::IdentityUnlinked { provider };
            sharing.tell(tx, mail, user.id, &letter, written.now).await?;
            Ok(Answer::no_content())
        })
    });
    let answer = answer.await?;
    app.post.ring();
    Ok(answer)
}
