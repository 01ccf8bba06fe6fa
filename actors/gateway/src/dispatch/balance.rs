//! Which member gets a request: selectable per service.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::{HeaderMap, HeaderName};
use panel_kernel::directory::Member;
use panel_kernel::message::Principal;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::Plan;

/// How members of a service are chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Balance {
    /// The one on this node, if it takes requests; else of two drawn at random the one with less
    /// in flight from here ("the power of two choices", M. Mitzenmacher 1996).
    #[default]
    LocalFirst,
    /// All in turn.
    RoundRobin,
    /// The same for the same session, by rendezvous hashing (D. Thaler and C. Ravishankar 1996):
    /// when a member goes, only its own sessions move.
    Session,
    /// The same for the same value of a header.
    Header(HeaderName),
}

const LOCAL_FIRST: &str = "local_first";
const ROUND_ROBIN: &str = "round_robin";
const SESSION: &str = "session";
const HEADER: &str = "header:";

impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LocalFirst => f.write_str(LOCAL_FIRST),
            Self::RoundRobin => f.write_str(ROUND_ROBIN),
            Self::Session => f.write_str(SESSION),
            Self::Header(name) => write!(f, "{HEADER}{name}"),
        }
    }
}

impl FromStr for Balance {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || {
            format!("{text:?} is not one of {LOCAL_FIRST}, {ROUND_ROBIN}, {SESSION}, {HEADER}NAME")
        };
        match text {
            LOCAL_FIRST => Ok(Self::LocalFirst),
            ROUND_ROBIN => Ok(Self::RoundRobin),
            SESSION => Ok(Self::Session),
            _ => {
                let name = text.strip_prefix(HEADER).ok_or_else(unknown)?;
                HeaderName::from_str(name).map(Self::Header).map_err(|_| unknown())
            }
        }
    }
}

impl<'de> Deserialize<'de> for Balance {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Balance {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What ties a request to a member of its service, as a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Affinity(u64);

impl Affinity {
    /// Whether anything does.
    pub(super) const fn is_some(self) -> bool {
        self.0 != 0
    }
}

/// How members of each service are chosen. Cheap to clone; clones take turns together.
#[derive(Clone, Debug)]
pub(crate) struct Balances(Arc<BTreeMap<&'static str, Chooser>>);

impl Balances {
    pub(crate) fn new(
        services: impl IntoIterator<Item = &'static str>,
        configured: &BTreeMap<String, Balance>,
    ) -> Self {
        let chooser = |service| {
            let balance = configured.get(service).cloned().unwrap_or_default();
            (service, Chooser { balance, turn: AtomicUsize::new(0) })
        };
        Self(Arc::new(services.into_iter().map(chooser).collect()))
    }

    pub(super) fn of(&self, service: &str) -> &Chooser {
        static USUAL: Chooser = Chooser { balance: Balance::LocalFirst, turn: AtomicUsize::new(0) };
        self.0.get(service).unwrap_or(&USUAL)
    }
}

/// Chooses members of one service.
#[derive(Debug)]
pub(super) struct Chooser {
    balance: Balance,
    turn: AtomicUsize,
}

impl Chooser {
    /// What ties a request to a member. `headers` are the client's, all of them: services see
    /// few.
    pub(super) fn affinity(&self, headers: &HeaderMap, principal: &Principal) -> Affinity {
        Affinity(match &self.balance {
            Balance::LocalFirst | Balance::RoundRobin => 0,
            Balance::Session => match principal {
                Principal::User(user) => user.session.raw().cast_unsigned(),
                Principal::Anonymous | Principal::Service(_) => 0,
            },
            Balance::Header(name) => headers.get(name).map_or(0, |value| xxh3_64(value.as_bytes())),
        })
    }

    /// The member to ask, of those that take requests and were not tried: of the ones that are
    /// ready, if there are any.
    pub(super) fn choose(
        &self,
        members: &[Arc<Member>],
        tried: &[Arc<Member>],
        (plan, principal): (&Plan, &Principal),
    ) -> Option<Arc<Member>> {
        let fit = |member: &Arc<Member>| {
            member.takes_requests_of(principal)
                && !tried.iter().any(|other| Arc::ptr_eq(other, member))
        };
        if let Some(policy) = &plan.policy {
            let fit: Vec<_> = members.iter().filter(|member| fit(member)).cloned().collect();
            let fit = plan.narrowed(policy, fit);
            return self.choose_of(&fit, |_| true, plan.affinity);
        }
        let ready = |member: &&Arc<Member>| member.is_ready() && fit(member);
        self.choose_of(members, ready, plan.affinity)
            .or_else(|| self.choose_of(members, |member: &&Arc<Member>| fit(member), plan.affinity))
    }

    fn choose_of(
        &self,
        members: &[Arc<Member>],
        fit: impl Fn(&&Arc<Member>) -> bool,
        Affinity(key): Affinity,
    ) -> Option<Arc<Member>> {
        match self.balance {
            Balance::RoundRobin => {
                let fit: Vec<_> = members.iter().filter(fit).collect();
                let turn = self.turn.fetch_add(1, Ordering::Relaxed);
                fit.get(turn.checked_rem(fit.len())?).map(|member| Arc::clone(member))
            }
            Balance::Session | Balance::Header(_) if key != 0 => members
                .iter()
                .filter(fit)
                .max_by_key(|member| xxh3_64_with_seed(member.node.as_bytes(), key))
                .cloned(),
            _ => {
                // Nearly always there is one here, and it is the first to be looked at.
                if let Some(here) = members.iter().find(|member| member.is_local() && fit(member)) {
                    return Some(Arc::clone(here));
                }
                let fit: Vec<_> = members.iter().filter(fit).collect();
                less_busy(&fit)
            }
        }
    }
}

pub(super) fn less_busy(fit: &[&Arc<Member>]) -> Option<Arc<Member>> {
    let count = fit.len();
    if count < 2 {
        return fit.first().map(|member| Arc::clone(member));
    }
    let drawn: u64 = rand::random();
    // Two different ones: the second is drawn from the others.
    let draw = |number: u64, of: usize| usize::try_from(number % of as u64).unwrap_or(0);
    let first = draw(drawn >> 32, count);
    let second = (first + 1 + draw(drawn & 0xffff_ffff, count - 1)) % count;
    let (first, second) = (fit[first], fit[second]);
    let less = if second.in_flight() < first.in_flight() { second } else { first };
    Some(Arc::clone(less))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn balances_read_as_they_are_written() {
        for text in [LOCAL_FIRST, ROUND_ROBIN, SESSION, "header:x-tenant"] {
            assert_eq!(text.parse::<Balance>().unwrap().to_string(), text);
        }
        for bad in ["", "random", "header:", "header:not a name"] {
            assert!(bad.parse::<Balance>().unwrap_err().contains(ROUND_ROBIN), "{bad}");
        }
    }
}
