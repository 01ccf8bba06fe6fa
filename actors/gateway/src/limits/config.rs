//! The `[limits]` section.

use panel_kernel::config::{BadValue, Span};
use serde::{Deserialize, Serialize};

/// How much one client may ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Whether anything is limited at all. The capacity of services does not depend on it.
    pub enabled: bool,
    /// Requests a minute of an address (IPv6: of a /64) that nobody is signed in from; 0: any.
    pub anonymous_per_minute: u32,
    /// Requests a minute of an account; 0: any.
    pub user_per_minute: u32,
    /// Of these, how many may change something; 0: any.
    pub writes_per_minute: u32,
    /// As many may come at once as these rates give in this time.
    pub burst: Span,
    /// Clients remembered, at most; those seen longest ago are forgotten first.
    pub clients: u64,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            anonymous_per_minute: 600,
            user_per_minute: 1_200,
            writes_per_minute: 120,
            burst: Span::seconds(20),
            clients: 65_536,
        }
    }
}

/// The fastest rate that a clock of microseconds can tell apart well.
const MOST_PER_MINUTE: u32 = 6_000_000;

impl LimitsConfig {
    /// Checks the bounds.
    ///
    /// # Errors
    /// [`BadValue`] names the key and the reason.
    pub fn checked(self) -> Result<Self, BadValue> {
        let bad =
            |key: &str, reason: String| Err(BadValue { key: format!("limits.{key}"), reason });
        for (key, rate) in [
            ("anonymous_per_minute", self.anonymous_per_minute),
            ("user_per_minute", self.user_per_minute),
            ("writes_per_minute", self.writes_per_minute),
        ] {
            if rate > MOST_PER_MINUTE {
                return bad(key, format!("must be at most {MOST_PER_MINUTE}"));
            }
        }
        if !(100..=3_600_000).contains(&self.burst.0.as_millis()) {
            return bad("burst", "must be between 100ms and 1h".to_owned());
        }
        if !(1_024..=10_000_000).contains(&self.clients) {
            return bad("clients", "must be between 1024 and 10000000".to_owned());
        }
        Ok(self)
    }
}
