//! A node that passes for one of another release, so that tests see two side by side.

use std::sync::OnceLock;

/// What this is, as everybody is told.
pub(super) static PRETENDED: OnceLock<String> = OnceLock::new();

/// The release that this process says it is.
#[must_use]
pub fn release() -> &'static str {
    pretended().unwrap_or(env!("CARGO_PKG_VERSION"))
}

/// The release that this process passes for, if it does: its messages then hold what a later one
/// may put there.
pub(crate) fn pretended() -> Option<&'static str> {
    PRETENDED.get().map(String::as_str)
}
