//! Answers from the cache where they may be: fresh ones instead of asking, older ones while they are asked for anew
//! or the service can't be asked, and one request to the service for all who want to know at one time
//! whether such an answer is still true.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode, header};
use panel_kernel::message::{Envelope, Reply};
use panel_kernel::problem::{Kind, Problem};
use panel_kernel::time::{Clock, Timestamp};

use super::cache_status::{CacheStatus, Forwarded};
use super::{EdgeParts, Exchange, from_reply};
use crate::cache::{Cache, Kept, Landing, Outcome, Question, Standing, is_failure};
use crate::dispatch::{Dispatcher, Plan};
use crate::outgoing::{Content, Outgoing};

const STALE: HeaderName = HeaderName::from_static("x-panel-stale");
/// RFC 7234, 5.5.1. Its successor has dropped it; clients know it all the same.
const WARNING: &str = "110 - \"the service is not available, this answer is older\"";
/// How much longer than until their own deadline those wait who have not asked themselves. Who
/// has asked gives up before that, and theirs is the better answer.
const GRACE: Duration = Duration::from_millis(500);

/// A question on its way to the service.
struct Asking<'a> {
    cache: &'a Cache,
    dispatcher: &'a Dispatcher,
    question: &'a Question<'a>,
    envelope: Envelope,
    plan: Plan,
    /// What came of it, and who answered; `None` as long as it was not sent.
    answered: Option<(Outcome, Option<String>)>,
}

impl Asking<'_> {
    async fn ask(&mut self) -> Landing {
        let (service, envelope) = (self.question.service, self.envelope.clone());
        let asked = self.dispatcher.call(service, envelope, &self.plan).await;
        let (outcome, member) = match asked {
            Ok(answered) => (Ok(answered.reply), Some(answered.node)),
            Err(problem) => (Err(problem), None),
        };
        let landing = self.cache.land(self.question, &outcome);
        self.answered = Some((outcome, member));
        landing
    }
}

