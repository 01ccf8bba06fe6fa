//! What goes with an account.

use panel_kernel::data::{DbError, Tx, sql};
use panel_kernel::ids::Id;

use super::authors;

/// Forgets somebody: their name, and what was theirs alone. What they wrote stays, as by a deleted
/// user; so do their reactions, which are counted.
pub(crate) async fn erase(tx: &mut Tx, id: Id) -> Result<(), DbError> {
    authors::erase(tx, id).await?;
    // What was said about them goes as well; what was done, and when, stays.
    for statement in [
        "DELETE FROM drafts WHERE user_id = $1",
        "DELETE FROM thread_readers WHERE user_id = $1",
        "DELETE FROM post_mentions WHERE user_id = $1",
        "DELETE FROM notifications WHERE user_id = $1",
        "DELETE FROM notification_boxes WHERE user_id = $1",
        "DELETE FROM digests WHERE user_id = $1",
        "DELETE FROM blocks WHERE user_id = $1 OR blocked_id = $1",
        "UPDATE bans SET reason = '', appeal = NULL WHERE user_id = $1",
        "UPDATE flags SET note = '' WHERE user_id = $1",
        "UPDATE flags SET note = '' WHERE item_id IN \
         (SELECT id FROM moderation_queue WHERE author_id = $1)",
        "DELETE FROM moderation_notes WHERE item_id IN \
         (SELECT id FROM moderation_queue WHERE author_id = $1)",
        "UPDATE moderation_queue SET detail = '' WHERE author_id = $1 AND kind = 'appeal'",
        "UPDATE moderation_log SET reason = '' WHERE user_id = $1",
    ] {
        tx.execute(sql(statement).bind(id)).await?;
    }
    Ok(())
}
