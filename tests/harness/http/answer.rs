//! An answer, and what every answer of its kind must have.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A whole answer.
#[derive(Clone)]
pub struct Answer {
    pub(super) asked: String,
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// A refusal (RFC 9457), as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Problem {
    /// `/problems/<kind>`.
    #[serde(rename = "type")]
    pub type_: String,
    /// One line for the kind.
    pub title: String,
    /// The status again.
    pub status: u16,
    /// One sentence for this case.
    pub detail: String,
    /// The id under which the logs know the request.
    pub request_id: String,
    /// For validation: which fields.
    #[serde(default)]
    pub errors: Vec<FieldProblem>,
    /// For unavailability: which service.
    pub service: Option<String>,
    /// A stable word where the kind alone is too coarse.
    pub code: Option<String>,
}

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct FieldProblem {
    /// Its dotted path.
    pub field: String,
    /// A stable word.
    pub code: String,
    /// One sentence for people.
    pub message: String,
}

impl Problem {
    /// The kind: the last segment of `type`.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.type_.strip_prefix("/problems/").unwrap_or(&self.type_)
    }

    /// The fields that are wrong, each with its code.
    #[must_use]
    pub fn fields(&self) -> Vec<(&str, &str)> {
        self.errors.iter().map(|error| (error.field.as_str(), error.code.as_str())).collect()
    }
}

#[allow(
    clippy::must_use_candidate,
    clippy::return_self_not_must_use,
    reason = "a test may want no more than the check"
)]
impl Answer {
    /// Goes on with the answer if it has this status.
    ///
    /// # Panics
    /// If it has another; prints the whole answer.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert!(self.status == status, "expected {status}: {self:?}");
        self
    }

    /// The body as JSON.
    #[track_caller]
    #[must_use]
    pub fn json(&self) -> Value {
        self.json_as()
    }

    /// The body as JSON of a type.
    #[track_caller]
    #[must_use]
    pub fn json_as<T: DeserializeOwned>(&self) -> T {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("{error}: {self:?}"),
        }
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// How much older than its question this may be, by its own word: `s-maxage`, or its `Age` where that is
    /// more; [`Duration::MAX`] if it stands in for an answer that could not be had.
    #[must_use]
    pub fn staleness(&self) -> Duration {
        if self.headers.contains_key("x-panel-stale") {
            return Duration::MAX;
        }
        let mut directives = self.header("cache-control").unwrap_or_default().split(',');
        let shared = directives.find_map(|one| one.trim().strip_prefix("s-maxage=")?.parse().ok());
        let age = self.header("age").and_then(|age| age.parse::<u64>().ok());
        // In whole seconds.
        let seconds = shared.map_or(0, |shared: u64| shared.max(age.map_or(0, |age| age + 1)));
        Duration::from_secs(seconds)
    }

    /// The refusal with this status and of this kind.
    #[track_caller]
    pub fn refused(&self, status: u16, kind: &str) -> Problem {
        let problem = self.problem();
        assert!(
            self.status == status && problem.kind() == kind,
            "expected {status} {kind}: {self:?}"
        );
        problem
    }

    /// The refusal, having all that refusals have: media type, the five members, the request id
    /// of the header, and the headers its status calls for.
    #[track_caller]
    pub fn problem(&self) -> Problem {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem: Problem = self.json_as();
        assert_eq!(problem.status, self.status.as_u16(), "{self:?}");
        assert!(problem.type_.starts_with("/problems/"), "{self:?}");
        assert!(!problem.title.is_empty() && !problem.detail.is_empty(), "{self:?}");
        assert!(!problem.request_id.is_empty(), "{self:?}");
        assert_eq!(self.header("x-request-id"), Some(problem.request_id.as_str()), "{self:?}");
        let must_have = match self.status.as_u16() {
            401 => Some("www-authenticate"),
            405 => Some("allow"),
            429 | 503 => Some("retry-after"),
            _ => None,
        };
        if let Some(name) = must_have {
            assert!(self.headers.contains_key(name), "no {name}: {self:?}");
        }
        match problem.kind() {
            "validation" => assert!(!problem.errors.is_empty(), "no errors: {self:?}"),
            "unavailable" => assert!(problem.service.is_some(), "no service: {self:?}"),
            _ => {}
        }
        problem
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{} answered {}", self.asked, self.status)?;
        for (name, value) in &self.headers {
            writeln!(f, "    {name}: {}", String::from_utf8_lossy(value.as_bytes()))?;
        }
        write!(f, "\n{}", self.text())
    }
}
