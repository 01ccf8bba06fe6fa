//! A request that may be answered from the cache.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use panel_kernel::http::etag;
use panel_kernel::message::{Body, Extensions, Reply};
use panel_kernel::time::Timestamp;

use super::control::{self, Lifetime};
use super::kept::Kept;
use crate::compression::Variants;
use crate::tags::Tags;

/// Tags of one answer; of more, the rest is not looked at, so such an answer is not kept.
const MOST_TAGS: usize = 16;

/// A request that may be answered from the cache.
pub(crate) struct Question<'r> {
    pub(crate) service: &'static str,
    /// Service, path and query.
    pub(super) place: Arc<str>,
    pub(super) headers: Cow<'r, HeaderMap>,
    /// The number of the last purge before it.
    pub(super) asked: u64,
    pub(super) asked_at: Timestamp,
}

impl Question<'_> {
    /// The same, for who outlives the request.
    pub(crate) fn to_owned(&self) -> Question<'static> {
        Question {
            service: self.service,
            place: Arc::clone(&self.place),
            headers: Cow::Owned(self.headers.clone().into_owned()),
            asked: self.asked,
            asked_at: self.asked_at,
        }
    }

    /// Whether it has a header of this name.
    pub(crate) fn has(&self, name: &HeaderName) -> bool {
        self.headers.contains_key(name)
    }

    /// Whether that is what this asks for.
    pub(crate) fn is_answered_by(&self, kept: &Kept) -> bool {
        kept.key == self.key(&kept.vary)
    }

    /// The key under which replies lie that depend on these headers.
    pub(super) fn key(&self, vary: &[HeaderName]) -> Arc<str> {
        if vary.is_empty() {
            return Arc::clone(&self.place);
        }
        let mut key = self.place.to_string();
        for name in vary {
            // Writing to a text can't fail.
            let _ = write!(key, "\n{name}:");
            for value in self.headers.get_all(name) {
                let _ = write!(key, " {value:?}");
            }
        }
        key.into()
    }

    /// The reply as it is kept, if it may be, with these tags.
    pub(super) fn keep(&self, reply: &Reply, tags: impl FnOnce() -> Option<Tags>) -> Option<Kept> {
        let Body::Inline(body) = &reply.body else { return None };
        if reply.status != StatusCode::OK {
            return None;
        }
        let lifetime = Lifetime::of(&reply.headers)?;
        let vary: Arc<[HeaderName]> = control::vary(&reply.headers)?.into();
        let tags = tags()?;
        if tags.len() > MOST_TAGS {
            return None;
        }
        let mut headers = reply.headers.clone();
        if let Some(outward) = control::outward(&headers) {
            headers.insert(header::CACHE_CONTROL, outward);
        }
        if let Ok(tag) = HeaderValue::from_str(&etag::of_body(body)) {
            headers.entry(header::ETAG).or_insert(tag);
        }
        Some(Kept {
            headers,
            // A copy: the bytes may be a small part of a large buffer.
            body: Bytes::copy_from_slice(body),
            route: reply.extensions.text(Extensions::ROUTE).map(str::to_owned),
            variants: Variants::default(),
            key: self.key(&vary),
            vary,
            lifetime,
            tags,
            asked: self.asked,
            asked_at: self.asked_at,
            shared_at: None,
        })
    }
}

/// Service, path and query, the parameters in the order of their names.
pub(super) fn place(service: &str, uri: &http::Uri) -> Arc<str> {
    let (path, query) = (uri.path(), uri.query().unwrap_or_default());
    let mut place = String::with_capacity(service.len() + path.len() + query.len() + 2);
    place.extend([service, " ", path, "?"]);
    if !query.contains('&') {
        place.push_str(query);
        return place.into();
    }
    let mut parameters: Vec<&str> = query.split('&').filter(|one| !one.is_empty()).collect();
    // Stable: of two with one name, the order may mean something.
    parameters.sort_by_key(|one| one.split('=').next());
    for (number, parameter) in parameters.into_iter().enumerate() {
        place.push_str(if number == 0 { "" } else { "&" });
        place.push_str(parameter);
    }
    place.into()
}
