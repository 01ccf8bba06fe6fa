//! What goes with an account.

use panel_kernel::data::{DbError, Tx, sql};
use panel_kernel::ids::Id;

use super::authors;

/// Forgets somebody: their name, and what was theirs alone. What they wrote stays, as by a deleted
/// user; so do their reactions, which are counted.
pub(crate) async fn erase(tx: &mut Tx, id: Id) -> Result<(), DbError> {
    authors::erase(tx, id).await?;
    for delete in [
        "DELETE FROM drafts WHERE user_id = $1",
        "DELETE FROM thread_readers WHERE user_id = $1",
        "DELETE FROM post_mentions WHERE user_id = $1",
    ] {
        tx.execute(sql(delete).bind(id)).await?;
    }
    Ok(())
}
