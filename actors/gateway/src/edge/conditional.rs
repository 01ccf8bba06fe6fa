//! Entity tags on reads, and 304 for who has the answer already.

use http::{HeaderValue, Method, StatusCode, header, request};
use panel_kernel::http::etag;

use crate::compression::{Coding, of_coding};
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
    if let Some(tag) = matching(asked, tag) {
        outgoing.status = StatusCode::NOT_MODIFIED;
        outgoing.headers.insert(header::ETAG, tag);
        outgoing.emptied();
    }
}

fn tag_of(content: &Content) -> Option<String> {
    match content {
        Content::Bytes(bytes) => Some(etag::of_body(bytes)),
        Content::Blob(blob) => Some(etag::of_hash(&blob.sha256)),
        // What is kept has one.
        Content::Kept(_) | Content::Open(_) | Content::Announced(_) | Content::Stream { .. } => {
            None
        }
    }
}

/// The tag of what the client has, if that is this thing, in whatever coding. Weak comparison, as RFC 9110 asks for
/// `If-None-Match`.
fn matching(asked: &HeaderValue, tag: &HeaderValue) -> Option<HeaderValue> {
    let asked = asked.to_str().ok()?;
    if asked.trim() == "*" {
        return Some(tag.clone());
    }
    let own = opaque(tag.to_str().ok()?);
    let candidates = || asked.split(',').map(opaque);
    if candidates().any(|candidate| candidate == own) {
        return Some(tag.clone());
    }
    let coded = Coding::ALL.iter().filter_map(|coding| of_coding(tag, *coding));
    let mut coded = coded.filter(|coded| {
        coded.to_str().is_ok_and(|coded| candidates().any(|candidate| candidate == opaque(coded)))
    });
    coded.next()
}

/// A tag without the sign of its being weak.
fn opaque(tag: &str) -> &str {
    tag.trim().trim_start_matches("W/")
}
