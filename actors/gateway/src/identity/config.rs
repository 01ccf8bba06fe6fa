//! The `[gateway.authentication]` section.

use serde::{Deserialize, Serialize};

/// How many credentials are remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuthenticationConfig {
    /// Verified tokens, at most, and as many API keys and cookies.
    pub token_cache: u64,
}

impl Default for AuthenticationConfig {
    fn default() -> Self {
        Self { token_cache: 10_000 }
    }
}
