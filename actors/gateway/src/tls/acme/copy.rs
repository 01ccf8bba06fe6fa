//! This node's own copy of the certificate, for a start while the database is down.

use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use panel_kernel::certificates::read_private;
use panel_kernel::keys::write_private;
use panel_kernel::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::store::{Stored, Which};

/// Where it lies. What is secret in it is sealed as it is in the database.
#[derive(Clone, Debug)]
pub(super) struct LocalCopy(PathBuf);

#[derive(Debug, Serialize, Deserialize)]
struct File {
    directory: String,
    names: String,
    chain: String,
    sealed_key: String,
    issued_at: i64,
}

impl LocalCopy {
    /// In the data directory of this node.
    pub(super) fn of(data_dir: &Path) -> Self {
        Self(data_dir.join("keys").join("site-certificate.json"))
    }

    /// What it holds, if it is of that certificate.
    pub(super) fn read(&self, which: &Which) -> Option<Stored> {
        let bytes = read_private(&self.0).ok()?;
        let file: File = serde_json::from_slice(&bytes).ok()?;
        if file.directory != which.directory || file.names != which.names {
            return None;
        }
        let sealed_key = STANDARD.decode(&file.sealed_key).ok()?;
        let issued_at = Timestamp::from_micros(file.issued_at);
        Some(Stored { chain: file.chain, sealed_key, issued_at })
    }

    /// Puts this in the place of what was there.
    ///
    /// # Errors
    /// What the file system answers.
    pub(super) fn write(&self, which: &Which, stored: &Stored) -> io::Result<()> {
        if self.read(which).as_ref() == Some(stored) {
            return Ok(());
        }
        let Which { directory, names } = which.clone();
        let bytes = serde_json::to_vec_pretty(&File {
            directory,
            names,
            chain: stored.chain.clone(),
            sealed_key: STANDARD.encode(&stored.sealed_key),
            issued_at: stored.issued_at.as_micros(),
        })?;
        if let Some(parent) = self.0.parent() {
            std::fs::create_dir_all(parent)?;
        }
        let staged = self.0.with_extension("new");
        write_private(&staged, &bytes)?;
        std::fs::rename(&staged, &self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let copy = LocalCopy::of(directory.path());
        let which = Which { directory: "https://ca.example".into(), names: "a.example".into() };
        let issued_at = Timestamp::from_seconds(1_800_000_000);
        let stored = Stored { chain: "chain".into(), sealed_key: vec![1, 2, 255], issued_at };
        assert_eq!(copy.read(&which), None);
        copy.write(&which, &stored).unwrap();
        assert_eq!(copy.read(&which), Some(stored.clone()));
        let later = Stored { chain: "later".into(), ..stored };
        copy.write(&which, &later).unwrap();
        assert_eq!(copy.read(&which), Some(later));
        let other = Which { names: "b.example".into(), ..which.clone() };
        assert_eq!(copy.read(&other), None);
        std::fs::write(directory.path().join("keys/site-certificate.json"), "{}").unwrap();
        assert_eq!(copy.read(&which), None);
    }
}
