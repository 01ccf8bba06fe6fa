//! Registering, and one's own profile.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use panel_kernel::data::{Answer, Audit, Tx, WriteContext};
use panel_kernel::http::{Caller, IfMatch, Payload, Write, etag};
use panel_kernel::ids::Id;
use panel_kernel::message::Principal;
use panel_kernel::problem::{Kind, Problem, ProblemBody};
use panel_kernel::role::Role;
use panel_kernel::time::Timestamp;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::email::{Accepted, accepted, send_token};
use super::{App, Shared, UserAnswer, UserView};
use crate::config::Registration;
use crate::error::AuthError;
use crate::events::UserRenamed;
use crate::mail::Letter;
use crate::store::invitations;
use crate::store::one_time::Purpose;
use crate::store::users::{self, About, NewUser};
use crate::tokens::OneTime;
use crate::{provision, rules};

/// An account somebody asks for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RegisterRequest {
    /// 3 to 30 letters, digits, dots, `-`, `_`.
    username: String,
    /// A mail address.
    email: String,
    /// 10 to 1,024 characters.
    password: String,
    /// The name shown to others; the username if not given.
    display_name: Option<String>,
    /// The token of an invitation, where registration takes one.
    invitation: Option<String>,
}

/// Make an account.
#[utoipa::path(post, path = "/api/v2/auth/register", tag = "auth", request_body = RegisterRequest,
    responses((status = 201, body = UserAnswer), (status = 202, body = Accepted),
              (status = 409, body = ProblemBody),
              (status = 422, body = ProblemBody), (status = 403, body = ProblemBody)))]
pub(super) async fn register(
    State(app): State<Shared>,
    Write(context): Write,
    Payload(request): Payload<RegisterRequest>,
) -> Result<Answer, AuthError> {
    let invitation = match (app.config.registration, &request.invitation) {
        (Registration::Open, _) => None,
        (Registration::Invitation, Some(token)) => Some(OneTime::hash_of(token)),
        (Registration::Invitation, None) => return Err(AuthError::NotInvited),
        (Registration::Closed, _) => return Err(AuthError::RegistrationClosed),
    };
    let registrant = rules::registrant(
        &request.username,
        &request.email,
        &request.password,
        request.display_name.as_deref(),
    )?;
    // Looked at first, so that a stranger can't make us hash passwords.
    if let Some(hash) = invitation
        && !invitations::is_good(&mut app.db.reader().await?, hash, context.now).await?
    {
        return app.db.refuse(&context, AuthError::BadInvitation).await;
    }
    app.check_breaches("password", &registrant.password).await?;
    let turn = app.passwords.turn()?;
    let password_hash = turn.hash(registrant.password.clone()).await?;
    let id = app.db.next_id().await?;
    let must_verify = app.config.verify_email;
    let user = provision::new_user(id, registrant, password_hash, Role::User, must_verify);
    if must_verify {
        return register_by_mail(&app, context, user, invitation).await;
    }
    let written = context.clone();
    app.db
        .write(&context, move |tx| {
            Box::pin(async move {
                let invited = redeem(tx, invitation, written.now).await?;
                let row = provision::insert_invited(tx, &written, &user, invited).await?;
                Ok(Answer::json(StatusCode::CREATED, &UserAnswer { user: UserView::from(&row) }))
            })
        })
        .await
}

/// Uses an invitation, where there has to be one: which.
pub(super) async fn redeem(
    tx: &mut Tx,
    invitation: Option<[u8; 32]>,
    now: Timestamp,
) -> Result<Option<Id>, AuthError> {
    let Some(hash) = invitation else { return Ok(None) };
    let used = invitations::redeem(tx, hash, now).await?;
    used.map(Some).ok_or(AuthError::BadInvitation)
}

