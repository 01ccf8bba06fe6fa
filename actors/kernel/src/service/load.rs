//! Admission: how many requests may be inside a service on one node, and the place each holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::rank::{RESERVED, Rank};
use crate::message::Refusal;
use crate::metrics::Metrics;

/// How much is inside a service on this node, against how much may be.
#[derive(Debug)]
pub struct Load {
    service: &'static str,
    capacity: usize,
    inside: AtomicUsize,
    running: AtomicUsize,
    draining: AtomicBool,
    metrics: Metrics,
}

impl Load {
    /// Nothing inside yet.
    #[must_use]
    pub fn new(service: &'static str, capacity: usize, metrics: Metrics) -> Arc<Self> {
        Arc::new(Self {
            service,
            capacity,
            inside: AtomicUsize::new(0),
            running: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
            metrics,
        })
    }

    /// Requests inside, queued or running.
    #[must_use]
    pub fn inside(&self) -> usize {
        self.inside.load(Ordering::Relaxed)
    }

    /// Whether it takes nothing more.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// From now on it takes nothing more.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// A place for one more, unless it is full. Insiders have some that nobody else may take.
    pub(super) fn enter(self: &Arc<Self>, rank: Rank) -> Option<Place> {
        let capacity = match rank {
            Rank::Insider => self.capacity + RESERVED,
            Rank::Client => self.capacity,
        };
        let before = self.inside.fetch_add(1, Ordering::Relaxed);
        if before >= capacity {
            self.inside.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Place { load: Arc::clone(self), running: false })
    }

    /// Brings the gauges up to date; called when metrics are read.
    pub(super) fn publish(&self) {
        let (inside, running) = (self.inside(), self.running.load(Ordering::Relaxed));
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.metrics.in_flight.with_label_values(&[self.service]).set(number(inside));
        let waiting = number(inside.saturating_sub(running));
        self.metrics.queue_depth.with_label_values(&[self.service]).set(waiting);
    }

    pub(super) fn count_refusal(&self, refusal: Refusal) {
        self.metrics.refused.with_label_values(&[self.service, refusal.name()]).inc();
    }
}

/// One request's place inside the service; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    load: Arc<Load>,
    running: bool,
}

impl Place {
    /// It is refused after all.
    pub(super) fn count_refusal(&self, refusal: Refusal) {
        self.load.count_refusal(refusal);
    }

    /// A worker has it now.
    pub(super) fn run(&mut self) {
        if !self.running {
            self.running = true;
            self.load.running.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.load.inside.fetch_sub(1, Ordering::Relaxed);
        if self.running {
            self.load.running.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
