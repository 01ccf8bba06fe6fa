//! Using the setup link.

use axum::extract::State;
use http::StatusCode;
use panel_kernel::data::Answer;
use panel_kernel::http::{Payload, Write};
use panel_kernel::problem::ProblemBody;
use panel_kernel::role::Role;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Shared, UserAnswer, UserView};
use crate::error::AuthError;
use crate::store::{setup, users};
use crate::tokens::OneTime;
use crate::{provision, rules};

/// The first administrator.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SetupRequest {
    /// The part of the setup link behind the `#`.
    token: String,
    /// 3 to 30 letters, digits, dots, `-`, `_`.
    username: String,
    /// A mail address.
    email: String,
    /// 10 to 1,024 characters.
    password: String,
}

/// Make the first administrator. Works once, with the token of the setup link.
#[utoipa::path(post, path = "/api/v2/auth/setup", tag = "auth", request_body = SetupRequest,
    responses((status = 201, body = UserAnswer), (status = 403, body = ProblemBody),
              (status = 422, body = ProblemBody)))]
pub(super) async fn claim(
    State(app): State<Shared>,
    Write(context): Write,
    Payload(request): Payload<SetupRequest>,
) -> Result<Answer, AuthError> {
    let token = OneTime::hash_of(&request.token);
    // Looked at first, so that a stranger can't make us hash passwords. A repetition with the
    // same idempotency key passes: its answer is kept with the write.
    let current = setup::is_current(&mut app.db.reader().await?, token).await?;
    let registrant = rules::registrant(&request.username, &request.email, &request.password, None)?;
    let password_hash = if current {
        app.check_breaches("password", &registrant.password).await?;
        app.passwords.turn()?.hash(registrant.password.clone()).await?
    } else {
        String::new()
    };
    let id = app.db.next_id().await?;
    let user = provision::new_user(id, registrant, password_hash, Role::SystemAdmin, false);
    let written = context.clone();
    app.db
        .write(&context, move |tx| {
            Box::pin(async move {
                // An administrator who came by another way ends the link as well.
                let late = users::any_administrator(tx).await?;
                if late || !current || !setup::redeem(tx, token).await? {
                    return Err(AuthError::BadSetupLink);
                }
                let row = provision::insert(tx, &written, &user).await?;
                Ok(Answer::json(StatusCode::CREATED, &UserAnswer { user: UserView::from(&row) }))
            })
        })
        .await
}
