//! Categories and tags: names of what articles are about.

use panel_kernel::data::{Conn, DbError, FromRow, Row, Tx, holding, sql};
use panel_kernel::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What kind of a term.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TermKind {
    /// An article has one at most.
    Category,
    /// An article may have some.
    Tag,
}

impl TermKind {
    /// As it is stored, and called in the audit log.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Category => "category",
            Self::Tag => "tag",
        }
    }
}

/// A category or a tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Term {
    /// What articles name, and addresses. It stays when the name changes.
    pub(crate) slug: String,
    pub(crate) name: String,
    pub(crate) description: String,
    /// Ascending among the others.
    pub(crate) position: i64,
    pub(crate) created_at: Timestamp,
    /// Published posts with it.
    pub(crate) article_count: i64,
    pub(crate) version: i64,
}

impl Term {
    /// One that is called so, and has no articles yet.
    pub(crate) fn named(slug: String, name: String, now: Timestamp) -> Self {
        let description = String::new();
        Self { slug, name, description, position: 0, created_at: now, article_count: 0, version: 1 }
    }
}

impl FromRow for Term {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        Ok(Self {
            slug: row.get(0)?,
            name: row.get(1)?,
            description: row.get(2)?,
            position: row.get(3)?,
            created_at: row.get(4)?,
            article_count: row.get(5)?,
            version: row.get(6)?,
        })
    }
}

macro_rules! terms {
    ($rest:literal) => {
        concat!(
            "SELECT t.slug, t.name, t.description, t.position, t.created_at, t.article_count, \
             t.version FROM terms t WHERE t.kind = $1 AND ",
            $rest
        )
    };
}

/// Those after the slug `after`, by position and slug.
pub(crate) async fn list(
    conn: &mut Conn,
    kind: TermKind,
    (position, after): (i64, &str),
    limit: i64,
) -> Result<Vec<Term>, DbError> {
    let list = sql(terms!("(t.position, t.slug) > ($2, $3) ORDER BY t.position, t.slug LIMIT $4"));
    conn.all(list.bind(kind.name()).bind(position).bind(after).bind(limit)).await
}

const ONE: &str = terms!("t.slug = $2");

/// One of them.
pub(crate) async fn find(
    conn: &mut Conn,
    kind: TermKind,
    slug: &str,
) -> Result<Option<Term>, DbError> {
    conn.optional(sql(ONE).bind(kind.name()).bind(slug)).await
}

/// One of them, to change or use it: nobody else changes it until the transaction ends.
pub(crate) async fn held(tx: &mut Tx, kind: TermKind, slug: &str) -> Result<Option<Term>, DbError> {
    let find = holding(tx, ONE, "t").bind(kind.name()).bind(slug);
    tx.optional(find).await
}

/// Stores a new one; `false` if there is one with this slug.
pub(crate) async fn insert(tx: &mut Tx, kind: TermKind, term: &Term) -> Result<bool, DbError> {
    let insert =
        sql("INSERT INTO terms (kind, slug, name, description, position, created_at, version) \
                      VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (kind, slug) DO NOTHING");
    let insert = insert.bind(kind.name()).bind(&term.slug).bind(&term.name);
    let insert = insert.bind(&term.description).bind(term.position).bind(term.created_at);
    tx.changed(insert.bind(term.version)).await
}

/// Stores what has changed.
pub(crate) async fn update(tx: &mut Tx, kind: TermKind, term: &Term) -> Result<(), DbError> {
    let update = sql("UPDATE terms SET name = $3, description = $4, position = $5, version = $6 \
                      WHERE kind = $1 AND slug = $2");
    let update = update.bind(kind.name()).bind(&term.slug).bind(&term.name);
    let update = update.bind(&term.description).bind(term.position).bind(term.version);
    tx.execute(update).await.map(drop)
}

/// One more published post has it. A tag comes to be by that.
pub(super) async fn gained(
    tx: &mut Tx,
    kind: TermKind,
    slug: &str,
    now: Timestamp,
) -> Result<(), DbError> {
    let count = sql("INSERT INTO terms (kind, slug, name, created_at, article_count) \
                     VALUES ($1, $2, $2, $3, 1) ON CONFLICT (kind, slug) \
                     DO UPDATE SET article_count = terms.article_count + 1");
    tx.execute(count.bind(kind.name()).bind(slug).bind(now)).await.map(drop)
}

/// One published post less has it.
pub(super) async fn lost(tx: &mut Tx, kind: TermKind, slug: &str) -> Result<(), DbError> {
    let count = sql("UPDATE terms SET article_count = article_count - 1 \
                     WHERE kind = $1 AND slug = $2 AND article_count > 0");
    tx.execute(count.bind(kind.name()).bind(slug)).await.map(drop)
}

/// Whether any article has it, published or not.
pub(crate) async fn is_used(tx: &mut Tx, kind: TermKind, slug: &str) -> Result<bool, DbError> {
    let find = match kind {
        TermKind::Category => sql("SELECT id FROM articles WHERE category = $1 LIMIT 1"),
        TermKind::Tag => sql("SELECT article_id FROM article_tags WHERE tag = $1 LIMIT 1"),
    };
    Ok(tx.optional::<(i64,)>(find.bind(slug)).await?.is_some())
}

/// Removes one that nothing has any more.
pub(crate) async fn delete(tx: &mut Tx, kind: TermKind, slug: &str) -> Result<(), DbError> {
    let delete = sql("DELETE FROM terms WHERE kind = $1 AND slug = $2");
    tx.execute(delete.bind(kind.name()).bind(slug)).await.map(drop)
}
