//! The process's Prometheus registry, and the few metrics the kernel itself keeps. A room
//! that measures something registers its own collectors on the registry it is handed.

use prometheus::core::Collector;
use prometheus::{
    Encoder as _, GaugeVec, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder,
};

/// Where metrics are kept. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    /// Restarts of supervised actors, by path in the tree.
    pub restarts: IntCounterVec,
    /// Requests refused before they reached a handler, by service and reason.
    pub refused: IntCounterVec,
    /// Attempts refused because of those that failed before, by service and reason.
    pub throttled: IntCounterVec,
    /// Attempts to deliver a mail, by service and outcome.
    pub mails: IntCounterVec,
    /// Attempts to put together what there is of somebody, by service and outcome.
    pub exports: IntCounterVec,
    /// Pictures to be made of files that were sent, by service and outcome.
    pub pictures: IntCounterVec,
    /// Attempts to tell a webhook something, by service and outcome.
    pub webhooks: IntCounterVec,
    /// Requests to others' servers, by whom they are to and outcome.
    pub outbound: IntCounterVec,
    /// Requests inside a service (queued or running), by service.
    pub in_flight: IntGaugeVec,
    /// Requests waiting for a worker, by service.
    pub queue_depth: IntGaugeVec,
    /// Handlers that panicked, by service.
    pub panics: IntCounterVec,
    /// Events not yet delivered, by publishing service and consumer, in rows.
    pub outbox_lag: IntGaugeVec,
    /// Age of the oldest of them, in seconds, by publishing service and consumer.
    pub outbox_age: GaugeVec,
    /// Time one database write took from submission to commit, in seconds, by service.
    pub write_seconds: HistogramVec,
    /// 1 while a service's database answers, else 0.
    pub database_up: IntGaugeVec,
    /// What services told gateways to be old or gone, by service and kind.
    pub purges: IntCounterVec,
    /// Build information as labels, always 1.
    pub build: GaugeVec,
}

impl Metrics {
    /// A fresh registry with the kernel's metrics and the process's own figures.
    ///
    /// # Errors
    /// Never in practice: only if two metrics of the kernel had one name.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let process = prometheus::process_collector::ProcessCollector::for_self();
        registry.register(Box::new(process))?;
        let counter = |name: &str, help: &str, labels: &[&str]| {
            keep(&registry, IntCounterVec::new(Opts::new(name, help), labels)?)
        };
        let outcomes = |name: &str, help: &str| counter(name, help, &["service", "outcome"]);
        let gauge = |name: &str, help: &str, labels: &[&str]| {
            keep(&registry, IntGaugeVec::new(Opts::new(name, help), labels)?)
        };
        let figure = |name: &str, help: &str, labels: &[&str]| {
            keep(&registry, GaugeVec::new(Opts::new(name, help), labels)?)
        };
        let metrics = Self {
            restarts: counter(
                "panel_actor_restarts_total",
                "Restarts of supervised actors.",
                &["actor"],
            )?,
            refused: counter(
                "panel_service_refused_total",
                "Requests refused before a handler saw them.",
                &["service", "reason"],
            )?,
            throttled: counter(
                "panel_throttled_total",
                "Attempts refused because of those that failed before.",
                &["service", "reason"],
            )?,
            mails: outcomes("panel_mails_total", "Attempts to deliver a mail.")?,
            exports: outcomes(
                "panel_exports_total",
                "Attempts to put together what there is of somebody.",
            )?,
            pictures: outcomes(
                "panel_pictures_total",
                "Pictures to be made of files that were sent.",
            )?,
            webhooks: outcomes("panel_webhooks_total", "Attempts to tell a webhook something.")?,
            outbound: counter(
                "panel_outbound_total",
                "Requests to others' servers.",
                &["target", "outcome"],
            )?,
            in_flight: gauge(
                "panel_service_in_flight",
                "Requests inside a service, queued or running.",
                &["service"],
            )?,
            queue_depth: gauge(
                "panel_service_queue_depth",
                "Requests waiting for a worker.",
                &["service"],
            )?,
            panics: counter(
                "panel_handler_panics_total",
                "Handlers that panicked; each cost one request.",
                &["service"],
            )?,
            outbox_lag: gauge(
                "panel_outbox_lag_events",
                "Events committed but not yet delivered.",
                &["service", "consumer"],
            )?,
            outbox_age: figure(
                "panel_outbox_lag_seconds",
                "Age of the oldest event that is not yet delivered.",
                &["service", "consumer"],
            )?,
            write_seconds: keep(
                &registry,
                HistogramVec::new(
                    prometheus::HistogramOpts::new(
                        "panel_database_write_seconds",
                        "Time of a database write from submission to commit.",
                    )
                    .buckets(vec![
                        0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.0,
                    ]),
                    &["service"],
                )?,
            )?,
            database_up: gauge(
                "panel_database_up",
                "1 while the service's database answers.",
                &["service"],
            )?,
            purges: counter(
                "panel_purges_total",
                "Times that something was told to gateways to be old, or gone.",
                &["service", "kind"],
            )?,
            build: figure(
                "panel_build_info",
                "Version and node name, as labels.",
                &["version", "node"],
            )?,
            registry,
        };
        Ok(metrics)
    }

    /// Registers a collector of another room and hands it back.
    ///
    /// # Errors
    /// If a metric of that name is registered already.
    pub fn register<C: Collector + Clone + 'static>(&self, collector: C) -> prometheus::Result<C> {
        keep(&self.registry, collector)
    }

    /// Everything, in Prometheus's text format.
    #[must_use]
    pub fn render(&self) -> Vec<u8> {
        let mut text = Vec::with_capacity(16 * 1024);
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "metrics can't be rendered");
        }
        text
    }
}

fn keep<C: Collector + Clone + 'static>(
    registry: &Registry,
    collector: C,
) -> prometheus::Result<C> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}
