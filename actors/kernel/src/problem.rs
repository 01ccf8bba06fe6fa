//! Refusals: one closed set of kinds, each with one status, shown as problem details
//! (RFC 9457, `application/problem+json`).

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The media type of a problem.
pub const MEDIA_TYPE: &str = "application/problem+json";

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident, $name:literal, $status:ident, $title:literal;)*) => {
        /// What went wrong, as far as a client can tell.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Kind { $($(#[$doc])* $kind,)* }

        impl Kind {
            /// All kinds, for documents and tests.
            pub const ALL: &'static [Self] = &[$(Self::$kind),*];

            /// The name in `type` (`/problems/<name>`).
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name),* }
            }

            /// The HTTP status.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$kind => StatusCode::$status),* }
            }

            /// One line for people.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$kind => $title),* }
            }
        }
    };
}

kinds! {
    /// The request can't be understood.
    BadRequest, "bad_request", BAD_REQUEST, "The request can't be understood";
    /// Nobody is signed in, or the credentials are not good.
    Unauthorized, "unauthorized", UNAUTHORIZED, "Sign in first";
    /// Signed in, but not allowed.
    Forbidden, "forbidden", FORBIDDEN, "You may not do this";
    /// There is no such thing, or not for this reader.
    NotFound, "not_found", NOT_FOUND, "There is nothing here";
    /// The path exists, the method does not (`Allow` says which do).
    MethodNotAllowed, "method_not_allowed", METHOD_NOT_ALLOWED, "This method does not work here";
    /// The state of the thing forbids it.
    Conflict, "conflict", CONFLICT, "This conflicts with what is there";
    /// The address existed once and is gone for good.
    Gone, "gone", GONE, "This is gone for good";
    /// `If-Match` names a version that is no longer current.
    PreconditionFailed, "precondition_failed", PRECONDITION_FAILED, "Somebody else changed it first";
    /// The body is larger than this route takes.
    PayloadTooLarge, "payload_too_large", PAYLOAD_TOO_LARGE, "The body is too large";
    /// The part that is asked for lies behind the end of the file.
    RangeNotSatisfiable, "range_not_satisfiable", RANGE_NOT_SATISFIABLE, "The file has no such part";
    /// The URL is longer than the gateway takes.
    UriTooLong, "uri_too_long", URI_TOO_LONG, "The URL is too long";
    /// The body's media type is not one this route takes.
    UnsupportedMediaType, "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "This content type is not taken here";
    /// Understood, but fields are wrong (`errors` says which).
    Validation, "validation", UNPROCESSABLE_ENTITY, "Some fields are not right";
    /// The idempotency key was used with another request.
    IdempotencyMismatch, "idempotency_mismatch", UNPROCESSABLE_ENTITY, "This idempotency key belongs to another request";
    /// The route insists on `If-Match`.
    PreconditionRequired, "precondition_required", PRECONDITION_REQUIRED, "Say which version you change";
    /// Too much in too short a time (`Retry-After` says when).
    RateLimited, "rate_limited", TOO_MANY_REQUESTS, "Too many requests";
    /// The header fields are larger than the gateway takes.
    HeadersTooLarge, "headers_too_large", REQUEST_HEADER_FIELDS_TOO_LARGE, "The header fields are too large";
    /// A fault of ours. It cost this request and no other.
    Internal, "internal", INTERNAL_SERVER_ERROR, "Something broke on our side";
    /// A part is missing or overloaded at the moment (`service`, `Retry-After`).
    Unavailable, "unavailable", SERVICE_UNAVAILABLE, "This part is not available at the moment";
    /// The answer was not ready in time.
    DeadlineExceeded, "deadline_exceeded", GATEWAY_TIMEOUT, "The answer took too long";
}

impl Kind {
    /// The kind that stands for a bare HTTP status, for answers that libraries make.
    #[must_use]
    pub fn from_status(status: StatusCode) -> Self {
        Self::ALL
            .iter()
            .copied()
            .find(|kind| kind.status() == status)
            .unwrap_or(if status.is_server_error() { Self::Internal } else { Self::BadRequest })
    }
}

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldError {
    /// The path of the field, dotted; empty for the body as a whole.
    pub field: String,
    /// A stable word: `required`, `too_long`, `unknown`, …
    pub code: String,
    /// One sentence for people.
    pub message: String,
}

impl FieldError {
    /// One wrong field.
    pub fn new(field: impl Into<String>, code: &str, message: impl Into<String>) -> Self {
        Self { field: field.into(), code: code.to_owned(), message: message.into() }
    }
}

/// A refusal on its way to the client. The request id is added by the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Which of the closed set.
    pub kind: Kind,
    /// What is wrong with this very request.
    pub detail: String,
    /// For [`Kind::Validation`]: the fields.
    pub errors: Vec<FieldError>,
    /// For [`Kind::Unavailable`]: the service that is missing.
    pub service: Option<String>,
    /// Seconds until another try makes sense.
    pub retry_after: Option<u32>,
    /// A stable word for programs where the kind is too coarse (`totp_required`).
    pub code: Option<&'static str>,
    /// Whether the request may have had its effect all the same. Doing it again under the same
    /// idempotency key is safe, and the only way to know.
    pub outcome_unknown: bool,
}

