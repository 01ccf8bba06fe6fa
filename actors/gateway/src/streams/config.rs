//! The `[gateway.streams]` section.

use serde::{Deserialize, Serialize};

/// How many streams of events there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StreamsConfig {
    /// Open at one time. Each is a connection, of `gateway.max_connections`.
    pub max: usize,
}

impl Default for StreamsConfig {
    fn default() -> Self {
        Self { max: 8_000 }
    }
}
