//! Lists of articles, without their texts.

use panel_kernel::data::{Composed, Conn, DbError, FromRow, Row};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;

use super::articles::{status, tags};
use crate::rules::{Kind, Status};

/// An article in a list.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) id: Id,
    pub(crate) slug: String,
    pub(crate) title: String,
    pub(crate) excerpt: String,
    pub(crate) status: Status,
    pub(crate) author: (Id, String),
    pub(crate) category: Option<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) cover: Option<String>,
    pub(crate) published_at: Option<Timestamp>,
    pub(crate) publish_at: Option<Timestamp>,
    pub(crate) updated_at: Timestamp,
    pub(crate) version: i64,
}

impl FromRow for Listed {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        let (text, list): (String, String) = (row.get(4)?, row.get(8)?);
        Ok(Self {
            id: row.get(0)?,
            slug: row.get(1)?,
            title: row.get(2)?,
            excerpt: row.get(3)?,
            status: status(&text),
            author: (row.get(5)?, row.get(6)?),
            category: row.get(7)?,
            tags: tags(&list),
            cover: row.get(9)?,
            published_at: row.get(10)?,
            publish_at: row.get(11)?,
            updated_at: row.get(12)?,
            version: row.get(13)?,
        })
    }
}

const COLUMNS: &str = "SELECT a.id, a.slug, a.title, a.excerpt, a.status, a.author_id, \
                       a.author_name, a.category, a.tags, a.cover, a.published_at, a.publish_at, \
                       a.updated_at, a.version FROM articles a";

/// Which articles are wanted.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) kind: Kind,
    pub(crate) category: Option<String>,
    pub(crate) tag: Option<String>,
    pub(crate) author: Option<Id>,
    /// After the one with that moment and that id.
    pub(crate) after: Option<[i64; 2]>,
    pub(crate) limit: i64,
}

/// Published ones, the newest first.
pub(crate) async fn published(conn: &mut Conn, wanted: Wanted) -> Result<Vec<Listed>, DbError> {
    let [at, id] = wanted.after.unwrap_or([i64::MAX, i64::MAX]);
    let mut list = Composed::from(COLUMNS);
    // Sorted by what finds them.
    let by = match wanted.tag {
        Some(tag) => {
            list.with(" JOIN article_tags t ON t.article_id = a.id AND t.tag = $", [tag.into()]);
            list.add(" AND t.published_at IS NOT NULL");
            ("t.published_at", "t.article_id")
        }
        None => ("a.published_at", "a.id"),
    };
    list.add(" WHERE a.status = 'published' AND a.deleted_at IS NULL");
    list.with(" AND a.kind = $", [wanted.kind.name().into()]);
    if let Some(category) = wanted.category {
        list.with(" AND a.category = $", [category.into()]);
    }
    if let Some(author) = wanted.author {
        list.with(" AND a.author_id = $", [author.into()]);
    }
    list.with(&format!(" AND ({}, {}) < ($, $)", by.0, by.1), [at.into(), id.into()]);
    list.with(&format!(" ORDER BY {} DESC, {} DESC LIMIT $", by.0, by.1), [wanted.limit.into()]);
    conn.all(list.done()).await
}

/// Those in this state, or in any, also such as are not published: the last changed first.
pub(crate) async fn by_change(
    conn: &mut Conn,
    wanted: Wanted,
    status: Option<Status>,
) -> Result<Vec<Listed>, DbError> {
    let [at, id] = wanted.after.unwrap_or([i64::MAX, i64::MAX]);
    let mut list = Composed::from(COLUMNS);
    if let Some(tag) = wanted.tag {
        list.with(" JOIN article_tags t ON t.article_id = a.id AND t.tag = $", [tag.into()]);
    }
    list.add(" WHERE a.deleted_at IS NULL");
    list.with(" AND a.kind = $", [wanted.kind.name().into()]);
    if let Some(status) = status {
        list.with(" AND a.status = $", [status.name().into()]);
    }
    if let Some(category) = wanted.category {
        list.with(" AND a.category = $", [category.into()]);
    }
    if let Some(author) = wanted.author {
        list.with(" AND a.author_id = $", [author.into()]);
    }
    list.with(" AND (a.updated_at, a.id) < ($, $)", [at.into(), id.into()]);
    list.with(" ORDER BY a.updated_at DESC, a.id DESC LIMIT $", [wanted.limit.into()]);
    conn.all(list.done()).await
}

/// Those that were deleted and can be restored, the last first.
pub(crate) async fn deleted(
    conn: &mut Conn,
    kind: Kind,
    after: Option<[i64; 2]>,
    limit: i64,
) -> Result<Vec<(Listed, Timestamp)>, DbError> {
    let [at, id] = after.unwrap_or([i64::MAX, i64::MAX]);
    let text = COLUMNS.replace(" FROM articles", ", a.deleted_at FROM articles");
    let mut list = Composed::from(text.as_str());
    list.with(" WHERE a.deleted_at IS NOT NULL AND a.kind = $", [kind.name().into()]);
    list.with(" AND (a.deleted_at, a.id) < ($, $)", [at.into(), id.into()]);
    list.with(" ORDER BY a.deleted_at DESC, a.id DESC LIMIT $", [limit.into()]);
    let rows: Vec<Deleted> = conn.all(list.done()).await?;
    Ok(rows.into_iter().map(|Deleted(listed, at)| (listed, at)).collect())
}

struct Deleted(Listed, Timestamp);

impl FromRow for Deleted {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        Ok(Self(Listed::from_row(row)?, row.get(14)?))
    }
}
