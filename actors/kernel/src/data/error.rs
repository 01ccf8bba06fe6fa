//! What can go wrong with a database, told apart by what the caller may do about it.

use crate::problem::{Kind, Problem};

/// A failed database operation.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// The database can't be reached or is not ready. Nothing was done.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// Too many writes are waiting already. Nothing was done.
    #[error("too many writes are waiting")]
    Busy,
    /// A unique constraint forbids it. Nothing was done.
    #[error("a unique constraint forbids it")]
    Unique,
    /// It conflicted with a concurrent transaction (deadlock, lock timeout). Nothing was done,
    /// and another try makes sense.
    #[error("conflict with a concurrent transaction")]
    Contention,
    /// The connection was lost while committing. Whether it was done is unknown; doing it again
    /// under the same idempotency key is safe.
    #[error("the outcome is unknown: {0}")]
    OutcomeUnknown(String),
    /// The lease under which this was done is somebody else's now. Nothing was done.
    #[error("the lease is lost")]
    LeaseLost,
    /// A fault in a statement or in the data. Nothing was done.
    #[error("database fault: {0}")]
    Fault(#[source] sqlx::Error),
}

impl DbError {
    /// Whether it is certain that nothing was done.
    #[must_use]
    pub const fn nothing_was_done(&self) -> bool {
        !matches!(self, Self::OutcomeUnknown(_))
    }

    /// Whether the database itself is the trouble, not this one statement.
    #[must_use]
    pub const fn is_outage(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

impl From<sqlx::Error> for DbError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(database) => {
                if database.is_unique_violation() {
                    return Self::Unique;
                }
                match database.code().as_deref() {
                    // PostgreSQL: deadlock, serialisation failure, lock timeout.
                    Some("40P01" | "40001" | "55P03") => Self::Contention,
                    // PostgreSQL: our own session was cut (shutdown, crash, idle in transaction).
                    Some("57P01" | "57P02" | "57P03" | "25P03" | "53300") => {
                        Self::Unavailable(error.to_string())
                    }
                    // SQLite: busy and locked, with their extended codes in the upper bytes.
                    Some(code) if matches!(code.parse::<u32>().map(|c| c & 0xff), Ok(5 | 6)) => {
                        Self::Contention
                    }
                    // SQLite: an I/O error, a file that can't be opened, a full disk.
                    Some(code)
                        if matches!(code.parse::<u32>().map(|c| c & 0xff), Ok(10 | 13 | 14)) =>
                    {
                        Self::Unavailable(error.to_string())
                    }
                    _ => Self::Fault(error),
                }
            }
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed => Self::Unavailable(error.to_string()),
            _ => Self::Fault(error),
        }
    }
}

impl From<DbError> for Problem {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Unavailable(_) | DbError::OutcomeUnknown(_) => Self {
                retry_after: Some(1),
                ..Self::new(Kind::Unavailable, "the database is not available")
            },
            DbError::Busy | DbError::Contention => Self {
                retry_after: Some(1),
                ..Self::new(Kind::Unavailable, "too many writes at once")
            },
            DbError::Unique => Self::new(Kind::Conflict, "this exists already"),
            DbError::LeaseLost => Self::new(Kind::Conflict, "another node does this now"),
            DbError::Fault(why) => {
                tracing::error!(%why, "database fault");
                Self::internal()
            }
        }
    }
}
