//! How many bytes are on their way to a node. The queues of a link know no bound, so what goes
//! into them must have one.
//!
//! A call's bytes are given back when its answer is there. Of a call that nobody waits for any
//! more it is not known whether it has left, so its bytes stay *parked* until a beat that was
//! sent after it has come back: a link carries messages in order, so everything before has left.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::Standing;

#[derive(Debug)]
pub(super) struct Outstanding {
    limit: usize,
    used: AtomicUsize,
    /// The number of the last beat sent.
    beat: AtomicU64,
    /// Bytes of abandoned calls, by the last beat before they were abandoned, ascending.
    parked: Mutex<VecDeque<(u64, usize)>>,
}

impl Outstanding {
    pub(super) const fn new(limit: usize) -> Self {
        Self {
            limit,
            used: AtomicUsize::new(0),
            beat: AtomicU64::new(0),
            parked: Mutex::new(VecDeque::new()),
        }
    }

    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    pub(super) fn beat(&self, number: u64) {
        self.beat.store(number, Ordering::Relaxed);
    }

    pub(super) fn returned(&self, number: u64) {
        let mut parked = self.parked.lock();
        while let Some((_, bytes)) = parked.pop_front_if(|(before, _)| *before < number) {
            self.used.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    fn take(&self, bytes: usize) -> bool {
        let took = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            used.checked_add(bytes).filter(|sum| *sum <= self.limit)
        });
        took.is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn park(&self, bytes: usize) {
        let mut parked = self.parked.lock();
        let beat = self.beat.load(Ordering::Relaxed);
        match parked.back_mut() {
            // One entry per beat, however many calls are abandoned.
            Some((before, sum)) if *before == beat => *sum += bytes,
            _ => parked.push_back((beat, bytes)),
        }
    }
}

/// The bytes of one call, as long as it is not known what has become of them.
#[derive(Debug)]
pub(super) struct Bytes {
    of: Arc<Standing>,
    count: usize,
    arrived: bool,
}

impl Bytes {
    /// Room for so many, if there is.
    pub(super) fn reserve(of: &Arc<Standing>, bytes: usize) -> Option<Self> {
        of.outstanding.take(bytes).then(|| Self {
            of: Arc::clone(of),
            count: bytes,
            arrived: false,
        })
    }

    /// They have arrived, or never left.
    pub(super) fn settle(mut self) {
        self.arrived = true;
    }
}

impl Drop for Bytes {
    fn drop(&mut self) {
        if self.arrived {
            self.of.outstanding.give_back(self.count);
        } else {
            self.of.outstanding.park(self.count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_abandoned_stays_counted_until_a_later_beat_comes_back() {
        let standing = Standing::new(100);
        Bytes::reserve(&standing, 60).unwrap().settle();
        assert_eq!(standing.outstanding_bytes(), 0);
        standing.beat(1);
        drop(Bytes::reserve(&standing, 60));
        standing.beat(2);
        drop(Bytes::reserve(&standing, 30));
        assert!(Bytes::reserve(&standing, 11).is_none(), "full");
        standing.beat_returned(1);
        assert_eq!(standing.outstanding_bytes(), 90, "beat 1 was sent before both");
        standing.beat_returned(2);
        assert_eq!(standing.outstanding_bytes(), 30);
        standing.beat_returned(3);
        assert_eq!(standing.outstanding_bytes(), 0);
    }
}
