//! An answer as it travels from a service to the gateway.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::{BlobRef, Extensions};
use crate::problem::Problem;

/// One answer, of any service. Frozen: see the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: StatusCode,
    /// The response headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Body,
    /// Set if the request was refused before a handler saw it, or lost on the way to one.
    pub refusal: Option<Refusal>,
    /// What this struct has no field for.
    pub extensions: Extensions,
}

/// A reply's body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// The bytes themselves.
    Inline(Bytes),
    /// Large or static content, which the edge streams from the blob store.
    Blob(BlobRef),
    /// A stream of events, which the edge keeps open and feeds.
    Stream {
        /// What the reader subscribes to.
        topics: Vec<String>,
        /// The last event the reader has.
        after_id: Option<String>,
    },
}

/// Why a service did not answer a request with an answer of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// At capacity. Nothing was done; another member may have room.
    Busy,
    /// The deadline had passed before work began. Nothing was done.
    DeadlinePassed,
    /// The member is leaving. Nothing was done; ask another.
    Draining,
    /// The message is of a shape this release does not know. Nothing was done.
    Unsupported,
    /// The worker died with the request in its hands. What was done is unknown; sending it
    /// again with the same idempotency key is safe.
    Aborted,
}

impl Refusal {
    /// Whether it is certain that the request left no trace.
    #[must_use]
    pub const fn nothing_was_done(self) -> bool {
        !matches!(self, Self::Aborted)
    }

    /// The word in metrics and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::DeadlinePassed => "deadline_passed",
            Self::Draining => "draining",
            Self::Unsupported => "unsupported",
            Self::Aborted => "aborted",
        }
    }
}

impl Reply {
    /// A refusal. The body is left to the gateway, which knows the service's name.
    #[must_use]
    pub fn refuse(refusal: Refusal) -> Self {
        let status = match refusal {
            Refusal::DeadlinePassed => StatusCode::GATEWAY_TIMEOUT,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self {
            status,
            headers: HeaderMap::new(),
            body: Body::Inline(Bytes::new()),
            refusal: Some(refusal),
            extensions: Extensions::default(),
        }
    }

    /// The problem as a reply.
    #[must_use]
    pub fn problem(problem: &Problem) -> Self {
        let json = serde_json::to_vec(&problem.body("")).unwrap_or_default();
        let (parts, ()) = problem.response("").map(|_| ()).into_parts();
        Self {
            status: parts.status,
            headers: parts.headers,
            body: Body::Inline(json.into()),
            refusal: None,
            extensions: Extensions::default(),
        }
    }

    /// An answer with a JSON body.
    #[must_use]
    pub fn json(status: StatusCode, json: impl Into<Bytes>) -> Self {
        let mut headers = HeaderMap::with_capacity(4);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Self {
            status,
            headers,
            body: Body::Inline(json.into()),
            refusal: None,
            extensions: Extensions::default(),
        }
    }
}
