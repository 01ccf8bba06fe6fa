//! What somebody has written into an article and not saved.

use panel_kernel::data::{Conn, DbError, Tx, sql};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;

/// A text that is not saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Autosave {
    pub(crate) title: String,
    pub(crate) body: String,
    /// The version of the article that they began with.
    pub(crate) version: i64,
    pub(crate) saved_at: Timestamp,
}

panel_kernel::from_row!(Autosave { title, body, version, saved_at });

/// Theirs, of this article.
pub(crate) async fn find(
    conn: &mut Conn,
    article: Id,
    editor: Id,
) -> Result<Option<Autosave>, DbError> {
    let find = sql("SELECT title, body, version, saved_at FROM autosaves \
                    WHERE article_id = $1 AND editor_id = $2");
    conn.optional(find.bind(article).bind(editor)).await
}

/// In the place of what was theirs before.
pub(crate) async fn store(
    tx: &mut Tx,
    id: Id,
    (article, editor): (Id, Id),
    text: &Autosave,
) -> Result<(), DbError> {
    let store =
        sql("INSERT INTO autosaves (id, article_id, editor_id, title, body, version, saved_at) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (article_id, editor_id) \
                     DO UPDATE SET title = excluded.title, body = excluded.body, \
                     version = excluded.version, saved_at = excluded.saved_at");
    let store = store.bind(id).bind(article).bind(editor).bind(&text.title).bind(&text.body);
    tx.execute(store.bind(text.version).bind(text.saved_at)).await.map(drop)
}

/// It is saved, or not wanted.
pub(crate) async fn forget(tx: &mut Tx, article: Id, editor: Id) -> Result<(), DbError> {
    let forget = sql("DELETE FROM autosaves WHERE article_id = $1 AND editor_id = $2");
    tx.execute(forget.bind(article).bind(editor)).await.map(drop)
}
