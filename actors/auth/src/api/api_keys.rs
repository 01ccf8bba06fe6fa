//! Keys with which programs act for an account.

use std::ops::ControlFlow;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use panel_kernel::data::{Answer, Audit};
use panel_kernel::http::{Caller, IdPath, Listing, PageQuery, Params, Payload, Write};
use panel_kernel::identity::{API_KEY_PREFIX, CredentialKind};
use panel_kernel::ids::Id;
use panel_kernel::problem::ProblemBody;
use panel_kernel::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::Shared;
use super::step_up;
use crate::error::AuthError;
use crate::mail::Letter;
use crate::rules;
use crate::store::api_keys::{self, KeyRow, NewKey};
use crate::tokens::OneTime;

/// Of the key, behind [`API_KEY_PREFIX`], as its owner sees it later.
const SHOWN: usize = 6;

/// A key that is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyRequest {
    /// What it is for, in words of its owner's.
    name: String,
    /// What it may do: `<service>:read`, `<service>:write`.
    scopes: Vec<String>,
    /// When it ends; never if not given.
    #[schema(value_type = Option<Timestamp>)]
    expires_at: Option<Timestamp>,
}

/// A key, without the key.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct KeyView {
    /// Its id.
    id: Id,
    /// What it is for.
    name: String,
    /// What it begins with.
    prefix: String,
    /// What it may do.
    scopes: Vec<String>,
    /// When it was made.
    created_at: Timestamp,
    /// When it ends by itself.
    expires_at: Option<Timestamp>,
    /// When it was used last, to within some minutes.
    last_used_at: Option<Timestamp>,
}

impl From<KeyRow> for KeyView {
    fn from(row: KeyRow) -> Self {
        Self {
            scopes: row.scopes(),
            id: row.id,
            name: row.name,
            prefix: row.prefix,
            created_at: row.created_at,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
        }
    }
}

/// A new key, shown this once.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NewKeyAnswer {
    /// For `X-API-Key`.
    key: String,
    /// What is remembered of it.
    #[serde(flatten)]
    view: KeyView,
}

/// Make a key with which programs act for this account, within the scopes given. It is shown in this
/// answer and never again. Takes a session in which somebody has shown who they are in the last
/// five minutes.
#[utoipa::path(post, path = "/api/v2/auth/api-keys", tag = "auth", request_body = KeyRequest,
    responses((status = 201, body = NewKeyAnswer), (status = 401, body = ProblemBody),
              (status = 403, body = ProblemBody), (status = 409, body = ProblemBody),
              (status = 422, body = ProblemBody)))]
pub(super) async fn make(
    State(app): State<Shared>,
    caller: Caller,
    Write(context): Write,
    Payload(request): Payload<KeyRequest>,
) -> Result<Answer, AuthError> {
    let user = caller.principal.user()?.clone();
    let is_service = |name: &str| app.runtime.is_service(name);
    let KeyRequest { name, scopes, expires_at } = request;
    let asked = rules::api_key(&name, scopes, expires_at, context.now, is_service)?;
    if let ControlFlow::Break(before) = step_up::shown(&app, &user, None, &context).await? {
        return Ok(before);
    }
    let key = format!("{API_KEY_PREFIX}{}", OneTime::generate().text);
    let new = NewKey {
        id: app.db.next_id().await?,
        user: user.id,
        name: asked.name,
        prefix: key[..API_KEY_PREFIX.len() + SHOWN].to_owned(),
        hash: CredentialKind::ApiKey.hash(&key),
        scopes: asked.scopes,
        expires_at,
    };
    let (mail, written, sharing) = (app.db.next_id().await?, context.clone(), app.clone());
    let answer = app
        .db
        .write(&context, move |tx| {
            Box::pin(async move {
                step_up::hold(tx, &user, None).await?;
                if api_keys::count(tx, new.user).await? >= rules::MAX_API_KEYS {
                    return Err(AuthError::TooManyKeys);
                }
                api_keys::add(tx, &new, written.now).await?;
                let letter = Letter::ApiKeyMade { name: new.name.clone() };
                sharing.tell(tx, mail, user.id, &letter, written.now).await?;
                tx.audit(&Audit {
                    action: "api_key.create",
                    target: format!("api_key:{}", new.id),
                    before: None,
                    after: Some(json!({"name": new.name, "scopes": new.scopes})),
                    context: &written,
                });
                let NewKey { id, name, prefix, scopes, expires_at, .. } = new;
                let created_at = written.now;
                let last_used_at = None;
                let view =
                    KeyView { id, name, prefix, scopes, created_at, expires_at, last_used_at };
                Ok(Answer::json(StatusCode::CREATED, &NewKeyAnswer { key, view }).sealed())
            })
        })
        .await?;
    app.post.ring();
    Ok(answer)
}

/// One's own keys, the newest first.
#[utoipa::path(get, path = "/api/v2/auth/api-keys", tag = "auth", params(PageQuery),
    responses((status = 200, body = Listing<KeyView>), (status = 401, body = ProblemBody)))]
pub(super) async fn list(
    State(app): State<Shared>,
    caller: Caller,
    Params(query): Params<PageQuery>,
) -> Result<Json<Listing<KeyView>>, AuthError> {
    let user = caller.principal.user()?.id;
    let page = query.newest_first(&app.runtime.cursors, format!("auth.api_keys {user}"))?;
    let mut conn = app.db.reader().await?;
    let rows = api_keys::of_user(&mut conn, user, page.before, page.fetch()).await?;
    Ok(Json(page.listing(rows, |row| row.id).map(KeyView::from)))
}

/// End one of one's own keys. It is refused everywhere within a second.
#[utoipa::path(delete, path = "/api/v2/auth/api-keys/{id}", tag = "auth",
    params(("id" = String, Path, description = "The key")),
    responses((status = 204), (status = 401, body = ProblemBody), (status = 404, body = ProblemBody)))]
pub(super) async fn revoke(
    State(app): State<Shared>,
    caller: Caller,
    IdPath(key): IdPath,
    Write(context): Write,
) -> Result<Answer, AuthError> {
    let user = caller.principal.user()?.id;
    let written = context.clone();
    app.db
        .write(&context, move |tx| {
            Box::pin(async move {
                if !api_keys::revoke(tx, user, key, written.now).await? {
                    return Err(AuthError::NoSuchKey);
                }
                tx.audit(&Audit {
                    action: "api_key.revoke",
                    target: format!("api_key:{key}"),
                    before: None,
                    after: None,
                    context: &written,
                });
                Ok(Answer::no_content())
            })
        })
        .await
}
