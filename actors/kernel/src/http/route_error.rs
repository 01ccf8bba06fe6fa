//! What a route refuses with.

use axum::response::{IntoResponse, Response};
use utoipa::IntoResponses;

use crate::data::DbError;
use crate::problem::{Kind, Problem, ProblemBody};

/// A refusal.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// There is no such thing, or not for this reader.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// Not allowed to this person.
    #[error("{0}")]
    Forbidden(&'static str),
    /// The state of the thing forbids it.
    #[error("{0}")]
    Conflict(&'static str),
    /// Refused before the service's own rules had a say: fields, cursors, preconditions.
    #[error("{}", .0.detail)]
    Refused(Problem),
    /// The database did not do it.
    #[error(transparent)]
    Database(DbError),
}

impl RouteError {
    /// Its kind in the closed set.
    #[must_use]
    pub fn kind(&self) -> Kind {
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

impl From<Problem> for RouteError {
    fn from(problem: Problem) -> Self {
        Self::Refused(problem)
    }
}

impl From<DbError> for RouteError {
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

impl From<RouteError> for Problem {
    fn from(error: RouteError) -> Self {
        match error {
            RouteError::Refused(problem) => problem,
            RouteError::Database(error) => Self::from(error),
            refusal => Self::new(refusal.kind(), refusal.to_string()),
        }
    }
}

impl IntoResponse for RouteError {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}

/// The same as a document tells it: any route may answer so.
#[derive(Debug, IntoResponses)]
#[response(status = "4XX", description = "A refusal", content_type = "application/problem+json")]
pub struct Refusal(#[allow(dead_code, reason = "only its shape matters")] ProblemBody);
