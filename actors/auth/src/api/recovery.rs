//! Another password for who has forgotten theirs.

use axum::extract::State;
use panel_kernel::data::{Answer, Audit};
use panel_kernel::http::{Payload, Write};
use panel_kernel::problem::ProblemBody;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::Shared;
use super::email::{Accepted, AddressRequest, ask_for};
use crate::error::AuthError;
use crate::mail::Letter;
use crate::rules;
use crate::store::one_time::{self, Purpose};
use crate::store::{locks, sessions, users};
use crate::throttle::Guessed;
use crate::tokens::OneTime;

/// Have a link sent with which another password can be chosen. The answer does not tell whether
/// there is such an account.
#[utoipa::path(post, path = "/api/v2/auth/password/forgot", tag = "auth",
    request_body = AddressRequest, responses((status = 202, body = Accepted)))]
pub(super) async fn forgot(
    State(app): State<Shared>,
    Write(context): Write,
    Payload(request): Payload<AddressRequest>,
) -> Result<Answer, AuthError> {
    ask_for(&app, &context, Purpose::ResetPassword, request.email).await
}

/// Another password, with the token that was sent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ResetRequest {
    /// The part of the link behind the `#`.
    token: String,
    /// 10 to 1,024 characters.
    new_password: String,
}

/// Choose another password, with the token that was sent by mail. Works once, for half an hour. All
/// sessions of the account end.
#[utoipa::path(post, path = "/api/v2/auth/password/reset", tag = "auth",
    request_body = ResetRequest, responses((status = 204), (status = 422, body = ProblemBody)))]
pub(super) async fn reset(
    State(app): State<Shared>,
    Write(context): Write,
    Payload(request): Payload<ResetRequest>,
) -> Result<Answer, AuthError> {
    let hash = OneTime::hash_of(&request.token);
    // Looked at first, so that a stranger can't make us hash passwords.
    let owner = {
        let mut conn = app.db.reader().await?;
        match one_time::whose(&mut conn, (hash, Purpose::ResetPassword), context.now).await? {
            Some((user, _)) => users::by_id(&mut conn, user).await?,
            None => None,
        }
    };
    let Some(user) = owner else {
        // If this was done before, the token is used up by now.
        return app.db.refuse(&context, AuthError::BadOneTimeToken).await;
    };
    let names = user.names();
    let new = rules::new_password("new_password", &request.new_password, &names)?;
    app.check_breaches("new_password", &new).await?;
    let kept = app.passwords.turn()?.hash(new).await?;
    let mail = app.db.next_id().await?;
    let (written, post, account) = (context.clone(), app.post.clone(), user.clone());
    let answer = app.db.write(&context, move |tx| {
        Box::pin(async move {
            // The account before its tokens, as everywhere: or two would wait for each other.
            users::hold(tx, account.id).await?;
            if !one_time::use_up(tx, hash).await? {
                return Err(AuthError::BadOneTimeToken);
            }
            let (id, now) = (account.id, written.now);
            locks::reset_password(tx, id, &kept, now).await?;
            // Also what would give the account to another address.
            one_time::forget_all(tx, id).await?;
            let ended = sessions::revoke_all(tx, id, None, now).await?;
            tx.audit(&Audit {
                action: "user.password_reset",
                target: format!("user:{id}"),
                before: None,
                after: Some(json!({"sessions_ended": ended})),
                context: &written,
            });
            let letter = Letter::PasswordChanged;
            post.send(tx, mail, &account.recipient(), &letter, now).await?;
            Ok(Answer::no_content())
        })
    });
    let answer = answer.await?;
    app.post.ring();
    // Whoever reads the account's mail is not who has been guessing.
    for name in [&user.username, &user.email] {
        app.throttle.forgive(Guessed::Name(name)).await;
    }
    Ok(answer)
}
