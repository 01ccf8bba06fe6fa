//! The check of access tokens by itself, for who measures what it costs.

use panel_kernel::identity::{IdentityReport, PublicKey};
use panel_kernel::message::Principal;
use panel_kernel::problem::Problem;
use panel_kernel::time::Timestamp;

use super::Identity;

/// Checks access tokens as every request's is checked at the edge.
#[derive(Clone)]
pub struct TokenCheck(Identity);

impl std::fmt::Debug for TokenCheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenCheck")
    }
}

impl TokenCheck {
    /// One that has heard of these keys at `now`, and remembers so many tokens.
    #[must_use]
    pub fn new(issuer: &str, keys: Vec<PublicKey>, now: Timestamp, remembered: u64) -> Self {
        let identity = Identity::new("auth", issuer, remembered);
        identity.learn(IdentityReport { keys, revoked: Vec::new(), more: false }, now, true);
        Self(identity)
    }

    /// Whom a token stands for.
    ///
    /// # Errors
    /// 401 for a token that is not good.
    pub fn check(&self, token: &str, now: Timestamp) -> Result<Principal, Problem> {
        self.0.verify(token, now)
    }
}
