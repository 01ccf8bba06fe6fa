//! Articles that say the same in several languages: one was there first, and each of the others names that one.

use panel_kernel::data::{Conn, DbError, FromRow, Row, sql};
use panel_kernel::ids::Id;

use super::articles::status;
use crate::rules::Status;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Translation {
    pub(crate) id: Id,
    pub(crate) slug: String,
    pub(crate) title: String,
    pub(crate) status: Status,
    pub(crate) language: String,
    /// Whose it is.
    pub(crate) author: Id,
    /// Who wrote it with them.
    pub(crate) co_authors: Vec<Id>,
}

impl FromRow for Translation {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        let (text, others): (String, String) = (row.get(3)?, row.get(6)?);
        Ok(Self {
            id: row.get(0)?,
            slug: row.get(1)?,
            title: row.get(2)?,
            status: status(&text),
            language: row.get(4)?,
            author: row.get(5)?,
            co_authors: serde_json::from_str(&others).unwrap_or_default(),
        })
    }
}

/// The most that are together.
pub(crate) const MOST: usize = 100;

/// All that say what the one does that was first, itself among them, by their languages.
pub(crate) async fn of(conn: &mut Conn, first: Id) -> Result<Vec<Translation>, DbError> {
    let find =
        sql("SELECT a.id, a.slug, a.title, a.status, a.language, a.author_id, a.co_authors \
                    FROM articles a WHERE (a.id = $1 OR a.translation_of = $1) \
                    AND a.deleted_at IS NULL AND a.language IS NOT NULL LIMIT $2");
    let most = i64::try_from(MOST).unwrap_or(i64::MAX);
    let mut all: Vec<Translation> = conn.all(find.bind(first).bind(most)).await?;
    all.sort_by(|a, b| (&a.language, a.id).cmp(&(&b.language, b.id)));
    Ok(all)
}

/// Whether others say that they are translations of this one.
pub(crate) async fn has_some(conn: &mut Conn, first: Id) -> Result<bool, DbError> {
    let find = sql("SELECT a.id FROM articles a WHERE a.translation_of = $1 \
                    AND a.deleted_at IS NULL LIMIT 1");
    Ok(conn.optional::<(Id,)>(find.bind(first)).await?.is_some())
}
