//! Texts of articles as they were.

use panel_kernel::data::{Conn, DbError, FromRow, Row, Tx, sql};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;

use super::articles::Article;

/// A text of an article, as somebody left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Revision {
    /// From 1; the highest is the text as it is now.
    pub(crate) number: i64,
    pub(crate) title: String,
    pub(crate) body: String,
    pub(crate) editor: (Id, String),
    pub(crate) created_at: Timestamp,
}

impl FromRow for Revision {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        Ok(Self {
            number: row.get(0)?,
            title: row.get(1)?,
            body: row.get(2)?,
            editor: (row.get(3)?, row.get(4)?),
            created_at: row.get(5)?,
        })
    }
}

/// All revisions of the article `$1`, the text as it is now among them.
macro_rules! revisions {
    () => {
        "(SELECT v.number, v.title, v.body, v.editor_id, v.editor_name, v.created_at \
          FROM article_revisions v WHERE v.article_id = $1 UNION ALL \
          SELECT COALESCE((SELECT MAX(v.number) FROM article_revisions v WHERE v.article_id = $1), 0) + 1, \
          a.title, a.body, COALESCE(a.edited_by, a.author_id), \
          CASE WHEN a.edited_by IS NULL THEN a.author_name ELSE a.edited_by_name END, a.edited_at \
          FROM articles a WHERE a.id = $1) AS v"
    };
}

/// At most so many before number `before`, the latest first: without their texts, but how long these are, in bytes.
pub(crate) async fn list(
    conn: &mut Conn,
    article: Id,
    before: i64,
    limit: i64,
) -> Result<Vec<(Revision, i64)>, DbError> {
    let kept = sql("SELECT v.number, v.title, '', v.editor_id, v.editor_name, v.created_at, \
                    CAST(octet_length(v.body) AS BIGINT) FROM article_revisions v \
                    WHERE v.article_id = $1 AND v.number < $2 ORDER BY v.number DESC LIMIT $3");
    let kept: Vec<Measured> = conn.all(kept.bind(article).bind(before).bind(limit)).await?;
    let last = sql("SELECT COALESCE(MAX(v.number), 0) + 1 FROM article_revisions v \
                    WHERE v.article_id = $1");
    let last: Option<(i64,)> = conn.optional(last.bind(article)).await?;
    let mut found = Vec::with_capacity(kept.len() + 1);
    if let Some((last,)) = last.filter(|(last,)| *last < before)
        && let Some(mut now) = self::find(conn, article, last).await?
    {
        let bytes = i64::try_from(std::mem::take(&mut now.body).len()).unwrap_or(i64::MAX);
        found.push((now, bytes));
    }
    found.extend(kept.into_iter().map(|Measured(revision, bytes)| (revision, bytes)));
    found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(found)
}

struct Measured(Revision, i64);

impl FromRow for Measured {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        Ok(Self(Revision::from_row(row)?, row.get(6)?))
    }
}

/// One of them.
pub(crate) async fn find(
    conn: &mut Conn,
    article: Id,
    number: i64,
) -> Result<Option<Revision>, DbError> {
    let find = sql(concat!(
        "SELECT v.number, v.title, v.body, v.editor_id, v.editor_name, v.created_at FROM ",
        revisions!(),
        " WHERE v.number = $2"
    ));
    conn.optional(find.bind(article).bind(number)).await
}

/// Keeps the text as it is, as revision `id`, before it is changed. The article must be held.
pub(crate) async fn keep(tx: &mut Tx, id: Id, article: &Article) -> Result<(), DbError> {
    let keep = sql("INSERT INTO article_revisions \
                    (id, article_id, number, title, body, editor_id, editor_name, created_at) \
                    SELECT $1, $2, COALESCE(MAX(v.number), 0) + 1, $3, $4, $5, $6, $7 \
                    FROM article_revisions v WHERE v.article_id = $2");
    let keep = keep.bind(id).bind(article.id).bind(&article.title).bind(&article.body);
    let keep = keep.bind(article.edited_by.0).bind(&article.edited_by.1).bind(article.edited_at);
    tx.execute(keep).await.map(drop)
}
