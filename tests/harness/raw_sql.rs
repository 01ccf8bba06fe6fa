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

    /// Everything that the service has stored: a line for each row, after its table's name.
    ///
    /// # Panics
    /// If it can't be read.
    pub async fn dump(&mut self) -> Vec<String> {
        let names = match self {
            Self::Sqlite(_) => "SELECT name FROM sqlite_master WHERE type = 'table'",
            Self::Postgres(_) => {
                "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()"
            }
        };
        let mut lines = Vec::new();
        for table in self.texts(names, 0).await.unwrap() {
            let rows = match self {
                Self::Postgres(_) => format!("SELECT t::text FROM \"{table}\" t"),
                Self::Sqlite(_) => {
                    let columns = format!("SELECT name FROM pragma_table_info('{table}')");
                    let columns = self.texts(&columns, 0).await.unwrap();
                    let quoted = columns.iter().map(|name| format!("quote(\"{name}\")"));
                    let row = quoted.collect::<Vec<_>>().join(" || ' ' || ");
                    format!("SELECT {row} FROM \"{table}\"")
                }
            };
            let rows = self.texts(&rows, 0).await.unwrap();
            lines.extend(rows.into_iter().map(|row| format!("{table}: {row}")));
        }
        lines
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
