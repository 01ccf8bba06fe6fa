//! Copies of what is read, shown to members of another release: nobody sees what they answer, but whether it is as good.
//!
//! A copy is sent once the original is answered, so it costs its client nothing, and says which answer it should be. It
//! is of a request that changes nothing, and carries the mark that nobody reads the answer, so that services count
//! nothing twice. What leads elsewhere or sets a cookie is not copied: it may be good for once.

use std::sync::Arc;
use std::time::Duration;

use http::{StatusCode, header};
use panel_kernel::directory::Member;
use panel_kernel::ids::random_hex;
use panel_kernel::message::{Body, Envelope, Extensions, Principal, Reply};
use panel_kernel::metrics::Metrics;
use prometheus::{IntCounterVec, Opts};
use tokio::sync::Semaphore;

use super::balance::less_busy;
use super::{Dispatcher, Plan, ask};
use crate::behind::Behind;
use crate::traffic::Mirror;

/// Copies under way at a time; of more, the rest are not sent.
const MOST: usize = 32;
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends copies. Cheap to clone; clones share the places.
#[derive(Clone, Debug)]
pub(crate) struct Mirrors {
    behind: Behind,
    places: Arc<Semaphore>,
    sent: IntCounterVec,
}

/// A request of which a copy may be sent.
pub(super) struct Original {
    envelope: Envelope,
    release: String,
}

impl Mirrors {
    pub(crate) fn new(behind: Behind, metrics: &Metrics) -> prometheus::Result<Self> {
        let help = "Copies of requests for another release, by whether it answered as the first: same, different \
                    (another status), failed (no answer), not_sent (too many were under way, or nobody was there).";
        let options = Opts::new("panel_dispatch_mirrored_total", help);
        let sent = metrics.register(IntCounterVec::new(options, &["service", "result"])?)?;
        Ok(Self { behind, places: Arc::new(Semaphore::new(MOST)), sent })
    }

    /// The request, if a copy of it is to be sent.
    pub(super) fn original(plan: &Plan, envelope: &Envelope) -> Option<Original> {
        let Mirror { release, percent } = plan.policy.as_ref()?.mirror.as_ref()?;
        let is_drawn = rand::random::<u64>() % 100 < u64::from(*percent);
        let is_insider = matches!(envelope.principal, Principal::Service(_));
        (is_drawn && envelope.method.is_safe() && !is_insider)
            .then(|| Original { envelope: envelope.clone(), release: release.clone() })
    }

    /// Sends a copy of what was answered so.
    pub(super) fn send(
        &self,
        dispatcher: &Dispatcher,
        service: &str,
        original: Original,
        answer: &Reply,
    ) {
        let is_shown = matches!(answer.body, Body::Inline(_))
            && !answer.status.is_redirection()
            && !answer.headers.contains_key(header::SET_COOKIE);
        if !is_shown {
            return;
        }
        let Original { mut envelope, release } = original;
        let members = dispatcher.directory.members(service);
        let fit = |member: &&Arc<Member>| {
            member.version == release && member.takes_requests_of(&envelope.principal)
        };
        let member = less_busy(&members.iter().filter(fit).collect::<Vec<_>>());
        let place = Arc::clone(&self.places).try_acquire_owned();
        let (Some(member), Ok(place)) = (member, place) else {
            self.count(service, "not_sent");
            return;
        };
        envelope.deadline = dispatcher.clock.now().plus(PATIENCE);
        envelope.request_id = random_hex();
        envelope.extensions.set(Extensions::MIRRORED, "1");
        let (mirrors, clock, expected) = (self.clone(), dispatcher.clock.clone(), answer.status);
        let service = service.to_owned();
        self.behind.spawn(async move {
            let _place = place;
            let uri = envelope.uri.clone();
            let request_id = envelope.request_id.clone();
            let status = match ask(&member, envelope, &clock).await {
                Ok(reply) => Some(reply.status),
                Err(miss) => miss.reply.map(|reply| reply.status),
            };
            let result = judge(expected, status);
            if result != "same" {
                let (node, status) = (&member.node, status.map(|status| status.as_u16()));
                tracing::warn!(
                    service,
                    release,
                    node,
                    path = uri.path(),
                    expected = expected.as_u16(),
                    status,
                    request_id,
                    "another release has answered a copy of a request differently"
                );
            }
            mirrors.count(&service, result);
        });
    }

    fn count(&self, service: &str, result: &str) {
        self.sent.with_label_values(&[service, result]).inc();
    }
}

fn judge(expected: StatusCode, answered: Option<StatusCode>) -> &'static str {
    match answered {
        None => "failed",
        Some(status) if status == expected => "same",
        Some(_) => "different",
    }
}
