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
use crate::store::{keys, sessions};

/// The most revocations in one report, which is one message: 70 bytes each.
const REVOKED_AT_ONCE: u16 = 4_000;

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
    let mut conn = app.db.reader().await?;
    // As they are now: a node that was held up must not tell of keys that are not good any more,
    // nor keep quiet about one that signs elsewhere already.
    let keys = keys::public(&mut conn, app.db.clock().now()).await?;
    if keys.is_empty() {
        return Err(AuthError::KeysNotReady);
    }
    let from = (Timestamp::from_micros(query.since), query.after);
    let mut revoked =
        sessions::revoked_since(&mut conn, from, i64::from(REVOKED_AT_ONCE) + 1).await?;
    let more = revoked.len() > usize::from(REVOKED_AT_ONCE);
    revoked.truncate(usize::from(REVOKED_AT_ONCE));
    Ok(Json(IdentityReport { keys, revoked, more }))
}
