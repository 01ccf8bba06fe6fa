//! One log line and two metrics per request.

use http::{Method, StatusCode};
use panel_kernel::metrics::Metrics;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts};

use super::Exchange;

/// Upper bounds of the latency buckets, in seconds.
const BUCKETS: [f64; 12] =
    [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// Counts and logs.
#[derive(Clone, Debug)]
pub(crate) struct Observer {
    requests: IntCounterVec,
    seconds: HistogramVec,
}

impl Observer {
    pub(crate) fn new(metrics: &Metrics) -> prometheus::Result<Self> {
        let requests = IntCounterVec::new(
            Opts::new("panel_http_requests_total", "Requests answered."),
            &["service", "route", "method", "status"],
        )?;
        let seconds = HistogramVec::new(
            HistogramOpts::new("panel_http_request_seconds", "Time from head to answer.")
                .buckets(BUCKETS.to_vec()),
            &["service", "route"],
        )?;
        Ok(Self { requests: metrics.register(requests)?, seconds: metrics.register(seconds)? })
    }

    pub(super) fn record(&self, exchange: &Exchange, method: &'static str, status: StatusCode) {
        let took = exchange.started.elapsed();
        let service = exchange.service.unwrap_or("gateway");
        // Paths that match no route are as many as clients can think of; they share a label.
        let route = exchange.route.as_deref().unwrap_or("unmatched");
        self.requests.with_label_values(&[service, route, method, status.as_str()]).inc();
        self.seconds.with_label_values(&[service, route]).observe(took.as_secs_f64());
        tracing::info!(
            target: "panel::access",
            method,
            route,
            status = status.as_u16(),
            service,
            member = exchange.member.as_deref(),
            cache = exchange.cache,
            latency_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            request_id = exchange.request_id,
            trace_id = exchange.trace.trace_id(),
            user = exchange.principal.map(|id| id.to_string()),
            "request"
        );
    }
}

/// The method of what can't be read, and of what clients make up: as many as they can think of.
pub(super) const OTHER: &str = "other";

/// A method as a label.
pub(super) fn label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => OTHER,
    }
}
