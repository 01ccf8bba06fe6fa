//! Answers that are the same for everybody who is not signed in, kept for a moment, and longer for
//! when their service is gone.
//!
//! What is kept, and for how long, is the services' word: `Cache-Control` on their replies
//! ([`control`]). Whoever sends credentials is never answered from here, and what they are
//! answered is never kept, so a signed-in writer always reads what they wrote.
//!
//! Everybody else may see an answer that is `s-maxage` old, but not one from before a write that
//! went through this gateway: each write makes a new generation of its service's answers, and
//! those of older generations are not fresh. Writes through other gateways, and what services
//! change by themselves (views, new names), are seen when `s-maxage` is over.
//!
//! Memory is bounded by `gateway.cache_bytes`; what may not be shown any more goes, and what is read
//! least goes first.

mod control;
mod expiry;
mod flights;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request};
use panel_kernel::http::etag;
use panel_kernel::message::{Body, Extensions, Principal, Reply};
use panel_kernel::metrics::Metrics;
use panel_kernel::problem::{Kind, Problem};
use panel_kernel::time::Timestamp;
use prometheus::{IntCounterVec, IntGauge, Opts};

use control::Lifetime;
use expiry::WhenOfNoUse;
use flights::Flights;

use crate::compression::Variants;

/// The largest answer that is kept, with everything, in bytes.
const LARGEST: u32 = 1024 * 1024;
/// No two requests that are under way at one time were begun further apart.
const SAME_TIME: Duration = Duration::from_secs(300);
/// What an entry costs beside its texts, about.
const OVERHEAD: usize = 256;

/// Requests that carry one of these are not for the cache: credentials, and conditions that only
/// the service can judge.
const PERSONAL: [HeaderName; 5] = [
    header::AUTHORIZATION,
    header::COOKIE,
    HeaderName::from_static("x-api-key"),
    header::IF_MATCH,
    header::RANGE,
];

/// What a service was asked, and what came of it.
pub(crate) type Outcome = Result<Reply, Problem>;

/// The cache. Cheap to clone; clones share everything.
#[derive(Clone)]
pub(crate) struct Cache(Option<Arc<Inner>>);

struct Inner {
    slots: moka::sync::Cache<Arc<str>, Slot>,
    flights: Flights<Landing>,
    generations: HashMap<&'static str, AtomicU64>,
    requests: IntCounterVec,
    bytes: IntGauge,
}

/// What lies under a key.
#[derive(Clone)]
enum Slot {
    Kept(Arc<Kept>),
    /// Replies for this path depend on these headers, and lie under keys with their values.
    Varies(Arc<[HeaderName]>),
}

/// An answer that is kept.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) route: Option<String>,
    /// The body in other codings.
    pub(crate) variants: Variants,
    key: Arc<str>,
    vary: Arc<[HeaderName]>,
    lifetime: Lifetime,
    generation: u64,
    asked_at: Timestamp,
}

/// A request that may be answered from here.
pub(crate) struct Question<'r> {
    pub(crate) service: &'static str,
    /// Service, path and query.
    place: Arc<str>,
    headers: &'r HeaderMap,
    generation: u64,
    asked_at: Timestamp,
}

/// What came of a request, for all who wait for it.
#[derive(Clone)]
pub(crate) enum Landing {
    /// An answer for all of them.
    Kept(Arc<Kept>),
    /// An answer for the one who asked. Everybody else asks for themselves.
    Alone,
    /// No service, for any of them.
    Failed(Box<Outcome>),
}

/// A write that is under way. When this is dropped, all that was kept of its service is old.
pub(crate) struct Writing<'c>(Option<&'c AtomicU64>);

impl Writing<'_> {
    /// It was refused, so nothing has changed.
    pub(crate) const fn refused(&mut self) {
        self.0 = None;
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        if let Some(generation) = self.0 {
            generation.fetch_add(1, Ordering::AcqRel);
        }
    }
}

