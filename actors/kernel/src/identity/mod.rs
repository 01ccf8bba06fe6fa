//! What the gateway and the identity service agree on: the claims of an access token, and the
//! report of keys and revocations that the gateway follows; what stands behind other credentials, and
//! the cookie that is one.

mod cookie;
mod credential;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::Id;
use crate::role::Role;
use crate::time::Timestamp;

pub use cookie::{CSRF_HEADER, CsrfTokens, Found, SiteCookie, stays_private};
pub use credential::{
    API_KEY_PREFIX, CREDENTIAL_PATH, Credential, CredentialKind, CredentialQuery,
};

/// Where the identity service reports, to insiders only.
pub const PATH: &str = "/.panel/identity";
/// The audience of access tokens.
pub const AUDIENCE: &str = "panel";
/// How long an access token is good for; and so, how long a revocation must be remembered.
pub const ACCESS_TOKEN_LIFE: Duration = Duration::from_secs(600);

/// The claims of an access token (RFC 7519, RFC 9068).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessClaims {
    /// Who issued it: the public URL of the installation.
    pub iss: String,
    /// For whom: [`AUDIENCE`].
    pub aud: String,
    /// The account.
    pub sub: Id,
    /// The session.
    pub sid: Id,
    /// The rank.
    pub role: Role,
    /// The name shown to others.
    pub name: String,
    /// Issued at, seconds since the epoch.
    pub iat: i64,
    /// Good until, seconds since the epoch.
    pub exp: i64,
    /// The token's own id.
    pub jti: Id,
}

/// A key that verifies tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKey {
    /// Its id, as in the token's header.
    pub kid: String,
    /// The Ed25519 public key, base64url without padding (the `x` of RFC 8037).
    pub x: String,
}

/// A session whose tokens are refused from now on; or an API key about which something has changed, so
/// that what is known of it must be asked again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    /// Which.
    pub session: Id,
    /// When its last token ends by itself: as long after the change as a token is good.
    pub until: Timestamp,
}

/// All that a gateway needs to tell good tokens from bad ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityReport {
    /// The keys in use: current, previous, next.
    pub keys: Vec<PublicKey>,
    /// Sessions revoked since the moment asked for, in that order.
    pub revoked: Vec<Revoked>,
    /// Whether there are more, to be asked for from the last of these on.
    #[serde(default)]
    pub more: bool,
}

/// Which revocations are asked for.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct IdentityQuery {
    /// Those since this moment, microseconds since the epoch.
    pub since: i64,
    /// Of those at that very moment, only sessions with a later id than this.
    #[serde(default)]
    pub after: i64,
}
