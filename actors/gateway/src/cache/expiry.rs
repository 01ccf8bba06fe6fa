//! What nobody may be shown any more makes room.

use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::Expiry;

use super::Slot;

/// An answer goes when it may not even stand in any more; a note of what answers depend on is made
/// anew with each of them, and goes with the last.
pub(super) struct WhenOfNoUse;

/// The longest that an answer stands in.
const NOTES: Duration = Duration::from_secs(3_600);

impl Expiry<Arc<str>, Slot> for WhenOfNoUse {
    fn expire_after_create(&self, _: &Arc<str>, slot: &Slot, _: Instant) -> Option<Duration> {
        Some(match slot {
            Slot::Kept(kept) => kept.lifetime.fresh + kept.lifetime.stale,
            Slot::Varies(_) => NOTES,
        })
    }

    fn expire_after_update(
        &self,
        key: &Arc<str>,
        slot: &Slot,
        updated_at: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        self.expire_after_create(key, slot, updated_at)
    }
}
