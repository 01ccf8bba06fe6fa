//! Lists of articles, without their texts.

use panel_kernel::data::{Composed, Conn, DbError, FromRow, Row};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;

use super::articles::{status, tags, unnamed};
use super::people::{self, Person};
use crate::rules::{Kind, Status};

/// An article in a list.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) id: Id,
    pub(crate) slug: String,
    pub(crate) title: String,
    pub(crate) excerpt: String,
    pub(crate) status: Status,
    pub(crate) author: Person,
    /// Who wrote it with its author.
    pub(crate) co_authors: Vec<Person>,
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
        let (text, list, others): (String, String, String) =
            (row.get(4)?, row.get(8)?, row.get(14)?);
        Ok(Self {
            id: row.get(0)?,
            slug: row.get(1)?,
            title: row.get(2)?,
            excerpt: row.get(3)?,
            status: status(&text),
            author: (row.get(5)?, row.get(6)?),
            co_authors: unnamed(&others),
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
                       a.updated_at, a.version, a.co_authors FROM articles a";

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

impl Listed {
    /// Who wrote it: first whose it is.
    pub(crate) fn authors(&self) -> impl Iterator<Item = &Person> {
        [&self.author].into_iter().chain(&self.co_authors)
    }
}

/// Who wrote it.
#[derive(Clone, Copy)]
enum By {
    /// Whoever.
    Anybody,
    /// Its author.
    Author(Id),
    /// Somebody, with its author.
    CoAuthor(Id),
}

/// Published ones, the newest first.
pub(crate) async fn published(conn: &mut Conn, wanted: Wanted) -> Result<Vec<Listed>, DbError> {
    let order = |it: &Listed| (it.published_at.unwrap_or(it.updated_at), it.id);
    whoever(conn, &wanted, order, |by| published_by(&wanted, by)).await
}

/// Those in this state, or in any, also such as are not published: the last changed first.
pub(crate) async fn by_change(
    conn: &mut Conn,
    wanted: Wanted,
    status: Option<Status>,
) -> Result<Vec<Listed>, DbError> {
    let order = |it: &Listed| (it.updated_at, it.id);
    whoever(conn, &wanted, order, |by| changed_by(&wanted, status, by)).await
}

/// What is listed of whoever is asked for: what is theirs, and what they wrote with others, each the last first.
async fn whoever(
    conn: &mut Conn,
    wanted: &Wanted,
    order: impl Fn(&Listed) -> (Timestamp, Id),
    list: impl Fn(By) -> Composed,
) -> Result<Vec<Listed>, DbError> {
    let mut found = match wanted.author {
        None => conn.all(list(By::Anybody).done()).await?,
        Some(author) => {
            let mut found: Vec<Listed> = conn.all(list(By::Author(author)).done()).await?;
            found.extend(conn.all::<Listed>(list(By::CoAuthor(author)).done()).await?);
            found.sort_by_key(|it| std::cmp::Reverse(order(it)));
            found.truncate(usize::try_from(wanted.limit).unwrap_or(0));
            found
        }
    };
    people::name(conn, found.iter_mut().flat_map(|it| &mut it.co_authors)).await?;
    Ok(found)
}

fn published_by(wanted: &Wanted, by: By) -> Composed {
    let [at, id] = wanted.after.unwrap_or([i64::MAX, i64::MAX]);
    let mut list = Composed::from(COLUMNS);
    // Sorted by what finds them.
    let mut place = ("a.published_at", "a.id");
    if let Some(tag) = &wanted.tag {
        list.with(" JOIN article_tags t ON t.article_id = a.id AND t.tag = $", [tag.into()]);
        list.add(" AND t.published_at IS NOT NULL");
        place = ("t.published_at", "t.article_id");
    }
    if let By::CoAuthor(author) = by {
        let join = " JOIN co_authored x ON x.article_id = a.id AND x.author_id = $ AND x.kind = $";
        list.with(join, [author.into(), wanted.kind.name().into()]);
        list.add(" AND x.published_at IS NOT NULL");
        place = ("x.published_at", "x.article_id");
    }
    list.add(" WHERE a.status = 'published' AND a.deleted_at IS NULL");
    list.with(" AND a.kind = $", [wanted.kind.name().into()]);
    filter(&mut list, wanted, by);
    list.with(&format!(" AND ({}, {}) < ($, $)", place.0, place.1), [at.into(), id.into()]);
    let order = format!(" ORDER BY {} DESC, {} DESC LIMIT $", place.0, place.1);
    list.with(&order, [wanted.limit.into()]);
    list
}

fn changed_by(wanted: &Wanted, status: Option<Status>, by: By) -> Composed {
    let [at, id] = wanted.after.unwrap_or([i64::MAX, i64::MAX]);
    let mut list = Composed::from(COLUMNS);
    if let Some(tag) = &wanted.tag {
        list.with(" JOIN article_tags t ON t.article_id = a.id AND t.tag = $", [tag.into()]);
    }
    if let By::CoAuthor(author) = by {
        let join = " JOIN co_authored x ON x.article_id = a.id AND x.author_id = $";
        list.with(join, [author.into()]);
    }
    list.add(" WHERE a.deleted_at IS NULL");
    list.with(" AND a.kind = $", [wanted.kind.name().into()]);
    if let Some(status) = status {
        list.with(" AND a.status = $", [status.name().into()]);
    }
    filter(&mut list, wanted, by);
    list.with(" AND (a.updated_at, a.id) < ($, $)", [at.into(), id.into()]);
    list.with(" ORDER BY a.updated_at DESC, a.id DESC LIMIT $", [wanted.limit.into()]);
    list
}

/// What both kinds of lists are narrowed by.
fn filter(list: &mut Composed, wanted: &Wanted, by: By) {
    if let Some(category) = &wanted.category {
        list.with(" AND a.category = $", [category.into()]);
    }
    if let By::Author(author) = by {
        list.with(" AND a.author_id = $", [author.into()]);
    }
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
    let mut rows: Vec<Deleted> = conn.all(list.done()).await?;
    people::name(conn, rows.iter_mut().flat_map(|it| &mut it.0.co_authors)).await?;
    Ok(rows.into_iter().map(|Deleted(listed, at)| (listed, at)).collect())
}

struct Deleted(Listed, Timestamp);

impl FromRow for Deleted {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        Ok(Self(Listed::from_row(row)?, row.get(15)?))
    }
}
