//! What articles are taken from one place to another by.

use panel_kernel::data::{Conn, DbError, FromRow, Row, Tx, sql};
use panel_kernel::ids::Id;

use super::articles::Article;
use super::redirects::Redirect;
use super::revisions::Revision;
use super::terms::{Term, TermKind};

/// What is known by where it is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Imported {
    Person,
    Article,
    /// In a library.
    Picture,
}

impl Imported {
    const fn name(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Article => "article",
            Self::Picture => "picture",
        }
    }
}

/// Which site this is; `fresh`, if nobody has asked before.
pub(crate) async fn site(tx: &mut Tx, fresh: &str) -> Result<String, DbError> {
    let insert = sql("INSERT INTO cms_site (one, id) VALUES (1, $1) ON CONFLICT (one) DO NOTHING");
    tx.execute(insert.bind(fresh)).await?;
    let (id,) = tx.one(sql("SELECT id FROM cms_site WHERE one = 1")).await?;
    Ok(id)
}

/// What something of elsewhere is called here, and the name it had there.
pub(crate) async fn find(
    conn: &mut Conn,
    source: &str,
    (kind, key): (Imported, &str),
) -> Result<Option<(Id, Option<String>)>, DbError> {
    let find = sql("SELECT id, name FROM imported WHERE source = $1 AND kind = $2 AND key = $3");
    conn.optional(find.bind(source).bind(kind.name()).bind(key)).await
}

/// Something of elsewhere is called that here.
pub(crate) async fn note(
    tx: &mut Tx,
    source: &str,
    (kind, key): (Imported, &str),
    (id, name): (Id, Option<&str>),
) -> Result<(), DbError> {
    let insert =
        sql("INSERT INTO imported (source, kind, key, id, name) VALUES ($1, $2, $3, $4, $5)");
    let insert = insert.bind(source).bind(kind.name()).bind(key).bind(id).bind(name);
    tx.execute(insert).await.map(drop)
}

/// Stores a text that an article had; `false` if there is one of this number.
pub(crate) async fn revision(
    tx: &mut Tx,
    (id, article): (Id, Id),
    revision: &Revision,
) -> Result<bool, DbError> {
    let insert = sql("INSERT INTO article_revisions \
                      (id, article_id, number, title, body, editor_id, editor_name, created_at) \
                      VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
                      ON CONFLICT (article_id, number) DO NOTHING");
    let insert = insert.bind(id).bind(article).bind(revision.number).bind(&revision.title);
    let insert = insert.bind(&revision.body).bind(revision.editor.0).bind(&revision.editor.1);
    tx.changed(insert.bind(revision.created_at)).await
}

/// Of all articles, also deleted ones, the first after an id.
pub(crate) async fn next(conn: &mut Conn, after: Id) -> Result<Option<Id>, DbError> {
    let find = sql("SELECT a.id FROM articles a WHERE a.id > $1 ORDER BY a.id LIMIT 1");
    Ok(conn.optional(find.bind(after)).await?.map(|(id,): (Id,)| id))
}

/// How many articles there are.
pub(crate) async fn count(conn: &mut Conn) -> Result<i64, DbError> {
    let (count,) = conn.one(sql("SELECT COUNT(*) FROM articles")).await?;
    Ok(count)
}

/// Slugs that an article had.
pub(crate) async fn former_slugs(
    conn: &mut Conn,
    article: &Article,
) -> Result<Vec<String>, DbError> {
    let find = sql("SELECT s.slug FROM article_slugs s WHERE s.article_id = $1 AND s.slug <> $2 \
                    ORDER BY s.slug");
    let found: Vec<(String,)> = conn.all(find.bind(article.id).bind(&article.slug)).await?;
    Ok(found.into_iter().map(|(slug,)| slug).collect())
}

/// Texts that an article had, after a number, ascending.
pub(crate) async fn revisions(
    conn: &mut Conn,
    article: Id,
    after: i64,
    limit: i64,
) -> Result<Vec<Revision>, DbError> {
    let list = sql("SELECT v.number, v.title, v.body, v.editor_id, v.editor_name, v.created_at \
                    FROM article_revisions v WHERE v.article_id = $1 AND v.number > $2 \
                    ORDER BY v.number LIMIT $3");
    conn.all(list.bind(article).bind(after).bind(limit)).await
}

/// A category or a tag, and which.
pub(crate) struct Named(pub(crate) TermKind, pub(crate) Term);

impl FromRow for Named {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        let kind: String = row.get(7)?;
        let kind = if kind == TermKind::Tag.name() { TermKind::Tag } else { TermKind::Category };
        Ok(Self(kind, Term::from_row(row)?))
    }
}

/// Categories and tags after one, in the order of their kinds and slugs.
pub(crate) async fn terms(
    conn: &mut Conn,
    (kind, slug): (&str, &str),
    limit: i64,
) -> Result<Vec<Named>, DbError> {
    let list = sql("SELECT t.slug, t.name, t.description, t.position, t.created_at, \
                    t.article_count, t.version, t.kind FROM terms t \
                    WHERE (t.kind, t.slug) > ($1, $2) ORDER BY t.kind, t.slug LIMIT $3");
    conn.all(list.bind(kind).bind(slug).bind(limit)).await
}

/// Addresses that lead elsewhere, after an id.
pub(crate) async fn redirects(
    conn: &mut Conn,
    after: Id,
    limit: i64,
) -> Result<Vec<Redirect>, DbError> {
    let list = sql("SELECT id, source, target, created_at FROM redirects \
                    WHERE id > $1 ORDER BY id LIMIT $2");
    conn.all(list.bind(after).bind(limit)).await
}

/// Articles that are translations, with what they are translations of, after an id.
pub(crate) async fn translations(
    conn: &mut Conn,
    after: Id,
    limit: i64,
) -> Result<Vec<(Id, Id)>, DbError> {
    let list = sql("SELECT a.id, a.translation_of FROM articles a WHERE a.id > $1 \
                    AND a.translation_of IS NOT NULL ORDER BY a.id LIMIT $2");
    conn.all(list.bind(after).bind(limit)).await
}

/// An article is a translation from now on, if it is of nothing yet and its language is known; whether it was neither.
pub(crate) async fn translate(tx: &mut Tx, article: Id, of: Id) -> Result<bool, DbError> {
    let update = sql("UPDATE articles SET translation_of = $2 WHERE id = $1 AND id <> $2 \
                      AND translation_of IS NULL AND language IS NOT NULL \
                      AND EXISTS (SELECT 1 FROM articles o WHERE o.id = $2 \
                      AND o.translation_of IS NULL AND o.language IS NOT NULL AND o.kind = articles.kind) \
                      AND NOT EXISTS (SELECT 1 FROM articles o WHERE o.translation_of = $1)");
    tx.changed(update.bind(article).bind(of)).await
}
