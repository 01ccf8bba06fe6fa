//! One's own password.

use axum::extract::State;
use panel_kernel::data::{Answer, Audit};
use panel_kernel::http::{Caller, Payload, Write};
use panel_kernel::problem::{Problem, ProblemBody};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::Shared;
use crate::error::AuthError;
use crate::hashing::Verdict;
use crate::mail::Letter;
use crate::rules;
use crate::store::one_time::{self, Purpose};
use crate::store::{sessions, users};
use crate::throttle::Guessed;

/// From which password to which.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PasswordChange {
    /// The password there is.
    current_password: String,
    /// 10 to 1,024 characters.
    new_password: String,
}

/// Change one's own password. All other sessions of the account end.
#[utoipa::path(post, path = "/api/v2/auth/password/change", tag = "auth",
    request_body = PasswordChange,
    responses((status = 204), (status = 401, body = ProblemBody),
              (status = 422, body = ProblemBody), (status = 429, body = ProblemBody)))]
pub(super) async fn change(
    State(app): State<Shared>,
    caller: Caller,
    Write(context): Write,
    Payload(change): Payload<PasswordChange>,
) -> Result<Answer, AuthError> {
    let (user, session) = caller.principal.user().map(|user| (user.id, user.session))?;
    let turn = app.passwords.turn()?;
    let (account, lock) = {
        let mut conn = app.db.reader().await?;
        let account = users::by_id(&mut conn, user).await?.ok_or(AuthError::NoSuchAccount)?;
        (account, users::lock(&mut conn, user).await?.ok_or(AuthError::NoSuchAccount)?)
    };
    let names = account.names();
    let (current, new) = (&change.current_password, &change.new_password);
    let new = rules::changed_password("new_password", new, current, &names)?;
    let address = context.client_ip.as_deref();
    let attempt = app.throttle.attempt(Guessed::SignedIn(user), address).await;
    let attempt = attempt.map_err(|wait| app.throttle.refuse(wait))?;
    if turn.verify(current, Some(lock.hash.clone())).await? == Verdict::Wrong {
        let wrong = Problem::field("current_password", "wrong", "is not your password");
        // If this was done before, the password it was done with is wrong by now.
        let refused = app.db.refuse(&context, AuthError::Problem(wrong)).await;
        if refused.is_err() {
            attempt.failed().await;
        }
        return refused;
    }
    attempt.succeeded().await;
    let hash = turn.hash(new).await?;
    let mail = app.db.next_id().await?;
    let (written, post, to) = (context.clone(), app.post.clone(), account.recipient());
    let answer = app.db.write(&context, move |tx| {
        Box::pin(async move {
            if !users::change_password(tx, &lock, &hash, written.now).await? {
                return Err(AuthError::PasswordChanged);
            }
            let ended = sessions::revoke_all(tx, user, Some(session), written.now).await?;
            // What was sent before to choose another one is worth nothing any more.
            one_time::forget(tx, user, Purpose::ResetPassword).await?;
            tx.audit(&Audit {
                action: "user.password_change",
                target: format!("user:{user}"),
                before: None,
                after: Some(json!({"sessions_ended": ended})),
                context: &written,
            });
            post.send(tx, mail, &to, &Letter::PasswordChanged, written.now).await?;
            Ok(Answer::no_content())
        })
    });
    let answer = answer.await?;
    app.post.ring();
    Ok(answer)
}
