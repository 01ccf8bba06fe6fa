//! What a forum is taken from one place to another by.

pub(crate) mod reading;
pub(crate) mod writing;

use panel_kernel::data::{DbError, Tx, sql};

/// Which forum this is; `fresh`, if nobody has asked before.
pub(crate) async fn site(tx: &mut Tx, fresh: &str) -> Result<String, DbError> {
    let insert =
        sql("INSERT INTO forum_site (one, id) VALUES (1, $1) ON CONFLICT (one) DO NOTHING");
    tx.execute(insert.bind(fresh)).await?;
    let (id,) = tx.one(sql("SELECT id FROM forum_site WHERE one = 1")).await?;
    Ok(id)
}
