//! A node that passes for one of another release, so that tests see two side by side.

use std::sync::OnceLock;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::message::Extensions;

/// What this is, as everybody is told.
pub(super) static PRETENDED: OnceLock<String> = OnceLock::new();

/// What no release knows yet.
const HEADER: HeaderName = HeaderName::from_static("x-panel-another-release");
const EXTENSION: &str = "another-release";

/// The release that this process says it is.
#[must_use]
pub fn release() -> &'static str {
    PRETENDED.get().map_or(env!("CARGO_PKG_VERSION"), String::as_str)
}

/// Puts into a message what a later release may put there, if this process passes for one.
pub(crate) fn disguise(headers: &mut HeaderMap, extensions: &mut Extensions) {
    if let Some(release) = PRETENDED.get() {
        headers.insert(HEADER, HeaderValue::from_static("1"));
        extensions.set(EXTENSION, Bytes::from(release.as_bytes()));
    }
}