impl Cache {
    /// A cache of so many bytes for these services; of none, it keeps nothing.
    pub(crate) fn new(
        bytes: u64,
        services: impl Iterator<Item = &'static str>,
        metrics: &Metrics,
    ) -> prometheus::Result<Self> {
        if bytes == 0 {
            return Ok(Self(None));
        }
        let requests = IntCounterVec::new(
            Opts::new("panel_edge_cache_requests_total", "Requests that the cache could answer."),
            &["service", "result"],
        )?;
        let size = IntGauge::new("panel_edge_cache_bytes", "Answers kept, in bytes.")?;
        Ok(Self(Some(Arc::new(Inner {
            slots: moka::sync::Cache::builder()
                .max_capacity(bytes)
                .weigher(weight)
                .expire_after(WhenOfNoUse)
                .build(),
            flights: Flights::default(),
            generations: services.map(|name| (name, AtomicU64::new(0))).collect(),
            requests: metrics.register(requests)?,
            bytes: metrics.register(size)?,
        }))))
    }

    /// The request as a question to the cache, if it may be one.
    pub(crate) fn question<'r>(
        &self,
        service: &'static str,
        parts: &'r request::Parts,
        principal: &Principal,
        now: Timestamp,
    ) -> Option<Question<'r>> {
        let inner = self.0.as_ref()?;
        let reads = matches!(parts.method, Method::GET | Method::HEAD);
        let personal = PERSONAL.iter().any(|name| parts.headers.contains_key(name));
        if !reads || personal || *principal != Principal::Anonymous {
            return None;
        }
        Some(Question {
            service,
            place: place(service, &parts.uri),
            headers: &parts.headers,
            generation: inner.generations.get(service)?.load(Ordering::Acquire),
            asked_at: now,
        })
    }

    /// To be held while a request is under way that may change something.
    pub(crate) fn writing(&self, service: &str, method: &Method) -> Writing<'_> {
        let reads = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
        let inner = self.0.as_ref().filter(|_| !reads);
        Writing(inner.and_then(|inner| inner.generations.get(service)))
    }

    /// What is kept for a question, fresh or not.
    pub(crate) fn find(&self, question: &Question<'_>) -> Option<Arc<Kept>> {
        let slots = &self.0.as_ref()?.slots;
        let found = match slots.get(&question.place)? {
            Slot::Varies(names) => slots.get(&question.key(&names))?,
            found @ Slot::Kept(_) => found,
        };
        match found {
            Slot::Kept(kept) => Some(kept),
            Slot::Varies(_) => None,
        }
    }

    /// Asks, unless somebody does already: then waits for what comes of that.
    pub(crate) async fn join<F: Future<Output = Landing>>(
        &self,
        question: &Question<'_>,
        ask: impl FnOnce() -> F,
    ) -> Landing {
        let Some(inner) = &self.0 else { return ask().await };
        let key = match inner.slots.get(&question.place) {
            Some(Slot::Varies(names)) => question.key(&names),
            _ => Arc::clone(&question.place),
        };
        inner.flights.join(&(key, question.generation), ask).await
    }

    /// Keeps what came of a question, if it may be kept. What was kept before goes, unless the
    /// service can't be asked.
    pub(crate) fn land(&self, question: &Question<'_>, outcome: &Outcome) -> Landing {
        if is_failure(outcome) {
            return Landing::Failed(Box::new(outcome.clone()));
        }
        let Some(inner) = &self.0 else { return Landing::Alone };
        match outcome.as_ref().ok().and_then(|reply| question.keep(reply)) {
            Some(kept) => {
                let kept = Arc::new(kept);
                inner.store(question, &kept);
                if kept.only_stands_in() { Landing::Alone } else { Landing::Kept(kept) }
            }
            None => {
                if let Some(kept) = self.find(question) {
                    inner.slots.invalidate(&kept.key);
                }
                Landing::Alone
            }
        }
    }

    /// Counts how a question was answered.
    pub(crate) fn count(&self, question: &Question<'_>, result: &'static str) {
        if let Some(inner) = &self.0 {
            inner.requests.with_label_values(&[question.service, result]).inc();
        }
    }
}

