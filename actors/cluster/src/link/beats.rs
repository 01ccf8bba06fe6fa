//! Beats that were sent on a link and have come back, or not.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use panel_kernel::time::Timestamp;

/// Beats remembered while they are under way; a link is cut long before there are more.
const REMEMBERED: usize = 64;

#[derive(Debug)]
pub(super) struct Beats {
    number: u64,
    under_way: VecDeque<Beat>,
    /// When the last one that has come back was sent, or the link began.
    returned: Instant,
}

#[derive(Debug)]
struct Beat {
    number: u64,
    sent: Instant,
    at: Timestamp,
}

/// What a beat that has come back tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trip {
    pub(super) took: Duration,
    /// How far the other clock is ahead, if both ways took the same time.
    pub(super) offset_micros: i64,
}

impl Beats {
    pub(super) const fn new(now: Instant) -> Self {
        Self { number: 0, under_way: VecDeque::new(), returned: now }
    }

    pub(super) fn next(&mut self, now: Instant, at: Timestamp) -> u64 {
        self.number += 1;
        if self.under_way.len() == REMEMBERED {
            self.under_way.pop_front();
        }
        self.under_way.push_back(Beat { number: self.number, sent: now, at });
        self.number
    }

    /// Of those before it nothing more is expected: links keep the order.
    pub(super) fn returned(&mut self, number: u64, there: Timestamp, now: Instant) -> Option<Trip> {
        while let Some(beat) = self.under_way.pop_front_if(|beat| beat.number <= number) {
            if beat.number == number {
                self.returned = self.returned.max(beat.sent);
                let took = now.saturating_duration_since(beat.sent);
                let halfway = beat.at.plus(took / 2);
                let offset_micros = there.as_micros().saturating_sub(halfway.as_micros());
                return Some(Trip { took, offset_micros });
            }
        }
        None
    }

    /// How long ago the last beat was sent that has come back, if others wait to come back.
    pub(super) fn overdue(&self, now: Instant) -> Duration {
        if self.under_way.is_empty() {
            return Duration::ZERO;
        }
        now.saturating_duration_since(self.returned)
    }

    pub(super) fn forgive(&mut self, now: Instant) {
        self.returned = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beat_that_returns_measures_the_trip_and_the_other_clock() {
        let begun = Instant::now();
        let at = |millis: u64| begun + Duration::from_millis(millis);
        let mut beats = Beats::new(begun);
        assert_eq!(beats.next(at(0), Timestamp::from_micros(1_000_000)), 1);
        assert_eq!(beats.next(at(250), Timestamp::from_micros(1_250_000)), 2);
        let trip = beats.returned(2, Timestamp::from_micros(6_255_000), at(260)).unwrap();
        assert_eq!(trip, Trip { took: Duration::from_millis(10), offset_micros: 5_000_000 });
        assert_eq!(beats.returned(1, Timestamp::from_micros(0), at(270)), None, "it is over");
        assert_eq!(beats.returned(7, Timestamp::from_micros(0), at(270)), None, "never sent");
    }

    #[test]
    fn beats_that_do_not_return_are_overdue() {
        let begun = Instant::now();
        let at = |millis: u64| begun + Duration::from_millis(millis);
        let now = Timestamp::from_micros(0);
        let mut beats = Beats::new(begun);
        assert_eq!(beats.overdue(at(5_000)), Duration::ZERO, "none was sent");
        beats.next(at(250), now);
        beats.next(at(500), now);
        beats.returned(1, now, at(510));
        assert_eq!(beats.overdue(at(1_500)), Duration::from_millis(1_250));
        for _ in 0..1_000 {
            beats.next(at(1_600), now);
        }
        assert_eq!(beats.under_way.len(), REMEMBERED);
        beats.forgive(at(1_700));
        assert_eq!(beats.overdue(at(1_800)), Duration::from_millis(100));
    }
}
