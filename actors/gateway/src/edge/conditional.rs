//! Entity tags on reads, and 304 for who has the answer already.

use http::{HeaderValue, Method, StatusCode, header, request};
use panel_kernel::http::etag;

use crate::outgoing::{Content, Outgoing};

pub(super) fn apply(parts: &request::Parts, outgoing: &mut Outgoing) {
    let is_read = matches!(parts.method, Method::GET | Method::HEAD);
    if !is_read || outgoing.status != StatusCode::OK {
        return;
    }
    if !outgoing.headers.contains_key(header::ETAG)
        && let Some(tag) = tag_of(&outgoing.content)
        && let Ok(tag) = HeaderValue::from_str(&tag)
    {
        outgoing.headers.insert(header::ETAG, tag);
    }
    let Some(asked) = parts.headers.get(header::IF_NONE_MATCH) else { return };
    let Some(tag) = outgoing.headers.get(header::ETAG) else { return };
    if matches(asked, tag) {
        outgoing.status = StatusCode::NOT_MODIFIED;
        outgoing.headers.remove(header::CONTENT_TYPE);
        outgoing.emptied();
    }
}

fn tag_of(content: &Content) -> Option<String> {
    match content {
        Content::Bytes(bytes) => Some(etag::of_body(bytes)),
        Content::Blob(blob) => Some(etag::of_hash(&blob.sha256)),
        Content::Open(_) | Content::Announced(_) | Content::Stream { .. } => None,
    }
}

/// Weak comparison, as RFC 9110 asks for `If-None-Match`.
fn matches(asked: &HeaderValue, tag: &HeaderValue) -> bool {
    let (Ok(asked), Ok(tag)) = (asked.to_str(), tag.to_str()) else { return false };
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    asked.trim() == "*" || asked.split(',').any(|candidate| opaque(candidate) == opaque(tag))
}
