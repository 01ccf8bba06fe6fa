//! Cross-origin requests, by an exact list of origins.

use http::{HeaderMap, HeaderValue, Method, StatusCode, header, request};

use crate::outgoing::{Content, Outgoing};

const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
const REQUEST_HEADERS: &str = "authorization, content-type, idempotency-key, if-match, \
                               if-none-match, range, if-range, x-csrf-token, x-request-id, x-panel-explain, traceparent";
const EXPOSED: &str = "etag, location, retry-after, x-request-id, idempotency-replayed, \
                       ratelimit, ratelimit-policy, age, x-panel-stale, accept-ranges, \
                       content-range, content-disposition, x-panel-explain, deprecation, \
                       sunset, link";
const MAX_AGE_SECONDS: &str = "600";

/// The origins that may call from browsers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cors {
    origins: Vec<HeaderValue>,
}

impl Cors {
    pub(crate) fn new(origins: &[String]) -> Self {
        let origins = origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok());
        Self { origins: origins.collect() }
    }

    /// Whether a page of one of them asks.
    pub(super) fn allows(&self, headers: &HeaderMap) -> bool {
        self.allowed(headers).is_some()
    }

    fn allowed<'h>(&self, headers: &'h HeaderMap) -> Option<&'h HeaderValue> {
        headers.get(header::ORIGIN).filter(|origin| self.origins.contains(origin))
    }

    /// The answer to a preflight, if this is one from a listed origin.
    pub(super) fn preflight(&self, parts: &request::Parts) -> Option<Outgoing> {
        let asks = parts.method == Method::OPTIONS
            && parts.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        if !asks {
            return None;
        }
        self.allowed(&parts.headers)?;
        let mut headers = HeaderMap::new();
        for (name, value) in [
            (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS),
            (header::ACCESS_CONTROL_MAX_AGE, MAX_AGE_SECONDS),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        Some(Outgoing { status: StatusCode::NO_CONTENT, headers, content: Content::EMPTY })
    }

    /// Marks the answer for the browser.
    pub(super) fn decorate(&self, request: &HeaderMap, response: &mut HeaderMap) {
        if self.origins.is_empty() {
            return;
        }
        response.append(header::VARY, HeaderValue::from_static("origin"));
        if let Some(origin) = self.allowed(request) {
            response.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            response
                .insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
        }
    }
}
