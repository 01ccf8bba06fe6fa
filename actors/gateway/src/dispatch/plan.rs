//! How one request is to be dispatched: what ties it to a member, and what the traffic file says of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderName, request};
use panel_kernel::directory::Member;
use panel_kernel::message::Principal;
use percent_encoding::percent_decode_str;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::Dispatcher;
use super::balance::Affinity;
use crate::traffic::{Chosen, Policy};

/// A member that fails more than it should is passed over once in so many times, for others to be compared with.
const COMPARE: u64 = 4;

/// How one request is to be dispatched. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    pub(super) affinity: Affinity,
    pub(super) policy: Option<Arc<Policy>>,
    /// It asks for the release that is to be tried.
    is_canary: bool,
    /// Its place among all that the weights share out.
    point: u64,
}

impl Dispatcher {
    /// How a request of this client to a service is to be dispatched.
    pub(crate) fn plan(
        &self,
        service: &str,
        parts: &request::Parts,
        principal: &Principal,
    ) -> Plan {
        let affinity = self.balances.of(service).affinity(&parts.headers, principal);
        let Some(policy) = self.traffic.of(service) else {
            return Plan { affinity, ..Plan::default() };
        };
        // Who is signed in is answered by one release, and not by this and that in turn.
        let point = match principal {
            Principal::User(user) => {
                let seed = service.bytes().fold(0, |seed, byte| seed << 8 | u64::from(byte));
                xxh3_64_with_seed(&user.session.raw().to_le_bytes(), seed)
            }
            Principal::Anonymous | Principal::Service(_) => rand::random(),
        };
        let is_canary = policy.is_canary(&parts.headers);
        Plan { affinity, policy: Some(policy), is_canary, point }
    }

    /// The release of a member that has answered, and by what that was chosen.
    pub(crate) fn chosen(
        &self,
        service: &str,
        node: &str,
        is_canary: bool,
    ) -> Option<(String, Chosen)> {
        let members = self.directory.members(service);
        let release = members.iter().find(|member| member.node == node)?.version.clone();
        let policy = self.traffic.of(service);
        let chosen = policy.map(|policy| policy.chosen(&release, is_canary)).unwrap_or_default();
        Some((release, chosen))
    }

    /// How a question of the gateway's own is.
    pub(super) fn own_plan(&self, service: &str) -> Plan {
        Plan { policy: self.traffic.of(service), point: rand::random(), ..Plan::default() }
    }
}

impl Plan {
    /// Whether it asks for the release that is to be tried: then its answer is not for others.
    pub(crate) const fn is_canary(&self) -> bool {
        self.is_canary
    }

    /// How long it may take inside, if that is not as everywhere.
    pub(crate) fn timeout(&self, parts: &request::Parts) -> Option<Duration> {
        // However it is written, it is the same place.
        let path = percent_decode_str(parts.uri.path());
        self.policy.as_ref()?.timeout(&parts.method, &path.decode_utf8_lossy())
    }

    /// The header on which it depends who answers.
    pub(crate) fn canary_header(&self) -> Option<&HeaderName> {
        self.policy.as_ref()?.canary_header()
    }

    /// Whether its client, or what it sends, has chosen the member: then it says nothing of that if it fails.
    pub(super) const fn is_pinned(&self) -> bool {
        self.affinity.is_some() || self.is_canary
    }

    /// Of members that can be asked, those that should be.
    pub(super) fn narrowed(&self, policy: &Policy, mut fit: Vec<Arc<Member>>) -> Vec<Arc<Member>> {
        keep(&mut fit, |member| member.is_ready());
        if policy.outliers.is_some() {
            let now = Instant::now();
            keep(&mut fit, |member| !member.record().is_ejected(now));
        }
        policy.narrow(&mut fit, |member| &member.version, (self.is_canary, self.point));
        if policy.outliers.is_some() && rand::random::<u64>().is_multiple_of(COMPARE) {
            keep(&mut fit, |member| !member.record().is_suspected());
        }
        fit
    }
}

/// Keeps those members that are so, if there are any.
fn keep(members: &mut Vec<Arc<Member>>, are_so: impl Fn(&Arc<Member>) -> bool) {
    if members.iter().any(&are_so) {
        members.retain(are_so);
    }
}
