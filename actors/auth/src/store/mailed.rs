//! What was mailed lately about the same thing, where there is no account that remembers it.

use std::time::Duration;

use panel_kernel::data::{DbError, Expiry, Tx, sql};
use panel_kernel::time::Timestamp;

use super::users::BETWEEN_MAILS;

/// Mails about one thing in a day, from the first on.
const A_DAY: i64 = 5;
const DAY: Duration = Duration::from_secs(24 * 3_600);

pub(crate) const EXPIRY: Expiry = Expiry {
    delete: "DELETE FROM mailed WHERE about IN \
             (SELECT about FROM mailed WHERE expires_at <= $1 LIMIT $2)",
    keep: Duration::ZERO,
};

/// Notes that a mail about this is sent; `false` if one was just now, or several were today, and this one
/// should not be.
pub(crate) async fn may_mail(
    tx: &mut Tx,
    about: [u8; 16],
    now: Timestamp,
) -> Result<bool, DbError> {
    tx.changed(
        sql("INSERT INTO mailed (about, mailed_at, mails, expires_at) VALUES ($1, $2, 1, $3) \
             ON CONFLICT (about) DO UPDATE SET mailed_at = excluded.mailed_at, \
               mails = CASE WHEN mailed.expires_at <= $2 THEN 1 ELSE mailed.mails + 1 END, \
               expires_at = CASE WHEN mailed.expires_at <= $2 THEN excluded.expires_at \
                            ELSE mailed.expires_at END \
             WHERE mailed.expires_at <= $2 OR (mailed.mailed_at <= $4 AND mailed.mails < $5)")
        .bind(about.to_vec())
        .bind(now)
        .bind(now.plus(DAY))
        .bind(now.minus(BETWEEN_MAILS))
        .bind(A_DAY),
    )
    .await
}
