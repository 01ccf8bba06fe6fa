//! Answers from the cache where they may be: fresh ones instead of asking, old ones while the
//! service can't be asked, and one request to the service for all who want to know at one time
//! whether such an answer is still true.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode, header};
use panel_kernel::message::Envelope;
use panel_kernel::problem::{Kind, Problem};
use panel_kernel::time::Timestamp;

use super::{EdgeParts, Exchange, from_reply};
use crate::cache::{Kept, Landing, Outcome, Question, is_failure};
use crate::dispatch::Affinity;
use crate::outgoing::{Content, Outgoing};

const STALE: HeaderName = HeaderName::from_static("x-panel-stale");
/// RFC 7234, 5.5.1. Its successor has dropped it; clients know it all the same.
const WARNING: &str = "110 - \"the service is not available, this answer is older\"";
/// How much longer than until their own deadline those wait who have not asked themselves. Who
/// has asked gives up before that, and theirs is the better answer.
const GRACE: Duration = Duration::from_millis(500);

/// A question on its way to the service.
struct Asking<'a> {
    edge: &'a EdgeParts,
    question: &'a Question<'a>,
    envelope: Envelope,
    affinity: Affinity,
    /// What came of it, and who answered; `None` as long as it was not sent.
    answered: Option<(Outcome, Option<String>)>,
}

impl Asking<'_> {
    async fn ask(&mut self) -> Landing {
        let (service, envelope) = (self.question.service, self.envelope.clone());
        let asked = self.edge.dispatcher.call(service, envelope, self.affinity).await;
        let (outcome, member) = match asked {
            Ok(answered) => (Ok(answered.reply), Some(answered.node)),
            Err(problem) => (Err(problem), None),
        };
        let landing = self.edge.cache.land(self.question, &outcome);
        self.answered = Some((outcome, member));
        landing
    }
}

/// The answer to a question: from the cache, or from the service by this envelope.
pub(super) async fn answer(
    edge: &EdgeParts,
    question: &Question<'_>,
    (envelope, affinity): (Envelope, Affinity),
    exchange: &mut Exchange,
) -> Result<Outgoing, Problem> {
    let kept = edge.cache.find(question);
    if let Some(kept) = kept.as_ref().filter(|kept| kept.is_fresh(question)) {
        note(edge, question, exchange, "hit");
        return Ok(shown(kept, exchange, edge.clock.now()));
    }
    let patience = edge.clock.now().until(envelope.deadline) + GRACE;
    let mut asking = Asking { edge, question, envelope, affinity, answered: None };
    // Only what was for everybody the last time is waited for together: waiting for an answer that
    // is for somebody else would put readers of a slow route one behind the other.
    let landing = if kept.as_ref().is_some_and(|kept| !kept.only_stands_in()) {
        let joined = edge.cache.join(question, || asking.ask());
        tokio::time::timeout(patience, joined).await.unwrap_or_else(|_| late(question.service))
    } else {
        asking.ask().await
    };
    let landing = match landing {
        // What they waited for was for somebody else.
        Landing::Alone if asking.answered.is_none() => asking.ask().await,
        Landing::Kept(kept) if !kept.answers(question) => asking.ask().await,
        landing => landing,
    };
    let (own, member) = asking.answered.unzip();
    let result = if own.is_some() { "miss" } else { "shared" };
    exchange.member = member.flatten();
    let outcome = match (landing, own) {
        (Landing::Kept(kept), _) => {
            note(edge, question, exchange, result);
            return Ok(shown(&kept, exchange, edge.clock.now()));
        }
        (_, Some(outcome)) => outcome,
        (Landing::Failed(outcome), None) => *outcome,
        // Whoever lands alone has asked.
        (Landing::Alone, None) => Err(Problem::internal()),
    };
    let now = edge.clock.now();
    if is_failure(&outcome)
        && let Some(kept) = kept.filter(|kept| kept.may_stand_in(now))
    {
        note(edge, question, exchange, "stale");
        let mut outgoing = shown(&kept, exchange, now);
        outgoing.headers.insert(header::WARNING, HeaderValue::from_static(WARNING));
        outgoing.headers.insert(STALE, HeaderValue::from_static("1"));
        return Ok(outgoing);
    }
    note(edge, question, exchange, result);
    Ok(from_reply(outcome?, exchange))
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

fn shown(kept: &Arc<Kept>, exchange: &mut Exchange, now: Timestamp) -> Outgoing {
    exchange.route.clone_from(&kept.route);
    let mut headers = kept.headers.clone();
    headers.insert(header::AGE, kept.age(now).into());
    Outgoing { status: StatusCode::OK, headers, content: Content::Kept(Arc::clone(kept)) }
}
