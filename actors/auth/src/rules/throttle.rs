//! How long somebody who keeps guessing has to wait: not at all after the first few mistakes, then
//! twice as long after each.

use std::time::Duration;

use panel_kernel::time::Timestamp;

/// Mistakes so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// How many.
    pub(crate) failures: u32,
    /// When the last one was made.
    pub(crate) last: Timestamp,
}

impl Tally {
    /// With one more.
    pub(crate) fn failed(self, now: Timestamp) -> Self {
        Self { failures: self.failures.saturating_add(1), last: self.last.max(now) }
    }

    /// With one less.
    pub(crate) fn withdrawn(self) -> Self {
        Self { failures: self.failures.saturating_sub(1), ..self }
    }
}

/// So many mistakes for nothing, then waiting, up to a longest wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Backoff {
    pub(crate) free: u32,
    pub(crate) longest: Duration,
}

impl Backoff {
    /// How long from `now` the next attempt has to wait; zero if it need not.
    pub(crate) fn wait(self, tally: Tally, now: Timestamp) -> Duration {
        let Some(doublings) = tally.failures.checked_sub(self.free) else { return Duration::ZERO };
        let pause = Duration::from_secs(1 << doublings.min(32)).min(self.longest);
        // A clock that was set back makes nobody wait for longer than that.
        now.until(tally.last.plus(pause)).min(pause)
    }

    /// After which mistakes are forgotten.
    pub(crate) fn memory(self) -> Duration {
        self.longest * 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff { free: 3, longest: Duration::from_secs(60) };

    fn wait(failures: u32, seconds_ago: i64) -> u64 {
        let now = Timestamp::from_seconds(1_800_000_000);
        let last = Timestamp::from_seconds(1_800_000_000 - seconds_ago);
        BACKOFF.wait(Tally { failures, last }, now).as_secs()
    }

    #[test]
    fn the_first_mistakes_are_free_and_each_further_one_costs_twice_as_much() {
        assert_eq!([0, 1, 2].map(|failures| wait(failures, 0)), [0, 0, 0]);
        assert_eq!([3, 4, 5, 8].map(|failures| wait(failures, 0)), [1, 2, 4, 32]);
        assert_eq!([9, 30, u32::MAX].map(|failures| wait(failures, 0)), [60, 60, 60]);
    }

    #[test]
    fn time_that_has_passed_counts() {
        assert_eq!(wait(8, 30), 2);
        assert_eq!(wait(8, 32), 0);
        // Also where the clock went back.
        assert_eq!(wait(8, -1_000), 32);
    }

    #[test]
    fn a_mistake_more_counts_from_its_moment() {
        let at = Timestamp::from_seconds;
        let tally = Tally { failures: 2, last: at(9) };
        assert_eq!(tally.failed(at(12)), Tally { failures: 3, last: at(12) });
        // A clock that was set back makes none older.
        assert_eq!(tally.failed(at(4)), Tally { failures: 3, last: at(9) });
    }
}
