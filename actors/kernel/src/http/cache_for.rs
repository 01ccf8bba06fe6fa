//! What an answer says about being kept by the edge (RFC 9111, RFC 5861), and by which tags it is made old.

use std::convert::Infallible;

use axum::response::{IntoResponseParts, ResponseParts};
use http::{HeaderValue, header};

use crate::message::Principal;

/// Fresh for a second, which a busy page has many readers in; for ten more it is shown while it is asked for anew,
/// so that nobody waits for that; a day old if it must be.
const SHARED: &str =
    "public, max-age=0, s-maxage=1, stale-while-revalidate=10, stale-if-error=86400";
/// Never fresh: each reader is heard of.
const STAND_IN: &str = "public, max-age=0, stale-if-error=86400";

/// For a year, which is for ever: what has another content has another name.
const EVER: &str = "public, max-age=31536000, immutable";

/// A part of an answer to a read: `Cache-Control`, if the answer is the same for everybody who is
/// not signed in. An answer for somebody says nothing, and is kept by nobody. One that depends on a
/// header of the request must name it in `Vary`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheFor {
    control: Option<&'static str>,
    tags: Vec<String>,
}

/// The tag of another service, as an answer of this one carries it in which its words are shown.
#[must_use]
pub fn tag_of(service: &str, tag: &str) -> String {
    format!("{service}/{tag}")
}

/// The tags of an answer, in its extensions.
#[derive(Clone, Debug)]
pub(crate) struct Tags(pub(crate) Vec<String>);

impl CacheFor {
    /// May be shown to others: for a second; for ten more while it is asked for anew; and for a day while the
    /// service can't be asked. What a write makes old is shown only in the last case, and what it removes in
    /// none ([`purge`](crate::purge)).
    #[must_use]
    pub fn everybody(principal: &Principal) -> Self {
        Self::unless_signed_in(principal, SHARED)
    }

    /// May be shown to others while the service can't be asked, for a day, and not before:
    /// for reads that count.
    #[must_use]
    pub fn outages(principal: &Principal) -> Self {
        Self::unless_signed_in(principal, STAND_IN)
    }

    /// May be kept by everybody, whoever asks, for as long as they like: what is named by its content.
    #[must_use]
    pub const fn ever() -> Self {
        Self { control: Some(EVER), tags: Vec::new() }
    }

    /// With tags by which writes make it old ([`Tx::makes_old`](crate::data::Tx::makes_old)): few, coarse, without
    /// spaces and slashes, but for those of others ([`tag_of`]). An answer without any is made old by what makes everything of its service old, and by nothing else.
    #[must_use]
    pub fn tagged<T: Into<String>>(mut self, tags: impl IntoIterator<Item = T>) -> Self {
        self.tags.extend(tags.into_iter().map(Into::into));
        self
    }

    fn unless_signed_in(principal: &Principal, control: &'static str) -> Self {
        let control = (*principal == Principal::Anonymous).then_some(control);
        Self { control, tags: Vec::new() }
    }
}

impl IntoResponseParts for CacheFor {
    type Error = Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Infallible> {
        if let Some(control) = self.control {
            parts.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(control));
            if !self.tags.is_empty() {
                parts.extensions_mut().insert(Tags(self.tags));
            }
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
        assert_eq!(control(CacheFor::ever()).as_deref(), Some(EVER));
        assert_eq!(control(CacheFor::everybody(&service)), None);
        assert_eq!(control(CacheFor::outages(&service)), None);
    }

    #[test]
    fn tags_go_beside_the_answer_and_never_with_it() {
        let tagged = |principal: &Principal| {
            let cache = CacheFor::everybody(principal).tagged(["threads", "thread:1"]);
            let response: Response = (cache, "text").into_response();
            let names = response.headers().keys().map(ToString::to_string).collect::<Vec<_>>();
            assert!(names.iter().all(|name| !name.contains("tag")), "{names:?}");
            response.extensions().get::<Tags>().map(|Tags(tags)| tags.clone())
        };
        let tags = tagged(&Principal::Anonymous).unwrap();
        assert_eq!(tags, ["threads", "thread:1"]);
        assert_eq!(tagged(&Principal::Service("forum".to_owned())), None);
    }
}
