//! The `[admin]` section.

use panel_kernel::config::{BadValue, PoolConfig, Section};
use serde::{Deserialize, Serialize};

/// How administration behaves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdminConfig {
    /// How much the service takes at a time.
    pub pool: PoolConfig,
}

impl AdminConfig {
    /// Reads and checks the section.
    ///
    /// # Errors
    /// [`BadValue`] names the key and the reason.
    pub fn parse(section: &Section) -> Result<Self, BadValue> {
        let config: Self = section.parse()?;
        config.pool.check("admin.pool")?;
        Ok(config)
    }
}
