//! Inviting people to make an account.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use panel_kernel::data::{Answer, Audit};
use panel_kernel::http::{Caller, IdPath, Listing, PageQuery, Params, Payload, Write};
use panel_kernel::ids::Id;
use panel_kernel::problem::{Problem, ProblemBody};
use panel_kernel::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::Shared;
use crate::error::AuthError;
use crate::mail::{Letter, Recipient};
use crate::rules;
use crate::store::invitations::{self, InvitationRow};
use crate::tokens::OneTime;

/// An invitation that is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct InvitationRequest {
    /// To whom it is mailed; to nobody if not given.
    email: Option<String>,
    /// For those who look at the list.
    note: Option<String>,
    /// For how many accounts it is good, 1 to 1,000; 1 if not given.
    uses: Option<i64>,
    /// When it ends, within 90 days; in a week if not given.
    expires_at: Option<Timestamp>,
}

/// An invitation, without its token.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct InvitationView {
    /// Its id.
    id: Id,
    /// Whose it is.
    created_by: Id,
    /// What they noted.
    note: String,
    /// When it was made.
    created_at: Timestamp,
    /// When it ends.
    expires_at: Timestamp,
    /// For how many accounts it is still good.
    uses_left: i64,
}

impl From<InvitationRow> for InvitationView {
    fn from(row: InvitationRow) -> Self {
        let InvitationRow { id, created_by, note, created_at, expires_at, uses_left } = row;
        Self { id, created_by, note, created_at, expires_at, uses_left }
    }
}

/// A new invitation; its token is shown this once.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NewInvitation {
    /// For `register`, as `invitation`.
    token: String,
    /// The page that takes it.
    link: String,
    /// What is remembered of it.
    #[serde(flatten)]
    view: InvitationView,
}

/// Invite somebody to make an account. The token is shown in this answer, and mailed if wanted.
#[utoipa::path(post, path = "/api/v2/auth/invitations", tag = "auth",
    request_body = InvitationRequest,
    responses((status = 201, body = NewInvitation), (status = 401, body = ProblemBody),
              (status = 403, body = ProblemBody), (status = 422, body = ProblemBody)))]
pub(super) async fn make(
    State(app): State<Shared>,
    caller: Caller,
    Write(context): Write,
    Payload(request): Payload<InvitationRequest>,
) -> Result<Answer, AuthError> {
    let InvitationRequest { email, note, uses, expires_at } = request;
    let asked = rules::invitation(note.as_deref(), uses, expires_at, context.now)?;
    let email = email.map(|email| rules::address("email", &email)).transpose()?;
    let row = InvitationRow {
        id: app.db.next_id().await?,
        created_by: caller.principal.user()?.id,
        note: asked.note,
        created_at: context.now,
        expires_at: asked.expires_at,
        uses_left: asked.uses,
    };
    let (mail, written, sharing) = (app.db.next_id().await?, context.clone(), app.clone());
    let answer = app.db.write(&context, move |tx| {
        Box::pin(async move {
            let token = OneTime::generate();
            invitations::add(tx, &row, token.hash).await?;
            tx.audit(&Audit {
                action: "invitation.create",
                target: format!("invitation:{}", row.id),
                before: None,
                after: Some(json!({"uses": row.uses_left, "mailed": email.is_some()})),
                context: &written,
            });
            if let Some(email) = email {
                let to = Recipient::stranger(email);
                let letter = Letter::Invitation { token: token.text.clone() };
                sharing.post.send(tx, mail, &to, &letter, written.now).await?;
            }
            let link = format!("{}/join#{}", sharing.runtime.public_url, token.text);
            let new = NewInvitation { token: token.text, link, view: row.into() };
            Ok::<_, AuthError>(Answer::json(StatusCode::CREATED, &new).sealed())
        })
    });
    let answer = answer.await?;
    app.post.ring();
    Ok(answer)
}

/// All invitations, the newest first.
#[utoipa::path(get, path = "/api/v2/auth/invitations", tag = "auth", params(PageQuery),
    responses((status = 200, body = Listing<InvitationView>), (status = 401, body = ProblemBody),
              (status = 403, body = ProblemBody)))]
pub(super) async fn list(
    State(app): State<Shared>,
    Params(query): Params<PageQuery>,
) -> Result<Json<Listing<InvitationView>>, AuthError> {
    let page = query.newest_first(&app.runtime.cursors, "auth.invitations")?;
    let rows = invitations::all(&mut app.db.reader().await?, page.before, page.fetch()).await?;
    Ok(Json(page.listing(rows, |row| row.id).map(InvitationView::from)))
}

/// Take an invitation back.
#[utoipa::path(delete, path = "/api/v2/auth/invitations/{id}", tag = "auth",
    params(("id" = String, Path, description = "The invitation")),
    responses((status = 204), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
              (status = 404, body = ProblemBody)))]
pub(super) async fn remove(
    State(app): State<Shared>,
    IdPath(id): IdPath,
    Write(context): Write,
) -> Result<Answer, AuthError> {
    let written = context.clone();
    app.db
        .write(&context, move |tx| {
            Box::pin(async move {
                if !invitations::remove(tx, id).await? {
                    return Err(AuthError::Problem(Problem::not_found("invitation")));
                }
                tx.audit(&Audit {
                    action: "invitation.remove",
                    target: format!("invitation:{id}"),
                    before: None,
                    after: None,
                    context: &written,
                });
                Ok(Answer::no_content())
            })
        })
        .await
}
