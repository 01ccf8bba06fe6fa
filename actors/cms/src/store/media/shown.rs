//! Which articles show which pictures, as they are now.

use std::collections::BTreeSet;

use panel_kernel::data::{Conn, DbError, Tx, sql};
use panel_kernel::ids::Id;

use super::assets;

/// Articles that are named where a picture can't be removed.
const NAMED: i64 = 5;

/// An article shows these from now on, and no others. Each is held: nobody removes it before the transaction ends.
pub(crate) async fn set(
    tx: &mut Tx,
    article: Id,
    before: &BTreeSet<String>,
    after: &BTreeSet<String>,
) -> Result<(), DbError> {
    for gone in before.difference(after) {
        let delete = sql("DELETE FROM article_media WHERE sha256 = $1 AND article_id = $2");
        tx.execute(delete.bind(gone).bind(article)).await?;
    }
    for new in after.difference(before) {
        assets::hold_content(tx, new).await?;
        let insert = sql("INSERT INTO article_media (sha256, article_id) VALUES ($1, $2) \
                          ON CONFLICT DO NOTHING");
        tx.execute(insert.bind(new).bind(article)).await?;
    }
    Ok(())
}

/// Whether any article shows it.
pub(crate) async fn is_shown(conn: &mut Conn, sha256: &str) -> Result<bool, DbError> {
    let find =
        sql("SELECT r.article_id FROM article_media r WHERE r.sha256 = $1 LIMIT 1").bind(sha256);
    Ok(conn.optional::<(Id,)>(find).await?.is_some())
}

/// Some articles that show it: their ids, authors and titles.
pub(crate) async fn by(conn: &mut Conn, sha256: &str) -> Result<Vec<(Id, Id, String)>, DbError> {
    let find = sql(
        "SELECT a.id, a.author_id, a.title FROM article_media r JOIN articles a ON a.id = r.article_id \
                    WHERE r.sha256 = $1 ORDER BY r.article_id LIMIT $2",
    );
    conn.all(find.bind(sha256).bind(NAMED)).await
}
