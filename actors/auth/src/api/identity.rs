//! Keys for those who verify tokens.

use axum::Json;
use axum::extract::State;
use panel_kernel::http::{Caller, Params};
use panel_kernel::identity::{IdentityQuery, IdentityReport};
use panel_kernel::message::Principal;
use panel_kernel::problem::{Kind, Problem};
use panel_kernel::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::Shared;
use crate::error::AuthError;
use crate::store::sessions;

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

/// Keys and revocations, for gateways.
pub(super) async fn report(
    State(app): State<Shared>,
    caller: Caller,
    Params(query): Params<IdentityQuery>,
) -> Result<Json<IdentityReport>, AuthError> {
    if !matches!(caller.principal, Principal::Service(_)) {
        return Err(Problem::new(Kind::NotFound, "there is no such route").into());
    }
    let keys = app.keys.public();
    if keys.is_empty() {
        return Err(AuthError::KeysNotReady);
    }
    let since = Timestamp::from_micros(query.since);
    let revoked = sessions::revoked_since(&mut app.db.reader().await?, since).await?;
    Ok(Json(IdentityReport { keys, revoked }))
}
