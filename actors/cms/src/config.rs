//! The `[cms]` section.

use panel_kernel::config::{BadValue, PoolConfig, Section};
use serde::{Deserialize, Serialize};

/// How articles are served.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CmsConfig {
    /// How much the service takes at a time.
    pub pool: PoolConfig,
}

impl CmsConfig {
    /// Reads and checks the section.
    ///
    /// # Errors
    /// [`BadValue`] names the key and the reason.
    pub fn parse(section: &Section) -> Result<Self, BadValue> {
        let config: Self = section.parse()?;
        config.pool.check("cms.pool")?;
        Ok(config)
    }
}
