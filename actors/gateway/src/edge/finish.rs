//! What every answer carries.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use panel_kernel::identity::SiteCookie;

use super::{Exchange, cache_status};
use crate::cache::control::outward;
use crate::cdn::Labels;
use crate::tls::TlsConfig;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Pages may set their own content policy; everything else is data and may load nothing.
const DATA_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// The headers that say who asks.
const CREDENTIALS: &str = "authorization, cookie, x-api-key";

/// How many headers answers get here and after this, of limits and of who asks from another origin.
const MOST: usize = 15;

/// Takes a browser's cookie away, unless the answer has another for it.
pub(super) fn without_cookie(headers: &mut HeaderMap, cookie: SiteCookie) {
    if let Ok(clear) = HeaderValue::from_str(&cookie.clear()) {
        headers.entry(header::SET_COOKIE).or_insert(clear);
    }
}

/// What browsers are told of TLS (RFC 6797, 6.1): for how long they are to ask for this host under it alone.
pub(crate) fn hsts(tls: &TlsConfig) -> Option<HeaderValue> {
    let seconds = tls.hsts.0.as_secs();
    if !tls.is_on() || seconds == 0 {
        return None;
    }
    HeaderValue::try_from(format!("max-age={seconds}")).ok()
}

pub(super) fn headers(
    headers: &mut HeaderMap,
    exchange: &Exchange,
    (hsts, cdn): (Option<&HeaderValue>, Option<&Labels>),
) {
    // At once, and not twice on the way: there are more from here on.
    headers.reserve(MOST);
    if let Ok(id) = HeaderValue::from_str(&exchange.request_id) {
        headers.insert(REQUEST_ID, id);
    }
    // In the clear it means nothing (RFC 6797, 7.2).
    if let Some(hsts) = hsts.filter(|_| exchange.is_tls) {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, hsts.clone());
    }
    if let Some(status) = exchange.cache_status.and_then(cache_status::CacheStatus::value) {
        headers.insert(cache_status::NAME, status);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(DATA_POLICY));
    if let Some(control) = outward(headers) {
        headers.insert(header::CACHE_CONTROL, control);
    }
    // What has no policy of its own is asked for again each time; the entity tag makes that
    // cheap.
    let control = headers.entry(header::CACHE_CONTROL);
    let control = control.or_insert(HeaderValue::from_static("private, no-cache"));
    // What is for everybody is so for everybody who sends no credentials. Caches on the way must
    // not show it to others.
    if control.as_bytes().starts_with(b"public") {
        headers.append(header::VARY, HeaderValue::from_static(CREDENTIALS));
        if let Some(cdn) = cdn {
            cdn.finish(headers);
        }
    }
}