impl Inner {
    fn store(&self, question: &Question<'_>, kept: &Arc<Kept>) {
        if weight(&kept.key, &Slot::Kept(Arc::clone(kept))) > LARGEST {
            return;
        }
        if !kept.vary.is_empty() {
            let names = Slot::Varies(Arc::clone(&kept.vary));
            self.slots.insert(Arc::clone(&question.place), names);
        }
        // Of two that were asked at the same time, what was asked last counts. (What is from far in
        // the future was asked before the clock was set back.)
        if let Some(Slot::Kept(other)) = self.slots.get(&kept.key)
            && other.asked_at > kept.asked_at
            && kept.asked_at.until(other.asked_at) < SAME_TIME
        {
            return;
        }
        self.slots.insert(Arc::clone(&kept.key), Slot::Kept(Arc::clone(kept)));
        self.slots.run_pending_tasks();
        self.bytes.set(i64::try_from(self.slots.weighted_size()).unwrap_or(i64::MAX));
    }
}

impl Question<'_> {
    /// The key under which replies lie that depend on these headers.
    fn key(&self, vary: &[HeaderName]) -> Arc<str> {
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

    fn keep(&self, reply: &Reply) -> Option<Kept> {
        let Body::Inline(body) = &reply.body else { return None };
        if reply.status != StatusCode::OK {
            return None;
        }
        let lifetime = Lifetime::of(&reply.headers)?;
        let vary: Arc<[HeaderName]> = control::vary(&reply.headers)?.into();
        let mut headers = reply.headers.clone();
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
            generation: self.generation,
            asked_at: self.asked_at,
        })
    }
}

impl Kept {
    /// Whether it may be shown instead of asking.
    pub(crate) fn is_fresh(&self, question: &Question<'_>) -> bool {
        self.generation == question.generation
            && self.is_within(self.lifetime.fresh, question.asked_at)
    }

    /// Whether it may be shown while its service can't be asked.
    pub(crate) fn may_stand_in(&self, now: Timestamp) -> bool {
        self.is_within(self.lifetime.fresh + self.lifetime.stale, now)
    }

    /// Whether it is kept only to stand in: each reader has the service asked.
    pub(crate) fn only_stands_in(&self) -> bool {
        self.lifetime.fresh.is_zero()
    }

    /// Whether it is what that question asks for.
    pub(crate) fn answers(&self, question: &Question<'_>) -> bool {
        self.key == question.key(&self.vary)
    }

    /// How old it is, in whole seconds.
    pub(crate) fn age(&self, now: Timestamp) -> u64 {
        self.asked_at.until(now).as_secs()
    }

    /// What is from the future was asked before the clock was set back: nobody knows its age.
    fn is_within(&self, life: std::time::Duration, now: Timestamp) -> bool {
        self.asked_at <= now && self.asked_at.until(now) < life
    }
}

/// Whether it means that the service can't be asked, for whatever reason.
pub(crate) fn is_failure(outcome: &Outcome) -> bool {
    let status = match outcome {
        Ok(reply) => reply.status,
        Err(Problem { kind: Kind::Unavailable | Kind::DeadlineExceeded, .. }) => return true,
        Err(_) => return false,
    };
    matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT)
}

/// Service, path and query, the parameters in the order of their names.
fn place(service: &str, uri: &http::Uri) -> Arc<str> {
    let mut parameters: Vec<&str> =
        uri.query().unwrap_or_default().split('&').filter(|one| !one.is_empty()).collect();
    // Stable: of two with one name, the order may mean something.
    parameters.sort_by_key(|one| one.split('=').next());
    format!("{service} {}?{}", uri.path(), parameters.join("&")).into()
}

fn weight(key: &Arc<str>, slot: &Slot) -> u32 {
    let inside = match slot {
        Slot::Varies(names) => names.iter().map(|name| name.as_str().len()).sum(),
        Slot::Kept(kept) => {
            let headers = kept.headers.iter();
            let headers = headers.map(|(name, value)| name.as_str().len() + value.len() + 64);
            // With its variants, which take as much at most.
            2 * kept.body.len() + kept.route.as_deref().map_or(0, str::len) + headers.sum::<usize>()
        }
    };
    u32::try_from(key.len() + inside + OVERHEAD).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
