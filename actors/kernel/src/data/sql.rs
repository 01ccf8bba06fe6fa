//! Statements, values and rows, the same for both databases.
//!
//! Portable SQL, by experience: `$1` placeholders, `RETURNING`, `ON CONFLICT`; columns are
//! BIGINT, TEXT, BLOB/BYTEA and DOUBLE; times are BIGINT microseconds, flags are BIGINT 0/1,
//! JSON is TEXT. Why not sqlx's `Any`: `docs/adr/0003-database-access.md`.

use std::borrow::Cow;

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row as _, SqlSafeStr as _, SqlStr};

use super::{Conn, DbError};
use crate::ids::Id;
use crate::time::Timestamp;

/// A value bound to a statement. The `None`s know their type, as PostgreSQL wants.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// BIGINT.
    Int(Option<i64>),
    /// TEXT.
    Text(Option<String>),
    /// BLOB or BYTEA.
    Blob(Option<Vec<u8>>),
}

macro_rules! into_value {
    ($($type:ty, $value:ident => $built:expr;)*) => {
        $(impl From<$type> for Value {
            fn from($value: $type) -> Self { $built }
        })*
    };
}

into_value! {
    i64, v => Self::Int(Some(v));
    Option<i64>, v => Self::Int(v);
    u32, v => Self::Int(Some(i64::from(v)));
    u16, v => Self::Int(Some(i64::from(v)));
    bool, v => Self::Int(Some(i64::from(v)));
    Id, v => Self::Int(Some(v.raw()));
    Option<Id>, v => Self::Int(v.map(Id::raw));
    Timestamp, v => Self::Int(Some(v.as_micros()));
    Option<Timestamp>, v => Self::Int(v.map(Timestamp::as_micros));
    &str, v => Self::Text(Some(v.to_owned()));
    String, v => Self::Text(Some(v));
    &String, v => Self::Text(Some(v.clone()));
    Option<String>, v => Self::Text(v);
    Option<&str>, v => Self::Text(v.map(str::to_owned));
    Vec<u8>, v => Self::Blob(Some(v));
    &[u8], v => Self::Blob(Some(v.to_vec()));
    Option<Vec<u8>>, v => Self::Blob(v);
}

impl<const N: usize> From<[u8; N]> for Value {
    fn from(bytes: [u8; N]) -> Self {
        Self::Blob(Some(bytes.to_vec()))
    }
}

/// A statement with its values.
#[derive(Clone, Debug)]
#[must_use = "a statement does nothing until it is run"]
pub struct Statement {
    pub(super) text: Cow<'static, str>,
    pub(super) values: Vec<Value>,
    /// Whether the connection keeps it prepared.
    pub(super) kept: bool,
}

/// A statement written in the source.
pub fn sql(text: &'static str) -> Statement {
    Statement { text: Cow::Borrowed(text), values: Vec::new(), kept: true }
}

impl Statement {
    /// A statement put together from pieces written in the source (never from data: data is
    /// bound).
    pub const fn composed(text: String) -> Self {
        Self { text: Cow::Owned(text), values: Vec::new(), kept: true }
    }

    /// Binds the next value: the first is `$1`.
    pub fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Planned for its values each time, not for any: where these decide which way is short.
    pub fn once(mut self) -> Self {
        self.kept = false;
        self
    }

    pub(super) fn text(&self) -> SqlStr {
        match &self.text {
            Cow::Borrowed(text) => text.into_sql_str(),
            // Sound because of what `composed` asks of its callers.
            Cow::Owned(text) => AssertSqlSafe(text.clone()).into_sql_str(),
        }
    }
}

/// A reading statement that keeps others from changing the rows of `table` until the
/// transaction ends; rows that refer to them can still be added. SQLite has one writer and
/// needs no lock.
pub fn holding(conn: &Conn, text: &'static str, table: &str) -> Statement {
    if conn.is_postgres() {
        Statement::composed(format!("{text} FOR NO KEY UPDATE OF {table}"))
    } else {
        sql(text)
    }
}

/// One row of an answer.
#[derive(Debug)]
pub enum Row {
    /// From SQLite.
    Sqlite(SqliteRow),
    /// From PostgreSQL.
    Postgres(PgRow),
}

