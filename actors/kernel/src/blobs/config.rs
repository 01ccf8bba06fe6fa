//! The `[blobs]` section.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::data::{DatabaseConfig, DatabaseUrl};
use crate::secret::SecretUrl;

/// Where blobs are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BlobsConfig {
    /// `file:///directory` or `postgres://…`. Empty: where `database.url` is; with SQLite, the
    /// directory `blobs` in the data directory.
    pub url: SecretUrl,
}

impl Default for BlobsConfig {
    fn default() -> Self {
        Self { url: SecretUrl::new("") }
    }
}

/// A place for blobs, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlobsLocation {
    /// A directory, for one node.
    Directory(PathBuf),
    /// The schema `blobs` of a PostgreSQL database.
    Database(DatabaseUrl),
}

impl BlobsConfig {
    /// Where blobs are kept.
    ///
    /// # Errors
    /// A sentence, if the URL is of no kind.
    pub fn location(
        &self,
        database: &DatabaseConfig,
        data_dir: &Path,
    ) -> Result<BlobsLocation, String> {
        let url = self.url.expose();
        if let Some(path) = url.strip_prefix("file://") {
            let named = path.starts_with('/') && !path.contains(['?', '#']);
            return if named {
                Ok(BlobsLocation::Directory(PathBuf::from(path)))
            } else {
                Err("a directory of blobs is given as in file:///var/lib/panel/blobs".to_owned())
            };
        }
        let beside = if url.is_empty() {
            database.location("blobs", data_dir)?
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            DatabaseConfig { url: self.url.clone(), ..DatabaseConfig::default() }
                .location("blobs", data_dir)?
        } else {
            return Err(format!("{} is neither file:// nor postgres://", self.url));
        };
        Ok(match beside {
            DatabaseUrl::Sqlite(_) => BlobsLocation::Directory(data_dir.join("blobs")),
            url @ DatabaseUrl::Postgres(_) => BlobsLocation::Database(url),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(blobs: &str, database: &str) -> Result<BlobsLocation, String> {
        let url = SecretUrl::new(database);
        let database = DatabaseConfig { url, ..DatabaseConfig::default() };
        BlobsConfig { url: SecretUrl::new(blobs) }.location(&database, Path::new("/d"))
    }

    #[test]
    fn blobs_are_where_the_database_is_if_nothing_else_is_said() {
        let directory = |path: &str| Ok(BlobsLocation::Directory(PathBuf::from(path)));
        let table =
            |url: &str| Ok(BlobsLocation::Database(DatabaseUrl::Postgres(SecretUrl::new(url))));
        assert_eq!(location("", ""), directory("/d/blobs"));
        assert_eq!(location("", "sqlite://x"), directory("/d/blobs"));
        assert_eq!(location("", "postgres://h/d"), table("postgres://h/d"));
        assert_eq!(location("file:///b", "postgres://h/d"), directory("/b"));
        assert_eq!(location("postgres://o/d", "postgres://h/d"), table("postgres://o/d"));
        assert_eq!(location("postgresql://o/d", ""), table("postgresql://o/d"));
        for bad in ["file://b", "file://", "s3://b", "/b", "sqlite://b", "file:///b?x=1"] {
            assert!(location(bad, "").is_err(), "{bad}");
        }
        assert!(!location("x://u:secret@h/d", "").unwrap_err().contains("secret"));
    }
}
