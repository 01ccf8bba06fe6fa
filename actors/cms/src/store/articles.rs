//! Articles, one at a time.

use std::collections::BTreeSet;
use std::time::Duration;

use panel_kernel::data::{Conn, DbError, Expiry, FromRow, Row, Statement, Tx, holding, sql};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;

use super::media::shown;
use super::people::{self, Person};
use super::terms::{self, TermKind};
use crate::rules::{Kind, Status, Viewer, pictures};

/// How long what was deleted can be restored.
pub(crate) const IN_TRASH: Duration = Duration::from_secs(30 * 86_400);

/// What was deleted so long ago goes for good, a piece at a time: what hangs on it first.
pub(crate) const EXPIRIES: [Expiry; 6] = [
    Expiry {
        delete: "DELETE FROM article_revisions WHERE id IN (SELECT r.id FROM articles a \
                 JOIN article_revisions r ON r.article_id = a.id \
                 WHERE a.deleted_at IS NOT NULL AND a.deleted_at <= $1 LIMIT $2)",
        keep: IN_TRASH,
    },
    Expiry {
        delete: "DELETE FROM autosaves WHERE id IN (SELECT s.id FROM articles a \
                 JOIN autosaves s ON s.article_id = a.id \
                 WHERE a.deleted_at IS NOT NULL AND a.deleted_at <= $1 LIMIT $2)",
        keep: IN_TRASH,
    },
    Expiry {
        delete: "DELETE FROM article_tags WHERE article_id IN (SELECT a.id FROM articles a \
                 WHERE a.deleted_at IS NOT NULL AND a.deleted_at <= $1 LIMIT $2)",
        keep: IN_TRASH,
    },
    Expiry {
        delete: "DELETE FROM co_authored WHERE (author_id, article_id) IN \
                 (SELECT x.author_id, x.article_id FROM articles a \
                 JOIN co_authored x ON x.article_id = a.id \
                 WHERE a.deleted_at IS NOT NULL AND a.deleted_at <= $1 LIMIT $2)",
        keep: IN_TRASH,
    },
    Expiry {
        delete: "DELETE FROM article_media WHERE (sha256, article_id) IN \
                 (SELECT m.sha256, m.article_id FROM articles a \
                 JOIN article_media m ON m.article_id = a.id \
                 WHERE a.deleted_at IS NOT NULL AND a.deleted_at <= $1 LIMIT $2)",
        keep: IN_TRASH,
    },
    Expiry {
        // Asked twice: who takes the deletion back at the same moment has done so.
        delete: "DELETE FROM articles WHERE deleted_at IS NOT NULL AND deleted_at <= $1 \
                 AND id IN (SELECT a.id FROM articles a WHERE a.deleted_at IS NOT NULL AND a.deleted_at <= $1 \
                 AND NOT EXISTS (SELECT 1 FROM article_revisions r WHERE r.article_id = a.id) \
                 AND NOT EXISTS (SELECT 1 FROM autosaves s WHERE s.article_id = a.id) \
                 AND NOT EXISTS (SELECT 1 FROM article_media m WHERE m.article_id = a.id) \
                 AND NOT EXISTS (SELECT 1 FROM co_authored x WHERE x.article_id = a.id) \
                 AND NOT EXISTS (SELECT 1 FROM article_tags t WHERE t.article_id = a.id) LIMIT $2)",
        keep: IN_TRASH,
    },
];

/// How an article is to be told of where it is not read: in search results, and where somebody links to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seo {
    pub(crate) title: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) canonical: Option<String>,
    pub(crate) noindex: bool,
}

/// An article, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Article {
    pub(crate) id: Id,
    pub(crate) kind: Kind,
    pub(crate) slug: String,
    pub(crate) title: String,
    pub(crate) excerpt: String,
    /// Somebody wrote it; else it is the beginning of the text.
    pub(crate) own_excerpt: bool,
    pub(crate) body: String,
    pub(crate) body_html: String,
    pub(crate) status: Status,
    pub(crate) author: Person,
    /// Who wrote it with its author.
    pub(crate) co_authors: Vec<Person>,
    /// Who wrote the text as it is, and when.
    pub(crate) edited_by: Person,
    pub(crate) edited_at: Timestamp,
    pub(crate) category: Option<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) cover: Option<String>,
    pub(crate) seo: Seo,
    /// In which language it is (BCP 47), if that is known.
    pub(crate) language: Option<String>,
    /// Of which article it is a translation: the one that was there first.
    pub(crate) translation_of: Option<Id>,
    /// Whether it wants comments.
    pub(crate) comments: bool,
    pub(crate) created_at: Timestamp,
    /// When it was published first.
    pub(crate) published_at: Option<Timestamp>,
    /// When it is to be published.
    pub(crate) publish_at: Option<Timestamp>,
    pub(crate) review_note: Option<String>,
    pub(crate) updated_at: Timestamp,
    pub(crate) preview_epoch: i64,
    pub(crate) deleted_at: Option<Timestamp>,
    pub(crate) version: i64,
}

