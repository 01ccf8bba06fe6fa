//! The `[gateway.files]` section.

use serde::{Deserialize, Serialize};

/// How many files are sent and received, and how long ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FilesConfig {
    /// Files that are being sent at one time. Each takes some 600 KiB of memory at most.
    pub max_downloads: usize,
    /// Files that are being received at one time. Each takes a piece of memory: 256 KiB, or 4 MiB where there is a
    /// bucket.
    pub max_uploads: usize,
    /// The longest file that is received, in bytes. Routes may take less.
    pub max_upload_bytes: u64,
}

impl Default for FilesConfig {
    fn default() -> Self {
        Self { max_downloads: 256, max_uploads: 32, max_upload_bytes: 64 * 1024 * 1024 }
    }
}

impl FilesConfig {
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        if !(1..=100_000).contains(&self.max_downloads) {
            return Err(("files.max_downloads", "must be between 1 and 100000".to_owned()));
        }
        if !(1..=10_000).contains(&self.max_uploads) {
            return Err(("files.max_uploads", "must be between 1 and 10000".to_owned()));
        }
        if self.max_upload_bytes == 0 {
            return Err(("files.max_upload_bytes", "must be at least 1".to_owned()));
        }
        Ok(())
    }
}
