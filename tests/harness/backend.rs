//! The same test on both databases.

use tempfile::TempDir;

use crate::postgres::{FreshDatabase, Postgres};

/// Which database a test runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// One file per service, in a directory.
    Sqlite,
    /// One schema per service, on a server.
    Postgres,
}

impl Backend {
    /// An empty database of this kind, removed when it is dropped.
    pub async fn database(self) -> TestDatabase {
        match self {
            Self::Sqlite => TestDatabase::sqlite(),
            Self::Postgres => {
                TestDatabase(Place::Postgres(Postgres::shared().fresh_database().await))
            }
        }
    }
}

/// A database of one test.
#[derive(Debug)]
pub struct TestDatabase(Place);

#[derive(Debug)]
enum Place {
    Sqlite { url: String, _directory: TempDir },
    Postgres(FreshDatabase),
}

impl TestDatabase {
    /// An empty SQLite directory.
    #[must_use]
    pub fn sqlite() -> Self {
        let directory = TempDir::with_prefix("panel-db-").unwrap();
        let url = format!("sqlite://{}", directory.path().display());
        Self(Place::Sqlite { url, _directory: directory })
    }

    /// An empty database on a server of the test's own, which must outlive it.
    pub async fn on(server: &Postgres) -> Self {
        Self(Place::Postgres(server.fresh_database().await))
    }

    /// As `--database-url` takes it.
    #[must_use]
    pub fn url(&self) -> &str {
        match &self.0 {
            Place::Sqlite { url, .. } => url,
            Place::Postgres(database) => database.url(),
        }
    }

    /// The same database, for another role of its server.
    #[must_use]
    pub fn for_role(self, role: &str) -> Self {
        match self.0 {
            Place::Sqlite { .. } => self,
            Place::Postgres(database) => Self(Place::Postgres(database.for_role(role))),
        }
    }

    /// Which kind.
    #[must_use]
    pub fn backend(&self) -> Backend {
        match &self.0 {
            Place::Sqlite { .. } => Backend::Sqlite,
            Place::Postgres(_) => Backend::Postgres,
        }
    }
}

/// Makes two tests of each `async fn name(backend: Backend)`: `name::sqlite` and
/// `name::postgres`.
///
/// ```ignore
/// on_both_databases!(a_write_is_done_once);
///
/// async fn a_write_is_done_once(backend: Backend) {}
/// ```
#[macro_export]
macro_rules! on_both_databases {
    ($($name:ident),+ $(,)?) => {
        $(mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                Box::pin(super::$name($crate::Backend::Sqlite)).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                Box::pin(super::$name($crate::Backend::Postgres)).await;
            }
        })+
    };
}
