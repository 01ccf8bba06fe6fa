//! Erasing one's own account.

use std::ops::ControlFlow;

use axum::extract::State;
use panel_kernel::data::{Answer, Audit, DbError};
use panel_kernel::http::{Caller, Payload, Write};
use panel_kernel::problem::ProblemBody;
use panel_kernel::role::Role;

use super::Shared;
use super::step_up::{self, PasswordAgain};
use crate::error::AuthError;
use crate::events::UserErased;
use crate::mail::Letter;
use crate::store::{erasure, sessions, users};
use crate::throttle::Guessed;

/// Erase one's own account, for good. What it wrote stays, as a "deleted user's"; everything that tells who
/// that was goes, here and in all services. All sessions and API keys end.
#[utoipa::path(delete, path = "/api/v2/auth/account", tag = "auth",
    request_body = Option<PasswordAgain>,
    responses((status = 204), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
              (status = 409, body = ProblemBody), (status = 422, body = ProblemBody),
              (status = 429, body = ProblemBody)))]
pub(super) async fn erase(
    State(app): State<Shared>,
    caller: Caller,
    Write(context): Write,
    request: Option<Payload<PasswordAgain>>,
) -> Result<Answer, AuthError> {
    let caller = caller.principal.user()?.clone();
    let shown = step_up::shown_again(&app, &caller, request, &context).await?;
    if let ControlFlow::Break(remembered) = shown {
        return Ok(remembered);
    }
    let account = users::by_id(&mut app.db.reader().await?, caller.id).await?;
    let account = account.ok_or(AuthError::NoSuchAccount)?;
    let names = [account.username.clone(), account.email.clone()];
    let (mail, written) = (app.db.next_id().await?, context.clone());
    let (post, cookie) = (app.post.clone(), app.cookie);
    let answer = app.db.write(&context, move |tx| {
        Box::pin(async move {
            let (id, now) = (caller.id, written.now);
            // Administrators before the account: in one order, whoever asks.
            let administered = account.role() >= Role::Admin;
            if administered && !erasure::others_administer(tx, id).await? {
                return Err(AuthError::LastAdministrator);
            }
            step_up::hold(tx, &caller, None).await?;
            let account = users::by_id(tx, id).await?.ok_or(AuthError::NoSuchAccount)?;
            if account.role() >= Role::Admin && !administered {
                return Err(DbError::Contention.into());
            }
            let has_cookie = sessions::has_cookie(tx, caller.session).await?;
            erasure::erase(tx, id, now).await?;
            post.send(tx, mail, &account.recipient(), &Letter::Erased, now).await?;
            tx.publish(&UserErased { id });
            tx.audit(&Audit {
                action: "user.erase",
                target: format!("user:{id}"),
                before: None,
                after: None,
                context: &written,
            });
            let answer = Answer::no_content();
            Ok(if has_cookie { answer.cookie(&cookie.clear()) } else { answer })
        })
    });
    let answer = answer.await?;
    app.post.ring();
    app.exports.ring();
    for name in &names {
        app.throttle.forgive(Guessed::Name(name)).await;
    }
    Ok(answer)
}