/// Asks anew for what is kept, by this envelope, until its deadline, behind those who were shown what there is. If
/// nothing comes of it, nothing happens: the next who comes asks again.
fn ask_anew(
    edge: &EdgeParts,
    (question, kept): (&Question<'_>, &Arc<Kept>),
    envelope: impl FnOnce() -> Result<Envelope, Problem>,
    plan: Plan,
) {
    let Some(turn) = edge.cache.refresh(kept) else { return };
    // What is no request is told so when it is asked.
    let Ok(envelope) = envelope() else { return };
    let (cache, dispatcher, clock) =
        (edge.cache.clone(), edge.dispatcher.clone(), edge.clock.clone());
    let (question, kept) = (question.to_owned(), Arc::clone(kept));
    edge.behind.spawn(async move {
        let _turn = turn;
        refresh(cache, dispatcher, &clock, (question, kept), envelope, plan).await;
    });
}

async fn refresh(
    cache: Cache,
    dispatcher: Dispatcher,
    clock: &Clock,
    (question, kept): (Question<'static>, Arc<Kept>),
    envelope: Envelope,
    plan: Plan,
) {
    let patience = clock.now().until(envelope.deadline) + GRACE;
    let mut asking = Asking {
        cache: &cache,
        dispatcher: &dispatcher,
        question: &question,
        envelope,
        plan,
        answered: None,
    };
    let joined = cache.join(&question, &kept, || asking.ask());
    let result = match tokio::time::timeout(patience, joined).await {
        Ok(Landing::Failed(_)) | Err(_) => "not_refreshed",
        Ok(_) => "refreshed",
    };
    cache.count(&question, result);
}

/// The answer to a question: from the cache, or from the service by this envelope, which most questions don't need.
pub(super) async fn answer(
    edge: &EdgeParts,
    question: &Question<'_>,
    (envelope, plan): (impl FnOnce(&Exchange) -> Result<Envelope, Problem>, Plan),
    exchange: &mut Exchange,
) -> Result<Outgoing, Problem> {
    let found = edge.cache.find(question);
    let standing = found.as_ref().map(|kept| edge.cache.standing(kept, question));
    let kept = found.filter(|_| standing != Some(Standing::Gone));
    let now = edge.clock.now();
    match (&kept, standing) {
        (Some(kept), Some(Standing::Fresh)) => {
            note(edge, question, exchange, "hit");
            return Ok(labelled(edge, (question, kept), exchange, (now, None)));
        }
        (Some(kept), Some(Standing::Revalidating)) => {
            ask_anew(edge, (question, kept), || envelope(exchange), plan);
            note(edge, question, exchange, "revalidating");
            let why = Some("stale-while-revalidate");
            return Ok(labelled(edge, (question, kept), exchange, (now, why)));
        }
        _ => {}
    }
    let envelope = envelope(exchange)?;
    let patience = now.until(envelope.deadline) + GRACE;
    let (cache, dispatcher) = (&edge.cache, &edge.dispatcher);
    let mut asking = Asking { cache, dispatcher, question, envelope, plan, answered: None };
    // Only what was for everybody the last time is waited for together: waiting for an answer that
    // is for somebody else would put readers of a slow route one behind the other.
    let landing = match kept.as_ref().filter(|kept| !kept.only_stands_in()) {
        Some(kept) => {
            let joined = edge.cache.join(question, kept, || asking.ask());
            tokio::time::timeout(patience, joined).await.unwrap_or_else(|_| late(question.service))
        }
        None => asking.ask().await,
    };
    let landing = match landing {
        // What they waited for was for somebody else.
        Landing::Alone if asking.answered.is_none() => asking.ask().await,
        // Or it was made old while it was on its way, before they asked for all they know.
        Landing::Kept(kept)
            if !question.is_answered_by(&kept)
                || asking.answered.is_none() && !edge.cache.is_current(&kept) =>
        {
            asking.ask().await
        }
        landing => landing,
    };
    let (own, member) = asking.answered.unzip();
    let collapsed = own.is_none();
    let result = if collapsed { "shared" } else { "miss" };
    let why = if kept.is_some() { Forwarded::Stale } else { Forwarded::Miss };
    let forwarded = |stored| Some(CacheStatus::Forwarded { why, stored, collapsed });
    exchange.member = member.flatten();
    let outcome = match (landing, own) {
        (Landing::Kept(kept), _) => {
            note(edge, question, exchange, result);
            let answered = (edge.clock.now(), None);
            let outgoing = labelled(edge, (question, &kept), exchange, answered);
            exchange.cache_status = forwarded(true);
            return Ok(outgoing);
        }
        (_, Some(outcome)) => outcome,
        (Landing::Failed(outcome), None) => *outcome,
        // Whoever lands alone has asked.
        (Landing::Alone, None) => Err(Problem::internal()),
    };
    if is_failure(&outcome)
        && let Some(kept) = standing_in(edge, question, kept).await
    {
        let now = edge.clock.now();
        note(edge, question, exchange, "stale");
        let mut outgoing = shown(&kept, exchange, now, Some("stale-if-error"));
        outgoing.headers.insert(header::WARNING, HeaderValue::from_static(WARNING));
        outgoing.headers.insert(STALE, HeaderValue::from_static("1"));
        return Ok(outgoing);
    }
    note(edge, question, exchange, result);
    let stored = edge.cache.find(question).is_some_and(|kept| kept.only_stands_in());
    exchange.cache_status = forwarded(stored && !is_failure(&outcome));
    let reply = outcome?;
    let tags = edge.cache.tags_of_file(&reply, question);
    let mut outgoing = from_reply(reply, exchange);
    if let Some((labels, tags)) = edge.cdn.as_ref().zip(tags)
        && !(labels.ignores_vary() && question.has(&header::ORIGIN))
    {
        labels.keep(&mut outgoing.headers, &tags);
    }
    Ok(outgoing)
}

/// What may be shown while the service can't be asked: what is kept here, or by any gateway.
async fn standing_in(
    edge: &EdgeParts,
    question: &Question<'_>,
    kept: Option<Arc<Kept>>,
) -> Option<Arc<Kept>> {
    let now = edge.clock.now();
    match kept.filter(|kept| edge.cache.may_stand_in(kept, now)) {
        Some(kept) => Some(kept),
        // Boxed: hardly anybody comes here.
        None => Box::pin(edge.cache.shared(question, now)).await,
    }
}

/// What is said of an answer that is for everybody, to who has not asked the cache.
pub(super) fn bypassed(reply: &Reply) -> Option<CacheStatus> {
    let control = reply.headers.get(header::CACHE_CONTROL)?;
    let (why, stored, collapsed) = (Forwarded::Bypass, false, false);
    let is_public = control.as_bytes().starts_with(b"public");
    is_public.then_some(CacheStatus::Forwarded { why, stored, collapsed })
}

fn late(service: &str) -> Landing {
    let detail = format!("{service} did not answer in time");
    Landing::Failed(Box::new(Err(Problem::new(Kind::DeadlineExceeded, detail))))
}

/// For metrics and the log.
fn note(edge: &EdgeParts, question: &Question<'_>, exchange: &mut Exchange, result: &'static str) {
    edge.cache.count(question, result);
    exchange.cache = Some(result);
}

/// What is shown, labelled for a CDN, which may keep it for as long as it is not purged there; unless each reader is to
/// be heard of, or it was made old on its way, or the CDN would show it to others than it is for.
fn labelled(
    edge: &EdgeParts,
    (question, kept): (&Question<'_>, &Arc<Kept>),
    exchange: &mut Exchange,
    (now, detail): (Timestamp, Option<&'static str>),
) -> Outgoing {
    let mut outgoing = shown(kept, exchange, now, detail);
    let Some(labels) = &edge.cdn else { return outgoing };
    let is_for_few = labels.ignores_vary() && (kept.varies() || question.has(&header::ORIGIN));
    if !kept.only_stands_in() && !is_for_few && edge.cache.is_current(kept) {
        labels.keep(&mut outgoing.headers, kept.tags());
    }
    outgoing
}

fn shown(
    kept: &Arc<Kept>,
    exchange: &mut Exchange,
    now: Timestamp,
    detail: Option<&'static str>,
) -> Outgoing {
    exchange.route.clone_from(&kept.route);
    exchange.cache_status = Some(CacheStatus::Hit { ttl: kept.ttl(now), detail });
    let mut headers = kept.headers.clone();
    headers.insert(header::AGE, kept.age(now).into());
    Outgoing { status: StatusCode::OK, headers, content: Content::Kept(Arc::clone(kept)) }
}
