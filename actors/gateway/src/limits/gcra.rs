//! The generic cell rate algorithm (ITU-T I.371, as a virtual schedule): a token bucket whose
//! whole state is one moment, the one at which the bucket is full again. Each admitted request
//! moves it on by the time that one token takes to come back; a request is admitted while it is
//! no further away than all tokens take.

use std::time::Duration;

use panel_kernel::time::Timestamp;

/// So many burst windows a bucket may be in debt, at most. More than one can only be told by
/// another node, or by a clock that was set back.
const DEBT: i64 = 4;

/// A rate and a burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quota {
    /// In which one token comes back, in microseconds.
    pub(super) interval: i64,
    /// Tokens of a full bucket.
    pub(super) burst: u32,
}

/// What a client has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Requests it may send at once.
    pub(crate) remaining: u32,
    /// Until it has all of them again.
    pub(crate) full_in: Duration,
    /// Until it has one; zero if it has.
    pub(crate) next_in: Duration,
}

impl Quota {
    /// `rate` a minute, and at once what the rate gives in `burst`; `None` for a rate of 0.
    pub(super) fn per_minute(rate: u32, burst: Duration) -> Option<Self> {
        // Rounded up: never more than was asked for.
        let interval = 60_000_000_u64.div_ceil(u64::from(rate.max(1)));
        let tokens = burst.as_micros() * u128::from(rate) / 60_000_000;
        let quota = Self {
            interval: i64::try_from(interval).unwrap_or(i64::MAX),
            burst: u32::try_from(tokens).unwrap_or(u32::MAX).max(1),
        };
        (rate > 0).then_some(quota)
    }

    /// In which an empty bucket becomes full, in microseconds.
    pub(super) fn window(self) -> i64 {
        self.interval.saturating_mul(i64::from(self.burst))
    }

    /// The furthest that a bucket may be from full, in microseconds.
    pub(super) fn most_ahead(self) -> i64 {
        self.window().saturating_mul(DEBT)
    }
}

/// One client's bucket, full at first.
#[derive(Debug, Default)]
pub(crate) struct Bucket {
    /// When it is full again, in microseconds since the epoch (the theoretical arrival time).
    full_at: i64,
}

impl Bucket {
    /// Takes a token.
    ///
    /// # Errors
    /// If there is none; then nothing was taken.
    pub(super) fn take(&mut self, quota: Quota, now: Timestamp) -> Result<Standing, Standing> {
        let ahead = self.ahead(quota, now);
        if ahead.saturating_add(quota.interval) > quota.window() {
            return Err(standing(quota, ahead));
        }
        self.full_at = self.full_at.saturating_add(quota.interval);
        Ok(standing(quota, ahead + quota.interval))
    }

    /// What was learnt from elsewhere: at `now` it is at least so many microseconds from full.
    pub(super) fn learn(&mut self, quota: Quota, now: Timestamp, ahead: i64) {
        let known = self.ahead(quota, now);
        let ahead = ahead.clamp(known, quota.most_ahead().max(known));
        self.full_at = now.as_micros().saturating_add(ahead);
    }

    /// How far it is from full.
    fn ahead(&mut self, quota: Quota, now: Timestamp) -> i64 {
        let now = now.as_micros();
        self.full_at = self.full_at.clamp(now, now.saturating_add(quota.most_ahead()));
        self.full_at - now
    }
}

fn standing(quota: Quota, ahead: i64) -> Standing {
    let micros = |micros: i64| Duration::from_micros(u64::try_from(micros).unwrap_or(0));
    let left = quota.window().saturating_sub(ahead).max(0) / quota.interval;
    Standing {
        remaining: u32::try_from(left).unwrap_or(u32::MAX),
        full_in: micros(ahead),
        next_in: micros(ahead.saturating_add(quota.interval) - quota.window()),
    }
}

#[cfg(test)]
mod tests {
    use panel_kernel::time::Clock;
    use proptest::prelude::*;

    use super::*;

    /// 60 a minute, 10 at once.
    fn quota() -> Quota {
        Quota::per_minute(60, Duration::from_secs(10)).unwrap()
    }

    fn clock() -> Clock {
        Clock::manual(Timestamp::from_seconds(1_800_000_000))
    }

