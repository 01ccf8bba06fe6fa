//! Answers that are the same for everybody who is not signed in, kept for a moment, and longer for
//! when their service is gone.
//!
//! What is kept, and for how long, is the services' word: `Cache-Control` on their replies
//! ([`control`]). Whoever sends credentials is never answered from here, and what they are
//! answered is never kept, so a signed-in writer always reads what they wrote.
//!
//! Everybody else may see an answer that is `s-maxage` old, and one that is `stale-while-revalidate` older while
//! it is asked for anew ([`refreshing`]); but none from before a write that made it old. Services say which those
//! are, by tags ([`panel_kernel::purge`]): with the reply to who has written ([`writing`]), and to all gateways
//! soon after. What they say is gone is not shown again, whatever fails ([`marks`]). What a service changes and
//! tells nobody of (views) is seen when those times are over.
//!
//! Memory is bounded by `gateway.cache.bytes`; what may not be shown any more goes, and what is read
//! least goes first.

mod config;
pub(crate) mod control;
mod expiry;
mod flights;
mod kept;
mod marks;
mod question;
mod refreshing;
mod shared;
mod writing;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, StatusCode, header, request};
use panel_kernel::message::{Body, Principal, Reply};
use panel_kernel::metrics::Metrics;
use panel_kernel::problem::{Kind, Problem};
use panel_kernel::purge::{Purge, PurgeItem};
use panel_kernel::time::Timestamp;
use prometheus::{IntCounterVec, IntGauge, Opts};

use crate::cdn::Purges;
use crate::tags::Tags;
use expiry::WhenOfNoUse;
use flights::Flights;
use kept::{Slot, weight};
use marks::{Marks, OfService};
use refreshing::{Refreshing, Turn};
use shared::Shared;
use writing::{Done, Writing};

pub use config::CacheConfig;
pub(crate) use kept::{Kept, Standing};
pub(crate) use question::Question;
pub(crate) use shared::{Sharer, Sharing};

/// The largest answer that is kept, with everything, in bytes.
const LARGEST: u32 = 1024 * 1024;
/// No two requests that are under way at one time were begun further apart.
const SAME_TIME: Duration = Duration::from_secs(300);

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
    refreshing: Refreshing,
    marks: Marks,
    done: Done,
    shared: Option<Arc<Shared>>,
    requests: IntCounterVec,
    purges: IntCounterVec,
    bytes: IntGauge,
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

