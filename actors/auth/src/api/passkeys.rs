//! Passkeys: registering them, signing in with them.

use std::ops::ControlFlow;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::{HeaderMap, StatusCode};
use panel_kernel::data::{Answer, Audit, Tx, WriteContext};
use panel_kernel::http::{Caller, IdPath, Listing, Payload, Write};
use panel_kernel::ids::Id;
use panel_kernel::problem::{Problem, ProblemBody};
use panel_kernel::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use webauthn_rs::prelude::{PublicKeyCredential, RegisterPublicKeyCredential};

use super::beginning::{Beginning, SessionAnswer, may_begin, new_cookie};
use super::{Shared, step_up, ways_in};
use crate::carried::Returned;
use crate::error::AuthError;
use crate::mail::Letter;
use crate::passkeys::{Asked, Checked};
use crate::rules;
use crate::store::passkeys::{self, KeptPasskey, PasskeyRow};
use crate::store::users;

/// What a browser is asked.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Challenge {
    /// Goes back with the answer, within five minutes.
    ceremony: String,
    /// For `navigator.credentials.create` or `.get`, in the form of
    /// `PublicKeyCredential.parse…OptionsFromJSON`.
    #[serde(rename = "publicKey")]
    #[schema(value_type = Object)]
    public_key: Value,
}

impl From<Asked> for Challenge {
    fn from(Asked { ceremony, public_key }: Asked) -> Self {
        Self { ceremony, public_key }
    }
}

/// A passkey.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PasskeyView {
    /// Its id.
    id: Id,
    /// What its owner calls it.
    name: String,
    /// When it was registered.
    created_at: Timestamp,
    /// When somebody signed in with it last.
    last_used_at: Option<Timestamp>,
}

impl From<PasskeyRow> for PasskeyView {
    fn from(PasskeyRow { id, name, created_at, last_used_at }: PasskeyRow) -> Self {
        Self { id, name, created_at, last_used_at }
    }
}

/// A new passkey.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPasskey {
    /// As given with the challenge.
    pub(crate) ceremony: String,
    /// What `navigator.credentials.create` has given, as `toJSON()` has it.
    #[schema(value_type = Object)]
    pub(crate) credential: RegisterPublicKeyCredential,
    /// What its owner calls it.
    pub(crate) name: Option<String>,
}

/// A passkey's answer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PasskeyAnswer {
    /// As given with the challenge.
    ceremony: String,
    /// What `navigator.credentials.get` has given, as `toJSON()` has it.
    #[schema(value_type = Object)]
    credential: PublicKeyCredential,
}

/// Who wants to sign in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasskeyLogin {
    /// As given with the challenge.
    pub(crate) ceremony: String,
    /// What `navigator.credentials.get` has given, as `toJSON()` has it.
    #[schema(value_type = Object)]
    pub(crate) credential: PublicKeyCredential,
    /// For browsers: the session is kept in a cookie that scripts can't read, and no token is in the
    /// answer.
    #[serde(default)]
    cookie: bool,
}

/// Ask for a new passkey. Takes a session in which somebody has shown who they are in the last five
/// minutes.
#[utoipa::path(post, path = "/api/v2/auth/passkeys/register/start", tag = "auth",
    responses((status = 200, body = Challenge), (status = 401, body = ProblemBody),
              (status = 403, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub(super) async fn register_start(
    State(app): State<Shared>,
    caller: Caller,
) -> Result<Json<Challenge>, AuthError> {
    let user = caller.principal.user()?;
    let until = step_up::fresh(&app, user, caller.now).await?;
    let mut conn = app.db.reader().await?;
    let account = users::by_id(&mut conn, user.id).await?.ok_or(AuthError::NoSuchAccount)?;
    let known = passkeys::credential_ids(&mut conn, user.id).await?;
    let names = (account.username.as_str(), account.display_name.as_str());
    Ok(Json(app.passkeys.ask_for_new(user, names, known, (caller.now, until))?.into()))
}

/// Register a passkey: from now on it signs in to this account, by itself.
#[utoipa::path(post, path = "/api/v2/auth/passkeys/register/finish", tag = "auth",
    request_body = NewPasskey,
    responses((status = 201, body = PasskeyView), (status = 401, body = ProblemBody),
              (status = 409, body = ProblemBody), (status = 422, body = ProblemBody)))]