impl Row {
    /// The value in column `at` (0 is the first).
    ///
    /// # Errors
    /// [`DbError::Fault`] if the column is of another type, or missing.
    pub fn get<T: Cell>(&self, at: usize) -> Result<T, DbError> {
        match self {
            Self::Sqlite(row) => T::from_sqlite(row, at),
            Self::Postgres(row) => T::from_postgres(row, at),
        }
        .map_err(DbError::Fault)
    }
}

/// What a column can be read as.
pub trait Cell: Sized {
    /// From SQLite.
    ///
    /// # Errors
    /// If the column is of another type, or missing.
    fn from_sqlite(row: &SqliteRow, at: usize) -> Result<Self, sqlx::Error>;

    /// From PostgreSQL.
    ///
    /// # Errors
    /// If the column is of another type, or missing.
    fn from_postgres(row: &PgRow, at: usize) -> Result<Self, sqlx::Error>;
}

macro_rules! plain_cell {
    ($($type:ty),*) => {
        $(impl Cell for $type {
            fn from_sqlite(row: &SqliteRow, at: usize) -> Result<Self, sqlx::Error> {
                row.try_get(at)
            }
            fn from_postgres(row: &PgRow, at: usize) -> Result<Self, sqlx::Error> {
                row.try_get(at)
            }
        })*
    };
}

plain_cell!(i64, String, Vec<u8>, Option<i64>, Option<String>, Option<Vec<u8>>);

macro_rules! mapped_cell {
    ($($type:ty, $from:ty, $value:ident => $built:expr;)*) => {
        $(impl Cell for $type {
            fn from_sqlite(row: &SqliteRow, at: usize) -> Result<Self, sqlx::Error> {
                <$from>::from_sqlite(row, at).map(|$value| $built)
            }
            fn from_postgres(row: &PgRow, at: usize) -> Result<Self, sqlx::Error> {
                <$from>::from_postgres(row, at).map(|$value| $built)
            }
        })*
    };
}

mapped_cell! {
    bool, i64, v => v != 0;
    Id, i64, v => Self::from_raw(v);
    Option<Id>, Option<i64>, v => v.map(Id::from_raw);
    Timestamp, i64, v => Self::from_micros(v);
    Option<Timestamp>, Option<i64>, v => v.map(Timestamp::from_micros);
}

/// What a whole row can be read as.
pub trait FromRow: Sized {
    /// Reads the columns in the order of the statement.
    ///
    /// # Errors
    /// [`DbError::Fault`] if they are not what was expected.
    fn from_row(row: &Row) -> Result<Self, DbError>;
}

/// Whatever the columns are.
impl FromRow for Vec<Value> {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        let columns = match row {
            Row::Sqlite(row) => row.len(),
            Row::Postgres(row) => row.len(),
        };
        let value = |at| {
            let int = row.get(at).map(Value::Int);
            let text = int.or_else(|_| row.get(at).map(Value::Text));
            text.or_else(|_| row.get(at).map(Value::Blob))
        };
        (0..columns).map(value).collect()
    }
}

macro_rules! tuple_from_row {
    ($($name:ident $at:literal),*) => {
        impl<$($name: Cell),*> FromRow for ($($name,)*) {
            fn from_row(row: &Row) -> Result<Self, DbError> {
                Ok(($(row.get::<$name>($at)?,)*))
            }
        }
    };
}

tuple_from_row!(A 0);
tuple_from_row!(A 0, B 1);
tuple_from_row!(A 0, B 1, C 2);
tuple_from_row!(A 0, B 1, C 2, D 3);
tuple_from_row!(A 0, B 1, C 2, D 3, E 4);
tuple_from_row!(A 0, B 1, C 2, D 3, E 4, F 5);

/// Implements [`FromRow`] for a struct whose fields are the columns, in order.
#[macro_export]
macro_rules! from_row {
    ($type:ident { $($field:ident),* $(,)? }) => {
        impl $crate::data::FromRow for $type {
            fn from_row(row: &$crate::data::Row) -> Result<Self, $crate::data::DbError> {
                let mut columns = 0..;
                let mut next = || columns.next().unwrap_or(usize::MAX);
                Ok(Self { $($field: row.get(next())?),* })
            }
        }
    };
}
