//! The `[gateway.cors]` section.

use serde::{Deserialize, Serialize};

/// Whose pages may call the API from browsers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CorsConfig {
    /// Origins of such pages, exactly as browsers send them.
    pub origins: Vec<String>,
}

impl CorsConfig {
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        for origin in &self.origins {
            let well_formed = origin.split_once("://").is_some_and(|(scheme, host)| {
                matches!(scheme, "http" | "https") && !host.is_empty() && !host.contains('/')
            });
            if !well_formed {
                let reason = format!("{origin:?} is not an origin like https://example.org");
                return Err(("cors.origins", reason));
            }
        }
        Ok(())
    }
}