impl Cache {
    /// A cache of so many bytes for these services; of none, it keeps nothing. What is old of what it keeps is so at the
    /// CDN, if there is one.
    pub(crate) fn new(
        bytes: u64,
        services: impl Iterator<Item = &'static str>,
        sharing: Option<Sharing>,
        cdn: Option<&Purges>,
        metrics: &Metrics,
    ) -> prometheus::Result<Self> {
        if bytes == 0 {
            return Ok(Self(None));
        }
        let requests = IntCounterVec::new(
            Opts::new("panel_edge_cache_requests_total", "Requests that the cache could answer."),
            &["service", "result"],
        )?;
        let purges = IntCounterVec::new(
            Opts::new("panel_edge_purges_total", "Purges that were told by services."),
            &["service"],
        )?;
        let size = IntGauge::new("panel_edge_cache_bytes", "Answers kept, in bytes.")?;
        Ok(Self(Some(Arc::new(Inner {
            slots: moka::sync::Cache::builder()
                .max_capacity(bytes)
                .weigher(weight)
                .expire_after(WhenOfNoUse)
                .build(),
            flights: Flights::default(),
            refreshing: Refreshing::default(),
            marks: Marks::of(services, cdn),
            done: Done::default(),
            shared: sharing.map(|sharing| Arc::new(Shared::new(sharing))),
            requests: metrics.register(requests)?,
            purges: metrics.register(purges)?,
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
        inner.marks.find(service)?;
        Some(Question {
            service,
            place: question::place(service, &parts.uri),
            headers: Cow::Borrowed(&parts.headers),
            asked: inner.marks.now(),
            asked_at: now,
        })
    }

    /// To be held while a request is under way that is no question, and may change something. `exchange` is its
    /// number, which the service is told.
    pub(crate) fn writing(&self, service: &str, method: &Method, exchange: u64) -> Writing<'_> {
        let inner = self.0.as_ref();
        let marks = inner.and_then(|inner| Some((inner.marks.find(service)?.1, &inner.done)));
        Writing::begin(marks, method, exchange)
    }

    /// The services of which something may be kept.
    pub(crate) fn services(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().flat_map(|inner| inner.marks.services())
    }

    /// From now on that is old, or gone.
    pub(crate) fn purge(&self, service: &str, purge: &Purge) {
        if let Some(marks) = self.marks_of(service) {
            marks.apply(purge);
        }
    }

    /// A member on another node has come. What it had to tell before it knew of this gateway concerns nothing of its own
    /// that is kept here, and may concern what a CDN keeps, and what others have shown of it.
    pub(crate) fn has_come(&self, service: &str) {
        if let Some(marks) = self.marks_of(service) {
            marks.meets();
        }
    }

    /// From now on what a service has told is old, or gone, which may be known here already.
    pub(crate) fn told(&self, service: &str, items: &[PurgeItem]) {
        let Some(inner) = &self.0 else { return };
        let Some((service, marks)) = inner.marks.find(service) else { return };
        let count = inner.done.take(marks, items);
        inner.purges.with_label_values(&[service]).inc_by(count as u64);
    }

    /// How something that is kept may be shown to who asks for it.
    pub(crate) fn standing(&self, kept: &Kept, question: &Question<'_>) -> Standing {
        let Some(marks) = self.marks() else { return Standing::Gone };
        if marks.is_gone(&kept.tags, kept.asked) {
            return Standing::Gone;
        }
        match kept.by_age(question.asked_at) {
            Standing::Fresh | Standing::Revalidating if marks.version(&kept.tags) > kept.asked => {
                Standing::Old
            }
            standing => standing,
        }
    }

    /// Whether it may be shown at that time while its service can't be asked.
    pub(crate) fn may_stand_in(&self, kept: &Kept, now: Timestamp) -> bool {
        let marks = self.marks();
        kept.may_stand_in(now) && marks.is_some_and(|marks| !marks.is_gone(&kept.tags, kept.asked))
    }

    /// Whether nothing has made it old since it was asked for.
    pub(crate) fn is_current(&self, kept: &Kept) -> bool {
        self.marks().is_some_and(|marks| marks.version(&kept.tags) <= kept.asked)
    }

    /// The tags of a file that everybody may see, if nothing has made it old since it was asked for. It is not kept here; a
    /// CDN may keep it, and is told when it goes.
    pub(crate) fn tags_of_file(&self, reply: &Reply, question: &Question<'_>) -> Option<Tags> {
        let is_public = |control: &HeaderValue| control.as_bytes().starts_with(b"public");
        let is_file = matches!(reply.body, Body::Blob(_)) && reply.status == StatusCode::OK;
        if !is_file || !reply.headers.get(header::CACHE_CONTROL).is_some_and(is_public) {
            return None;
        }
        let marks = self.marks()?;
        let tags = marks.tags_of(reply, question.service)?;
        (marks.version(&tags) <= question.asked).then_some(tags)
    }

    /// A turn at asking for something anew, behind who is shown it; `None` if somebody does already.
    pub(crate) fn refresh(&self, kept: &Kept) -> Option<Turn> {
        self.0.as_ref()?.refreshing.begin(&kept.key)
    }

    fn marks(&self) -> Option<&Marks> {
        self.0.as_ref().map(|inner| &inner.marks)
    }

    fn marks_of(&self, service: &str) -> Option<&OfService> {
        self.marks()?.find(service).map(|(_, marks)| marks)
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

    /// Asks for what is kept anew, unless somebody does already who has begun after it was last made old: then
    /// waits for what comes of that.
    pub(crate) async fn join<F: Future<Output = Landing>>(
        &self,
        question: &Question<'_>,
        kept: &Kept,
        ask: impl FnOnce() -> F,
    ) -> Landing {
        let Some(inner) = &self.0 else {
            return ask().await;
        };
        let flight = (question.key(&kept.vary), inner.marks.version(&kept.tags));
        inner.flights.join(&flight, ask).await
    }

    /// Keeps what came of a question, if it may be kept. What was kept before goes, unless the
    /// service can't be asked.
    pub(crate) fn land(&self, question: &Question<'_>, outcome: &Outcome) -> Landing {
        if is_failure(outcome) {
            return Landing::Failed(Box::new(outcome.clone()));
        }
        let Some(inner) = &self.0 else { return Landing::Alone };
        match outcome.as_ref().ok().and_then(|reply| inner.kept(question, reply)) {
            Some(mut kept) => {
                let before = self.find(question).and_then(|before| before.shared_at);
                let shared = inner.shared.as_ref().filter(|shared| shared.is_due(&kept, before));
                kept.shared_at = if shared.is_some() { Some(kept.asked_at) } else { before };
                let kept = Arc::new(kept);
                inner.store(question, &kept);
                if let Some(shared) = shared {
                    shared.offer(&kept);
                }
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

    /// What any gateway has kept in Redis for a question, and may stand in at that time, while its service can't be
    /// asked. From then on it is kept here.
    pub(crate) async fn shared(
        &self,
        question: &Question<'_>,
        now: Timestamp,
    ) -> Option<Arc<Kept>> {
        let inner = self.0.as_ref()?;
        let kept = inner.shared.as_ref()?.find(question, &inner.marks).await?;
        if !self.may_stand_in(&kept, now) {
            return None;
        }
        let kept = Arc::new(kept);
        inner.store(question, &kept);
        Some(kept)
    }

    /// What has answers kept in Redis, to be supervised; `None` if nothing is.
    pub(crate) fn sharer(&self) -> Option<Sharer> {
        let shared = self.0.as_ref()?.shared.as_ref()?;
        Some(Sharer(Arc::clone(shared)))
    }

    /// Counts how a question was answered.
    pub(crate) fn count(&self, question: &Question<'_>, result: &'static str) {
        if let Some(inner) = &self.0 {
            inner.requests.with_label_values(&[question.service, result]).inc();
        }
    }
}

impl Inner {
    /// The reply as it is kept, if it may be.
    fn kept(&self, question: &Question<'_>, reply: &Reply) -> Option<Kept> {
        question.keep(reply, || self.marks.tags_of(reply, question.service))
    }

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

/// Whether it means that the service can't be asked, for whatever reason.
pub(crate) fn is_failure(outcome: &Outcome) -> bool {
    let status = match outcome {
        Ok(reply) => reply.status,
        Err(Problem { kind: Kind::Unavailable | Kind::DeadlineExceeded, .. }) => return true,
        Err(_) => return false,
    };
    matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT)
}

#[cfg(test)]
mod tests;
