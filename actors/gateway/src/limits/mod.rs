//! How much one client may ask for: a bucket per client and policy, here and, with Redis, in the
//! whole cluster.
//!
//! Every request is decided here, at once, by the bucket this node has of the client ([`gcra`]).
//! No request waits for Redis. Behind their backs the [`reporter`] tells Redis what was taken, a
//! few milliseconds later and many buckets with one command, and learns from the answer what the
//! other nodes have taken of the same buckets; that fills the debt of the buckets here.
//!
//! How far that can be off: a client that asks several nodes at once gets from each at most its
//! burst before the nodes hear of each other, which takes one report (20 ms and a round trip). So a
//! cluster of *n* gateways admits at most *n* bursts where one would admit one, once: what was too
//! much is remembered as debt, up to four bursts, and paid back before anything more is admitted.
//! In the long run it is the rate. Time is Redis's: reports carry durations, never moments, so the
//! nodes' clocks do not matter.
//!
//! Without Redis, or while it is down, each node limits by itself: *n* gateways admit up to *n*
//! times the rate.
//!
//! Memory is bounded: of more clients than `limits.clients` the ones seen longest ago are
//! forgotten, which gives them a full bucket. Redis forgets a bucket when it is full.

mod config;
mod gcra;
mod reporter;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use panel_kernel::ids::Id;
use panel_kernel::redis::Redis;
use panel_kernel::supervision::ChildSpec;
use panel_kernel::time::Clock;
use parking_lot::Mutex;

pub use config::LimitsConfig;
pub(crate) use gcra::Standing;
use gcra::{Bucket, Quota};
use reporter::{Reporter, Reports};

/// Which limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Policy {
    /// All requests of an address that nobody is signed in from.
    Anonymous,
    /// All requests of an account.
    User,
    /// What changes something, of either.
    Writes,
}

impl Policy {
    /// The name clients, metrics and Redis know it by.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::User => "user",
            Self::Writes => "writes",
        }
    }
}

/// Whose requests are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Client {
    /// An account, wherever it asks from.
    User(Id),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// The first half of an IPv6 address: whoever has one of a network has all of them.
    V6Network(u64),
}

impl From<IpAddr> for Client {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                let half = [a, b, c, d].into_iter();
                Self::V6Network(half.fold(0, |bits, part| (bits << 16) | u64::from(part)))
            }
        }
    }
}

/// Under which it is known in Redis.
impl std::fmt::Display for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::User(id) => write!(f, "u:{id}"),
            Self::V4(address) => write!(f, "4:{address}"),
            Self::V6Network(network) => write!(f, "6:{network:016x}"),
        }
    }
}

/// A client's bucket for one policy.
struct Entry {
    policy: Policy,
    client: Client,
    quota: Quota,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    bucket: Bucket,
    /// Tokens taken that Redis was not told of. While there are some, the entry is on the list
    /// of what is to be reported.
    unreported: u32,
}

/// A limit as clients are told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    /// Requests at once.
    pub(crate) burst: u32,
    /// In which that many come back, in whole seconds.
    pub(crate) window_seconds: u64,
}

/// Counts what clients take. Cheap to clone; clones count together.
#[derive(Clone)]
pub(crate) struct Limiter {
    quotas: [Option<Quota>; 3],
    entries: Cache<(Policy, Client), Arc<Entry>>,
    reports: Arc<Reports>,
    clock: Clock,
}

impl Limiter {
    /// By these rates; `None` where nothing is limited.
    pub(crate) fn new(config: &LimitsConfig, redis: Redis, clock: Clock) -> Option<Self> {
        let rates = [config.anonymous_per_minute, config.user_per_minute, config.writes_per_minute];
        let quotas = rates.map(|rate| Quota::per_minute(rate, config.burst.0));
        // A bucket in the deepest debt is full by then.
        let most = quotas.iter().flatten().map(|quota| quota.most_ahead()).max().unwrap_or(0);
        let idle = Duration::from_micros(most.unsigned_abs()) + Duration::from_secs(1);
        config.enabled.then(|| Self {
            quotas,
            entries: Cache::builder()
                .max_capacity(config.clients)
                // Whoever is here now counts, not who was here often: the latter would let a
                // newcomer's bucket be forgotten, and newcomers are what floods are made of.
                .eviction_policy(EvictionPolicy::lru())
                .time_to_idle(idle)
                .build(),
            reports: Arc::new(Reports::new(redis)),
            clock,
        })
    }

