//! What was wrong with others, told once: a node that is refused tries again for ever, and its
//! operator needs one line, not a thousand.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use panel_kernel::metrics::Metrics;
use parking_lot::Mutex;
use prometheus::{IntCounterVec, Opts};

use crate::failed::Failed;

/// The same is told again after this long.
const AGAIN: Duration = Duration::from_secs(600);
/// Different ones remembered; beyond that all are forgotten, and told anew.
const REMEMBERED: usize = 256;

/// What was told, and when. Cheap to clone; clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Grievances {
    told: Arc<Mutex<HashMap<(String, &'static str), Instant>>>,
    refused: IntCounterVec,
}

impl Grievances {
    pub(crate) fn new(metrics: &Metrics) -> prometheus::Result<Self> {
        let refused = IntCounterVec::new(
            Opts::new("panel_cluster_refused_total", "Connections between nodes that failed."),
            &["direction", "reason"],
        )?;
        Ok(Self { told: Arc::default(), refused: metrics.register(refused)? })
    }

    /// Somebody who connected here.
    pub(crate) fn incoming(&self, who: &str, failed: &Failed) {
        self.refused.with_label_values(&["incoming", failed.label]).inc();
        if self.is_news(who, failed.label) {
            let Failed { label, why } = failed;
            tracing::warn!(peer = who, reason = label, why, "refused a connection of another node");
        }
    }

    /// Somebody whom we dialled.
    pub(crate) fn outgoing(&self, who: &str, failed: &Failed) {
        self.refused.with_label_values(&["outgoing", failed.label]).inc();
        if self.is_news(who, failed.label) {
            let Failed { label, why } = failed;
            tracing::warn!(
                peer = who,
                reason = label,
                why,
                "can't be linked with another node; trying again"
            );
        }
    }

    /// All is well with it: what may come is news again.
    pub(crate) fn forget(&self, who: &str) {
        self.told.lock().retain(|(name, _), _| name != who);
    }

    fn is_news(&self, who: &str, label: &'static str) -> bool {
        let now = Instant::now();
        let mut told = self.told.lock();
        let key = (who.to_owned(), label);
        if told.get(&key).is_some_and(|at| now.duration_since(*at) < AGAIN) {
            return false;
        }
        if told.len() >= REMEMBERED {
            told.clear();
        }
        told.insert(key, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_news_once_and_memory_is_bounded() {
        let grievances = Grievances::new(&Metrics::new().unwrap()).unwrap();
        assert!(grievances.is_news("10.0.0.1", "expired"));
        assert!(!grievances.is_news("10.0.0.1", "expired"));
        assert!(grievances.is_news("10.0.0.1", "wrong_role"));
        grievances.forget("10.0.0.1");
        assert!(grievances.is_news("10.0.0.1", "expired"));
        for number in 0..10_000 {
            grievances.is_news(&number.to_string(), "expired");
        }
        assert!(grievances.told.lock().len() <= REMEMBERED);
    }
}
