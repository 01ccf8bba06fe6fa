//! What an answer says about being kept by the edge and by caches on the way (RFC 9111, RFC 5861).

use std::convert::Infallible;

use axum::response::{IntoResponseParts, ResponseParts};
use http::{HeaderValue, header};

use crate::message::Principal;

/// Fresh for a second, which a busy page has many readers in; ten minutes old if it must be.
const SHARED: &str = "public, max-age=0, s-maxage=1, stale-if-error=600";
/// Never fresh: each reader is heard of.
const STAND_IN: &str = "public, max-age=0, stale-if-error=600";

/// A part of an answer to a read: `Cache-Control`, if the answer is the same for everybody who is
/// not signed in. An answer for somebody says nothing, and is kept by nobody. One that depends on a
/// header of the request must name it in `Vary`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheFor(Option<&'static str>);

impl CacheFor {
    /// May be shown to others for a second, and for ten minutes while the service can't be asked.
    #[must_use]
    pub fn everybody(principal: &Principal) -> Self {
        Self::unless_signed_in(principal, SHARED)
    }

    /// May be shown to others while the service can't be asked, for ten minutes, and not before:
    /// for reads that count.
    #[must_use]
    pub fn outages(principal: &Principal) -> Self {
        Self::unless_signed_in(principal, STAND_IN)
    }

    fn unless_signed_in(principal: &Principal, control: &'static str) -> Self {
        Self((*principal == Principal::Anonymous).then_some(control))
    }
}

impl IntoResponseParts for CacheFor {
    type Error = Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Infallible> {
        if let Some(control) = self.0 {
            parts.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(control));
        }
        Ok(parts)
    }
}

#[cfg(test)]
mod tests {
    use axum::response::{IntoResponse as _, Response};

    use super::*;

    #[test]
    fn only_what_nobody_in_particular_reads_is_for_everybody() {
        let control = |cache: CacheFor| {
            let response: Response = (cache, "text").into_response();
            let value = response.headers().get(header::CACHE_CONTROL);
            value.map(|value| value.to_str().unwrap().to_owned())
        };
        let service = Principal::Service("forum".to_owned());
        assert_eq!(control(CacheFor::everybody(&Principal::Anonymous)).as_deref(), Some(SHARED));
        assert_eq!(control(CacheFor::outages(&Principal::Anonymous)).as_deref(), Some(STAND_IN));
        assert_eq!(control(CacheFor::everybody(&service)), None);
        assert_eq!(control(CacheFor::outages(&service)), None);
    }
}
