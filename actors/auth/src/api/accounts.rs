//! What administrators do to accounts. They ask the admin service, which has it done here, where the
//! truth about accounts is: in their name, under their request's key.

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use http::StatusCode;
use panel_kernel::data::{Answer, Audit, Tx, WriteContext};
use panel_kernel::http::{IdPath, Payload, Write};
use panel_kernel::ids::Id;
use panel_kernel::problem::{Kind, Problem};
use panel_kernel::role::Role;
use panel_kernel::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::email::send_link;
use super::{Shared, UserView};
use crate::error::AuthError;
use crate::events::{UserRestored, UserRoleChanged, UserSuspended};
use crate::mail::Letter;
use crate::rules::accounts as rules;
use crate::store::one_time::{self, Purpose};
use crate::store::users::{self, UserRow};
use crate::store::{api_keys, sessions};

/// The routes, which no client reaches.
pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/.panel/accounts/{id}/suspend", post(suspend))
        .route("/.panel/accounts/{id}/restore", post(restore))
        .route("/.panel/accounts/{id}/role", post(set_role))
        .route("/.panel/accounts/{id}/force-logout", post(force_logout))
        .route("/.panel/accounts/{id}/reset-password", post(reset_password))
}

/// An account, as administrators see it.
#[derive(Debug, Serialize)]
struct AccountAnswer {
    #[serde(flatten)]
    user: UserView,
    status: &'static str,
    suspended_until: Option<Timestamp>,
    suspension_reason: Option<String>,
}

impl AccountAnswer {
    fn of(row: &UserRow, now: Timestamp) -> Answer {
        let active = row.is_active(now);
        let suspension = (!active).then_some(row);
        let answer = Self {
            user: UserView::from(row),
            status: if active { "active" } else { "suspended" },
            suspended_until: suspension.and_then(|row| row.suspended_until),
            suspension_reason: suspension.and_then(|row| row.suspension_reason.clone()),
        };
        Answer::json(StatusCode::OK, &answer)
    }
}

/// Nothing.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Why, and until when.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Suspension {
    reason: String,
    until: Option<Timestamp>,
}

/// Which rank.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewRole {
    role: Role,
}

/// The account that something is done to, by somebody who may; and their rank. Until the transaction
/// ends, nobody else changes it.
async fn target(tx: &mut Tx, id: Id, context: &WriteContext) -> Result<(UserRow, Role), AuthError> {
    let caller = context.principal.user()?;
    // Before its rank is looked at: somebody may be raising it at this moment.
    users::hold(tx, id).await?;
    // As they are now: their token may be some minutes old.
    let actor = users::by_id(tx, caller.id).await?.filter(|actor| actor.is_active(context.now));
    let out = || Problem::new(Kind::Unauthorized, "your account may not be used any more");
    let actor = actor.ok_or_else(out)?;
    let target = users::by_id(tx, id).await?.ok_or(AuthError::NoSuchAccount)?;
    rules::may_manage(actor.role(), target.role())?;
    Ok((target, actor.role()))
}

/// Ends whatever acts for an account, everywhere within a second, and whatever was sent to give it to
/// somebody. The account is held.
async fn end_all(tx: &mut Tx, id: Id, now: Timestamp) -> Result<u64, AuthError> {
    api_keys::changed(tx, id, now).await?;
    one_time::forget_all(tx, id).await?;
    Ok(sessions::revoke_all(tx, id, None, now).await?)
}

/// Records what was done to an account.
fn audit(
    tx: &mut Tx,
    action: &'static str,
    id: Id,
    (before, after): (Value, Value),
    context: &WriteContext,
) {
    let (before, after) = (Some(before), Some(after));
    tx.audit(&Audit { action, target: format!("user:{id}"), before, after, context });
}

