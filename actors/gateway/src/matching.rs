//! Which requests a rule means: by what they do, and where.

use http::Method;
use serde::{Deserialize, Serialize};

/// What requests do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleMethods {
    /// Whatever it is.
    #[default]
    Any,
    /// They change nothing.
    Reads,
    /// They may change something.
    Writes,
}

impl RuleMethods {
    /// Whether that is what this method does.
    pub(crate) fn include(self, method: &Method) -> bool {
        match self {
            Self::Any => true,
            Self::Reads => method.is_safe(),
            Self::Writes => !method.is_safe(),
        }
    }
}

/// Whether a path, decoded, begins so: whole segments; every one begins with nothing.
pub(crate) fn begins(path: &str, beginning: &str) -> bool {
    path.strip_prefix(beginning).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        || beginning.is_empty()
}

/// Whether that is a beginning of paths.
///
/// # Errors
/// Why not.
pub(crate) fn check_beginning(path: &str) -> Result<(), String> {
    if !path.is_empty() && (!path.starts_with('/') || path.ends_with('/')) {
        return Err(format!("path: {path:?} must begin with / and not end with one"));
    }
    Ok(())
}
