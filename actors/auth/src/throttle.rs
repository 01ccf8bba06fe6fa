//! Makes guessing passwords slow, whoever is guessed at and from wherever.
//!
//! Mistakes are counted for the name that was given, whether there is such an account or not, and
//! for the address they came from. Whoever has to wait is refused before anything is computed.
//! Counting them by name lets a stranger make others wait; so a name's own people, at an address
//! from which they are signed in, are counted apart, and sessions that are there are never touched.
//!
//! The counts are this node's, in bounded memory, and the cluster's where there is Redis. They are
//! hints: a restart without Redis forgets them. Attempts that are computed at the same moment count
//! when they have failed, so one more for each place in `hashing` may slip through at once.
//!
//! Failure: without Redis each node counts for itself.

use std::net::IpAddr;
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use panel_kernel::ids::{Id, hex};
use panel_kernel::keys::SealingKey;
use panel_kernel::redis::{Cmd, Redis, cmd};
use panel_kernel::service::Runtime;
use panel_kernel::time::{Clock, Timestamp};
use prometheus::IntCounterVec;

use crate::config::AuthConfig;
use crate::error::AuthError;
use crate::rules::lookup_key;
use crate::rules::throttle::{Backoff, Tally};

/// Names and addresses remembered. Each took the time of a password's hash to get here.
const REMEMBERED: u64 = 65_536;

/// The counts of all `KEYS`: failures and the moment of the last, for each.
const READ: &str = "local all = {} \
    for _, key in ipairs(KEYS) do \
      local it = redis.call('HMGET', key, 'failures', 'last') \
      all[#all + 1] = tonumber(it[1]) or 0 \
      all[#all + 1] = tonumber(it[2]) or 0 \
    end \
    return all";

/// One more for all `KEYS`, at the moment `ARGV[1]`, remembered for `ARGV[2]` milliseconds.
const ADD: &str = "for _, key in ipairs(KEYS) do \
      redis.call('HINCRBY', key, 'failures', 1) \
      redis.call('HSET', key, 'last', ARGV[1]) \
      redis.call('PEXPIRE', key, ARGV[2]) \
    end \
    return #KEYS";

/// One more for `KEYS[1]` at the moment `ARGV[1]`, remembered for `ARGV[2]` milliseconds, unless it has to
/// wait: `ARGV[3]` are free, and after that it is twice as long each time, up to `ARGV[4]` microseconds
/// (`rules::throttle`). Failures, the moment of the last, and whether this one was counted.
const TAKE: &str = "local it = redis.call('HMGET', KEYS[1], 'failures', 'last') \
    local failures, last = tonumber(it[1]) or 0, tonumber(it[2]) or 0 \
    local now, over = tonumber(ARGV[1]), failures - tonumber(ARGV[3]) \
    if over >= 0 then \
      local pause = math.min(2 ^ math.min(over, 32) * 1000000, tonumber(ARGV[4])) \
      if last + pause > now then return {failures, last, 0} end \
    end \
    redis.call('HSET', KEYS[1], 'failures', failures + 1, 'last', ARGV[1]) \
    redis.call('PEXPIRE', KEYS[1], ARGV[2]) \
    return {failures + 1, now, 1}";

/// One less for `KEYS[1]`, if there is any.
const WITHDRAW: &str = "local failures = tonumber(redis.call('HGET', KEYS[1], 'failures')) or 0 \
    if failures > 0 then return redis.call('HINCRBY', KEYS[1], 'failures', -1) end \
    return 0";

/// Under which mistakes are counted. It does not tell whose they are.
type Key = [u8; 16];

/// Who is guessed at.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Guessed<'a> {
    /// Whoever has this name or address, if anybody.
    Name(&'a str),
    /// An account, by somebody at an address from which its owner is signed in.
    At(Id, &'a str),
    /// An account, by somebody who is signed in to it.
    SignedIn(Id),
    /// The second factor of an account, by somebody who has got past the first. Only a right code
    /// clears this.
    Factor(Id),
}

/// An attempt has to wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait {
    time: Duration,
    /// Because of mistakes about whoever is guessed at; else, of those from the address.
    pub(crate) whose: bool,
}

/// What one node has counted. Cheap to clone; clones are the same counts.
#[derive(Clone, Debug)]
pub(crate) struct Counts(Cache<Key, Tally>);

