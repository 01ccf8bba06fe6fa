//! What pages, feeds and maps of the site show of what is published.

use panel_kernel::data::{Conn, DbError, FromRow, Row, sql};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;

use super::articles::{tags, unnamed};
use super::erasure::NOBODY;
use super::people::{self, Person};
use crate::rules::Kind;

/// A post, as a feed has it.
#[derive(Clone, Debug)]
pub(crate) struct Latest {
    pub(crate) id: Id,
    pub(crate) slug: String,
    pub(crate) title: String,
    pub(crate) excerpt: String,
    pub(crate) body_html: String,
    pub(crate) author: String,
    /// In which language it is, if that is known.
    pub(crate) language: Option<String>,
    /// Who wrote it with its author.
    pub(crate) co_authors: Vec<Person>,
    pub(crate) tags: Vec<String>,
    pub(crate) published_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

impl FromRow for Latest {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        let (list, others): (String, String) = (row.get(6)?, row.get(9)?);
        Ok(Self {
            id: row.get(0)?,
            slug: row.get(1)?,
            title: row.get(2)?,
            excerpt: row.get(3)?,
            body_html: row.get(4)?,
            author: row.get(5)?,
            language: row.get(10)?,
            co_authors: unnamed(&others),
            tags: tags(&list),
            published_at: row.get(7)?,
            updated_at: row.get(8)?,
        })
    }
}

/// The latest posts, whole. The longest texts are left out, which would fill it alone.
pub(crate) async fn latest(
    conn: &mut Conn,
    longest: i64,
    most: i64,
) -> Result<Vec<Latest>, DbError> {
    let list = sql("SELECT a.id, a.slug, a.title, a.excerpt, \
                    CASE WHEN octet_length(a.body_html) <= $1 THEN a.body_html ELSE '' END, \
                    a.author_name, a.tags, a.published_at, a.updated_at, a.co_authors, \
                    a.language FROM articles a \
                    WHERE a.status = 'published' AND a.deleted_at IS NULL AND a.kind = 'post' \
                    ORDER BY a.published_at DESC, a.id DESC LIMIT $2");
    let mut found: Vec<Latest> = conn.all(list.bind(longest).bind(most)).await?;
    people::name(conn, found.iter_mut().flat_map(|it| &mut it.co_authors)).await?;
    Ok(found)
}

/// Who somebody is by what they have published; `None` if they have published nothing.
pub(crate) async fn author(conn: &mut Conn, id: Id) -> Result<Option<String>, DbError> {
    let find = sql("SELECT a.author_name FROM articles a WHERE a.status = 'published' \
                    AND a.deleted_at IS NULL AND a.kind = 'post' AND a.author_id = $1 \
                    ORDER BY a.published_at DESC, a.id DESC LIMIT 1");
    let found: Option<(String,)> = conn.optional(find.bind(id)).await?;
    if let Some((name,)) = found {
        return Ok(Some(name));
    }
    let find = sql("SELECT p.name FROM co_authored x LEFT JOIN people p ON p.id = x.author_id \
                    WHERE x.author_id = $1 AND x.kind = 'post' AND x.published_at IS NOT NULL LIMIT 1");
    let found: Option<(Option<String>,)> = conn.optional(find.bind(id)).await?;
    Ok(found.map(|(name,)| name.unwrap_or_else(|| NOBODY.to_owned())))
}

/// When the last was published before that moment, of a kind.
pub(crate) async fn last_before(
    conn: &mut Conn,
    kind: Kind,
    before: Timestamp,
) -> Result<Option<Timestamp>, DbError> {
    let find = sql("SELECT a.published_at FROM articles a WHERE a.status = 'published' \
                    AND a.deleted_at IS NULL AND a.kind = $1 AND a.published_at < $2 \
                    AND a.noindex = 0 ORDER BY a.published_at DESC LIMIT 1");
    let found: Option<(Timestamp,)> = conn.optional(find.bind(kind.name()).bind(before)).await?;
    Ok(found.map(|(at,)| at))
}

/// What was published from one moment to another, and may be found: slugs, and when each was changed last.
pub(crate) async fn between(
    conn: &mut Conn,
    kind: Kind,
    (from, to): (Timestamp, Timestamp),
    most: i64,
) -> Result<Vec<(String, Timestamp)>, DbError> {
    let list = sql("SELECT a.slug, a.updated_at FROM articles a WHERE a.status = 'published' \
                    AND a.deleted_at IS NULL AND a.kind = $1 AND a.published_at >= $2 \
                    AND a.published_at < $3 AND a.noindex = 0 \
                    ORDER BY a.published_at DESC, a.id DESC LIMIT $4");
    conn.all(list.bind(kind.name()).bind(from).bind(to).bind(most)).await
}
