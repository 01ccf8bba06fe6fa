//! What can go wrong with a database, told apart by what the caller may do about it.

use crate::faults::Injected;
use crate::problem::{Kind, Problem};

/// A failed database operation.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// The database can't be reached or is not ready. Nothing was done.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// Too many writes are waiting already, or every connection is taken. Nothing was done.
    #[error("too much is waiting for the database")]
    Busy,
    /// A unique constraint forbids it. Nothing was done.
    #[error("a unique constraint forbids it")]
    Unique,
    /// A text contains what no text may: the character NUL. Nothing was done.
    #[error("a text contains the character NUL")]
    BadText,
    /// It conflicted with a concurrent transaction (deadlock, lock timeout). Nothing was done,
    /// and another try makes sense.
    #[error("conflict with a concurrent transaction")]
    Contention,
    /// The server ended the session in the middle of a transaction: somebody took it for that of a node that
    /// has fallen silent, or it idled. Nothing was done, and another try makes sense.
    #[error("the session was ended: {0}")]
    Ended(String),
    /// The connection was lost while committing. Whether it was done is unknown; doing it again
    /// under the same idempotency key is safe.
    #[error("the outcome is unknown: {0}")]
    OutcomeUnknown(String),
    /// The lease under which this was done is somebody else's now. Nothing was done.
    #[error("the lease is lost")]
    LeaseLost,
    /// There is no number to make ids with: every one is held by another process. Nothing was done.
    #[error("every number for ids is taken")]
    NoNumber,
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

    /// Whether it may be another time the next time: what is tried again changes nothing that was done already.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        !matches!(self, Self::Fault(_) | Self::BadText | Self::LeaseLost)
    }

    /// Whether the database itself is the trouble, not this one statement.
    #[must_use]
    pub const fn is_outage(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Ended(_))
    }
}

impl DbError {
    /// By SQLite's primary result code, the lower byte of the extended one.
    fn from_sqlite(code: u32, error: sqlx::Error) -> Self {
        match code & 0xff {
            // Busy, locked.
            5 | 6 => Self::Contention,
            // Read-only, I/O error, can't open, disk full.
            8 | 10 | 13 | 14 => Self::Unavailable(error.to_string()),
            _ => Self::Fault(error),
        }
    }

    /// By SQLSTATE.
    fn from_postgres(state: &str, error: sqlx::Error) -> Self {
        match state {
            // Deadlock, serialisation failure, lock timeout, statement timeout.
            "40P01" | "40001" | "55P03" | "57014" => Self::Contention,
            // No place for one more session; those there are go on.
            "53300" => Self::Busy,
            // Our own session was ended: by somebody, or because it idled in a transaction.
            "57P01" | "25P03" => Self::Ended(error.to_string()),
            // The server crashed or is starting, the disk is full, the server only reads.
            "57P02" | "57P03" | "53100" | "25006" => Self::Unavailable(error.to_string()),
            // A character that a text can't have: NUL.
            "22021" | "22P05" => Self::BadText,
            _ => Self::Fault(error),
        }
    }
}

impl From<sqlx::Error> for DbError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(database) => {
                if database.is_unique_violation() {
                    return Self::Unique;
                }
                let code = database.code().map(std::borrow::Cow::into_owned);
                let is_sqlite = database.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some();
                match code.as_deref() {
                    Some(code) if is_sqlite => Self::from_sqlite(code.parse().unwrap_or(0), error),
                    Some(code) => Self::from_postgres(code, error),
                    None => Self::Fault(error),
                }
            }
            // The pool is in use by others; that says nothing of the database.
            sqlx::Error::PoolTimedOut => Self::Busy,
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed => Self::Unavailable(error.to_string()),
            _ => Self::Fault(error),
        }
    }
}

impl From<Injected> for DbError {
    fn from(fault: Injected) -> Self {
        Self::Unavailable(fault.to_string())
    }
}

impl From<DbError> for Problem {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Unavailable(why) => {
                tracing::debug!(why, "no database for this request");
                Self::new(Kind::Unavailable, "the database is not available").retry_after(1)
            }
            // The gateway sends it again, under the same key.
            DbError::Ended(why) => {
                tracing::debug!(why, "the session of this request was ended");
                Self::outcome_unknown()
            }
            DbError::OutcomeUnknown(why) => {
                tracing::warn!(why, "the outcome of a write is unknown");
                Self::outcome_unknown()
            }
            DbError::Busy | DbError::Contention => {
                Self::new(Kind::Unavailable, "the database has no room for this request now")
                    .retry_after(1)
            }
            DbError::NoNumber => {
                Self::new(Kind::Unavailable, "too many nodes make ids at the moment").retry_after(1)
            }
            DbError::BadText => Self::field("", "characters", "must not contain the character NUL"),
            DbError::Unique => Self::new(Kind::Conflict, "this exists already"),
            DbError::LeaseLost => Self::new(Kind::Conflict, "another node does this now"),
            DbError::Fault(why) => {
                tracing::error!(%why, "database fault");
                Self::internal()
            }
        }
    }
}
