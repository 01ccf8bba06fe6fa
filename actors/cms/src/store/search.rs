//! The index of what published articles are found by, and finding them.

use std::cmp::Ordering;

use panel_kernel::data::{Composed, Conn, DbError, FromRow, Row, Tx, holding, sql};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;
use panel_text::fulltext::{line, match_query, rank_query, tsquery, vector};
use panel_text::tokens::{Query, Token, VERSION, tokens};

use super::articles::{tags, unnamed};
use super::people::{self, Person};
use crate::rules::Kind;

/// Articles that are indexed in one transaction.
const AT_ONCE: i64 = 20;
/// The most articles of which those that fit best are first: the latest that have the words.
const CANDIDATES: i64 = 2_000;
/// What is read of a text to show where the words are, in characters.
const SHOWN_CHARS: i64 = 2_000;

/// Indexes an article as it is now: if everybody reads it. Else it is not found.
pub(crate) async fn index(tx: &mut Tx, article: Id) -> Result<(), DbError> {
    let find = sql("SELECT a.title, a.body FROM articles a WHERE a.id = $1 \
                    AND a.status = 'published' AND a.deleted_at IS NULL");
    let found: Option<(String, String)> = tx.optional(find.bind(article)).await?;
    match found {
        Some((title, body)) => store(tx, article, &tokens(&title), &tokens(&body)).await,
        None => forget(tx, article).await,
    }
}

async fn store(tx: &mut Tx, id: Id, title: &[Token], body: &[Token]) -> Result<(), DbError> {
    let store = if tx.is_postgres() {
        sql("INSERT INTO article_search (article_id, tokens) VALUES ($1, CAST($2 AS TSVECTOR)) \
             ON CONFLICT (article_id) DO UPDATE SET tokens = excluded.tokens")
        .bind(id)
        .bind(vector(title, body))
    } else {
        sql("INSERT OR REPLACE INTO article_search (rowid, title, body) VALUES ($1, $2, $3)")
            .bind(id)
            .bind(line(title))
            .bind(line(body))
    };
    tx.execute(store).await.map(drop)
}

async fn forget(tx: &mut Tx, id: Id) -> Result<(), DbError> {
    let forget = if tx.is_postgres() {
        sql("DELETE FROM article_search WHERE article_id = $1")
    } else {
        sql("DELETE FROM article_search WHERE rowid = $1")
    };
    tx.execute(forget.bind(id)).await.map(drop)
}

const PROGRESS: &str =
    "SELECT s.version, s.done_to, s.is_done FROM search_progress s WHERE s.one = 1";

/// Whether there are articles that are not indexed, or by earlier rules. What a later release has done is left alone.
pub(crate) async fn is_behind(conn: &mut Conn) -> Result<bool, DbError> {
    let (version, _, is_done): (i64, i64, bool) = conn.one(sql(PROGRESS)).await?;
    Ok(version < VERSION || version == VERSION && !is_done)
}

/// Indexes some of those. Whoever does holds the row that says how far that is, and the articles: of what is changed after
/// that, a fact tells.
pub(crate) async fn index_some(tx: &mut Tx) -> Result<(), DbError> {
    let held = holding(tx, PROGRESS, "s");
    let (version, done_to, is_done): (i64, i64, bool) = tx.one(held).await?;
    let done_to = match version.cmp(&VERSION) {
        Ordering::Greater => return Ok(()),
        Ordering::Equal if is_done => return Ok(()),
        Ordering::Equal => done_to,
        Ordering::Less => 0,
    };
    let articles = "SELECT a.id FROM articles a WHERE a.id > $1 ORDER BY a.id LIMIT $2";
    let articles = holding(tx, articles, "a").bind(done_to).bind(AT_ONCE);
    let articles: Vec<(Id,)> = tx.all(articles).await?;
    for (article,) in &articles {
        index(tx, *article).await?;
    }
    let last = articles.last().map_or(done_to, |(article,)| article.raw());
    let update = sql("UPDATE search_progress SET version = $1, done_to = $2, is_done = $3");
    tx.execute(update.bind(VERSION).bind(last).bind(articles.is_empty())).await.map(drop)
}

/// An article that was found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) id: Id,
    pub(crate) kind: Kind,
    pub(crate) slug: String,
    pub(crate) title: String,
    pub(crate) author: Person,
    /// Who wrote it with its author.
    pub(crate) co_authors: Vec<Person>,
    pub(crate) category: Option<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) published_at: Timestamp,
    /// The beginning of its text.
    pub(crate) body: String,
}

