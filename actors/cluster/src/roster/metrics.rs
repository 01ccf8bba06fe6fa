//! What is counted of links.

use panel_kernel::metrics::Metrics;
use prometheus::{GaugeVec, IntCounterVec, IntGauge, IntGaugeVec, Opts};

use crate::link::Links;

/// The link metrics. Labels are names of nodes with a certificate of the cluster.
#[derive(Clone, Debug)]
pub(crate) struct LinkMetrics {
    links: IntGauge,
    round_trip: GaugeVec,
    outstanding: IntGaugeVec,
    suspicions: IntCounterVec,
}

impl LinkMetrics {
    pub(crate) fn new(metrics: &Metrics) -> prometheus::Result<Self> {
        let of_peer = |name: &str, help: &str| {
            IntGaugeVec::new(Opts::new(name, help), &["peer"]).and_then(|it| metrics.register(it))
        };
        let round_trip = Opts::new(
            "panel_cluster_round_trip_seconds",
            "The last measured round trip of a beat, by peer.",
        );
        let suspicions =
            Opts::new("panel_cluster_suspicions_total", "Times a peer was not heard for a second.");
        Ok(Self {
            links: metrics
                .register(IntGauge::new("panel_cluster_links", "Links that are ready.")?)?,
            round_trip: metrics.register(GaugeVec::new(round_trip, &["peer"])?)?,
            outstanding: of_peer(
                "panel_cluster_outstanding_bytes",
                "Bytes on their way to a peer, or not known to have arrived.",
            )?,
            suspicions: metrics.register(IntCounterVec::new(suspicions, &["peer"])?)?,
        })
    }

    pub(super) fn suspected(&self, peer: &str) {
        self.suspicions.with_label_values(&[peer]).inc();
    }

    pub(super) fn forget(&self, peer: &str) {
        // Errors only say that there was nothing to forget.
        drop(self.round_trip.remove_label_values(&[peer]));
        drop(self.outstanding.remove_label_values(&[peer]));
    }

    pub(super) fn publish(&self, links: &Links) {
        let links = links.all();
        let ready = links.iter().filter(|link| link.is_ready());
        self.links.set(i64::try_from(ready.clone().count()).unwrap_or(i64::MAX));
        for link in ready {
            let (peer, standing) = ([link.peer.name.as_str()], &link.standing);
            if let Some(trip) = standing.round_trip() {
                self.round_trip.with_label_values(&peer).set(trip.as_secs_f64());
            }
            let bytes = i64::try_from(standing.outstanding_bytes()).unwrap_or(i64::MAX);
            self.outstanding.with_label_values(&peer).set(bytes);
        }
    }
}