    /// What reports to Redis, to be supervised; `None` without Redis.
    pub(crate) fn child(&self) -> Option<ChildSpec> {
        let (reports, clock) = (Arc::clone(&self.reports), self.clock.clone());
        self.reports.has_redis().then(|| {
            ChildSpec::new("limits", move || {
                (Reporter { reports: Arc::clone(&reports), clock: clock.clone() }, ())
            })
        })
    }

    /// What a policy says; `None` if it limits nothing.
    pub(crate) fn terms(&self, policy: Policy) -> Option<Terms> {
        let quota = self.quotas[policy as usize]?;
        let seconds = quota.window().unsigned_abs().div_ceil(1_000_000);
        Some(Terms { burst: quota.burst, window_seconds: seconds })
    }

    /// Takes one request out of the client's allowance; `None` if the policy limits nothing.
    ///
    /// # Errors
    /// If nothing is left of it; then nothing was taken.
    pub(crate) fn take(
        &self,
        policy: Policy,
        client: Client,
    ) -> Option<Result<Standing, Standing>> {
        let quota = self.quotas[policy as usize]?;
        let entry = self.entries.get_with((policy, client), || {
            Arc::new(Entry { policy, client, quota, held: Mutex::default() })
        });
        let mut held = entry.held.lock();
        let taken = held.bucket.take(quota, self.clock.now());
        let tell = taken.is_ok() && self.reports.wanted();
        if tell {
            held.unreported += 1;
        }
        let first = tell && held.unreported == 1;
        drop(held);
        if first {
            self.reports.add(entry);
        }
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use panel_kernel::time::Timestamp;

    use super::*;

    fn limiter(clients: u64) -> Limiter {
        let config = LimitsConfig { clients, ..LimitsConfig::default() };
        let clock = Clock::manual(Timestamp::from_seconds(1_800_000_000));
        Limiter::new(&config, Redis::none(), clock).unwrap()
    }

    fn client(address: &str) -> Client {
        address.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn clients_are_addresses_and_networks() {
        assert_eq!(client("192.0.2.1"), client("::ffff:192.0.2.1"));
        assert_ne!(client("192.0.2.1"), client("192.0.2.2"));
        assert_eq!(client("2001:db8::1"), client("2001:db8::ffff:0:0:1"));
        assert_ne!(client("2001:db8:0:1::1"), client("2001:db8::1"));
        assert_eq!(client("2001:db8::1").to_string(), "6:20010db800000000");
    }

    #[test]
    fn each_client_and_policy_has_a_bucket_of_its_own() {
        let limiter = limiter(65_536);
        let (one, other) = (client("192.0.2.1"), client("192.0.2.2"));
        let take = |policy, client| limiter.take(policy, client).unwrap();
        for _ in 0..200 {
            take(Policy::Anonymous, one).unwrap();
        }
        take(Policy::Anonymous, one).unwrap_err();
        assert_eq!(take(Policy::Anonymous, other).unwrap().remaining, 199);
        assert_eq!(take(Policy::Writes, one).unwrap().remaining, 39);
        limiter.clock.advance(Duration::from_secs(1));
        assert_eq!(take(Policy::Anonymous, one).unwrap().remaining, 9);
    }

    #[test]
    fn spoofed_addresses_do_not_fill_the_memory() {
        let limiter = limiter(1_024);
        for address in 0..20_000_u32 {
            limiter.take(Policy::Anonymous, Client::V4(address.into())).unwrap().unwrap();
        }
        limiter.entries.run_pending_tasks();
        assert!(limiter.entries.entry_count() <= 1_024, "{}", limiter.entries.entry_count());
        // And the last one is still known.
        let last = limiter.take(Policy::Anonymous, Client::V4(19_999.into())).unwrap().unwrap();
        assert_eq!(last.remaining, 198);
    }

    #[test]
    fn rates_of_zero_limit_nothing() {
        let config = LimitsConfig { user_per_minute: 0, ..LimitsConfig::default() };
        let limiter = Limiter::new(&config, Redis::none(), Clock::system()).unwrap();
        assert!(limiter.take(Policy::User, client("192.0.2.1")).is_none());
        assert!(limiter.terms(Policy::User).is_none());
        assert!(limiter.child().is_none());
        let off = LimitsConfig { enabled: false, ..LimitsConfig::default() };
        assert!(Limiter::new(&off, Redis::none(), Clock::system()).is_none());
    }

    #[test]
    fn terms_are_the_burst_and_its_window() {
        let limiter = limiter(65_536);
        let all = [Policy::Anonymous, Policy::User, Policy::Writes];
        let terms = all.map(|policy| limiter.terms(policy).unwrap());
        assert_eq!(terms.map(|terms| terms.burst), [200, 400, 40]);
        assert_eq!(terms.map(|terms| terms.window_seconds), [20, 20, 20]);
    }
}