impl Counts {
    pub(crate) fn new(config: &AuthConfig) -> Self {
        let counts = Cache::builder()
            .max_capacity(REMEMBERED)
            .eviction_policy(EvictionPolicy::lru())
            .time_to_idle(config.login_backoff().memory())
            .build();
        Self(counts)
    }
}

/// Counts, and says who has to wait. Cheap to clone; clones count together.
#[derive(Clone, Debug)]
pub(crate) struct Throttle {
    guessed: Backoff,
    address: Backoff,
    counts: Cache<Key, Tally>,
    names: SealingKey,
    redis: Redis,
    clock: Clock,
    refused: IntCounterVec,
}

impl Throttle {
    pub(crate) fn new(config: &AuthConfig, counts: Counts, runtime: &Runtime) -> Self {
        let guessed = config.login_backoff();
        Self {
            guessed,
            address: Backoff { free: config.login_attempts_per_address, ..guessed },
            counts: counts.0,
            names: runtime.key.derive("login throttle"),
            redis: runtime.redis.clone(),
            clock: runtime.clock.clone(),
            refused: runtime.metrics.throttled.clone(),
        }
    }

    /// An attempt at somebody from an address, if it need not wait.
    ///
    /// # Errors
    /// [`Wait`] if it has to.
    pub(crate) async fn attempt(
        &self,
        guessed: Guessed<'_>,
        from: Option<&str>,
    ) -> Result<Attempt, Wait> {
        let whose = self.key_of(guessed);
        let address = from.and_then(|from| from.parse().ok()).map(|from| self.key_at(from));
        let keys: Vec<Key> = [whose].into_iter().chain(address).collect();
        let now = self.clock.now();
        let backoffs = [(self.guessed, true), (self.address, false)];
        for (tally, (backoff, whose)) in self.tallies(&keys).await.into_iter().zip(backoffs) {
            let time = backoff.wait(tally, now);
            if !time.is_zero() {
                return Err(Wait { time, whose });
            }
        }
        Ok(Attempt { throttle: self.clone(), whose, address, failures: 0 })
    }

    /// An attempt that counts as a mistake until it has turned out not to be one: for what costs nothing
    /// to check, of which many could be tried before the first is found wrong.
    ///
    /// # Errors
    /// [`Wait`] if it has to.
    pub(crate) async fn take(
        &self,
        guessed: Guessed<'_>,
        from: Option<&str>,
    ) -> Result<Attempt, Wait> {
        let mut attempt = self.attempt(guessed, from).await?;
        // Others may have come since: this looks and counts in one.
        let now = self.clock.now();
        let tally = match self.take_from_all(&attempt.whose, now).await {
            Some(taken) => taken,
            None => self.take_here(attempt.whose, now),
        };
        let tally =
            tally.map_err(|tally| Wait { time: self.guessed.wait(tally, now), whose: true })?;
        attempt.failures = tally.failures;
        Ok(attempt)
    }

    /// One more mistake, as the nodes count together, unless that has to wait; what there is, either
    /// way. `None` if there is no counting together.
    async fn take_from_all(&self, key: &Key, now: Timestamp) -> Option<Result<Tally, Tally>> {
        let longest = i64::try_from(self.guessed.longest.as_micros()).unwrap_or(i64::MAX);
        let mut take = script(TAKE, &[*key]);
        take.arg(now.as_micros()).arg(millis(self.guessed.memory()));
        take.arg(self.guessed.free).arg(longest);
        let told: Vec<i64> = self.redis.query(&take).await.ok()?;
        let [failures, last, taken] = told[..] else { return None };
        let failures = u32::try_from(failures).unwrap_or(u32::MAX);
        let tally = Tally { failures, last: Timestamp::from_micros(last) };
        self.counts.insert(*key, tally);
        Some(if taken == 1 { Ok(tally) } else { Err(tally) })
    }

    /// The same, as this node counts.
    fn take_here(&self, key: Key, now: Timestamp) -> Result<Tally, Tally> {
        let mut waits = false;
        let entry = self.counts.entry(key).and_upsert_with(|known| {
            let before = known.map_or_else(Tally::default, moka::Entry::into_value);
            waits = !self.guessed.wait(before, now).is_zero();
            if waits { before } else { before.failed(now) }
        });
        let tally = entry.into_value();
        if waits { Err(tally) } else { Ok(tally) }
    }

    /// Refuses an attempt that has to wait.
    pub(crate) fn refuse(&self, Wait { time, whose }: Wait) -> AuthError {
        let reason = if whose { "account" } else { "address" };
        self.refused.with_label_values(&["auth", reason]).inc();
        AuthError::Throttled { wait: time, whose }
    }

