//! Where a service's data lies, and how many connections it may have.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::Span;
use crate::secret::SecretUrl;

/// The `[database]` section, and the same again per service where it has its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DatabaseConfig {
    /// `sqlite://<directory>` or `postgres://…`. Empty: SQLite in the data directory.
    pub url: SecretUrl,
    /// PostgreSQL connections per service and node.
    pub connections: u32,
    /// SQLite readers per service.
    pub readers: u32,
    /// Writes that may wait for their commit, per service; beyond that they are refused.
    pub write_queue: usize,
    /// How long a request waits for a connection before it is refused.
    pub acquire_timeout: Span,
    /// How long one transaction may hold the SQLite writer.
    pub write_timeout: Span,
}

impl Default for DatabaseConfig {
    fn default() -> Self {
        Self {
            url: SecretUrl::new(""),
            connections: 16,
            readers: 8,
            write_queue: 1_024,
            acquire_timeout: Span::seconds(2),
            write_timeout: Span::seconds(3),
        }
    }
}

/// A database URL, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// One SQLite file per service in this directory.
    Sqlite(PathBuf),
    /// One PostgreSQL schema per service at this URL.
    Postgres(SecretUrl),
}

impl DatabaseConfig {
    /// What `url` means; SQLite under `data_dir` if it is empty.
    ///
    /// # Errors
    /// A sentence, if it is neither kind.
    pub fn location(&self, data_dir: &Path) -> Result<DatabaseUrl, String> {
        let url = self.url.expose();
        if url.is_empty() {
            return Ok(DatabaseUrl::Sqlite(data_dir.join("db")));
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return match url.parse::<sqlx::postgres::PgConnectOptions>() {
                Ok(_) => Ok(DatabaseUrl::Postgres(self.url.clone())),
                Err(error) => Err(format!("{} is not a PostgreSQL URL: {error}", self.url)),
            };
        }
        match url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:")) {
            Some("" | ":memory:") => Err("SQLite needs a directory, as in sqlite://data/db".into()),
            Some(path) if path.contains('?') => {
                Err("a SQLite URL takes no parameters, only a directory".into())
            }
            Some(path) => Ok(DatabaseUrl::Sqlite(PathBuf::from(path))),
            None => Err(format!("{} is neither sqlite:// nor postgres://", self.url)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(url: &str) -> Result<DatabaseUrl, String> {
        let config = DatabaseConfig { url: SecretUrl::new(url), ..DatabaseConfig::default() };
        config.location(Path::new("/d"))
    }

    #[test]
    fn urls_mean_what_they_say() {
        assert_eq!(location(""), Ok(DatabaseUrl::Sqlite("/d/db".into())));
        assert_eq!(location("sqlite://x/y"), Ok(DatabaseUrl::Sqlite("x/y".into())));
        assert_eq!(location("sqlite:///x/y"), Ok(DatabaseUrl::Sqlite("/x/y".into())));
        for url in ["postgres://u:p@h:5/d", "postgresql://h/d"] {
            assert_eq!(location(url), Ok(DatabaseUrl::Postgres(SecretUrl::new(url))));
        }
        for url in ["mysql://h/d", "sqlite::memory:", "sqlite://", "sqlite://x?mode=ro", "x"] {
            assert!(location(url).is_err(), "{url}");
        }
    }
}
