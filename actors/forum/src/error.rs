//! What a route of the forum refuses with.

use axum::response::{IntoResponse, Response};
use panel_kernel::data::DbError;
use panel_kernel::problem::{Kind, Problem};

/// A refusal.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ForumError {
    /// There is no such thing, or not for this reader.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// Not allowed to this person.
    #[error("{0}")]
    Forbidden(&'static str),
    /// The state of the thing forbids it.
    #[error("{0}")]
    Conflict(&'static str),
    /// Refused before the forum's own rules had a say: fields, cursors, preconditions.
    #[error("{}", .0.detail)]
    Refused(Problem),
    /// The database did not do it.
    #[error(transparent)]
    Database(DbError),
}

impl ForumError {
    /// Its kind in the closed set.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::NotFound(_) => Kind::NotFound,
            Self::Forbidden(_) => Kind::Forbidden,
            Self::Conflict(_) | Self::Database(DbError::Unique | DbError::LeaseLost) => {
                Kind::Conflict
            }
            Self::Refused(problem) => problem.kind,
            Self::Database(DbError::Fault(_)) => Kind::Internal,
            Self::Database(_) => Kind::Unavailable,
        }
    }
}

impl From<Problem> for ForumError {
    fn from(problem: Problem) -> Self {
        Self::Refused(problem)
    }
}

impl From<DbError> for ForumError {
    fn from(error: DbError) -> Self {
        match &error {
            // What this refers to went away, or something new refers to what was to go away,
            // between the look and the deed.
            DbError::Fault(sqlx::Error::Database(database))
                if database.is_foreign_key_violation() =>
            {
                Self::Conflict("somebody else changed this at the same moment; try again")
            }
            _ => Self::Database(error),
        }
    }
}

impl From<ForumError> for Problem {
    fn from(error: ForumError) -> Self {
        match error {
            ForumError::Refused(problem) => problem,
            ForumError::Database(error) => Self::from(error),
            refusal => Self::new(refusal.kind(), refusal.to_string()),
        }
    }
}

impl IntoResponse for ForumError {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}
