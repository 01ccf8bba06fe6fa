//! Keys for those who verify tokens.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use panel_kernel::data::DbError;
use panel_kernel::http::{Caller, Params};
use panel_kernel::identity::{
    ACCESS_TOKEN_LIFE, Credential, CredentialKind, CredentialQuery, IdentityQuery, IdentityReport,
};
use panel_kernel::message::Principal;
use panel_kernel::problem::{Kind, Problem};
use panel_kernel::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::Shared;
use crate::error::AuthError;
use crate::store::users;
use crate::store::{api_keys, keys, news, sessions};

/// The use of a credential that says nothing by itself is noted this often.
const USE_NOTED: Duration = Duration::from_secs(300);
/// How long noting it may hold up the answer.
const NOTING: Duration = Duration::from_millis(250);

/// The most revocations in one report, which is one message: 70 bytes each.
const REVOKED_AT_ONCE: usize = 4_000;

/// A JSON Web Key Set (RFC 7517).
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Jwks {
    /// The keys.
    keys: Vec<Jwk>,
}

/// An Ed25519 public key (RFC 8037).
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Jwk {
    /// `OKP`.
    kty: &'static str,
    /// `Ed25519`.
    crv: &'static str,
    /// `EdDSA`.
    alg: &'static str,
    /// `sig`.
    #[serde(rename = "use")]
    use_: &'static str,
    /// The key's id.
    kid: String,
    /// The key, base64url.
    x: String,
}

/// The public keys that verify access tokens.
#[utoipa::path(get, path = "/api/v2/auth/.well-known/jwks.json", tag = "auth",
    responses((status = 200, body = Jwks)))]
pub(super) async fn jwks(State(app): State<Shared>) -> Json<Jwks> {
    let key = |key: panel_kernel::identity::PublicKey| Jwk {
        kty: "OKP",
        crv: "Ed25519",
        alg: "EdDSA",
        use_: "sig",
        kid: key.kid,
        x: key.x,
    };
    Json(Jwks { keys: app.keys.public().into_iter().map(key).collect() })
}

fn insiders_only(caller: &Caller) -> Result<(), Problem> {
    match caller.principal {
        Principal::Service(_) => Ok(()),
        _ => Err(Problem::new(Kind::NotFound, "there is no such route")),
    }
}

/// What stands behind an API key or a cookie, for gateways; 404 if nothing does.
pub(super) async fn credential(
    State(app): State<Shared>,
    caller: Caller,
    Params(query): Params<CredentialQuery>,
) -> Result<Json<Credential>, AuthError> {
    insiders_only(&caller)?;
    let nothing = || Problem::not_found("credential");
    let hash = query.hash().ok_or_else(nothing)?;
    let now = caller.now;
    let latest = now.plus(ACCESS_TOKEN_LIFE);
    let mut conn = app.db.reader().await?;
    let (session, owner, scopes, until) = match query.kind {
        CredentialKind::ApiKey => {
            let found = api_keys::by_hash(&mut conn, hash, now).await?.ok_or_else(nothing)?;
            if found.is_news(now, USE_NOTED) {
                noted(api_keys::note_use(&app.db, found.id, now)).await;
            }
            (found.id, found.user, Some(found.scopes()), found.until(latest))
        }
        CredentialKind::Cookie => {
            let found = sessions::by_cookie(&mut conn, hash, now).await?.ok_or_else(nothing)?;
            let life = app.config.session_life.0;
            if found.is_news(now, USE_NOTED.min(life / 3)) {
                noted(sessions::note_use(&app.db, found.id, now, now.plus(life))).await;
            }
            // Looked at again before it has ended, or nobody would prolong it.
            let again = now.plus(life / 3).min(latest);
            (found.id, found.user, None, found.expires_at.min(again))
        }
    };
    let user = users::by_id(&mut conn, owner).await?.filter(|user| user.is_active(now));
    let user = user.ok_or_else(nothing)?;
    let (name, role) = (user.display_name.clone(), user.role());
    Ok(Json(Credential { user: user.id, session, name, role, scopes, until }))
}

/// That it could not be noted, or not soon, is no reason to refuse it: while the database takes no
/// writes, who is signed in can still read.
async fn noted(noting: impl Future<Output = Result<(), DbError>>) {
    if let Ok(Err(error)) = tokio::time::timeout(NOTING, noting).await {
        tracing::debug!(%error, "the use of a credential was not noted");
    }
}

/// Keys and revocations, for gateways.
pub(super) async fn report(
    State(app): State<Shared>,
    caller: Caller,
    Params(query): Params<IdentityQuery>,
) -> Result<Json<IdentityReport>, AuthError> {
    insiders_only(&caller)?;
    let mut conn = app.db.reader().await?;
    // As they are now: a node that was held up must not tell of keys that are not good any more,
    // nor keep quiet about one that signs elsewhere already.
    let keys = keys::public(&mut conn, app.db.clock().now()).await?;
    if keys.is_empty() {
        return Err(AuthError::KeysNotReady);
    }
    let from = (Timestamp::from_micros(query.since), query.after);
    let mut revoked = news::since(&mut conn, from, REVOKED_AT_ONCE + 1).await?;
    let more = revoked.len() > REVOKED_AT_ONCE;
    revoked.truncate(REVOKED_AT_ONCE);
    Ok(Json(IdentityReport { keys, revoked, more }))
}