impl FromRow for Found {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        let (kind, list, others): (String, String, String) =
            (row.get(1)?, row.get(7)?, row.get(9)?);
        Ok(Self {
            id: row.get(0)?,
            kind: kind.parse().unwrap_or(Kind::Post),
            slug: row.get(2)?,
            title: row.get(3)?,
            author: (row.get(4)?, row.get(5)?),
            co_authors: unnamed(&others),
            category: row.get(6)?,
            tags: tags(&list),
            published_at: row.get(8)?,
            body: row.get(10)?,
        })
    }
}

/// In which order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Order {
    /// By how well they fit.
    #[default]
    Relevance,
    /// The last published first.
    Newest,
}

/// Which articles are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sought {
    pub(crate) query: Query,
    pub(crate) kind: Option<Kind>,
    pub(crate) category: Option<String>,
    pub(crate) tag: Option<String>,
    pub(crate) author: Option<Id>,
    pub(crate) order: Order,
}

/// When an article was published, as far as anybody knows.
const PUBLISHED: &str = "COALESCE(a.published_at, a.updated_at)";

/// Finds published articles: from a place on, of the latest by how well they fit; or after the one with that moment and
/// that id, the last published first.
pub(crate) async fn find(
    conn: &mut Conn,
    sought: &Sought,
    after: Option<[i64; 2]>,
    limit: i64,
) -> Result<Vec<Found>, DbError> {
    let is_postgres = conn.is_postgres();
    let columns = format!(
        "a.id, a.kind, a.slug, a.title, a.author_id, a.author_name, a.category, a.tags, {PUBLISHED}, \
         a.co_authors"
    );
    let mut text = Composed::from(format!("SELECT {columns}, ").as_str());
    text.with("substr(a.body, 1, CAST($ AS INTEGER)) FROM ", [SHOWN_CHARS.into()]);
    match sought.order {
        Order::Relevance => {
            let [place, _] = after.unwrap_or_default();
            text.add("(SELECT a.id AS id, ");
            add_score(&mut text, is_postgres, sought);
            text.add(" AS score FROM ");
            add_matches(&mut text, is_postgres, sought);
            text.add(&format!(" ORDER BY {PUBLISHED} DESC, a.id DESC"));
            text.with(
                " LIMIT $) AS m CROSS JOIN articles a WHERE a.id = m.id",
                [CANDIDATES.into()],
            );
            text.with(" ORDER BY m.score DESC, a.id DESC LIMIT $", [limit.into()]);
            text.with(" OFFSET $", [place.into()]);
        }
        Order::Newest => {
            let [at, id] = after.unwrap_or([i64::MAX, i64::MAX]);
            add_matches(&mut text, is_postgres, sought);
            text.with(&format!(" AND ({PUBLISHED}, a.id) < ($, $)"), [at.into(), id.into()]);
            text.with(&format!(" ORDER BY {PUBLISHED} DESC, a.id DESC LIMIT $"), [limit.into()]);
        }
    }
    let mut found: Vec<Found> = conn.all(text.done().once()).await?;
    people::name(conn, found.iter_mut().flat_map(|it| &mut it.co_authors)).await?;
    Ok(found)
}

fn add_score(text: &mut Composed, is_postgres: bool, sought: &Sought) {
    if is_postgres {
        text.with("ts_rank(s.tokens, CAST($ AS TSQUERY))", [rank_query(&sought.query).into()]);
    } else {
        text.add("-bm25(article_search, 5.0, 1.0)");
    }
}

/// Adds what has the words and is wanted, and everybody reads.
fn add_matches(text: &mut Composed, is_postgres: bool, sought: &Sought) {
    if is_postgres {
        text.add("article_search s JOIN articles a ON a.id = s.article_id");
        text.with(" WHERE s.tokens @@ CAST($ AS TSQUERY)", [tsquery(&sought.query).into()]);
    } else {
        text.add("article_search JOIN articles a ON a.id = article_search.rowid");
        text.with(" WHERE article_search MATCH $", [match_query(&sought.query).into()]);
    }
    text.add(" AND a.status = 'published' AND a.deleted_at IS NULL");
    if let Some(kind) = sought.kind {
        text.with(" AND a.kind = $", [kind.name().into()]);
    }
    if let Some(category) = &sought.category {
        text.with(" AND a.category = $", [category.into()]);
    }
    if let Some(author) = sought.author {
        let with = "SELECT 1 FROM co_authored x WHERE x.author_id = $ AND x.article_id = a.id";
        let theirs = format!(" AND (a.author_id = $ OR EXISTS ({with}))");
        text.with(&theirs, [author.into(), author.into()]);
    }
    if let Some(tag) = &sought.tag {
        let tagged = "SELECT 1 FROM article_tags t WHERE t.article_id = a.id AND t.tag = $";
        text.with(&format!(" AND EXISTS ({tagged})"), [tag.into()]);
    }
}
