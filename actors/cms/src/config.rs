//! The `[cms]` section.

use panel_kernel::config::{BadValue, PoolConfig, Section};
use panel_text::markdown::Embed;
use serde::{Deserialize, Serialize};

/// More than this does not come through the gateway, which takes so many bytes.
const MOST_BODY_CHARS: usize = 128 * 1024;

/// How articles are written and served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CmsConfig {
    /// How much the service takes at a time.
    pub pool: PoolConfig,
    /// The longest text of an article, in characters.
    pub max_body_chars: usize,
    /// Whose videos can be in articles.
    pub embeds: Vec<Embed>,
}

impl Default for CmsConfig {
    fn default() -> Self {
        Self {
            pool: PoolConfig::default(),
            max_body_chars: 100_000,
            embeds: vec![Embed::Youtube, Embed::Vimeo],
        }
    }
}

impl CmsConfig {
    /// Reads and checks the section.
    ///
    /// # Errors
    /// [`BadValue`] names the key and the reason.
    pub fn parse(section: &Section) -> Result<Self, BadValue> {
        let config: Self = section.parse()?;
        config.pool.check("cms.pool")?;
        if !(1..=MOST_BODY_CHARS).contains(&config.max_body_chars) {
            return Err(BadValue {
                key: "cms.max_body_chars".to_owned(),
                reason: format!("must be between 1 and {MOST_BODY_CHARS}"),
            });
        }
        Ok(config)
    }
}