/// On a response: nobody knows whether the request had its effect ([`Problem::outcome_unknown`]).
#[derive(Clone, Copy, Debug)]
pub struct OutcomeUnknown;

/// The JSON of a problem (RFC 9457).
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// `/problems/<kind>`.
    #[serde(rename = "type")]
    pub type_: String,
    /// One line for the kind.
    pub title: String,
    /// The HTTP status again.
    pub status: u16,
    /// One sentence for this case.
    pub detail: String,
    /// The id under which the logs know this request.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub request_id: String,
    /// For validation: which fields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// For unavailability: which service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// A stable word where the kind alone is too coarse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

impl Problem {
    /// A refusal of `kind` for the reason `detail`.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            errors: Vec::new(),
            service: None,
            retry_after: None,
            code: None,
            outcome_unknown: false,
        }
    }

    /// 422 for these fields.
    #[must_use]
    pub fn validation(errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [] => "the request is not valid".to_owned(),
            [one] if one.field.is_empty() => one.message.clone(),
            [one] => format!("{}: {}", one.field, one.message),
            many => format!("{} fields are not right", many.len()),
        };
        Self { errors, ..Self::new(Kind::Validation, detail) }
    }

    /// 422 for one field.
    #[must_use]
    pub fn field(field: &str, code: &str, message: impl Into<String>) -> Self {
        Self::validation(vec![FieldError::new(field, code, message)])
    }

    /// 404 for a thing of this name.
    #[must_use]
    pub fn not_found(thing: &str) -> Self {
        Self::new(Kind::NotFound, format!("there is no such {thing}"))
    }

    /// 503: `service` can't answer now.
    #[must_use]
    pub fn unavailable(service: &str, detail: impl Into<String>) -> Self {
        Self {
            service: Some(service.to_owned()),
            retry_after: Some(1),
            ..Self::new(Kind::Unavailable, detail)
        }
    }

    /// 500. What happened is in the logs, not in the answer.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(Kind::Internal, "the fault is logged under this request id")
    }

    /// 503: the connection to the database was lost in the middle of a commit.
    #[must_use]
    pub fn outcome_unknown() -> Self {
        let detail = "it is not known whether this was done; \
                      send it again with the same Idempotency-Key";
        let problem = Self::new(Kind::Unavailable, detail).retry_after(1);
        Self { outcome_unknown: true, ..problem }
    }

    /// Another try makes sense after `seconds`.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// With a stable word for programs.
    #[must_use]
    pub fn code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    /// The JSON body, with the request id where it is known.
    #[must_use]
    pub fn body(&self, request_id: &str) -> ProblemBody {
        ProblemBody {
            type_: format!("/problems/{}", self.kind.name()),
            title: self.kind.title().to_owned(),
            status: self.kind.status().as_u16(),
            detail: self.detail.clone(),
            request_id: request_id.to_owned(),
            errors: self.errors.clone(),
            service: self.service.clone(),
            code: self.code.map(str::to_owned),
        }
    }

    /// The whole answer, with the request id where it is known.
    #[must_use]
    pub fn response(&self, request_id: &str) -> Response {
        let json = serde_json::to_vec(&self.body(request_id)).unwrap_or_default();
        let mut response = (self.kind.status(), json).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.kind == Kind::Unauthorized {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.outcome_unknown {
            response.extensions_mut().insert(OutcomeUnknown);
        }
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.response("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_agree_with_their_status() {
        for kind in Kind::ALL {
            assert!(kind.status().is_client_error() || kind.status().is_server_error());
            assert_eq!(Kind::from_status(kind.status()).status(), kind.status());
        }
        assert_eq!(Kind::from_status(StatusCode::UNPROCESSABLE_ENTITY), Kind::Validation);
        assert_eq!(Kind::from_status(StatusCode::IM_A_TEAPOT), Kind::BadRequest);
        assert_eq!(Kind::from_status(StatusCode::BAD_GATEWAY), Kind::Internal);
    }

    #[test]
    fn an_answer_says_what_clients_rely_on() {
        let response = Problem::unavailable("forum", "no member is up").response("r-1");
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()["content-type"], MEDIA_TYPE);
        assert_eq!(response.headers()["retry-after"], "1");
        let response = Problem::new(Kind::Unauthorized, "x").into_response();
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
        let body =
            serde_json::to_value(Problem::field("title", "required", "is missing").body("r"));
        assert_eq!(
            body.unwrap(),
            serde_json::json!({
                "type": "/problems/validation", "title": "Some fields are not right",
                "status": 422, "detail": "title: is missing", "request_id": "r",
                "errors": [{"field": "title", "code": "required", "message": "is missing"}],
            })
        );
    }
}
