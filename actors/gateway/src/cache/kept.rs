//! An answer that is kept, and what else lies under a key.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use panel_kernel::time::Timestamp;

use super::control::Lifetime;
use crate::compression::Variants;
use crate::tags::Tags;

/// What an entry costs beside its texts, about.
const OVERHEAD: usize = 256;

/// What lies under a key.
#[derive(Clone)]
pub(super) enum Slot {
    Kept(Arc<Kept>),
    /// Replies for this path depend on these headers, and lie under keys with their values.
    Varies(Arc<[HeaderName]>),
}

/// An answer that is kept.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) route: Option<String>,
    /// The body in other codings.
    pub(crate) variants: Variants,
    pub(super) key: Arc<str>,
    pub(super) vary: Arc<[HeaderName]>,
    pub(super) lifetime: Lifetime,
    /// By which it is made old.
    pub(super) tags: Tags,
    /// The number of the last purge before it was asked for.
    pub(super) asked: u64,
    pub(super) asked_at: Timestamp,
    /// When what lies in Redis was asked for.
    pub(super) shared_at: Option<Timestamp>,
}

/// How something that is kept may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Instead of asking.
    Fresh,
    /// While it is asked for anew, behind it.
    Revalidating,
    /// Only while the service can't be asked.
    Old,
    /// Never again.
    Gone,
}

impl Kept {
    /// Whether it is kept only to stand in: each reader has the service asked.
    pub(crate) fn only_stands_in(&self) -> bool {
        self.lifetime.fresh.is_zero() && self.lifetime.revalidating.is_zero()
    }

    /// By which it is made old.
    pub(crate) const fn tags(&self) -> &Tags {
        &self.tags
    }

    /// Whether it depends on headers of the request, beside those that say who asks.
    pub(crate) fn varies(&self) -> bool {
        !self.vary.is_empty()
    }

    /// How it may be shown at that time, if nothing was purged.
    pub(super) fn by_age(&self, now: Timestamp) -> Standing {
        let Lifetime { fresh, revalidating, stale } = self.lifetime;
        if self.is_within(fresh, now) {
            Standing::Fresh
        } else if self.is_within(fresh + revalidating, now) {
            Standing::Revalidating
        } else if self.is_within(fresh + stale, now) {
            Standing::Old
        } else {
            Standing::Gone
        }
    }

    /// Whether it may stand in by its age.
    pub(super) fn may_stand_in(&self, now: Timestamp) -> bool {
        self.is_within(self.lifetime.fresh + self.lifetime.stale, now)
    }

    /// How old it is, in whole seconds.
    pub(crate) fn age(&self, now: Timestamp) -> u64 {
        self.asked_at.until(now).as_secs()
    }

    /// For how many seconds it is fresh yet; for how many it has not been, below zero.
    pub(crate) fn ttl(&self, now: Timestamp) -> i64 {
        let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        let age = self.asked_at.until(now);
        match self.lifetime.fresh.checked_sub(age) {
            Some(left) => seconds(left),
            None => -seconds(age.saturating_sub(self.lifetime.fresh)),
        }
    }

    /// What is from the future was asked before the clock was set back: nobody knows its age.
    fn is_within(&self, life: Duration, now: Timestamp) -> bool {
        self.asked_at <= now && self.asked_at.until(now) < life
    }
}

/// What it takes, in bytes.
pub(super) fn weight(key: &Arc<str>, slot: &Slot) -> u32 {
    let inside = match slot {
        Slot::Varies(names) => names.iter().map(|name| name.as_str().len()).sum(),
        Slot::Kept(kept) => {
            let headers = kept.headers.iter();
            let headers = headers.map(|(name, value)| name.as_str().len() + value.len() + 64);
            // With its variants, which take as much at most.
            2 * kept.body.len()
                + kept.route.as_deref().map_or(0, str::len)
                + headers.sum::<usize>()
                + kept.tags.weight()
        }
    };
    u32::try_from(key.len() + inside + OVERHEAD).unwrap_or(u32::MAX)
}
