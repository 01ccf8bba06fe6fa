//! The `[gateway.cache]` section.

use serde::{Deserialize, Serialize};

/// How much is kept of answers for who is not signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CacheConfig {
    /// Bytes of answers kept in memory; 0: none are.
    pub bytes: u64,
    /// Bytes of answers kept in Redis for all gateways, for while a service can't be asked; 0: none are.
    pub redis_bytes: u64,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self { bytes: 32 * 1024 * 1024, redis_bytes: 32 * 1024 * 1024 }
    }
}
