//! Tells all gateways what a service has made old.
//!
//! It waits for nobody who writes. What comes within two milliseconds goes in one message to each gateway, and to
//! each by itself, so that one that does not answer holds up no other. What one has not taken it is told again
//! until it has, or is gone from the cluster; when it is back, it knows that it may have missed something.
//!
//! It owns what is not told yet, which is bounded: of too much it becomes everything. Its failure means that
//! some of that is lost; its next life therefore begins by telling gateways that everything is gone.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};
use parking_lot::Mutex;
use ractor::ActorId;
use tokio::sync::Notify;

use super::stamps::{self, Owed};
use super::{Purge, PurgeItem};
use crate::directory::{Directory, Member};
use crate::metrics::Metrics;
use crate::push::{GATEWAY, Pusher};
use crate::redis::Redis;
use crate::supervision::ChildSpec;
use crate::time::Clock;

/// How long purges gather.
const GATHER: Duration = Duration::from_millis(2);
/// When a gateway is told again that has not taken something.
const AGAIN: Duration = Duration::from_millis(100);
/// Purges told by themselves; more are told as one.
const MOST_ITEMS: usize = 32;

/// Where a service says what it has made old. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Purger(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    service: &'static str,
    pusher: Pusher,
    directory: Directory,
    metrics: Metrics,
    waiting: Mutex<Vec<PurgeItem>>,
    told: Notify,
    has_run: AtomicBool,
    clock: Clock,
    redis: Redis,
    owed: Owed,
}

/// What came of telling one gateway: what it has not taken.
type Told = (ActorId, Vec<PurgeItem>);

impl Purger {
    /// For what `service` has to tell. It is told once its child runs.
    #[must_use]
    pub fn new(
        service: &'static str,
        directory: Directory,
        redis: Redis,
        (clock, metrics): (Clock, Metrics),
    ) -> Self {
        Self(Arc::new(Inner {
            service,
            pusher: Pusher::new(service, directory.clone(), clock.clone()),
            directory,
            metrics,
            waiting: Mutex::default(),
            told: Notify::new(),
            has_run: AtomicBool::new(false),
            clock,
            redis,
            owed: Owed::default(),
        }))
    }

    /// Has this told to all gateways, soon. For what a service does by itself, after it was committed: what a
    /// transaction has said ([`Tx::makes_old`](crate::data::Tx::makes_old)) is told by itself.
    pub fn purge(&self, purge: Purge) {
        self.purge_by(None, purge);
    }

    /// The same for what the exchange of this number has done.
    pub(crate) fn purge_by(&self, by: Option<u64>, purge: Purge) {
        if purge.is_nothing() {
            return;
        }
        let labels = [self.0.service, purge.kind()];
        self.0.metrics.purges.with_label_values(&labels).inc();
        if stamps::is_wanted(&self.0.redis) && !purge.gone.is_nothing() {
            self.0.owed.add(&purge.gone);
        }
        let item = PurgeItem { by, purge };
        add(&mut self.0.waiting.lock(), vec![item]);
        self.0.told.notify_one();
    }

    /// The task behind it, as a child of the service.
    pub(crate) fn child(&self) -> ChildSpec {
        let purger = self.clone();
        ChildSpec::task("purger", move || purger.clone().run())
    }

    /// The task that writes in Redis what is gone, where there is a Redis.
    pub(crate) fn stamper(&self) -> Option<ChildSpec> {
        let purger = self.clone();
        stamps::is_wanted(&self.0.redis).then(|| {
            ChildSpec::task("stamper", move || {
                let purger = purger.clone();
                async move {
                    let Inner { service, redis, clock, owed, .. } = &*purger.0;
                    owed.write(service, redis, clock).await
                }
            })
        })
    }

    async fn run(self) -> Result<(), String> {
        let is_first = !self.0.has_run.swap(true, Ordering::AcqRel);
        if !is_first {
            // What waited for the life before went with it.
            self.purge(Purge::everything_gone());
        }
        let mut owed: HashMap<ActorId, Vec<PurgeItem>> = HashMap::new();
        let mut asked = FuturesUnordered::<BoxFuture<'static, Told>>::new();
        // Whoever is being told something hears the rest afterwards.
        let mut busy = Vec::<ActorId>::new();
        loop {
            tokio::select! {
                () = self.0.told.notified() => tokio::time::sleep(GATHER).await,
                Some((gateway, refused)) = asked.next() => {
                    busy.retain(|one| *one != gateway);
                    let is_refused = !refused.is_empty();
                    let still = owed.entry(gateway).or_default();
                    // In order: what it has not taken came first.
                    let later = std::mem::replace(still, refused);
                    add(still, later);
                    if is_refused {
                        continue;
                    }
                }
                () = tokio::time::sleep(AGAIN), if !owed.is_empty() => {}
            }
            let new = std::mem::take(&mut *self.0.waiting.lock());
            let gateways = self.0.directory.members(GATEWAY);
            for gateway in gateways.iter() {
                add(owed.entry(gateway.id()).or_default(), new.clone());
            }
            owed.retain(|id, items| {
                !items.is_empty() && gateways.iter().any(|gateway| gateway.id() == *id)
            });
            for gateway in gateways.iter() {
                if busy.contains(&gateway.id()) {
                    continue;
                }
                if let Some(items) = owed.remove(&gateway.id()) {
                    busy.push(gateway.id());
                    let (purger, gateway) = (self.clone(), Arc::clone(gateway));
                    asked.push(Box::pin(async move { purger.tell(&gateway, items).await }));
                }
            }
        }
    }

    async fn tell(&self, gateway: &Member, items: Vec<PurgeItem>) -> Told {
        let is_taken = self.0.pusher.purge(gateway, &items).await;
        (gateway.id(), if is_taken { Vec::new() } else { items })
    }
}

/// Adds purges to those that wait; too many become one.
fn add(waiting: &mut Vec<PurgeItem>, more: Vec<PurgeItem>) {
    waiting.extend(more);
    if waiting.len() > MOST_ITEMS {
        let mut all = Purge::nothing();
        for item in waiting.drain(..) {
            all.add(item.purge);
        }
        waiting.push(PurgeItem { by: None, purge: all });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::purge::Scope;

    #[test]
    fn what_waits_is_bounded_and_loses_nothing() {
        let mut waiting = Vec::new();
        for n in 0..10_000 {
            let purge = Purge::gone([format!("thread:{}", n % 20)]);
            add(&mut waiting, vec![PurgeItem { by: Some(n), purge }]);
            assert!(waiting.len() <= MOST_ITEMS);
        }
        let mut all = Purge::nothing();
        for item in waiting {
            all.add(item.purge);
        }
        assert_eq!(all.gone, Scope::of((0..20).map(|n| format!("thread:{n}"))));
    }
}