    #[test]
    fn a_full_bucket_gives_its_burst_and_then_the_rate() {
        let (clock, mut bucket) = (clock(), Bucket::default());
        for left in (0..10).rev() {
            assert_eq!(bucket.take(quota(), clock.now()).unwrap().remaining, left);
        }
        let refused = bucket.take(quota(), clock.now()).unwrap_err();
        assert_eq!((refused.remaining, refused.next_in), (0, Duration::from_secs(1)));
        assert_eq!(refused.full_in, Duration::from_secs(10));
        clock.advance(Duration::from_millis(999));
        assert!(bucket.take(quota(), clock.now()).is_err());
        clock.advance(Duration::from_millis(1));
        assert!(bucket.take(quota(), clock.now()).is_ok());
        assert!(bucket.take(quota(), clock.now()).is_err());
        clock.advance(Duration::from_secs(3_600));
        assert_eq!(bucket.take(quota(), clock.now()).unwrap().remaining, 9);
    }

    #[test]
    fn what_others_admitted_is_a_debt_with_a_limit() {
        let (clock, mut bucket) = (clock(), Bucket::default());
        bucket.learn(quota(), clock.now(), 12_000_000);
        let refused = bucket.take(quota(), clock.now()).unwrap_err();
        assert_eq!(refused.next_in, Duration::from_secs(3));
        // Older news of less does not count, and no news can lock anybody out for long.
        bucket.learn(quota(), clock.now(), 0);
        assert!(bucket.take(quota(), clock.now()).is_err());
        bucket.learn(quota(), clock.now(), i64::MAX);
        clock.advance(Duration::from_secs(31));
        assert!(bucket.take(quota(), clock.now()).is_ok());
    }

    #[test]
    fn a_clock_that_is_set_back_locks_nobody_out_for_long() {
        let mut bucket = Bucket::default();
        let (later, now) = (Timestamp::from_seconds(2_000_000), Timestamp::from_seconds(1_000_000));
        assert!(bucket.take(quota(), later).is_ok());
        assert!(bucket.take(quota(), now).is_err());
        assert!(bucket.take(quota(), now.plus(Duration::from_secs(31))).is_ok());
    }

    #[test]
    fn small_and_large_rates_are_what_they_say() {
        assert_eq!(Quota::per_minute(0, Duration::from_secs(10)), None);
        let slow = Quota::per_minute(1, Duration::from_secs(1)).unwrap();
        assert_eq!((slow.interval, slow.burst), (60_000_000, 1));
        let odd = Quota::per_minute(7, Duration::from_secs(20)).unwrap();
        assert_eq!((odd.interval, odd.burst), (8_571_429, 2));
        let fast = Quota::per_minute(6_000_000, Duration::from_secs(3_600)).unwrap();
        assert_eq!((fast.interval, fast.burst), (10, 360_000_000));
    }

    proptest! {
        /// In any time span, whatever came before, never more than burst + rate × time.
        #[test]
        fn never_more_than_the_burst_and_the_rate(
            rate in 1_u32..100_000,
            burst_millis in 100_u64..60_000,
            pauses in prop::collection::vec(0_u64..5_000_000, 1..400),
            learnt in prop::collection::vec(0_i64..50_000_000, 0..5),
        ) {
            let quota = Quota::per_minute(rate, Duration::from_millis(burst_millis)).unwrap();
            let (clock, mut bucket) = (clock(), Bucket::default());
            let mut admitted = Vec::new();
            for (n, pause) in pauses.into_iter().enumerate() {
                clock.advance(Duration::from_micros(pause));
                if let Some(ahead) = learnt.get(n) {
                    bucket.learn(quota, clock.now(), *ahead);
                }
                while bucket.take(quota, clock.now()).is_ok() && admitted.len() < 300 {
                    admitted.push(clock.now());
                }
            }
            for from in 0..admitted.len() {
                for to in from..admitted.len() {
                    let time = admitted[from].until(admitted[to]).as_micros();
                    let most = u128::from(quota.burst) + time * u128::from(rate) / 60_000_000;
                    let count = to - from + 1;
                    prop_assert!(count as u128 <= most, "{count} in {time} µs");
                }
            }
        }
    }
}
