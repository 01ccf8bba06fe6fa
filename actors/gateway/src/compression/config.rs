//! The `[gateway.compression]` section.

use serde::{Deserialize, Serialize};

/// Which answers are made smaller for who can read that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CompressionConfig {
    /// Whether any is.
    pub enabled: bool,
    /// Smaller ones are sent as they are, in bytes.
    pub min_bytes: usize,
}

impl Default for CompressionConfig {
    fn default() -> Self {
        Self { enabled: true, min_bytes: 1_024 }
    }
}
