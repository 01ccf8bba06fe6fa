//! A circuit breaker per member (M. Nygard, "Release It!"): a member whose node is well but
//! which does not answer gets no requests until it does.
//!
//! Only probes move it. If failed requests did, a client could switch a service off by asking
//! again and again for something that takes too long.

use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use serde::Serialize;
use tokio::sync::Notify;

/// Probes that must fail one after the other before a breaker opens.
const FAILURES: u32 = 3;
/// Requests at a time while it is half open.
const TRIALS: usize = 4;

/// What a breaker lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// Everything.
    Closed,
    /// A few at a time, to see.
    HalfOpen,
    /// Nothing.
    Open,
}

/// A member's breaker.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    state: AtomicU8,
    failures: AtomicU32,
    has_opened: Notify,
}

impl Breaker {
    pub(super) fn state(&self) -> BreakerState {
        match self.state.load(Ordering::Relaxed) {
            0 => BreakerState::Closed,
            1 => BreakerState::HalfOpen,
            _ => BreakerState::Open,
        }
    }

    pub(super) fn admits(&self, in_flight: usize) -> bool {
        match self.state() {
            BreakerState::Closed => true,
            BreakerState::HalfOpen => in_flight < TRIALS,
            BreakerState::Open => false,
        }
    }

    /// Waits until it is open.
    pub(super) async fn opened(&self) {
        loop {
            let opened = self.has_opened.notified();
            tokio::pin!(opened);
            // Registered before the look, so that no opening falls between.
            opened.as_mut().enable();
            if self.state() == BreakerState::Open {
                return;
            }
            opened.await;
        }
    }

    /// One prober at a time tells it.
    pub(super) fn probed(&self, answered: bool) -> BreakerState {
        let failures = if answered { 0 } else { self.failures.load(Ordering::Relaxed) + 1 };
        self.failures.store(failures, Ordering::Relaxed);
        let next = match (self.state(), answered) {
            (BreakerState::Closed, false) if failures < FAILURES => BreakerState::Closed,
            (_, false) => BreakerState::Open,
            (BreakerState::Open, true) => BreakerState::HalfOpen,
            (_, true) => BreakerState::Closed,
        };
        let code = match next {
            BreakerState::Closed => 0,
            BreakerState::HalfOpen => 1,
            BreakerState::Open => 2,
        };
        self.state.store(code, Ordering::Relaxed);
        if next == BreakerState::Open {
            self.has_opened.notify_waiters();
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::BreakerState::{Closed, HalfOpen, Open};
    use super::*;

    #[test]
    fn opens_after_three_failures_and_closes_by_halves() {
        let breaker = Breaker::default();
        let after = |answers: &[bool]| {
            answers.iter().map(|answered| breaker.probed(*answered)).collect::<Vec<_>>()
        };
        assert_eq!(after(&[false, false, true, false, false]), [Closed; 5]);
        assert_eq!(after(&[false, true, false, true]), [Open, HalfOpen, Open, HalfOpen]);
        assert!(breaker.admits(3) && !breaker.admits(4));
        assert_eq!(after(&[true]), [Closed]);
        assert!(breaker.admits(1_000));
    }

    #[tokio::test]
    async fn its_opening_is_heard_whenever_it_comes() {
        let breaker = Breaker::default();
        let waiting = breaker.opened();
        tokio::pin!(waiting);
        tokio::select! {
            biased;
            () = &mut waiting => panic!("it is closed"),
            () = std::future::ready(()) => {}
        }
        for _ in 0..3 {
            breaker.probed(false);
        }
        waiting.await;
        breaker.opened().await;
    }
}
