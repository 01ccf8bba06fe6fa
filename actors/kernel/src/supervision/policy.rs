//! Pure decisions of a supervisor: whom to restart, how long to wait, when to give up.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Who is restarted when a child ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// Only the child that ended.
    OneForOne,
    /// That child and every one started after it, because they depend on it.
    RestForOne,
}

/// How many restarts a supervisor takes before it gives up and fails itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intensity {
    /// The most restarts within `period`; `None` never gives up.
    pub restarts: Option<usize>,
    /// The window in which they are counted.
    pub period: Duration,
}

impl Intensity {
    /// At most `restarts` within `period`.
    #[must_use]
    pub const fn new(restarts: usize, period: Duration) -> Self {
        Self { restarts: Some(restarts), period }
    }

    /// Restarts for ever. For the root alone: whoever never gives up needs nobody above.
    #[must_use]
    pub const fn never_give_up(period: Duration) -> Self {
        Self { restarts: None, period }
    }
}

/// The restarts of the recent past, against an [`Intensity`].
#[derive(Debug)]
pub struct RestartWindow {
    intensity: Intensity,
    at: VecDeque<Instant>,
}

impl RestartWindow {
    /// No restarts so far.
    #[must_use]
    pub const fn new(intensity: Intensity) -> Self {
        Self { intensity, at: VecDeque::new() }
    }

    /// Counts a restart at `now`; `false` if that is one too many.
    pub fn allows(&mut self, now: Instant) -> bool {
        let Some(most) = self.intensity.restarts else { return true };
        while self.at.front().is_some_and(|at| now.duration_since(*at) > self.intensity.period) {
            self.at.pop_front();
        }
        self.at.push_back(now);
        self.at.len() <= most
    }
}

/// How long to wait before a restart, or before anything else is tried again: doubling from `first` to `most`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// Before the first restart after a time of health.
    pub first: Duration,
    /// Never longer than this.
    pub most: Duration,
}

impl Backoff {
    /// The wait before restart number `attempt` (1 is the first) of a failing streak.
    #[must_use]
    pub fn wait(self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(20);
        self.first.saturating_mul(1 << doublings).min(self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_up_to_its_limit() {
        let backoff = Backoff { first: Duration::from_millis(50), most: Duration::from_secs(2) };
        let waits: Vec<u128> = (1..=8).map(|n| backoff.wait(n).as_millis()).collect();
        assert_eq!(waits, [50, 100, 200, 400, 800, 1_600, 2_000, 2_000]);
        assert_eq!(backoff.wait(u32::MAX).as_secs(), 2);
        assert_eq!(backoff.wait(0).as_millis(), 50);
    }

    #[test]
    fn the_window_forgets() {
        let mut window = RestartWindow::new(Intensity::new(2, Duration::from_secs(10)));
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(window.allows(at(0)));
        assert!(window.allows(at(1)));
        assert!(!window.allows(at(2)));
        assert!(window.allows(at(30)));
    }

    #[test]
    fn the_root_never_gives_up() {
        let mut window = RestartWindow::new(Intensity::never_give_up(Duration::from_secs(1)));
        assert!((0..1_000).all(|_| window.allows(Instant::now())));
    }
}
