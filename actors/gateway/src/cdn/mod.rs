//! A CDN in front of the site: what it may keep ([`labels`]), and that it is told what is old.
//!
//! ```text
//! gateway/cdn           one for one
//! ├── lease             (PostgreSQL) finds out whether this gateway is the one who sends
//! └── sender            sends purges, again and again until they are taken
//! ```
//!
//! It hears of purges where the cache does ([`Purges::told`]), and purges what is old as well as what is gone: at a CDN
//! nobody knows whether a service can be asked. What is [`pending`] is in memory, each of it once, and bounded.
//!
//! One gateway of a cluster sends, under a lease in what gateways share. Who begins to can't know what was missed before,
//! and purges all of the site. Two who send at one time do no harm.
//!
//! Failure: a CDN that takes no purges is asked again, later and later, and health says so; meanwhile it shows what it
//! has for `gateway.cdn.max_age`. If the sender fails, the next purges everything. If the database is down, whoever
//! sends goes on.

mod config;
mod labels;
mod pending;
mod provider;
mod sender;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use panel_kernel::data::Leases;
use panel_kernel::metrics::Metrics;
use panel_kernel::outbound::Outbound;
use panel_kernel::purge::{Purge, Scope};
use panel_kernel::service::Runtime;
use panel_kernel::supervision::{ChildSpec, SupervisorSpec};
use panel_kernel::time::Clock;
use parking_lot::Mutex;
use prometheus::{Gauge, IntCounterVec, IntGauge, Opts};
use tokio::sync::Notify;

pub use config::{CdnConfig, CdnKind};
pub(crate) use labels::Labels;
use labels::Names;
use pending::{Pending, Sent, What};
use provider::Provider;

use crate::commons::Commons;

/// How long who sends is left to it without a sign of life.
const LEASE: Duration = Duration::from_secs(10);
/// Between two signs of life.
const RENEW: Duration = Duration::from_secs(3);
/// The same while the database can't be asked.
const ASK_AGAIN: Duration = Duration::from_millis(500);
/// How long a node that ends waits for the CDN.
const DRAIN: Duration = Duration::from_secs(3);
/// Between two looks whether it need not any more.
const DRAIN_LOOK: Duration = Duration::from_millis(20);
/// How long the CDN may take for a request.
const PATIENCE: Duration = Duration::from_secs(10);

/// What this gateway knows to be old at the CDN, if it is the one who says so there. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Purges(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// `None`: another gateway does.
    pending: Mutex<Option<Pending>>,
    told: Notify,
}

impl Purges {
    /// That is old, or gone.
    pub(crate) fn purge(&self, service: &'static str, purge: &Purge) {
        for scope in [&purge.old, &purge.gone] {
            match scope {
                Scope::Everything => self.add([What::Service(service)]),
                Scope::Tags(tags) => {
                    self.add(tags.iter().map(|tag| What::Tag(service, tag.as_str().into())));
                }
            }
        }
    }

    fn add(&self, all: impl IntoIterator<Item = What>) {
        if let Some(pending) = &mut *self.0.pending.lock() {
            let now = Instant::now();
            all.into_iter().for_each(|what| pending.add(what, now));
        }
        self.0.told.notify_one();
    }

    /// From now on this gateway is the one who sends. What was before it can't know.
    fn begin(&self) {
        self.0.pending.lock().get_or_insert_default();
        self.everything();
    }

    /// Another gateway is. It has begun with everything.
    fn end(&self) {
        *self.0.pending.lock() = None;
    }

    fn everything(&self) {
        self.add([What::Site]);
    }

    /// Something may have changed.
    async fn told(&self) {
        self.0.told.notified().await;
    }

    fn next_due(&self) -> Option<Instant> {
        self.0.pending.lock().as_ref()?.next_due()
    }

    fn take(&self, most: usize) -> Vec<Sent> {
        let mut pending = self.0.pending.lock();
        pending.as_mut().map(|pending| pending.take(most, Instant::now())).unwrap_or_default()
    }

    fn settle(&self, sent: &[Sent], is_taken: bool) {
        if let Some(pending) = &mut *self.0.pending.lock() {
            pending.settle(sent, is_taken, Instant::now());
        }
    }

    /// How much was not taken yet, and since when the oldest of it waits.
    fn waiting(&self) -> (usize, Option<Instant>) {
        let pending = self.0.pending.lock();
        pending.as_ref().map(|pending| (pending.unsent(), pending.oldest())).unwrap_or_default()
    }
}

/// The CDN in front of the site. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Cdn(Arc<Inner>);

struct Inner {
    labels: Labels,
    provider: Provider,
    outbound: Outbound,
    retry: Duration,
    clock: Clock,
    purges: Purges,
    /// How it is found out who sends; `None`: this gateway does, there is no other.
    lease: Option<Leases>,
    trouble: Mutex<Option<&'static str>>,
    has_run: AtomicBool,
    requests: IntCounterVec,
    pending: IntGauge,
    oldest: Gauge,
}

impl Cdn {
    /// As it is configured; `None` where there is no CDN.
    ///
    /// # Errors
    /// In words, for what can't be used.
    pub(crate) fn new(
        config: &CdnConfig,
        commons: Option<&Commons>,
        runtime: &Runtime,
    ) -> Result<Option<Self>, String> {
        if !config.is_on() {
            return Ok(None);
        }
        let outbound = Outbound::new(&config.ca_file, 1)?.patient(PATIENCE);
        // On SQLite it is alone.
        let shared = commons.filter(|commons| commons.upkeep.db.is_postgres());
        let (requests, pending, oldest) =
            measured(&runtime.metrics).map_err(|error| error.to_string())?;
        Ok(Some(Self(Arc::new(Inner {
            labels: Labels::new(config, &runtime.public_url),
            provider: Provider::new(config, Names::new(&runtime.public_url)),
            outbound,
            retry: config.retry.0,
            clock: runtime.clock.clone(),
            purges: Purges::default(),
            lease: shared.map(|commons| commons.upkeep.leases.clone()),
            trouble: Mutex::default(),
            has_run: AtomicBool::new(false),
            requests,
            pending,
            oldest,
        }))))
    }

