//! One's own password.

use std::ops::ControlFlow;

use axum::extract::State;
use panel_kernel::data::{Answer, Audit};
use panel_kernel::http::{Caller, Payload, Write};
use panel_kernel::problem::ProblemBody;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{Shared, step_up};
use crate::error::AuthError;
use crate::mail::Letter;
use crate::rules;
use crate::store::{locks, one_time, sessions, users};

/// From which password to which.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PasswordChange {
    /// The password there is. An account that has none takes a session in which somebody has shown who
    /// they are in the last five minutes.
    current_password: Option<String>,
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
    let caller = caller.principal.user()?.clone();
    let (user, session) = (caller.id, caller.session);
    let account = users::by_id(&mut app.db.reader().await?, user).await?;
    let account = account.ok_or(AuthError::NoSuchAccount)?;
    let names = account.names();
    let (current, new) = (change.current_password, &change.new_password);
    let new = match &current {
        Some(current) => rules::changed_password("new_password", new, current, &names)?,
        None => rules::new_password("new_password", new, &names)?,
    };
    app.check_breaches("new_password", &new).await?;
    let turn = app.passwords.turn()?;
    let given = ("current_password", current.as_deref());
    let lock = match step_up::password_if_any(&app, &turn, &caller, given, &context).await? {
        ControlFlow::Continue(lock) => lock,
        ControlFlow::Break(remembered) => return Ok(remembered),
    };
    let hash = turn.hash(new).await?;
    let mail = app.db.next_id().await?;
    let (written, post, to) = (context.clone(), app.post.clone(), account.recipient());
    let answer = app.db.write(&context, move |tx| {
        Box::pin(async move {
            let changed = match &lock {
                Some(lock) => locks::change_password(tx, lock, &hash, written.now).await?,
                None => locks::first_password(tx, user, &hash, written.now).await?,
            };
            if !changed {
                return Err(AuthError::PasswordChanged);
            }
            step_up::still(tx, &caller).await?;
            let ended = sessions::revoke_all(tx, user, Some(session), written.now).await?;
            // Whatever was sent before is worth nothing any more: to whom, nobody knows.
            one_time::forget_all(tx, user).await?;
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