pub(super) async fn register_finish(
    State(app): State<Shared>,
    caller: Caller,
    Write(context): Write,
    Payload(request): Payload<NewPasskey>,
) -> Result<Answer, AuthError> {
    let user = caller.principal.user()?.clone();
    let name = rules::passkey_name(request.name.as_deref())?;
    let answer = (request.ceremony.as_str(), &request.credential);
    let (registered, returned) = match app.passkeys.new_one(&user, answer, context.now) {
        Ok(new) => new,
        Err(AuthError::BadPasskey) => return app.db.refuse(&context, not_right()).await,
        Err(error) => return Err(error),
    };
    let (id, mail) = (app.db.next_id().await?, app.db.next_id().await?);
    let (written, sharing) = (context.clone(), Arc::clone(&app));
    let answer = app.db.write(&context, move |tx| {
        Box::pin(async move {
            finish(tx, returned).await.map_err(|error| match error {
                AuthError::BadPasskey => not_right(),
                error => error,
            })?;
            step_up::hold(tx, &user, None).await?;
            if passkeys::of_user(tx, user.id).await?.len() >= rules::MAX_PASSKEYS {
                return Err(AuthError::TooManyPasskeys);
            }
            if !passkeys::add(tx, (id, user.id), &name, &registered, written.now).await? {
                return Err(AuthError::PasskeyThere);
            }
            audit(tx, "passkey.register", id, &written);
            sharing.tell(tx, mail, user.id, &Letter::PasskeyAdded, written.now).await?;
            let created_at = written.now;
            let view = PasskeyView { id, name, created_at, last_used_at: None };
            Ok(Answer::json(StatusCode::CREATED, &view))
        })
    });
    let answer = answer.await?;
    app.post.ring();
    Ok(answer)
}

fn not_right() -> AuthError {
    Problem::field("credential", "invalid", AuthError::BadPasskey.to_string()).into()
}

/// Ask for a passkey of anybody's, to sign in or to show again who one is. Needs nothing, and tells
/// nothing.
#[utoipa::path(post, path = "/api/v2/auth/passkeys/login/start", tag = "auth",
    responses((status = 200, body = Challenge), (status = 409, body = ProblemBody)))]
pub(super) async fn login_start(
    State(app): State<Shared>,
    caller: Caller,
) -> Result<Json<Challenge>, AuthError> {
    Ok(Json(app.passkeys.ask_for_any(caller.now)?.into()))
}

/// Sign in with a passkey: it is both factors in one.
#[utoipa::path(post, path = "/api/v2/auth/passkeys/login/finish", tag = "auth",
    request_body = PasskeyLogin,
    responses((status = 200, body = SessionAnswer), (status = 401, body = ProblemBody),
              (status = 403, body = ProblemBody), (status = 422, body = ProblemBody)))]
pub(super) async fn login_finish(
    State(app): State<Shared>,
    headers: HeaderMap,
    Write(context): Write,
    Payload(request): Payload<PasskeyLogin>,
) -> Result<Answer, AuthError> {
    let cookie = new_cookie(&app, request.cookie)?;
    let PasskeyLogin { ceremony, credential, .. } = request;
    let shown = match shown(&app, &PasskeyAnswer { ceremony, credential }, &context).await {
        Ok(shown) => shown,
        // If this was done before, the passkey has counted on.
        Err(bad @ AuthError::BadPasskey) => return app.db.refuse(&context, bad).await,
        Err(error) => return Err(error),
    };
    let user = shown.kept.user;
    let beginning = Beginning::of(&app, user, cookie, &headers, &context).await?;
    let written = context.clone();
    app.db
        .write(&context, move |tx| {
            Box::pin(async move {
                // From here on nobody suspends it or gives it another rank unseen.
                users::signed_in(tx, user, written.now).await?;
                let user = may_begin(users::by_id(tx, user).await?, written.now)?;
                shown.use_up(tx, written.now).await?;
                beginning.begin(tx, &user, &written).await
            })
        })
        .await
}

/// A passkey that has answered well.
pub(super) struct Shown {
    pub(super) kept: KeptPasskey,
    /// As it is to be kept.
    passkey: String,
    returned: Returned,
}

impl Shown {
    /// Uses the answer up.
    ///
    /// # Errors
    /// [`AuthError::BadPasskey`] if that was done.
    pub(super) async fn use_up(&self, tx: &mut Tx, now: Timestamp) -> Result<(), AuthError> {
        finish(tx, self.returned).await?;
        let used = passkeys::used(tx, &self.kept, &self.passkey, now).await?;
        if used { Ok(()) } else { Err(AuthError::BadPasskey) }
    }
}

