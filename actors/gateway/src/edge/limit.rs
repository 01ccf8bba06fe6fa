//! Rate limits: who asks for too much is told to wait, and everybody what they have left.
//!
//! Limited is what goes to services: accounts by themselves, everybody else by address, and of
//! both what changes something once more; API keys, and what there are rules for. A request with
//! credentials that are not good counts as one of its address. The gateway's own routes,
//! preflights and other nodes are not limited.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use panel_kernel::metrics::Metrics;
use panel_kernel::problem::{Kind, Problem};
use prometheus::{IntCounterVec, Opts};

use crate::limits::{Asked, Limiter, Policy, Standing};

/// draft-ietf-httpapi-ratelimit-headers-10
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The limits in force.
#[derive(Clone)]
pub(crate) struct Limits {
    limiter: Option<Limiter>,
    refused: IntCounterVec,
}

/// The policies a request fell under, and what its client has left of each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standings(Vec<(Arc<Policy>, Standing)>);

impl Limits {
    pub(crate) fn new(limiter: Option<Limiter>, metrics: &Metrics) -> prometheus::Result<Self> {
        let help = "Requests refused because their client had sent too many.";
        let refused = IntCounterVec::new(Opts::new("panel_rate_limited_total", help), &["policy"])?;
        Ok(Self { limiter, refused: metrics.register(refused)? })
    }

    /// Counts a request. What its client has left is noted in `standings`, whatever comes of it.
    ///
    /// # Errors
    /// 429 if nothing is left, 503 if everybody together has taken it.
    pub(super) fn check(&self, asked: Asked<'_>, standings: &mut Standings) -> Result<(), Problem> {
        let Some(limiter) = &self.limiter else { return Ok(()) };
        for (policy, taken) in limiter.take(asked) {
            let refused = taken.is_err();
            let standing = taken.unwrap_or_else(|standing| standing);
            if refused {
                self.refused.with_label_values(&[policy.name()]).inc();
            }
            let refusal = refused.then(|| refusal(&policy, asked.service, standing));
            standings.0.push((policy, standing));
            if let Some(refusal) = refusal {
                return Err(refusal);
            }
        }
        Ok(())
    }

    /// The policies it fell under and what is left of each, in a few words.
    pub(super) fn explained(&self, standings: &Standings) -> String {
        if self.limiter.is_none() {
            return "off".to_owned();
        }
        let told = standings.0.iter();
        let told =
            told.map(|(policy, standing)| format!("{} {}", policy.name(), standing.remaining));
        told.collect::<Vec<_>>().join(", ")
    }

    /// Tells the client.
    pub(super) fn headers(headers: &mut HeaderMap, standings: &Standings) {
        let (mut policies, mut left) = (String::with_capacity(64), String::with_capacity(64));
        let mut number = itoa::Buffer::new();
        // What everybody has left is no client's to plan with.
        for (policy, standing) in standings.0.iter().filter(|(policy, _)| !policy.is_everybodys()) {
            let comma = if left.is_empty() { "" } else { ", " };
            policies.extend([comma, policy.told()]);
            left.extend([comma, "\"", policy.name(), "\";r="]);
            left.push_str(number.format(standing.remaining));
            left.push_str(";t=");
            left.push_str(number.format(seconds(standing.full_in)));
        }
        for (name, text) in [(RATE_LIMIT_POLICY, policies), (RATE_LIMIT, left)] {
            if let Ok(value) = HeaderValue::try_from(text).map_err(drop)
                && !value.is_empty()
            {
                headers.insert(name, value);
            }
        }
    }
}

fn refusal(policy: &Policy, service: &str, standing: Standing) -> Problem {
    let (name, wait) = (policy.name(), seconds(standing.next_in).max(1));
    let told = format!("too many requests ({name}); the next one is taken in {wait} s");
    let problem = if policy.is_everybodys() {
        Problem::unavailable(service, format!("everybody together has sent {told}"))
    } else {
        Problem::new(Kind::RateLimited, told)
    };
    problem.retry_after(u32::try_from(wait).unwrap_or(u32::MAX))
}

/// Whole seconds, none of them too early.
fn seconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis().div_ceil(1_000)).unwrap_or(u64::MAX)
}
