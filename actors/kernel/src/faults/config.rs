//! The `[faults]` section.

use serde::{Deserialize, Serialize};

use super::Arming;
use crate::config::BadValue;

/// Whether the node may be made to fail, and where at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FaultsConfig {
    /// Whether fault points can be armed, and actors broken. For tests only.
    pub enabled: bool,
    /// Armed when the node starts: `write.after_commit=exit*1`.
    pub arm: Vec<String>,
}

impl FaultsConfig {
    /// Checks that what is to be armed can be; `key` is the section's dotted path.
    ///
    /// # Errors
    /// [`BadValue`] with the reason.
    pub fn check(&self, key: &str) -> Result<(), BadValue> {
        let bad = |reason: String| BadValue { key: format!("{key}.arm"), reason };
        if !self.enabled && !self.arm.is_empty() {
            return Err(bad(super::DISABLED.to_owned()));
        }
        self.arm.iter().try_for_each(|text| text.parse::<Arming>().map(|_| ()).map_err(bad))
    }
}
