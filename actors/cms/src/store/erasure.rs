//! Names of people: as they are called from now on, or not any more.

use panel_kernel::data::{DbError, Tx, holding, sql};
use panel_kernel::ids::Id;

use super::people;

/// What is shown of who is gone.
pub(super) const NOBODY: &str = "deleted user";

/// They are called so from now on; whether anything tells of them.
pub(crate) async fn rename(tx: &mut Tx, id: Id, name: &str) -> Result<bool, DbError> {
    let is_named = people::rename(tx, id, Some(name)).await?;
    Ok(is_named | written(tx, id, name).await?)
}

/// They are called so where their name is kept with what they wrote; whether it was another anywhere.
async fn written(tx: &mut Tx, id: Id, name: &str) -> Result<bool, DbError> {
    let mut tells = false;
    for statement in [
        "UPDATE articles SET author_name = $2 WHERE author_id = $1 AND author_name <> $2",
        "UPDATE articles SET edited_by_name = $2 WHERE edited_by = $1 AND edited_by_name <> $2",
        "UPDATE media SET owner_name = $2 WHERE owner_id = $1 AND owner_name <> $2",
        "UPDATE article_revisions SET editor_name = $2 WHERE editor_id = $1 AND editor_name <> $2",
    ] {
        tells |= tx.changed(sql(statement).bind(id).bind(name)).await?;
    }
    Ok(tells)
}

/// Nobody is known by that id any more: what they wrote stays, and what it shows for as long as it does; what they had
/// not saved, and their libraries, go.
pub(crate) async fn erase(tx: &mut Tx, id: Id) -> Result<(), DbError> {
    // In the order in which everybody holds them.
    let hold = "SELECT s.id FROM assets s WHERE s.id IN \
                (SELECT m.asset_id FROM media m WHERE m.owner_id = $1) ORDER BY s.id";
    let hold = holding(tx, hold, "s").bind(id);
    tx.all::<(Id,)>(hold).await?;
    people::rename(tx, id, None).await?;
    written(tx, id, NOBODY).await?;
    for statement in [
        "DELETE FROM autosaves WHERE editor_id = $1",
        "UPDATE assets SET orphaned_at = 0 WHERE id IN \
         (SELECT m.asset_id FROM media m WHERE m.owner_id = $1) \
         AND NOT EXISTS (SELECT 1 FROM media o WHERE o.asset_id = assets.id AND o.owner_id <> $1)",
        "DELETE FROM media WHERE owner_id = $1",
        "DELETE FROM media_usage WHERE owner_id = $1",
    ] {
        tx.execute(sql(statement).bind(id)).await?;
    }
    Ok(())
}