async fn suspend(
    State(app): State<Shared>,
    IdPath(id): IdPath,
    Write(context): Write,
    Payload(asked): Payload<Suspension>,
) -> Result<Answer, AuthError> {
    let reason = rules::suspension(&asked.reason, asked.until, context.now)?;
    let (until, mail) = (asked.until, app.db.next_id().await?);
    let (written, post) = (context.clone(), app.post.clone());
    let answer = app.db.write(&context, move |tx| {
        Box::pin(async move {
            let ((before, _), now) = (target(tx, id, &written).await?, written.now);
            users::suspend(tx, id, &reason, until, now).await?;
            let ended = end_all(tx, id, now).await?;
            let was = json!({"status": before.status(now)});
            let is = json!({
                "status": "suspended", "reason": reason, "until": until, "sessions_ended": ended,
            });
            audit(tx, "user.suspend", id, (was, is), &written);
            tx.publish(&UserSuspended { id, until });
            let letter = Letter::Suspended { reason, until };
            post.send(tx, mail, &before.recipient(), &letter, now).await?;
            answer_of(tx, id, now).await
        })
    });
    let answer = answer.await?;
    app.post.ring();
    Ok(answer)
}

async fn restore(
    State(app): State<Shared>,
    IdPath(id): IdPath,
    Write(context): Write,
    Payload(Nothing {}): Payload<Nothing>,
) -> Result<Answer, AuthError> {
    let written = context.clone();
    app.db
        .write(&context, move |tx| {
            Box::pin(async move {
                let ((before, _), now) = (target(tx, id, &written).await?, written.now);
                users::restore(tx, id, now).await?;
                let was = json!({"status": before.status(now)});
                audit(tx, "user.restore", id, (was, json!({"status": "active"})), &written);
                tx.publish(&UserRestored { id });
                answer_of(tx, id, now).await
            })
        })
        .await
}

async fn set_role(
    State(app): State<Shared>,
    IdPath(id): IdPath,
    Write(context): Write,
    Payload(NewRole { role }): Payload<NewRole>,
) -> Result<Answer, AuthError> {
    let written = context.clone();
    app.db
        .write(&context, move |tx| {
            Box::pin(async move {
                let ((before, rank), now) = (target(tx, id, &written).await?, written.now);
                rules::may_appoint(rank, role)?;
                if before.role() != role {
                    users::set_role(tx, id, role, now).await?;
                    // Tokens say the old one.
                    let ended = end_all(tx, id, now).await?;
                    let is = json!({"role": role, "sessions_ended": ended});
                    audit(tx, "user.role", id, (json!({"role": before.role()}), is), &written);
                    tx.publish(&UserRoleChanged { id, role });
                }
                answer_of(tx, id, now).await
            })
        })
        .await
}

async fn force_logout(
    State(app): State<Shared>,
    IdPath(id): IdPath,
    Write(context): Write,
    Payload(Nothing {}): Payload<Nothing>,
) -> Result<Answer, AuthError> {
    let written = context.clone();
    app.db
        .write(&context, move |tx| {
            Box::pin(async move {
                target(tx, id, &written).await?;
                let ended = end_all(tx, id, written.now).await?;
                let was = json!({"sessions": ended});
                audit(tx, "user.force_logout", id, (was, json!({"sessions": 0})), &written);
                Ok(Answer::no_content())
            })
        })
        .await
}

async fn reset_password(
    State(app): State<Shared>,
    IdPath(id): IdPath,
    Write(context): Write,
    Payload(Nothing {}): Payload<Nothing>,
) -> Result<Answer, AuthError> {
    let (mail, written, post) = (app.db.next_id().await?, context.clone(), app.post.clone());
    let answer = app.db.write(&context, move |tx| {
        Box::pin(async move {
            let ((user, _), now) = (target(tx, id, &written).await?, written.now);
            if !user.is_active(now) {
                return Err(Problem::new(Kind::Conflict, "the account is suspended").into());
            }
            // Whatever was sent before is worth nothing any more; this comes however soon after it.
            one_time::forget_all(tx, id).await?;
            users::reset_mailed(tx, id, now).await?;
            send_link(tx, &post, (Purpose::ResetPassword, mail), &user, now).await?;
            audit(tx, "user.reset_password", id, (Value::Null, Value::Null), &written);
            Ok::<_, AuthError>(super::email::accepted("accepted"))
        })
    });
    let answer = answer.await?;
    app.post.ring();
    Ok(answer)
}

async fn answer_of(tx: &mut Tx, id: Id, now: Timestamp) -> Result<Answer, AuthError> {
    let row = users::by_id(tx, id).await?.ok_or(AuthError::NoSuchAccount)?;
    Ok(AccountAnswer::of(&row, now))
}
