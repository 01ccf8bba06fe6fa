//! A connection that is one of the two.

use sqlx::pool::PoolConnection;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Postgres, Sqlite, SqliteConnection};

use super::postgres_tx::Session;
use super::{Database, DbError, FromRow, Row, Statement, Value};

/// Runs statements. Stores take `&mut Conn` to read and [`super::Tx`] to write.
pub struct Conn {
    pub(super) inner: Inner,
    /// Whom to tell if the database is lost while this is in use.
    pub(super) owner: Option<Database>,
}

pub(super) enum Inner {
    SqliteReader(PoolConnection<Sqlite>),
    SqliteWriter(SqliteConnection),
    Postgres(PoolConnection<Postgres>),
    PostgresTx(Session),
}

impl std::fmt::Debug for Conn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.inner {
            Inner::SqliteReader(_) => "Conn(SQLite, reader)",
            Inner::SqliteWriter(_) => "Conn(SQLite, writer)",
            Inner::Postgres(_) => "Conn(PostgreSQL)",
            Inner::PostgresTx(_) => "Conn(PostgreSQL, in transaction)",
        })
    }
}

macro_rules! bound {
    ($fn:ident, $database:ty, $arguments:ty) => {
        fn $fn(statement: Statement) -> Query<'static, $database, $arguments> {
            let mut query = sqlx::query(statement.text()).persistent(statement.kept);
            for value in statement.values {
                query = match value {
                    Value::Int(value) => query.bind(value),
                    Value::Text(value) => query.bind(value),
                    Value::Blob(value) => query.bind(value),
                };
            }
            query
        }
    };
}

bound!(sqlite_query, Sqlite, SqliteArguments);
bound!(postgres_query, Postgres, PgArguments);

/// Runs `$method` of the sqlx query on whichever connection this is.
macro_rules! run {
    ($self:ident, $statement:ident, $method:ident) => {
        match &mut $self.inner {
            Inner::SqliteReader(conn) => {
                Either::Sqlite(sqlite_query($statement).$method(&mut **conn).await?)
            }
            Inner::SqliteWriter(conn) => {
                Either::Sqlite(sqlite_query($statement).$method(&mut *conn).await?)
            }
            Inner::Postgres(conn) => {
                Either::Postgres(postgres_query($statement).$method(&mut **conn).await?)
            }
            Inner::PostgresTx(conn) => {
                Either::Postgres(postgres_query($statement).$method(&mut **conn).await?)
            }
        }
    };
}

enum Either<S, P> {
    Sqlite(S),
    Postgres(P),
}

impl Conn {
    /// Whether this is PostgreSQL, for the few statements that must differ.
    #[must_use]
    pub const fn is_postgres(&self) -> bool {
        matches!(self.inner, Inner::Postgres(_) | Inner::PostgresTx(_))
    }

    /// Runs it and says how many rows it changed.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn execute(&mut self, statement: Statement) -> Result<u64, DbError> {
        let done = self.run_execute(statement).await;
        self.note(done)
    }

    async fn run_execute(&mut self, statement: Statement) -> Result<u64, DbError> {
        Ok(match run!(self, statement, execute) {
            Either::Sqlite(done) => done.rows_affected(),
            Either::Postgres(done) => done.rows_affected(),
        })
    }

    /// All rows.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn all<T: FromRow>(&mut self, statement: Statement) -> Result<Vec<T>, DbError> {
        let rows = self.run_all(statement).await;
        self.note(rows)
    }

    async fn run_all<T: FromRow>(&mut self, statement: Statement) -> Result<Vec<T>, DbError> {
        match run!(self, statement, fetch_all) {
            Either::Sqlite(rows) => {
                rows.into_iter().map(|row| T::from_row(&Row::Sqlite(row))).collect()
            }
            Either::Postgres(rows) => {
                rows.into_iter().map(|row| T::from_row(&Row::Postgres(row))).collect()
            }
        }
    }

    /// The first row, if there is one.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn optional<T: FromRow>(
        &mut self,
        statement: Statement,
    ) -> Result<Option<T>, DbError> {
        let row = self.run_optional(statement).await;
        self.note(row)
    }

    async fn run_optional<T: FromRow>(
        &mut self,
        statement: Statement,
    ) -> Result<Option<T>, DbError> {
        let row = match run!(self, statement, fetch_optional) {
            Either::Sqlite(row) => row.map(Row::Sqlite),
            Either::Postgres(row) => row.map(Row::Postgres),
        };
        row.as_ref().map(T::from_row).transpose()
    }

    /// The one row there must be.
    ///
    /// # Errors
    /// [`DbError::Fault`] if there is none.
    pub async fn one<T: FromRow>(&mut self, statement: Statement) -> Result<T, DbError> {
        self.optional(statement).await?.ok_or(DbError::Fault(sqlx::Error::RowNotFound))
    }

    /// Tells the owner of an outage, so that the next caller is refused at once, and the
    /// transaction of its end.
    fn note<T>(&mut self, result: Result<T, DbError>) -> Result<T, DbError> {
        result.map_err(|error| {
            if let Inner::PostgresTx(session) = &mut self.inner {
                session.has_failed();
            }
            match &self.owner {
                Some(owner) => owner.noted(error),
                None => error,
            }
        })
    }
}