impl Article {
    /// Whether everybody reads it.
    pub(crate) fn is_public(&self) -> bool {
        self.status == Status::Published && self.deleted_at.is_none()
    }

    /// Whether they are one of its authors.
    pub(crate) fn is_by(&self, viewer: Viewer) -> bool {
        self.authors().any(|(id, _)| viewer.is(*id))
    }

    /// Whether they see it before it is published, and how it was written.
    pub(crate) fn is_seen_by(&self, viewer: Viewer) -> bool {
        viewer.edits() || self.is_by(viewer)
    }

    /// Who wrote it: first whose it is.
    pub(crate) fn authors(&self) -> impl Iterator<Item = &Person> {
        [&self.author].into_iter().chain(&self.co_authors)
    }

    /// By which it and its translations know each other; if its language is known, as nothing is a translation else.
    pub(crate) fn group(&self) -> Option<Id> {
        self.language.as_ref().map(|_| self.translation_of.unwrap_or(self.id))
    }

    /// What it is about: its category, and its tags.
    pub(crate) fn terms(&self) -> impl Iterator<Item = (TermKind, &str)> {
        let category = self.category.iter().map(|slug| (TermKind::Category, slug.as_str()));
        category.chain(self.tags.iter().map(|slug| (TermKind::Tag, slug.as_str())))
    }

    /// Pictures of this site that it shows.
    fn pictures(&self) -> BTreeSet<String> {
        let mut shown = pictures::shown_in(&self.body_html);
        let cover = self.cover.as_deref().and_then(|cover| cover.strip_prefix(pictures::BELOW));
        shown.extend(cover.and_then(pictures::of_address).map(str::to_owned));
        shown
    }

    fn tags_text(&self) -> String {
        serde_json::to_string(&self.tags).unwrap_or_default()
    }

    fn co_authors_text(&self) -> String {
        let ids: Vec<Id> = self.co_authors.iter().map(|(id, _)| *id).collect();
        serde_json::to_string(&ids).unwrap_or_default()
    }

    /// When it was published, while it is.
    fn public_since(&self) -> Option<Timestamp> {
        self.published_at.filter(|_| self.is_public())
    }
}

/// A list of texts, written by this service only; a text that is no list shows as none.
pub(super) fn tags(text: &str) -> Vec<String> {
    serde_json::from_str(text).unwrap_or_default()
}

/// A list of accounts, written by this service only; their names are elsewhere.
pub(super) fn unnamed(text: &str) -> Vec<Person> {
    let ids: Vec<Id> = serde_json::from_str(text).unwrap_or_default();
    ids.into_iter().map(|id| (id, String::new())).collect()
}

/// What is stored as another text is as one begins.
pub(super) fn status(text: &str) -> Status {
    text.parse().unwrap_or(Status::Draft)
}

impl FromRow for Article {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        let (kind, text, list): (String, String, String) = (row.get(1)?, row.get(8)?, row.get(15)?);
        let others: String = row.get(30)?;
        Ok(Self {
            id: row.get(0)?,
            kind: kind.parse().unwrap_or(Kind::Post),
            slug: row.get(2)?,
            title: row.get(3)?,
            excerpt: row.get(4)?,
            own_excerpt: row.get(5)?,
            body: row.get(6)?,
            body_html: row.get(7)?,
            status: status(&text),
            author: (row.get(9)?, row.get(10)?),
            co_authors: unnamed(&others),
            edited_by: (row.get(11)?, row.get(12)?),
            edited_at: row.get(13)?,
            category: row.get(14)?,
            tags: tags(&list),
            cover: row.get(16)?,
            seo: Seo {
                title: row.get(17)?,
                description: row.get(18)?,
                canonical: row.get(19)?,
                noindex: row.get(20)?,
            },
            created_at: row.get(21)?,
            published_at: row.get(22)?,
            publish_at: row.get(23)?,
            review_note: row.get(24)?,
            updated_at: row.get(25)?,
            preview_epoch: row.get(26)?,
            deleted_at: row.get(27)?,
            version: row.get(28)?,
            comments: row.get(29)?,
            language: row.get(31)?,
            translation_of: row.get(32)?,
        })
    }
}

