//! The `[redis]` section.

use serde::{Deserialize, Serialize};

use crate::config::{BadValue, Span};
use crate::secret::SecretUrl;

/// Where Redis is, and how much of it a node asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RedisConfig {
    /// `redis://host:port/db`. Empty: none.
    pub url: SecretUrl,
    /// How long any question may take, connecting included, before Redis counts as down.
    pub timeout: Span,
    /// The most connections of one node.
    pub connections: usize,
}

impl Default for RedisConfig {
    fn default() -> Self {
        Self { url: SecretUrl::new(""), timeout: Span::millis(50), connections: 8 }
    }
}

impl RedisConfig {
    /// Checks the bounds.
    ///
    /// # Errors
    /// [`BadValue`] names the key and the reason.
    pub fn checked(self) -> Result<Self, BadValue> {
        let bad = |key: &str, reason: String| Err(BadValue { key: format!("redis.{key}"), reason });
        let url = self.url.expose();
        if !url.is_empty() && !url.starts_with("redis://") {
            return bad("url", format!("{} must begin with redis://", self.url));
        }
        // The driver has a limit of half a second of its own.
        if !(1..=500).contains(&self.timeout.0.as_millis()) {
            return bad("timeout", "must be between 1ms and 500ms".to_owned());
        }
        if !(1..=1_024).contains(&self.connections) {
            return bad("connections", "must be between 1 and 1024".to_owned());
        }
        Ok(self)
    }
}
