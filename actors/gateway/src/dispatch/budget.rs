//! A retry budget (as in Google's "Site Reliability Engineering", chapter 22): requests that
//! overload has refused may be sent again only as often as one in five of all requests, so that
//! a brown-out is not made worse by those who look for a way around it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// What a retry costs, in what a request earns.
const COST: i64 = 5;
/// Retries saved up at most; there are so many at the beginning.
const MOST: i64 = 100 * COST;

/// One budget per service. Cheap to clone; clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Budgets(Arc<BTreeMap<&'static str, AtomicI64>>);

impl Budgets {
    pub(crate) fn new(services: impl IntoIterator<Item = &'static str>) -> Self {
        let full = |service| (service, AtomicI64::new(MOST));
        Self(Arc::new(services.into_iter().map(full).collect()))
    }

    /// A request is sent for the first time.
    pub(super) fn deposit(&self, service: &str) {
        // A look is enough most of the time: the budget is full when all is well.
        let Some(saved) = self.0.get(service) else { return };
        if saved.load(Ordering::Relaxed) < MOST {
            saved.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// May one be sent again?
    pub(super) fn withdraw(&self, service: &str) -> bool {
        let Some(saved) = self.0.get(service) else { return false };
        let enough = |saved: i64| (saved >= COST).then(|| saved - COST);
        saved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, enough).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_request_in_five_may_be_sent_again() {
        let budgets = Budgets::new(["forum"]);
        let spent =
            |budgets: &Budgets| (0..1_000).take_while(|_| budgets.withdraw("forum")).count();
        assert_eq!(spent(&budgets), 100);
        for _ in 0..50 {
            budgets.deposit("forum");
        }
        assert_eq!(spent(&budgets), 10);
        for _ in 0..100_000 {
            budgets.deposit("forum");
        }
        assert_eq!(spent(&budgets), 100, "not more than that is saved");
        assert!(!budgets.withdraw("unheard of"));
    }
}
