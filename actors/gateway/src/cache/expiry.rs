//! What nobody may be shown any more makes room.

use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::Expiry;

use super::kept::Slot;

/// An answer goes when it may not even stand in any more; a note of what answers depend on is made
/// anew with each of them, and goes with the last.
pub(super) struct WhenOfNoUse;

/// The longest that an answer is fresh and stands in, and an hour.
const NOTES: Duration = Duration::from_secs(49 * 3_600);

impl Expiry<Arc<str>, Slot> for WhenOfNoUse {
    fn expire_after_create(&self, _: &Arc<str>, slot: &Slot, _: Instant) -> Option<Duration> {
        Some(match slot {
            Slot::Kept(kept) => {
                let life = kept.lifetime;
                life.fresh + life.stale.max(life.revalidating)
            }
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
