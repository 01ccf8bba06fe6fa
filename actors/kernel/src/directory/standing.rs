//! How a node is, as all its members share it: what the link to it has found out.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::Notify;

use super::outstanding::Outstanding;
use crate::time::Timestamp;

/// What is known of a node, or of a member on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberStatus {
    /// Takes requests.
    Up,
    /// Silent for too long; gets no new requests.
    Suspect,
    /// Leaving; gets no new requests.
    Draining,
    /// Gone.
    Down,
}

impl MemberStatus {
    const fn code(self) -> u8 {
        match self {
            Self::Up => 0,
            Self::Suspect => 1,
            Self::Draining => 2,
            Self::Down => 3,
        }
    }

    const fn of_code(code: u8) -> Self {
        match code {
            0 => Self::Up,
            1 => Self::Suspect,
            2 => Self::Draining,
            _ => Self::Down,
        }
    }
}

/// How a node is. One per link; the node's members hold it together.
#[derive(Debug)]
pub struct Standing {
    status: AtomicU8,
    changed: Notify,
    round_trip_micros: AtomicU64,
    clock_offset_micros: AtomicI64,
    pub(super) outstanding: Outstanding,
}

/// No round trip has been measured.
const UNMEASURED: u64 = u64::MAX;

impl Standing {
    /// A node that is up, to which at most `budget` bytes may be on their way.
    #[must_use]
    pub fn new(budget: usize) -> Arc<Self> {
        Arc::new(Self {
            status: AtomicU8::new(MemberStatus::Up.code()),
            changed: Notify::new(),
            round_trip_micros: AtomicU64::new(UNMEASURED),
            clock_offset_micros: AtomicI64::new(0),
            outstanding: Outstanding::new(budget),
        })
    }

    /// This node: nothing is on its way to it, messages are handed over as they are.
    #[must_use]
    pub fn here() -> Arc<Self> {
        Self::new(usize::MAX)
    }

    /// What is known of it.
    #[must_use]
    pub fn status(&self) -> MemberStatus {
        MemberStatus::of_code(self.status.load(Ordering::Acquire))
    }

    /// Notes what is known of it; returns what was known before. Wakes who waits in
    /// [`Standing::troubled`].
    pub fn set_status(&self, status: MemberStatus) -> MemberStatus {
        let before = self.status.swap(status.code(), Ordering::AcqRel);
        if before != status.code() {
            self.changed.notify_waiters();
        }
        MemberStatus::of_code(before)
    }

    /// Waits until it is suspect or gone. What is in flight there may be sent again elsewhere.
    pub async fn troubled(&self) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Registered before the look, so that no change falls between.
            changed.as_mut().enable();
            if matches!(self.status(), MemberStatus::Suspect | MemberStatus::Down) {
                return;
            }
            changed.await;
        }
    }

    /// The last measured round trip.
    #[must_use]
    pub fn round_trip(&self) -> Option<Duration> {
        let micros = self.round_trip_micros.load(Ordering::Relaxed);
        (micros != UNMEASURED).then(|| Duration::from_micros(micros))
    }

    /// Notes a round trip, and how far the node's clock is ahead of ours (microseconds,
    /// negative: behind). As RFC 5905 has it, the offset is as good as the trip is short.
    pub fn measured(&self, round_trip: Duration, clock_offset_micros: i64) {
        let micros = u64::try_from(round_trip.as_micros()).unwrap_or(UNMEASURED - 1);
        self.round_trip_micros.store(micros, Ordering::Relaxed);
        self.clock_offset_micros.store(clock_offset_micros, Ordering::Relaxed);
    }

    /// A moment of our clock as the node's clock shows it. Deadlines are absolute, and clocks
    /// differ.
    #[must_use]
    pub fn in_its_time(&self, moment: Timestamp) -> Timestamp {
        let offset = self.clock_offset_micros.load(Ordering::Relaxed);
        Timestamp::from_micros(moment.as_micros().saturating_add(offset))
    }

    /// A beat of this number is about to be sent on the link.
    pub fn beat(&self, number: u64) {
        self.outstanding.beat(number);
    }

    /// The beat of this number has come back: everything that was sent before it has left.
    pub fn beat_returned(&self, number: u64) {
        self.outstanding.returned(number);
    }

    /// Bytes on their way to it, or lost on the way and not yet known to be.
    #[must_use]
    pub fn outstanding_bytes(&self) -> usize {
        self.outstanding.used()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn trouble_is_heard_whenever_it_comes() {
        let standing = Standing::here();
        standing.set_status(MemberStatus::Suspect);
        standing.troubled().await;
        standing.set_status(MemberStatus::Up);
        let waiting = standing.troubled();
        tokio::pin!(waiting);
        tokio::select! {
            biased;
            () = &mut waiting => panic!("it is up"),
            () = std::future::ready(()) => {}
        }
        standing.set_status(MemberStatus::Draining);
        tokio::select! {
            biased;
            () = &mut waiting => panic!("draining finishes what it has"),
            () = std::future::ready(()) => {}
        }
        standing.set_status(MemberStatus::Down);
        waiting.await;
    }

    #[test]
    fn moments_are_shown_in_the_other_clock() {
        let standing = Standing::here();
        assert_eq!(standing.round_trip(), None);
        standing.measured(Duration::from_micros(50), -2_000);
        assert_eq!(standing.in_its_time(Timestamp::from_micros(10_000)).as_micros(), 8_000);
        assert_eq!(standing.round_trip(), Some(Duration::from_micros(50)));
    }
}
