//! What is counted of dispatching.

use panel_kernel::metrics::Metrics;
use prometheus::{IntCounterVec, Opts};

use super::Cause;

/// Retries, by service.
#[derive(Clone, Debug)]
pub(crate) struct DispatchMetrics {
    retries: IntCounterVec,
    given_up: IntCounterVec,
    ejected: IntCounterVec,
}

impl DispatchMetrics {
    pub(crate) fn new(metrics: &Metrics) -> prometheus::Result<Self> {
        let retries = IntCounterVec::new(
            Opts::new("panel_dispatch_retries_total", "Requests sent to another member, or again."),
            &["service", "cause"],
        )?;
        let given_up = IntCounterVec::new(
            Opts::new(
                "panel_dispatch_retries_refused_total",
                "Requests not sent again because the retry budget was spent.",
            ),
            &["service"],
        )?;
        let ejected = IntCounterVec::new(
            Opts::new(
                "panel_dispatch_ejections_total",
                "Members left alone for a while because they failed more than the others.",
            ),
            &["service", "node"],
        )?;
        Ok(Self {
            retries: metrics.register(retries)?,
            given_up: metrics.register(given_up)?,
            ejected: metrics.register(ejected)?,
        })
    }

    pub(super) fn retried(&self, service: &str, cause: Cause) {
        self.retries.with_label_values(&[service, cause.name()]).inc();
    }

    pub(super) fn ejected(&self, service: &str, node: &str) {
        self.ejected.with_label_values(&[service, node]).inc();
    }

    pub(super) fn given_up(&self, service: &str) {
        self.given_up.with_label_values(&[service]).inc();
    }
}

impl Cause {
    const fn name(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Full => "full",
            Self::Leaving => "leaving",
            Self::NotSent => "not_sent",
            Self::Lost => "lost",
            Self::Aborted => "aborted",
            Self::Unwell => "unwell",
            Self::Silent => "silent",
            Self::Ahead => "ahead",
            Self::Late => "late",
        }
    }
}
