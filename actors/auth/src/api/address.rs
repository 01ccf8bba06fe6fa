//! Another address for the account.

use std::ops::ControlFlow;

use axum::extract::State;
use panel_kernel::data::{Answer, Audit};
use panel_kernel::http::{Caller, Payload, Write};
use panel_kernel::problem::{Problem, ProblemBody};
use serde::Deserialize;
use utoipa::ToSchema;

use super::email::{Accepted, accepted};
use super::{Shared, step_up};
use crate::error::AuthError;
use crate::mail::{Letter, Recipient};
use crate::rules;
use crate::store::one_time::{self, NewToken, Purpose};
use crate::store::users::{self, About};
use crate::tokens::OneTime;

/// The address an account is to have.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AddressChange {
    /// The new mail address.
    email: String,
    /// The password; not needed by who has shown who they are in the last five minutes.
    password: Option<String>,
}

/// Change the mail address: a link is sent to the new one, and the account has it once the link was
/// confirmed (`email/verify`). The answer does not tell whether somebody else has the address.
#[utoipa::path(post, path = "/api/v2/auth/email/change", tag = "auth",
    request_body = AddressChange,
    responses((status = 202, body = Accepted), (status = 401, body = ProblemBody),
              (status = 403, body = ProblemBody), (status = 422, body = ProblemBody),
              (status = 429, body = ProblemBody)))]
pub(super) async fn change(
    State(app): State<Shared>,
    caller: Caller,
    Write(context): Write,
    Payload(change): Payload<AddressChange>,
) -> Result<Answer, AuthError> {
    let caller = caller.principal.user()?.clone();
    let email = rules::address("email", &change.email)?;
    let shown = step_up::shown(&app, &caller, change.password.as_deref(), &context).await?;
    if let ControlFlow::Break(remembered) = shown {
        return Ok(remembered);
    }
    let (mail, notice) = (app.db.next_id().await?, app.db.next_id().await?);
    let (written, post) = (context.clone(), app.post.clone());
    let answer = app.db.write(&context, move |tx| {
        Box::pin(async move {
            let (id, now) = (caller.id, written.now);
            let user = users::by_id(tx, id).await?.ok_or(AuthError::NoSuchAccount)?;
            let current = rules::lookup_key(&user.email);
            if rules::lookup_key(&email) == current {
                return Err(Problem::field("email", "unchanged", "is the one you have").into());
            }
            if !users::may_mail(tx, id, About::ChangeEmail, now).await? {
                return Err(AuthError::MailedJustNow);
            }
            // From here on nobody ends the session unseen.
            step_up::still(tx, &caller).await?;
            post.send(tx, notice, &user.recipient(), &Letter::AddressChangeAsked, now).await?;
            if let Some(owner) = users::by_email(tx, &email).await? {
                if users::may_mail(tx, owner.id, About::AddressTaken, now).await? {
                    post.send(tx, mail, &owner.recipient(), &Letter::AddressTaken, now).await?;
                }
            } else {
                let token = OneTime::generate();
                let (hash, purpose) = (token.hash, Purpose::ChangeEmail);
                let (new_email, expires_at) = (Some(email.clone()), now.plus(purpose.life()));
                let email_key = current;
                let new = NewToken { hash, purpose, user: id, email_key, new_email, expires_at };
                one_time::add(tx, &new).await?;
                let to = Recipient::stranger(email);
                post.send(tx, mail, &to, &Letter::NewAddress { token: token.text }, now).await?;
            }
            tx.audit(&Audit {
                action: "user.email_change_ask",
                target: format!("user:{id}"),
                before: None,
                after: None,
                context: &written,
            });
            Ok(accepted("accepted"))
        })
    });
    let answer = answer.await?;
    app.post.ring();
    Ok(answer)
}