/// Checks a passkey's answer.
///
/// # Errors
/// [`AuthError::BadPasskey`] if it is not good.
pub(super) async fn shown(
    app: &Shared,
    answer: &PasskeyAnswer,
    context: &WriteContext,
) -> Result<Shown, AuthError> {
    let credential_id = answer.credential.get_credential_id();
    let kept = passkeys::by_credential(&mut app.db.reader().await?, credential_id).await?;
    let kept = kept.ok_or(AuthError::BadPasskey)?;
    let (whose, given) = ((kept.user, kept.passkey.as_str()), &answer.credential);
    let ceremony = answer.ceremony.as_str();
    let (checked, returned) = app.passkeys.check(whose, (ceremony, given), context.now)?;
    let Checked::Good(changed) = checked else {
        counts_back(app, &kept, returned, context).await?;
        return Err(AuthError::BadPasskey);
    };
    let passkey = changed.unwrap_or_else(|| kept.passkey.clone());
    Ok(Shown { kept, passkey, returned })
}

/// Leaves on record, and tells the owner, that there may be two of a passkey. An answer that was given
/// before is the same one, and no second.
async fn counts_back(
    app: &Shared,
    kept: &KeptPasskey,
    returned: Returned,
    context: &WriteContext,
) -> Result<(), AuthError> {
    let (id, user, mail) = (kept.id, kept.user, app.db.next_id().await?);
    let (written, sharing) = (context.clone(), Arc::clone(app));
    let told = app.db.transact(move |tx| {
        Box::pin(async move {
            if !passkeys::finish(tx, returned).await? {
                return Ok(());
            }
            tx.audit(&Audit {
                action: "passkey.counts_back",
                target: format!("passkey:{id}"),
                before: None,
                after: Some(json!({"user_id": user})),
                context: &written,
            });
            if sharing.post.may_tell_of(tx, id, written.now).await? {
                sharing.tell(tx, mail, user, &Letter::PasskeyCopied, written.now).await?;
            }
            Ok::<_, AuthError>(())
        })
    });
    told.await?;
    app.post.ring();
    Ok(())
}

async fn finish(tx: &mut Tx, returned: Returned) -> Result<(), AuthError> {
    let first = passkeys::finish(tx, returned).await?;
    if first { Ok(()) } else { Err(AuthError::BadPasskey) }
}

/// One's own passkeys, the newest first.
#[utoipa::path(get, path = "/api/v2/auth/passkeys", tag = "auth",
    responses((status = 200, body = Listing<PasskeyView>), (status = 401, body = ProblemBody)))]
pub(super) async fn list(
    State(app): State<Shared>,
    caller: Caller,
) -> Result<Json<Listing<PasskeyView>>, AuthError> {
    let user = caller.principal.user()?.id;
    let rows = passkeys::of_user(&mut app.db.reader().await?, user).await?;
    let items = rows.into_iter().map(PasskeyView::from).collect();
    Ok(Json(Listing { items, next_cursor: None }))
}

/// Remove one of one's own passkeys. Takes a session in which somebody has shown who they are in the
/// last five minutes.
#[utoipa::path(delete, path = "/api/v2/auth/passkeys/{id}", tag = "auth",
    params(("id" = String, Path, description = "The passkey")),
    responses((status = 204), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
              (status = 404, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub(super) async fn remove(
    State(app): State<Shared>,
    caller: Caller,
    IdPath(id): IdPath,
    Write(context): Write,
) -> Result<Answer, AuthError> {
    let user = caller.principal.user()?.clone();
    if let ControlFlow::Break(before) = step_up::shown(&app, &user, None, &context).await? {
        return Ok(before);
    }
    let (mail, written, sharing) = (app.db.next_id().await?, context.clone(), Arc::clone(&app));
    let answer = app.db.write(&context, move |tx| {
        Box::pin(async move {
            step_up::hold(tx, &user, None).await?;
            if !passkeys::remove(tx, user.id, id).await? {
                return Err(AuthError::Problem(Problem::not_found("passkey")));
            }
            if !ways_in::any(tx, user.id, &sharing.federation).await? {
                return Err(AuthError::LastCredential);
            }
            audit(tx, "passkey.remove", id, &written);
            sharing.tell(tx, mail, user.id, &Letter::PasskeyRemoved, written.now).await?;
            Ok(Answer::no_content())
        })
    });
    let answer = answer.await?;
    app.post.ring();
    Ok(answer)
}

fn audit(tx: &mut Tx, action: &'static str, passkey: Id, context: &WriteContext) {
    let (target, after) = (format!("passkey:{passkey}"), context.principal.user().ok());
    let after = after.map(|user| json!({"user_id": user.id}));
    tx.audit(&Audit { action, target, before: None, after, context });
}