    /// Forgets the mistakes about somebody.
    pub(crate) async fn forgive(&self, guessed: Guessed<'_>) {
        self.forget(&self.key_of(guessed)).await;
    }

    async fn forget(&self, key: &Key) {
        if self.counts.remove(key).is_some() || self.redis.is_up() {
            let mut forget = cmd("DEL");
            forget.arg(name(key));
            // That Redis is down was logged where it was noticed.
            let _: Result<i64, _> = self.redis.query(&forget).await;
        }
    }

    fn key_of(&self, guessed: Guessed<'_>) -> Key {
        match guessed {
            Guessed::Name(name) => self.names.tag(&[b"name", lookup_key(name).as_bytes()]),
            Guessed::At(account, address) => {
                self.names.tag(&[b"at", &account.raw().to_be_bytes(), address.as_bytes()])
            }
            Guessed::SignedIn(account) => {
                self.names.tag(&[b"signed in", &account.raw().to_be_bytes()])
            }
            Guessed::Factor(account) => self.names.tag(&[b"factor", &account.raw().to_be_bytes()]),
        }
    }

    /// Whoever has one address of an IPv6 network has all of them.
    fn key_at(&self, address: IpAddr) -> Key {
        match address.to_canonical() {
            IpAddr::V4(address) => self.names.tag(&[b"v4", &address.octets()]),
            IpAddr::V6(address) => self.names.tag(&[b"v6", &address.octets()[..8]]),
        }
    }

    /// What the nodes know together, which this one then knows as well; where there is no telling,
    /// what it knows itself.
    async fn tallies(&self, keys: &[Key]) -> Vec<Tally> {
        let told: Result<Vec<i64>, _> = self.redis.query(&script(READ, keys)).await;
        for (key, told) in keys.iter().zip(told.unwrap_or_default().chunks_exact(2)) {
            let failures = u32::try_from(told[0]).unwrap_or(u32::MAX);
            if failures == 0 {
                // Also where it was somebody else whom the right password was told.
                self.counts.invalidate(key);
            } else {
                let last = Timestamp::from_micros(told[1]);
                self.counts.insert(*key, Tally { failures, last });
            }
        }
        keys.iter().map(|key| self.counts.get(key).unwrap_or_default()).collect()
    }
}

/// An attempt that is being made.
#[derive(Debug)]
pub(crate) struct Attempt {
    throttle: Throttle,
    whose: Key,
    address: Option<Key>,
    failures: u32,
}

impl Attempt {
    /// Whether this is the mistake after which the next have to wait.
    pub(crate) const fn is_last_free(&self) -> bool {
        self.failures == self.throttle.guessed.free
    }

    /// It was wrong.
    pub(crate) async fn failed(&self) {
        let Throttle { counts, redis, clock, guessed, .. } = &self.throttle;
        let keys: Vec<Key> = [self.whose].into_iter().chain(self.address).collect();
        let now = clock.now();
        for key in &keys {
            let entry = counts.entry(*key);
            entry.and_upsert_with(|known| {
                known.map_or_else(Tally::default, moka::Entry::into_value).failed(now)
            });
        }
        let mut told = script(ADD, &keys);
        told.arg(now.as_micros()).arg(millis(guessed.memory()));
        // That Redis is down was logged where it was noticed.
        let _: Result<i64, _> = redis.query(&told).await;
    }

    /// It was counted before it was looked at, and nobody knows whether it was wrong.
    pub(crate) async fn withdraw(&self) {
        let Throttle { counts, redis, .. } = &self.throttle;
        counts.entry(self.whose).and_upsert_with(|known| {
            known.map_or_else(Tally::default, moka::Entry::into_value).withdrawn()
        });
        // That Redis is down was logged where it was noticed.
        let _: Result<i64, _> = redis.query(&script(WITHDRAW, &[self.whose])).await;
    }

    /// It was right: mistakes made before were somebody's own. Those of the address stay, or an
    /// account of one's own would be a way to guess at others.
    pub(crate) async fn succeeded(self) {
        self.throttle.forget(&self.whose).await;
    }
}

fn script(script: &str, keys: &[Key]) -> Cmd {
    let mut command = cmd("EVAL");
    command.arg(script).arg(keys.len());
    for key in keys {
        command.arg(name(key));
    }
    command
}

fn name(key: &Key) -> String {
    format!("panel:failures:{}", hex(key))
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
