//! What sessions are made of: access tokens (signed) and refresh tokens (random).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use panel_kernel::identity::{ACCESS_TOKEN_LIFE, AUDIENCE, AccessClaims};
use panel_kernel::ids::{Id, random_bytes};
use panel_kernel::keys::sha256;
use panel_kernel::role::Role;
use panel_kernel::time::Timestamp;

use crate::error::AuthError;

/// A key that signs.
pub(crate) struct SigningKey {
    /// The key's id, as in the token's header.
    pub(crate) kid: String,
    pub(crate) key: EncodingKey,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({})", self.kid)
    }
}

/// Whom a token is for.
#[derive(Clone, Debug)]
pub(crate) struct Bearer {
    pub(crate) user: Id,
    pub(crate) session: Id,
    pub(crate) role: Role,
    pub(crate) name: String,
}

/// A signed access token.
pub(crate) fn access_token(
    key: &SigningKey,
    issuer: &str,
    bearer: &Bearer,
    jti: Id,
    now: Timestamp,
) -> Result<String, AuthError> {
    let at = now.as_seconds();
    let claims = AccessClaims {
        iss: issuer.to_owned(),
        aud: AUDIENCE.to_owned(),
        sub: bearer.user,
        sid: bearer.session,
        role: bearer.role,
        name: bearer.name.clone(),
        iat: at,
        exp: at + i64::try_from(ACCESS_TOKEN_LIFE.as_secs()).unwrap_or(0),
        jti,
    };
    let mut header = Header::new(Algorithm::EdDSA);
    header.kid = Some(key.kid.clone());
    jsonwebtoken::encode(&header, &claims, &key.key)
        .map_err(|error| AuthError::Crypto(error.to_string()))
}

/// A random token for one use, and the hash under which it is kept.
pub(crate) struct OneTime {
    pub(crate) text: String,
    pub(crate) hash: [u8; 32],
}

impl OneTime {
    /// 256 random bits.
    pub(crate) fn generate() -> Self {
        let text = URL_SAFE_NO_PAD.encode(random_bytes::<32>());
        Self { hash: Self::hash_of(&text), text }
    }

    /// The hash of a token that was presented. Its randomness makes a slow hash needless.
    pub(crate) fn hash_of(text: &str) -> [u8; 32] {
        sha256(&[b"one-time-token", text.as_bytes()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_time_tokens_are_long_and_differ() {
        let (a, b) = (OneTime::generate(), OneTime::generate());
        assert_ne!(a.text, b.text);
        assert_eq!(a.text.len(), 43);
        assert_eq!(OneTime::hash_of(&a.text), a.hash);
    }
}