/// Those that were there before their writing was noted have it from what is known.
macro_rules! find {
    ($by:literal) => {
        concat!(
            "SELECT a.id, a.kind, a.slug, a.title, a.excerpt, a.own_excerpt, a.body, a.body_html, \
             a.status, a.author_id, a.author_name, COALESCE(a.edited_by, a.author_id), \
             CASE WHEN a.edited_by IS NULL THEN a.author_name ELSE a.edited_by_name END, \
             a.edited_at, a.category, a.tags, a.cover, a.seo_title, a.seo_description, \
             a.seo_canonical, a.noindex, a.created_at, a.published_at, a.publish_at, \
             a.review_note, a.updated_at, a.preview_epoch, a.deleted_at, a.version, \
             a.comments, a.co_authors, a.language, a.translation_of \
             FROM articles a WHERE a.",
            $by,
            " = $1"
        )
    };
}

/// The article with this id, also if it was deleted.
pub(crate) async fn by_id(conn: &mut Conn, id: Id) -> Result<Option<Article>, DbError> {
    let found = conn.optional(sql(find!("id")).bind(id)).await?;
    named(conn, found).await
}

/// The article with this slug, also if it was deleted.
pub(crate) async fn by_slug(conn: &mut Conn, slug: &str) -> Result<Option<Article>, DbError> {
    let found = conn.optional(sql(find!("slug")).bind(slug)).await?;
    named(conn, found).await
}

/// With the names of those who wrote it with its author, who are few, and mostly none.
async fn named(conn: &mut Conn, found: Option<Article>) -> Result<Option<Article>, DbError> {
    let Some(mut article) = found else { return Ok(None) };
    people::name(conn, &mut article.co_authors).await?;
    Ok(Some(article))
}

/// The article, to change it: nobody else does until the transaction ends.
pub(crate) async fn for_change(tx: &mut Tx, id: Id) -> Result<Option<Article>, DbError> {
    let find = holding(tx, find!("id"), "a").bind(id);
    let found = tx.optional(find).await?;
    named(tx, found).await
}

fn bound(statement: Statement, article: &Article) -> Statement {
    let Article { seo, author, edited_by, .. } = article;
    statement
        .bind(article.id)
        .bind(&article.slug)
        .bind(&article.title)
        .bind(&article.excerpt)
        .bind(article.own_excerpt)
        .bind(&article.body)
        .bind(&article.body_html)
        .bind(article.status.name())
        .bind(author.0)
        .bind(&author.1)
        .bind(edited_by.0)
        .bind(&edited_by.1)
        .bind(article.edited_at)
        .bind(article.category.as_deref())
        .bind(article.tags_text())
        .bind(article.cover.as_deref())
        .bind(seo.title.as_deref())
        .bind(seo.description.as_deref())
        .bind(seo.canonical.as_deref())
        .bind(seo.noindex)
        .bind(article.published_at)
        .bind(article.publish_at)
        .bind(article.review_note.as_deref())
        .bind(article.updated_at)
        .bind(article.preview_epoch)
        .bind(article.deleted_at)
        .bind(article.version)
        .bind(article.comments)
        .bind(article.co_authors_text())
        .bind(article.language.as_deref())
        .bind(article.translation_of)
}

/// Stores a new one.
pub(crate) async fn insert(tx: &mut Tx, article: &Article) -> Result<(), DbError> {
    let insert = sql(
        "INSERT INTO articles (id, slug, title, excerpt, own_excerpt, body, body_html, \
                      status, author_id, author_name, edited_by, edited_by_name, edited_at, category, \
                      tags, cover, seo_title, seo_description, seo_canonical, noindex, published_at, \
                      publish_at, review_note, updated_at, preview_epoch, deleted_at, version, \
                      comments, co_authors, language, translation_of, kind, created_at) \
                      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, \
                      $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33)",
    );
    tx.execute(bound(insert, article).bind(article.kind.name()).bind(article.created_at)).await?;
    shown::set(tx, article.id, &BTreeSet::new(), &article.pictures()).await?;
    tag(tx, article).await?;
    sign(tx, article).await?;
    count(tx, &BTreeSet::new(), &counted(article), article.updated_at).await
}

