//! A test's own connection to the database of a service, past all that is ours: to seed it, to
//! look at what is really stored, to stand in its way.

use std::path::PathBuf;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, SqliteConnection};

use crate::backend::{Backend, TestDatabase};

/// A connection.
#[derive(Debug)]
pub enum RawSql {
    /// To a service's file.
    Sqlite(Box<SqliteConnection>),
    /// To a service's schema.
    Postgres(Box<PgConnection>),
}

impl TestDatabase {
    /// The file of a service, on SQLite.
    #[must_use]
    pub fn file(&self, service: &str) -> PathBuf {
        let directory = self.url().strip_prefix("sqlite://").expect("a SQLite database");
        PathBuf::from(directory).join(format!("{service}.db"))
    }

    /// Connects to what a service has stored.
    pub async fn raw_sql(&self, service: &str) -> RawSql {
        match self.backend() {
            Backend::Sqlite => {
                let options = SqliteConnectOptions::new().filename(self.file(service));
                RawSql::Sqlite(Box::new(options.connect().await.unwrap()))
            }
            Backend::Postgres => {
                let mut conn = PgConnection::connect(self.url()).await.unwrap();
                let path = format!("SET search_path = {service}");
                sqlx::raw_sql(AssertSqlSafe(path)).execute(&mut conn).await.unwrap();
                RawSql::Postgres(Box::new(conn))
            }
        }
    }
}

impl RawSql {
    /// Runs statements, separated by semicolons.
    ///
    /// # Panics
    /// If one of them fails.
    pub async fn run(&mut self, text: &str) {
        let statement = sqlx::raw_sql(AssertSqlSafe(text.to_owned()));
        let done = match self {
            Self::Sqlite(conn) => statement.execute(&mut **conn).await.map(drop),
            Self::Postgres(conn) => statement.execute(&mut **conn).await.map(drop),
        };
        done.unwrap_or_else(|error| panic!("{error}: {text}"));
    }

    /// The texts in column `at` of all rows.
    ///
    /// # Errors
    /// Why the statement can't be run here.
    pub async fn texts(&mut self, text: &str, at: usize) -> Result<Vec<String>, String> {
        use sqlx::Row as _;
        let statement = sqlx::raw_sql(AssertSqlSafe(text.to_owned()));
        let texts: Result<Vec<String>, sqlx::Error> = match self {
            Self::Sqlite(conn) => {
                let rows = statement.fetch_all(&mut **conn).await;
                rows.and_then(|rows| rows.iter().map(|row| row.try_get(at)).collect())
            }
            Self::Postgres(conn) => {
                let rows = statement.fetch_all(&mut **conn).await;
                rows.and_then(|rows| rows.iter().map(|row| row.try_get(at)).collect())
            }
        };
        texts.map_err(|error| error.to_string())
    }
}
