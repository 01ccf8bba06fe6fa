//! The `[guestbook]` section.

use panel_kernel::config::{BadValue, PoolConfig, Section};
use serde::{Deserialize, Serialize};

/// How the guestbook behaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct GuestbookConfig {
    /// The longest entry, in characters.
    pub(crate) max_chars: usize,
    /// How much the service takes at a time.
    pub(crate) pool: PoolConfig,
}

impl Default for GuestbookConfig {
    fn default() -> Self {
        Self { max_chars: 500, pool: PoolConfig::default() }
    }
}

impl GuestbookConfig {
    /// Reads and checks the section.
    pub(crate) fn parse(section: &Section) -> Result<Self, BadValue> {
        let config: Self = section.parse()?;
        config.pool.check("guestbook.pool")?;
        if !(1..=10_000).contains(&config.max_chars) {
            let reason = "must be between 1 and 10000".to_owned();
            return Err(BadValue { key: "guestbook.max_chars".to_owned(), reason });
        }
        Ok(config)
    }
}
