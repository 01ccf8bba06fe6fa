//! What every answer carries.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::Exchange;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Pages may set their own content policy; everything else is data and may load nothing.
const DATA_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

pub(super) fn headers(headers: &mut HeaderMap, exchange: &Exchange) {
    if let Ok(id) = HeaderValue::from_str(&exchange.request_id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(DATA_POLICY));
    // What has no policy of its own is asked for again each time; the entity tag makes that
    // cheap.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("private, no-cache"));
}
