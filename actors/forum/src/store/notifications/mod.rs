//! What people are told of, what they don't want to hear of, and of whom.

use std::time::Duration;

use panel_kernel::data::Expiry;

pub(crate) mod boxes;
pub(crate) mod digests;
pub(crate) mod list;
pub(crate) mod telling;

/// What was told three months ago is told.
pub(crate) const EXPIRY: Expiry = Expiry {
    delete: "DELETE FROM notifications WHERE (user_id, id) IN \
             (SELECT user_id, id FROM notifications WHERE created_at <= $1 \
              ORDER BY created_at LIMIT $2)",
    keep: Duration::from_secs(90 * 24 * 3_600),
};
