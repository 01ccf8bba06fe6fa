//! Names of people: as they are called from now on, or not any more.

use panel_kernel::data::{DbError, Tx, sql};
use panel_kernel::ids::Id;

/// What is shown of who is gone.
const NOBODY: &str = "deleted user";

/// They are called so from now on; whether anything tells of them.
pub(crate) async fn rename(tx: &mut Tx, id: Id, name: &str) -> Result<bool, DbError> {
    let mut tells = false;
    for statement in [
        "UPDATE articles SET author_name = $2 WHERE author_id = $1 AND author_name <> $2",
        "UPDATE articles SET edited_by_name = $2 WHERE edited_by = $1 AND edited_by_name <> $2",
        "UPDATE article_revisions SET editor_name = $2 WHERE editor_id = $1 AND editor_name <> $2",
    ] {
        tells |= tx.changed(sql(statement).bind(id).bind(name)).await?;
    }
    Ok(tells)
}

/// Nobody is known by that id any more: what they wrote stays, and what they had not saved goes.
pub(crate) async fn erase(tx: &mut Tx, id: Id) -> Result<(), DbError> {
    rename(tx, id, NOBODY).await?;
    tx.execute(sql("DELETE FROM autosaves WHERE editor_id = $1").bind(id)).await.map(drop)
}
