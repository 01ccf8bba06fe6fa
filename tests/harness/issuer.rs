//! Signs access tokens as the identity service would, for tests without one.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use panel_kernel::identity::{
    ACCESS_TOKEN_LIFE, AUDIENCE, AccessClaims, IdentityReport, PublicKey,
};
use panel_kernel::ids::Id;

use crate::ids::new_id;
use panel_kernel::role::Role;
use panel_kernel::service::Runtime;

const KEY_ID: &str = "test";

/// A key pair.
#[derive(Clone)]
pub struct Issuer {
    private: EncodingKey,
    public: PublicKey,
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issuer").field("public", &self.public).finish_non_exhaustive()
    }
}

impl Default for Issuer {
    fn default() -> Self {
        Self::generate()
    }
}

impl Issuer {
    /// A new key pair.
    #[must_use]
    pub fn generate() -> Self {
        let pair = Ed25519KeyPair::generate().unwrap();
        let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
        Self {
            private: EncodingKey::from_ed_der(pair.to_pkcs8().unwrap().as_ref()),
            public: PublicKey { kid: KEY_ID.to_owned(), x },
        }
    }

    /// What a gateway is told: this key, and nothing revoked.
    #[must_use]
    pub fn report(&self) -> IdentityReport {
        IdentityReport { keys: vec![self.public.clone()], revoked: Vec::new(), more: false }
    }

    /// A good token for the account `user`, in a session of its own.
    #[must_use]
    pub fn token(&self, runtime: &Runtime, user: Id, role: Role) -> String {
        let now = runtime.clock.now();
        let claims = AccessClaims {
            iss: runtime.issuer.to_string(),
            aud: AUDIENCE.to_owned(),
            sub: user,
            sid: new_id(),
            role,
            name: format!("user-{user}"),
            iat: now.as_seconds(),
            exp: now.plus(ACCESS_TOKEN_LIFE).as_seconds(),
            jti: new_id(),
        };
        self.sign(&claims)
    }

    /// A token with any claims, signed with this key.
    #[must_use]
    pub fn sign(&self, claims: &AccessClaims) -> String {
        let header = Header { kid: Some(KEY_ID.to_owned()), ..Header::new(Algorithm::EdDSA) };
        jsonwebtoken::encode(&header, claims, &self.private).unwrap()
    }
}
