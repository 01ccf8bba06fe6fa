//! Credentials that say nothing by themselves: API keys, and the cookies of browsers. The gateway
//! asks the identity service what stands behind one, and keeps the answer for as long as an access
//! token would be good, or until it hears that something about it has changed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::ids::Id;
use crate::keys::sha256;
use crate::message::User;
use crate::role::Role;
use crate::time::Timestamp;

/// Where the identity service says what a credential stands for, to insiders only.
pub const CREDENTIAL_PATH: &str = "/.panel/credential";
/// What API keys begin with, so that people and scanners recognise one.
pub const API_KEY_PREFIX: &str = "panel_";
/// The random part of a credential: 32 bytes, base64url without padding.
const SECRET_CHARS: usize = 43;

/// What kind of credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    /// An API key.
    ApiKey,
    /// A session's cookie.
    Cookie,
}

impl CredentialKind {
    const fn name(self) -> &'static str {
        match self {
            Self::ApiKey => "api_key",
            Self::Cookie => "cookie",
        }
    }

    /// Whether `text` has the shape of one: nothing else needs to be looked up.
    #[must_use]
    pub fn is_plausible(self, text: &str) -> bool {
        let secret = match self {
            Self::ApiKey => text.strip_prefix(API_KEY_PREFIX).unwrap_or_default(),
            Self::Cookie => text,
        };
        secret.len() == SECRET_CHARS
            && secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    }

    /// The hash under which it is kept and asked for. Its randomness makes a slow hash needless.
    #[must_use]
    pub fn hash(self, text: &str) -> [u8; 32] {
        sha256(&[self.name().as_bytes(), text.as_bytes()])
    }
}

/// Which credential is asked about.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CredentialQuery {
    /// What kind it is.
    pub kind: CredentialKind,
    /// The hash of it, base64url: what was presented does not leave the gateway.
    pub hash: String,
}

impl CredentialQuery {
    /// About this one.
    #[must_use]
    pub fn about(kind: CredentialKind, hash: [u8; 32]) -> Self {
        Self { kind, hash: URL_SAFE_NO_PAD.encode(hash) }
    }

    /// The hash, if it is one.
    #[must_use]
    pub fn hash(&self) -> Option<[u8; 32]> {
        URL_SAFE_NO_PAD.decode(&self.hash).ok()?.try_into().ok()
    }

    /// The path and query to ask with.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{CREDENTIAL_PATH}?kind={}&hash={}", self.kind.name(), self.hash)
    }
}

/// What a credential stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// The account.
    pub user: Id,
    /// The session, or the API key.
    pub session: Id,
    /// The name shown to others.
    pub name: String,
    /// The rank.
    pub role: Role,
    /// For API keys: what they may do.
    pub scopes: Option<Vec<String>>,
    /// When this must be asked again.
    pub until: Timestamp,
}

impl Credential {
    /// Who asks with it.
    #[must_use]
    pub fn user(&self) -> User {
        User {
            id: self.user,
            session: self.session,
            name: self.name.clone(),
            role: self.role,
            scopes: self.scopes.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_could_be_one_is_looked_up() {
        let secret = "Ab-_5".repeat(8) + "xyz";
        let key = format!("{API_KEY_PREFIX}{secret}");
        assert!(CredentialKind::Cookie.is_plausible(&secret));
        assert!(CredentialKind::ApiKey.is_plausible(&key));
        for bad in ["", "panel_", &secret[1..], &format!("{secret}x"), &secret.replace('x', "é")] {
            assert!(!CredentialKind::Cookie.is_plausible(bad), "{bad}");
            assert!(!CredentialKind::ApiKey.is_plausible(&format!("panel_{bad}")), "{bad}");
        }
        assert!(!CredentialKind::ApiKey.is_plausible(&secret));
        let query = CredentialQuery::about(CredentialKind::ApiKey, [7; 32]);
        assert_eq!(query.hash(), Some([7; 32]));
        let hashes = [CredentialKind::Cookie, CredentialKind::ApiKey].map(|kind| kind.hash(&key));
        assert_ne!(hashes[0], hashes[1]);
    }
}
