//! How a member has done with the requests of this process, of late.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// After so many ejections each is as long as the one before.
const DOUBLINGS: u32 = 4;

/// How a member has done with requests of late, and whether it is left alone for that. Kept for who asks for it; nothing
/// here moves by itself.
#[derive(Debug, Default)]
pub struct Record(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Of the window that has not ended, and of the one before.
    current: Tally,
    before: Tally,
    /// When the current window began.
    since: Option<Instant>,
    /// Until when it is left alone.
    ejected_until: Option<Instant>,
    ejections: u32,
    is_suspected: bool,
}

/// Requests that have ended, and how many of them failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All of them.
    pub asked: u32,
    /// Those that failed.
    pub failed: u32,
}

impl std::ops::Add for Tally {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            asked: self.asked.saturating_add(other.asked),
            failed: self.failed.saturating_add(other.failed),
        }
    }
}

impl Record {
    /// Notes how a request has ended.
    pub fn note(&self, has_failed: bool, now: Instant, window: Duration) {
        let mut state = self.0.lock();
        state.turn(now, window);
        state.current.asked = state.current.asked.saturating_add(1);
        state.current.failed = state.current.failed.saturating_add(has_failed.into());
    }

    /// The requests of the last window and of the one that has not ended.
    #[must_use]
    pub fn tally(&self, now: Instant, window: Duration) -> Tally {
        let mut state = self.0.lock();
        state.turn(now, window);
        state.before + state.current
    }

    /// Leaves it alone from now on: for so long the first time, twice as long each further time, up to sixteen times;
    /// anew from once, if it has done well for as long as it would be ejected now. Returns for how long. What was
    /// noted of it is forgotten.
    pub fn eject(&self, now: Instant, least: Duration) -> Duration {
        let mut state = self.0.lock();
        let span = |ejections: u32| least * 2_u32.pow(ejections.min(DOUBLINGS));
        if let Some(until) = state.ejected_until
            && now.saturating_duration_since(until) > span(state.ejections)
        {
            state.ejections = 0;
        }
        let long = span(state.ejections);
        let (ejected_until, ejections) = (Some(now + long), state.ejections.saturating_add(1));
        *state = State { ejected_until, ejections, ..State::default() };
        long
    }

    /// Whether it is left alone.
    #[must_use]
    pub fn is_ejected(&self, now: Instant) -> bool {
        self.0.lock().ejected_until.is_some_and(|until| now < until)
    }

    /// Whether it fails often, and it is not known whether others do as well.
    #[must_use]
    pub fn is_suspected(&self) -> bool {
        self.0.lock().is_suspected
    }

    /// Notes that.
    pub fn suspect(&self, is_suspected: bool) {
        self.0.lock().is_suspected = is_suspected;
    }
}

impl State {
    /// Begins a new window, if it is time.
    fn turn(&mut self, now: Instant, window: Duration) {
        let since = *self.since.get_or_insert(now);
        let elapsed = now.saturating_duration_since(since);
        if elapsed < window {
            return;
        }
        let current = std::mem::take(&mut self.current);
        self.before = if elapsed < window * 2 { current } else { Tally::default() };
        self.since = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(10);

    #[test]
    fn what_is_long_ago_does_not_count() {
        let (record, begin) = (Record::default(), Instant::now());
        let at = |seconds| begin + Duration::from_secs(seconds);
        for second in 0..20 {
            record.note(second < 10, at(second), WINDOW);
        }
        assert_eq!(record.tally(at(19), WINDOW), Tally { asked: 20, failed: 10 });
        assert_eq!(record.tally(at(20), WINDOW), Tally { asked: 10, failed: 0 });
        assert_eq!(record.tally(at(45), WINDOW), Tally::default(), "nothing for two windows");
    }

    #[test]
    fn who_fails_again_and_again_is_left_alone_for_longer_and_longer() {
        let (record, mut now) = (Record::default(), Instant::now());
        let once = Duration::from_secs(30);
        assert!(!record.is_ejected(now));
        for times in [1, 2, 4, 8, 16, 16] {
            record.note(true, now, WINDOW);
            assert_eq!(record.eject(now, once), once * times);
            assert_eq!(record.tally(now, WINDOW), Tally::default(), "it begins anew");
            assert!(record.is_ejected(now + once * times * 9 / 10));
            now += once * times;
            assert!(!record.is_ejected(now));
        }
        now += once * 17;
        assert_eq!(record.eject(now, once), once, "it did well for long");
    }
}