/// Stores what has become of one.
pub(crate) async fn update(tx: &mut Tx, before: &Article, after: &Article) -> Result<(), DbError> {
    let update = sql("UPDATE articles SET slug = $2, title = $3, excerpt = $4, own_excerpt = $5, \
                      body = $6, body_html = $7, status = $8, author_id = $9, author_name = $10, \
                      edited_by = $11, edited_by_name = $12, edited_at = $13, category = $14, \
                      tags = $15, cover = $16, seo_title = $17, seo_description = $18, \
                      seo_canonical = $19, noindex = $20, published_at = $21, publish_at = $22, \
                      review_note = $23, updated_at = $24, preview_epoch = $25, deleted_at = $26, \
                      version = $27, comments = $28, co_authors = $29, language = $30, \
                      translation_of = $31 WHERE id = $1");
    tx.execute(bound(update, after)).await?;
    if before.body_html != after.body_html || before.cover != after.cover {
        shown::set(tx, after.id, &before.pictures(), &after.pictures()).await?;
    }
    count(tx, &counted(before), &counted(after), after.updated_at).await?;
    let has_appeared = before.public_since() != after.public_since();
    if before.tags != after.tags || has_appeared {
        tx.execute(sql("DELETE FROM article_tags WHERE article_id = $1").bind(after.id)).await?;
        tag(tx, after).await?;
    }
    let is_signed = !(before.co_authors.is_empty() && after.co_authors.is_empty());
    if is_signed && (before.co_authors != after.co_authors || has_appeared) {
        tx.execute(sql("DELETE FROM co_authored WHERE article_id = $1").bind(after.id)).await?;
        sign(tx, after).await?;
    }
    Ok(())
}

/// What counts it among its published posts, in one order.
fn counted(article: &Article) -> BTreeSet<(TermKind, &str)> {
    if !article.is_public() || article.kind != Kind::Post {
        return BTreeSet::new();
    }
    article.terms().collect()
}

async fn count(
    tx: &mut Tx,
    before: &BTreeSet<(TermKind, &str)>,
    after: &BTreeSet<(TermKind, &str)>,
    now: Timestamp,
) -> Result<(), DbError> {
    for (kind, slug) in before.symmetric_difference(after) {
        if after.contains(&(*kind, *slug)) {
            terms::gained(tx, *kind, slug, now).await?;
        } else {
            terms::lost(tx, *kind, slug).await?;
        }
    }
    Ok(())
}

/// By which tags it is found, and where among others while it is published.
async fn tag(tx: &mut Tx, article: &Article) -> Result<(), DbError> {
    let at = article.public_since();
    for tag in &article.tags {
        let insert =
            sql("INSERT INTO article_tags (tag, article_id, published_at) VALUES ($1, $2, $3)");
        tx.execute(insert.bind(tag).bind(article.id).bind(at)).await?;
    }
    Ok(())
}

/// By whom it is found who wrote it with its author.
async fn sign(tx: &mut Tx, article: &Article) -> Result<(), DbError> {
    for (author, _) in &article.co_authors {
        let insert = sql("INSERT INTO co_authored (author_id, article_id, kind, published_at) \
                          VALUES ($1, $2, $3, $4)");
        let insert = insert.bind(*author).bind(article.id).bind(article.kind.name());
        tx.execute(insert.bind(article.public_since())).await?;
    }
    Ok(())
}

/// Of those whose time has come, the first after the one with that moment and that id; each with both.
pub(crate) async fn due(
    conn: &mut Conn,
    now: Timestamp,
    (at, id): (i64, i64),
    most: i64,
) -> Result<Vec<(Id, i64)>, DbError> {
    let find = sql("SELECT a.id, a.publish_at FROM articles a WHERE a.status = 'scheduled' \
                    AND a.deleted_at IS NULL AND a.publish_at <= $1 \
                    AND (a.publish_at, a.id) > ($2, $3) ORDER BY a.publish_at, a.id LIMIT $4");
    conn.all(find.bind(now).bind(at).bind(id).bind(most)).await
}
