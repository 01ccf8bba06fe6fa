//! Where a service's data lies, and how many connections it may have.

use std::collections::BTreeMap;
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
    /// Other places for single services, by name: `auth = "postgres://…"`.
    pub per_service: BTreeMap<String, SecretUrl>,
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
            per_service: BTreeMap::new(),
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
    /// Where `service` has its data; SQLite under `data_dir` if nothing is said.
    ///
    /// # Errors
    /// A sentence, if the URL is of neither kind.
    pub fn location(&self, service: &str, data_dir: &Path) -> Result<DatabaseUrl, String> {
        let given = self.per_service.get(service).unwrap_or(&self.url);
        let url = given.expose();
        if url.is_empty() {
            return Ok(DatabaseUrl::Sqlite(data_dir.join("db")));
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return match url.parse::<sqlx::postgres::PgConnectOptions>() {
                Ok(_) => Ok(DatabaseUrl::Postgres(given.clone())),
                Err(error) => Err(format!("{given} is not a PostgreSQL URL: {error}")),
            };
        }
        match url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:")) {
            Some("" | ":memory:") => Err("SQLite needs a directory, as in sqlite://data/db".into()),
            Some(path) if path.contains('?') => {
                Err("a SQLite URL takes no parameters, only a directory".into())
            }
            Some(path) => Ok(DatabaseUrl::Sqlite(PathBuf::from(path))),
            None => Err(format!("{given} is neither sqlite:// nor postgres://")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(url: &str) -> Result<DatabaseUrl, String> {
        let config = DatabaseConfig { url: SecretUrl::new(url), ..DatabaseConfig::default() };
        config.location("auth", Path::new("/d"))
    }

    #[test]
    fn a_service_may_have_its_own_place() {
        let mut config =
            DatabaseConfig { url: SecretUrl::new("sqlite://a"), ..DatabaseConfig::default() };
        config.per_service.insert("auth".to_owned(), SecretUrl::new("sqlite://b"));
        let place = |service| config.location(service, Path::new("/d"));
        assert_eq!(place("auth"), Ok(DatabaseUrl::Sqlite("b".into())));
        assert_eq!(place("forum"), Ok(DatabaseUrl::Sqlite("a".into())));
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
