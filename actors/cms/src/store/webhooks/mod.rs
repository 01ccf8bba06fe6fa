//! Webhooks, what they are to be told, and what came of it.

pub(crate) mod deliveries;
pub(crate) mod hooks;

use std::time::Duration;

use panel_kernel::data::Expiry;

/// For how long what is done with stays, to be looked at.
const KEPT: Duration = Duration::from_secs(14 * 24 * 3_600);

/// What is done with, and what hangs on a webhook that is gone.
pub(crate) const EXPIRIES: [Expiry; 3] = [
    Expiry {
        // Said twice: what is sent again meanwhile stays.
        delete: "DELETE FROM webhook_deliveries WHERE finished_at <= $1 AND id IN \
                 (SELECT d.id FROM webhook_deliveries d WHERE d.finished_at <= $1 LIMIT $2)",
        keep: KEPT,
    },
    Expiry {
        delete: "DELETE FROM webhook_deliveries WHERE id IN (SELECT d.id FROM webhooks w \
                 JOIN webhook_deliveries d ON d.webhook_id = w.id \
                 WHERE w.deleted_at <= $1 LIMIT $2)",
        keep: Duration::ZERO,
    },
    Expiry {
        delete: "DELETE FROM webhooks WHERE id IN (SELECT w.id FROM webhooks w \
                 WHERE w.deleted_at <= $1 AND NOT EXISTS \
                 (SELECT d.id FROM webhook_deliveries d WHERE d.webhook_id = w.id) LIMIT $2)",
        keep: Duration::ZERO,
    },
];
