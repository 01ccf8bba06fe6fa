//! An answer that stays open, and is fed by the edge.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};

/// A stream of events (`text/event-stream`): the edge keeps it open, sends what is pushed for these topics,
/// and asks the service for what the reader has missed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventStream {
    /// What the reader listens to.
    pub topics: Vec<String>,
    /// The last event the reader has.
    pub after_id: Option<String>,
}

impl IntoResponse for EventStream {
    fn into_response(self) -> Response {
        let mut response = Response::default();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        // For proxies that would wait for more before they pass it on.
        headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
        response.extensions_mut().insert(self);
        response
    }
}
