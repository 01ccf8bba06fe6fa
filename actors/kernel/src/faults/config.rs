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
    /// What the node says its release is, as if it were another: its messages then hold what this
    /// release does not know. Empty: its own.
    pub release: String,
    /// How far its clock is ahead of the machine's, in seconds; negative: behind.
    pub clock_offset_seconds: i32,
}

impl FaultsConfig {
    /// Checks that what is to be armed can be; `key` is the section's dotted path.
    ///
    /// # Errors
    /// [`BadValue`] with the reason.
    pub fn check(&self, key: &str) -> Result<(), BadValue> {
        let named = |name: &str, reason: String| BadValue { key: format!("{key}.{name}"), reason };
        for (name, is_set) in [
            ("arm", !self.arm.is_empty()),
            ("release", !self.release.is_empty()),
            ("clock_offset_seconds", self.clock_offset_seconds != 0),
        ] {
            if is_set && !self.enabled {
                return Err(named(name, super::DISABLED.to_owned()));
            }
        }
        let bad = |reason| named("arm", reason);
        self.arm.iter().try_for_each(|text| text.parse::<Arming>().map(|_| ()).map_err(bad))
    }
}