/// Makes the account and sends the link that confirms its address. Whether there was such an account
/// is told by mail alone.
async fn register_by_mail(
    app: &App,
    context: WriteContext,
    user: NewUser,
    invitation: Option<[u8; 32]>,
) -> Result<Answer, AuthError> {
    let (mail, post, written) = (app.db.next_id().await?, app.post.clone(), context.clone());
    let answer = app.db.write(&context, move |tx| {
        Box::pin(async move {
            let now = written.now;
            // Also by what is taken: what is left of it would tell.
            let invited = redeem(tx, invitation, now).await?;
            match provision::insert_invited(tx, &written, &user, invited).await {
                Ok(row) => {
                    send_token(tx, &post, (Purpose::VerifyEmail, mail), &row, now).await?;
                }
                Err(AuthError::Taken(_)) => match users::by_email(tx, &user.email).await? {
                    Some(there)
                        if users::may_mail(tx, there.id, About::AddressTaken, now).await? =>
                    {
                        let letter = Letter::AddressTaken;
                        post.send(tx, mail, &there.recipient(), &letter, now).await?;
                    }
                    Some(_) => {}
                    None => {
                        post.send_to_stranger(tx, mail, user.email, &Letter::NameTaken, now)
                            .await?;
                    }
                },
                Err(error) => return Err(error),
            }
            Ok(accepted("verification_required"))
        })
    });
    let answer = answer.await?;
    app.post.ring();
    Ok(answer)
}

async fn own(app: &App, principal: &Principal) -> Result<Response, AuthError> {
    let user = principal.user()?;
    let row = users::by_id(&mut app.db.reader().await?, user.id).await?;
    let row = row.ok_or(AuthError::NoSuchAccount)?;
    Ok(etag::versioned(row.version, &UserView::from(&row)))
}

/// One's own account.
#[utoipa::path(get, path = "/api/v2/auth/profile", tag = "auth",
    responses((status = 200, body = UserView), (status = 401, body = ProblemBody)))]
pub(super) async fn profile(
    State(app): State<Shared>,
    caller: Caller,
) -> Result<Response, AuthError> {
    own(&app, &caller.principal).await
}

/// One's own account, by another name.
#[utoipa::path(get, path = "/api/v2/auth/me", tag = "auth",
    responses((status = 200, body = UserView), (status = 401, body = ProblemBody)))]
pub(super) async fn me(State(app): State<Shared>, caller: Caller) -> Result<Response, AuthError> {
    own(&app, &caller.principal).await
}

/// What is to change.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ProfileChange {
    /// The name shown to others, 1 to 60 characters.
    display_name: Option<String>,
}

/// Change one's own account. Honours `If-Match`.
#[utoipa::path(patch, path = "/api/v2/auth/profile", tag = "auth", request_body = ProfileChange,
    responses((status = 200, body = UserView), (status = 412, body = ProblemBody),
              (status = 422, body = ProblemBody)))]
pub(super) async fn change_profile(
    State(app): State<Shared>,
    caller: Caller,
    Write(context): Write,
    if_match: IfMatch,
    Payload(change): Payload<ProfileChange>,
) -> Result<Response, AuthError> {
    let id = caller.principal.user()?.id;
    let display_name = change.display_name.as_deref().map(rules::display_name).transpose()?;
    let written = context.clone();
    let answer: Result<Answer, AuthError> = app
        .db
        .write(&context, move |tx| {
            Box::pin(async move {
                let before = users::by_id(tx, id).await?.ok_or(AuthError::NoSuchAccount)?;
                if_match.check(before.version)?;
                if let Some(name) = display_name.filter(|name| *name != before.display_name) {
                    if !users::rename(tx, id, before.version, &name, written.now).await? {
                        return Err(changed_meanwhile().into());
                    }
                    tx.audit(&Audit {
                        action: "user.rename",
                        target: format!("user:{id}"),
                        before: Some(json!({"display_name": before.display_name})),
                        after: Some(json!({"display_name": name})),
                        context: &written,
                    });
                    tx.publish(&UserRenamed { id, display_name: name });
                }
                let row = users::by_id(tx, id).await?.ok_or(AuthError::NoSuchAccount)?;
                Ok(Answer::versioned(StatusCode::OK, row.version, &UserView::from(&row)))
            })
        })
        .await;
    Ok(answer?.into_response())
}

fn changed_meanwhile() -> Problem {
    Problem::new(Kind::PreconditionFailed, "the account was changed meanwhile; read it again")
}