    /// How answers are labelled.
    pub(crate) fn labels(&self) -> &Labels {
        &self.0.labels
    }

    /// Where it is told what is old.
    pub(crate) fn purges(&self) -> &Purges {
        &self.0.purges
    }

    /// Why what was purged is not so at the CDN, if that is so.
    pub(crate) fn trouble(&self) -> Option<&'static str> {
        *self.0.trouble.lock()
    }

    /// Waits a moment for what was not taken yet: a node that ends can't be told.
    pub(crate) async fn drained(&self) {
        let sent = async {
            while self.0.purges.waiting().0 > 0 {
                tokio::time::sleep(DRAIN_LOOK).await;
            }
        };
        if tokio::time::timeout(DRAIN, sent).await.is_err() {
            let (left, _) = self.0.purges.waiting();
            tracing::warn!(
                left,
                "the CDN has not taken all purges: the next start purges everything"
            );
        }
    }

    /// Its tree.
    pub(crate) fn child(&self, runtime: &Runtime) -> ChildSpec {
        let mut top = SupervisorSpec::new("gateway/cdn", &runtime.tree);
        if let Some(leases) = &self.0.lease {
            let (cdn, leases) = (self.clone(), leases.clone());
            top = top.child(ChildSpec::task("lease", move || cdn.clone().hold(leases.clone())));
        }
        let cdn = self.clone();
        top.child(ChildSpec::task("sender", move || sender::run(cdn.clone()))).into_child("cdn")
    }

    /// Finds out who sends, for as long as this gateway lives.
    async fn hold(self, leases: Leases) -> Result<(), String> {
        let mut held = None;
        loop {
            let pause = match leases.acquire("cdn", LEASE).await {
                Ok(Some(lease)) => {
                    // Another may have had it in between.
                    if held != Some(lease.token) {
                        tracing::info!(
                            "this gateway purges at the CDN, and begins with everything"
                        );
                        held = Some(lease.token);
                        self.0.purges.begin();
                    }
                    RENEW
                }
                Ok(None) => {
                    if held.take().is_some() {
                        tracing::info!("another gateway purges at the CDN");
                    }
                    self.0.purges.end();
                    *self.0.trouble.lock() = None;
                    RENEW
                }
                // Who has sent goes on: nobody else can begin. The keeper reports an outage.
                Err(error) => {
                    if !error.is_outage() {
                        tracing::warn!(%error, "it can't be known who purges at the CDN");
                    }
                    ASK_AGAIN
                }
            };
            tokio::time::sleep(pause).await;
        }
    }
}

type Measured = (IntCounterVec, IntGauge, Gauge);

fn measured(metrics: &Metrics) -> prometheus::Result<Measured> {
    let help = "Requests to purge at the CDN, by what came of them.";
    let requests = IntCounterVec::new(Opts::new("panel_cdn_purges_total", help), &["result"])?;
    let help = "Tags that were purged and the CDN has not taken yet.";
    let pending = IntGauge::new("panel_cdn_pending_tags", help)?;
    let help = "For how long the oldest of them waits, in seconds.";
    let oldest = Gauge::new("panel_cdn_oldest_seconds", help)?;
    let requests = metrics.register(requests)?;
    Ok((requests, metrics.register(pending)?, metrics.register(oldest)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::Cache;

    /// What waits to be sent.
    fn waiting(purges: &Purges) -> Vec<What> {
        let mut pending = purges.0.pending.lock();
        let later = Instant::now() + Duration::from_secs(1);
        let sent = pending.as_mut().map(|pending| pending.take(99, later)).unwrap_or_default();
        if let Some(pending) = &mut *pending {
            // All of it is over.
            *pending = Pending::default();
        }
        sent.into_iter().map(|(what, _)| what).collect()
    }

    #[test]
    fn what_the_cache_takes_for_old_is_purged_and_what_it_may_have_missed() {
        let (purges, metrics) = (Purges::default(), Metrics::new().unwrap());
        let services = ["forum", "cms"].into_iter();
        let cache = Cache::new(1_000, services, None, Some(&purges), &metrics).unwrap();
        // Another gateway sends.
        cache.purge("forum", &Purge::everything());
        assert_eq!(waiting(&purges), []);
        purges.begin();
        assert_eq!(waiting(&purges), [What::Site]);
        let tag = |tag: &str| What::Tag("forum", tag.into());
        let mut purge = Purge::of(["a"]);
        purge.add(Purge::gone(["b"]));
        cache.purge("forum", &purge);
        assert_eq!(waiting(&purges), [tag("a"), tag("b")]);
        for everything in [Purge::everything(), Purge::everything_gone()] {
            cache.purge("cms", &everything);
            assert_eq!(waiting(&purges), [What::Service("cms")]);
        }
        cache.has_come("cms");
        cache.purge("nobody", &Purge::everything());
        assert_eq!(waiting(&purges), [What::Service("cms")]);
        purges.end();
        cache.has_come("cms");
        assert_eq!(waiting(&purges), []);
    }
}
