//! Proving that an address is one's own.

use axum::extract::State;
use http::StatusCode;
use panel_kernel::data::{Answer, Audit, Tx, WriteContext};
use panel_kernel::http::{Payload, Write};
use panel_kernel::ids::Id;
use panel_kernel::problem::ProblemBody;
use panel_kernel::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{App, Shared};
use crate::error::AuthError;
use crate::events::UserEmailChanged;
use crate::mail::{Letter, Post};
use crate::rules;
use crate::store::one_time::{self, NewToken, Purpose};
use crate::store::users::{self, About, UserRow};
use crate::tokens::OneTime;

/// That something was asked for; whether it leads to a mail is told by mail alone.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Accepted {
    /// `verification_required` after a registration, else `accepted`.
    status: &'static str,
}

/// 202.
pub(super) fn accepted(status: &'static str) -> Answer {
    Answer::json(StatusCode::ACCEPTED, &Accepted { status })
}

/// The token of a link that came by mail.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenRequest {
    /// The part of the link behind the `#`.
    token: String,
}

/// The address of an account.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AddressRequest {
    /// The mail address.
    pub(super) email: String,
}

/// Confirm the address of an account, with the token that was sent there. Works once, for a day.
#[utoipa::path(post, path = "/api/v2/auth/email/verify", tag = "auth",
    request_body = TokenRequest, responses((status = 204), (status = 422, body = ProblemBody)))]
pub(super) async fn verify(
    State(app): State<Shared>,
    Write(context): Write,
    Payload(request): Payload<TokenRequest>,
) -> Result<Answer, AuthError> {
    let hash = OneTime::hash_of(&request.token);
    let (mail, written, sharing) = (app.db.next_id().await?, context.clone(), app.clone());
    let answer = app
        .db
        .write(&context, move |tx| {
            Box::pin(async move {
                let now = written.now;
                let mut whose = one_time::whose(tx, (hash, Purpose::VerifyEmail), now).await?;
                if whose.is_none() {
                    whose = one_time::whose(tx, (hash, Purpose::ChangeEmail), now).await?;
                }
                let (user, new_email) = whose.ok_or(AuthError::BadOneTimeToken)?;
                // The account before its tokens, as everywhere: or two would wait for each other.
                users::hold(tx, user).await?;
                if !one_time::use_up(tx, hash).await? {
                    return Err(AuthError::BadOneTimeToken);
                }
                let action = match new_email {
                    None => {
                        one_time::forget(tx, user, Purpose::VerifyEmail).await?;
                        users::verify_email(tx, user, now).await?;
                        "user.email_verify"
                    }
                    Some(email) => {
                        give(tx, &sharing, (mail, user), email, now).await?;
                        "user.email_change"
                    }
                };
                tx.audit(&Audit {
                    action,
                    target: format!("user:{user}"),
                    before: None,
                    after: None,
                    context: &written,
                });
                Ok(Answer::no_content())
            })
        })
        .await?;
    app.post.ring();
    Ok(answer)
}

/// Gives the account its new address, and tells the old one.
async fn give(
    tx: &mut Tx,
    app: &App,
    (mail, user): (Id, Id),
    email: String,
    now: Timestamp,
) -> Result<(), AuthError> {
    app.tell(tx, mail, user, &Letter::AddressChanged, now).await?;
    // Whoever has made an account with it meanwhile has shown as much.
    if !users::change_email(tx, user, &email, now).await? {
        return Err(AuthError::Taken("email"));
    }
    // What was sent to the old one is good for nothing any more.
    one_time::forget_all(tx, user).await?;
    tx.publish(&UserEmailChanged { id: user, email });
    Ok(())
}

/// Have the link to confirm an address sent again. The answer does not tell whether there is such
/// an account.
#[utoipa::path(post, path = "/api/v2/auth/email/resend", tag = "auth",
    request_body = AddressRequest, responses((status = 202, body = Accepted)))]
pub(super) async fn resend(
    State(app): State<Shared>,
    Write(context): Write,
    Payload(request): Payload<AddressRequest>,
) -> Result<Answer, AuthError> {
    ask_for(&app, &context, Purpose::VerifyEmail, request.email).await
}

/// Has a token sent to whoever has this address, if there is anybody whom it could be of use to.
pub(super) async fn ask_for(
    app: &App,
    context: &WriteContext,
    purpose: Purpose,
    email: String,
) -> Result<Answer, AuthError> {
    let (mail, now, post) = (app.db.next_id().await?, context.now, app.post.clone());
    let answer = app.db.write(context, move |tx| {
        Box::pin(async move {
            let is_of_use = |user: &UserRow| {
                user.is_active(now) && !(purpose == Purpose::VerifyEmail && user.is_verified())
            };
            if let Some(user) = users::by_email(tx, &email).await?.filter(is_of_use) {
                send_token(tx, &post, (purpose, mail), &user, now).await?;
            }
            Ok::<_, AuthError>(accepted("accepted"))
        })
    });
    let answer = answer.await?;
    app.post.ring();
    Ok(answer)
}

/// Sends a new token to the account's address, unless somebody had a mail sent there just now.
pub(super) async fn send_token(
    tx: &mut Tx,
    post: &Post,
    (purpose, mail): (Purpose, Id),
    user: &UserRow,
    now: Timestamp,
) -> Result<(), AuthError> {
    let about = match purpose {
        Purpose::VerifyEmail => About::VerifyEmail,
        Purpose::ResetPassword => About::ResetPassword,
        // Never by who is not signed in.
        Purpose::ChangeEmail => return Ok(()),
    };
    if !users::may_mail(tx, user.id, about, now).await? {
        return Ok(());
    }
    send_link(tx, post, (purpose, mail), user, now).await
}

/// Sends a new token to the account's address.
pub(super) async fn send_link(
    tx: &mut Tx,
    post: &Post,
    (purpose, mail): (Purpose, Id),
    user: &UserRow,
    now: Timestamp,
) -> Result<(), AuthError> {
    let token = OneTime::generate();
    let new = NewToken {
        hash: token.hash,
        purpose,
        user: user.id,
        email_key: rules::lookup_key(&user.email),
        new_email: None,
        expires_at: now.plus(purpose.life()),
    };
    one_time::add(tx, &new).await?;
    let letter = match purpose {
        Purpose::VerifyEmail => Letter::VerifyAddress { token: token.text },
        Purpose::ResetPassword => Letter::ResetPassword { token: token.text },
        Purpose::ChangeEmail => Letter::NewAddress { token: token.text },
    };
    post.send(tx, mail, &user.recipient(), &letter, now).await
}
