//! Rate limits: who asks for too much is told to wait, and everybody what they have left.
//!
//! Limited is what goes to services: accounts by themselves, everybody else by address, and of
//! both what changes something once more. A request with credentials that are not good counts as
//! one of its address. The gateway's own routes, preflights and other nodes are not limited.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use panel_kernel::message::Principal;
use panel_kernel::metrics::Metrics;
use panel_kernel::problem::{Kind, Problem};
use prometheus::{IntCounterVec, Opts};

use crate::limits::{Client, Limiter, Policy, Standing};

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
pub(crate) struct Standings(Vec<(Policy, Standing)>);

impl Limits {
    pub(crate) fn new(limiter: Option<Limiter>, metrics: &Metrics) -> prometheus::Result<Self> {
        let help = "Requests refused because their client had sent too many.";
        let refused = IntCounterVec::new(Opts::new("panel_rate_limited_total", help), &["policy"])?;
        Ok(Self { limiter, refused: metrics.register(refused)? })
    }

    /// Counts a request. What its client has left is noted in `standings`, whatever comes of it.
    ///
    /// # Errors
    /// 429 if nothing is left.
    pub(super) fn check(
        &self,
        principal: &Principal,
        address: IpAddr,
        method: &Method,
        standings: &mut Standings,
    ) -> Result<(), Problem> {
        let Some(limiter) = &self.limiter else { return Ok(()) };
        let (policy, client) = match principal {
            Principal::User(user) => (Policy::User, Client::User(user.id)),
            Principal::Anonymous => (Policy::Anonymous, Client::from(address)),
            Principal::Service(_) => return Ok(()),
        };
        // A write that is refused as such has counted as a request.
        let reads = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
        let policies = [Some(policy), (!reads).then_some(Policy::Writes)];
        for policy in policies.into_iter().flatten() {
            match limiter.take(policy, client) {
                None => {}
                Some(Ok(standing)) => standings.0.push((policy, standing)),
                Some(Err(standing)) => {
                    standings.0.push((policy, standing));
                    self.refused.with_label_values(&[policy.name()]).inc();
                    return Err(refusal(standing));
                }
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
    pub(super) fn headers(&self, headers: &mut HeaderMap, standings: &Standings) {
        let Some(limiter) = &self.limiter else { return };
        let (mut policies, mut left) = (String::new(), String::new());
        for (policy, standing) in &standings.0 {
            let (Some(terms), name) = (limiter.terms(*policy), policy.name()) else { continue };
            let comma = if left.is_empty() { "" } else { ", " };
            let (burst, window) = (terms.burst, terms.window_seconds);
            let (remaining, full_in) = (standing.remaining, seconds(standing.full_in));
            // Writing to a text can't fail.
            let _ = write!(policies, "{comma}\"{name}\";q={burst};w={window}");
            let _ = write!(left, "{comma}\"{name}\";r={remaining};t={full_in}");
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

fn refusal(standing: Standing) -> Problem {
    let wait = seconds(standing.next_in).max(1);
    let detail = format!("too many requests; the next one is taken in {wait} s");
    let wait = u32::try_from(wait).unwrap_or(u32::MAX);
    Problem::new(Kind::RateLimited, detail).retry_after(wait)
}

/// Whole seconds, none of them too early.
fn seconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis().div_ceil(1_000)).unwrap_or(u64::MAX)
}
