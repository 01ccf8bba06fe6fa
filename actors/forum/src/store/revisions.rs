//! Texts of posts as they were.

use panel_kernel::data::{Conn, DbError, FromRow, Row, Tx, sql};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::authors::Author;

/// A text of a post, as somebody left it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Revision {
    /// From 1; the highest is the text as it is now.
    pub(crate) number: i64,
    /// Markdown. Empty if it is hidden.
    pub(crate) body: String,
    /// Who wrote it so.
    pub(crate) editor: Author,
    pub(crate) created_at: Timestamp,
    /// Only there, and true, where a moderator took the text out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub(crate) hidden: bool,
}

impl FromRow for Revision {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        let name: String = row.get(3)?;
        Ok(Self {
            number: row.get(0)?,
            body: row.get(1)?,
            editor: Author::named(row.get(2)?, &name),
            created_at: row.get(4)?,
            hidden: row.get(5)?,
        })
    }
}

/// All revisions of the post `$1`, the text as it is now among them.
macro_rules! revisions {
    () => {
        "(SELECT v.number, v.body, v.editor_id, v.created_at, v.hidden FROM post_revisions v \
          WHERE v.post_id = $1 UNION ALL \
          SELECT COALESCE((SELECT MAX(v.number) FROM post_revisions v WHERE v.post_id = $1), 0) + 1, \
          p.body, COALESCE(p.edited_by, p.author_id), COALESCE(p.edited_at, p.created_at), 0 \
          FROM posts p WHERE p.id = $1) AS v"
    };
}

/// The revisions of a post from `from` to `to`, in order.
pub(crate) async fn range(
    conn: &mut Conn,
    post: Id,
    (from, to): (i64, i64),
) -> Result<Vec<Revision>, DbError> {
    let list = sql(concat!(
        "SELECT v.number, v.body, v.editor_id, \
         COALESCE((SELECT a.name FROM authors a WHERE a.id = v.editor_id), ''), v.created_at, v.hidden \
         FROM ",
        revisions!(),
        " WHERE v.number >= $2 AND v.number <= $3 ORDER BY v.number"
    ));
    conn.all(list.bind(post).bind(from).bind(to)).await
}

/// The lengths of at most `fetch` of them after number `after`, in bytes, in order.
pub(crate) async fn lengths(
    conn: &mut Conn,
    post: Id,
    after: i64,
    fetch: i64,
) -> Result<Vec<(i64, i64)>, DbError> {
    let list = sql(concat!(
        "SELECT v.number, CAST(octet_length(v.body) AS BIGINT) FROM ",
        revisions!(),
        " WHERE v.number > $2 ORDER BY v.number LIMIT $3"
    ));
    conn.all(list.bind(post).bind(after).bind(fetch)).await
}

/// Keeps the text of a post as it is, as revision `id`, before it is changed. The post must be held.
pub(crate) async fn keep(tx: &mut Tx, id: Id, post: Id) -> Result<(), DbError> {
    let keep = sql(
        "INSERT INTO post_revisions (id, post_id, number, body, editor_id, created_at) \
                    SELECT $2, p.id, \
                    COALESCE((SELECT MAX(v.number) FROM post_revisions v WHERE v.post_id = p.id), 0) + 1, \
                    p.body, COALESCE(p.edited_by, p.author_id), COALESCE(p.edited_at, p.created_at) \
                    FROM posts p WHERE p.id = $1",
    );
    tx.execute(keep.bind(post).bind(id)).await.map(|_| ())
}

/// Takes the text out of an earlier one; `false` if there is no such.
pub(crate) async fn hide(tx: &mut Tx, post: Id, number: i64) -> Result<bool, DbError> {
    let hide = sql("UPDATE post_revisions SET body = '', hidden = 1 \
                    WHERE post_id = $1 AND number = $2");
    tx.changed(hide.bind(post).bind(number)).await
}
