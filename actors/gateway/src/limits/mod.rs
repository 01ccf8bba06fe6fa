//! How much one client may ask for, and all of them together: a bucket per client and policy ([`rules`]), here and,
//! with Redis, in the whole cluster.
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
mod rules;

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

pub use config::{LimitRule, LimitsConfig, RulePer};
use gcra::Bucket;
pub(crate) use gcra::Standing;
use reporter::{Reporter, Reports};
pub(crate) use rules::{Asked, Policy};

/// Whose requests are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Client {
    /// An account, wherever it asks from.
    User(Id),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// The first half of an IPv6 address: whoever has one of a network has all of them.
    V6Network(u64),
    /// An API key.
    Key(Id),
    /// All of them.
    Everybody,
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
            Self::Key(id) => write!(f, "k:{id}"),
            Self::Everybody => f.write_str("*"),
        }
    }
}

/// A client's bucket for one policy.
struct Entry {
    policy: Arc<Policy>,
    client: Client,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    bucket: Bucket,
    /// Tokens taken that Redis was not told of. While there are some, the entry is on the list
    /// of what is to be reported.
    unreported: u32,
}

/// Counts what clients take. Cheap to clone; clones count together.
#[derive(Clone)]
pub(crate) struct Limiter {
    policies: Arc<[Arc<Policy>]>,
    /// By the policy's place in the list.
    entries: Cache<(usize, Client), Arc<Entry>>,
    reports: Arc<Reports>,
    clock: Clock,
}

/// What came of a request under one policy.
pub(crate) type Taken = (Arc<Policy>, Result<Standing, Standing>);

impl Limiter {
    /// By these rates; `None` where nothing is limited.
    pub(crate) fn new(config: &LimitsConfig, redis: Redis, clock: Clock) -> Option<Self> {
        let policies = rules::policies(config);
        // A bucket in the deepest debt is full by then.
        let most = policies.iter().map(|policy| policy.quota.most_ahead()).max().unwrap_or(0);
        let idle = Duration::from_micros(most.unsigned_abs()) + Duration::from_secs(1);
        config.enabled.then(|| Self {
            policies: policies.into(),
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

    /// Takes one request out of the allowances it falls under, one after the other, until nothing is left of one:
    /// of that, nothing is taken.
    pub(crate) fn take<'a>(&'a self, asked: Asked<'a>) -> impl Iterator<Item = Taken> + 'a {
        let meant = self.policies.iter().enumerate();
        let meant = meant.filter_map(move |(at, policy)| Some((at, policy, policy.client(asked)?)));
        let mut is_refused = false;
        meant.map_while(move |(at, policy, client)| {
            if is_refused {
                return None;
            }
            let taken = self.take_of(at, policy, client);
            is_refused = taken.is_err();
            Some((Arc::clone(policy), taken))
        })
    }

    fn take_of(
        &self,
        at: usize,
        policy: &Arc<Policy>,
        client: Client,
    ) -> Result<Standing, Standing> {
        let entry = self.entries.get_with((at, client), || {
            Arc::new(Entry { policy: Arc::clone(policy), client, held: Mutex::default() })
        });
        let mut held = entry.held.lock();
        let taken = held.bucket.take(policy.quota, self.clock.now());
        let tell = taken.is_ok() && self.reports.wanted();
        if tell {
            held.unreported += 1;
        }
        let first = tell && held.unreported == 1;
        drop(held);
        if first {
            self.reports.add(entry);
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use http::Method;
    use panel_kernel::message::Principal;
    use panel_kernel::time::Timestamp;

    use super::*;

    fn limiter(config: &LimitsConfig) -> Limiter {
        let clock = Clock::manual(Timestamp::from_seconds(1_800_000_000));
        Limiter::new(config, Redis::none(), clock).unwrap()
    }

    fn client(address: &str) -> Client {
        address.parse::<IpAddr>().unwrap().into()
    }

    /// What somebody at this address has left, by policy; negative: nothing.
    fn ask(limiter: &Limiter, address: &str, method: &Method) -> Vec<(String, i64)> {
        let principal = &Principal::Anonymous;
        let address = address.parse().unwrap();
        let asked = Asked { principal, address, service: "forum", path: "/a", method };
        let left = |taken: Result<Standing, Standing>| {
            taken.map_or(-1, |standing| i64::from(standing.remaining))
        };
        limiter.take(asked).map(|(policy, taken)| (policy.name().to_owned(), left(taken))).collect()
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
        let limiter = limiter(&LimitsConfig::default());
        let one = |policy: &str, left| vec![(policy.to_owned(), left)];
        for _ in 0..200 {
            ask(&limiter, "192.0.2.1", &Method::GET);
        }
        assert_eq!(ask(&limiter, "192.0.2.1", &Method::GET), one("anonymous", -1));
        assert_eq!(ask(&limiter, "192.0.2.2", &Method::GET), one("anonymous", 199));
        limiter.clock.advance(Duration::from_secs(1));
        assert_eq!(ask(&limiter, "192.0.2.1", &Method::GET), one("anonymous", 9));
        let both = [one("anonymous", 8), one("writes", 39)].concat();
        assert_eq!(ask(&limiter, "192.0.2.1", &Method::POST), both);
    }

    #[test]
    fn who_is_refused_takes_nothing_from_the_others() {
        let config = LimitsConfig {
            anonymous_per_minute: 30,
            global_per_minute: 60,
            ..LimitsConfig::default()
        };
        let limiter = limiter(&config);
        for _ in 0..1_000 {
            ask(&limiter, "192.0.2.1", &Method::GET);
        }
        let other = ask(&limiter, "192.0.2.2", &Method::GET);
        assert_eq!(other, [("anonymous".to_owned(), 9), ("global".to_owned(), 9)]);
    }

    #[test]
    fn spoofed_addresses_do_not_fill_the_memory() {
        let limiter = limiter(&LimitsConfig { clients: 1_024, ..LimitsConfig::default() });
        let address = |n: u32| IpAddr::from(n.to_be_bytes()).to_string();
        for n in 0..20_000 {
            assert_eq!(ask(&limiter, &address(n), &Method::GET)[0].1, 199);
        }
        limiter.entries.run_pending_tasks();
        assert!(limiter.entries.entry_count() <= 1_024, "{}", limiter.entries.entry_count());
        // And the last one is still known.
        assert_eq!(ask(&limiter, &address(19_999), &Method::GET)[0].1, 198);
    }

    #[test]
    fn rates_of_zero_limit_nothing() {
        let config = LimitsConfig { anonymous_per_minute: 0, ..LimitsConfig::default() };
        let limiter = limiter(&config);
        assert!(ask(&limiter, "192.0.2.1", &Method::GET).is_empty());
        assert!(limiter.child().is_none());
        let off = LimitsConfig { enabled: false, ..LimitsConfig::default() };
        assert!(Limiter::new(&off, Redis::none(), Clock::system()).is_none());
    }

    #[test]
    fn terms_are_the_burst_and_its_window() {
        let limiter = limiter(&LimitsConfig::default());
        let told: Vec<&str> = limiter.policies.iter().map(|policy| policy.told()).collect();
        let expected = [
            "\"anonymous\";q=200;w=20",
            "\"user\";q=400;w=20",
            "\"key\";q=200;w=20",
            "\"writes\";q=40;w=20",
        ];
        assert_eq!(told, expected);
    }
}
