//! Finding posts.

use panel_kernel::data::{Composed, Conn, DbError, FromRow, Row, Statement, Value};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;
use panel_text::fulltext::{match_query, rank_query, tsquery};
use panel_text::tokens::Query;
use serde::Serialize;
use utoipa::ToSchema;

use crate::rules::Viewer;
use crate::store::authors::Author;

/// The most posts that are looked at in one statement, the latest first, of those that have the words.
const CANDIDATES: i64 = 2_000;
/// The most statements for one page on which nothing is found.
const LOOKS: usize = 5;
/// What is read of a post's text to show where the words are, in characters.
const SHOWN_CHARS: i64 = 2_000;

/// A post that was found.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Hit {
    /// The post.
    pub(crate) id: Id,
    pub(crate) thread_id: Id,
    /// Its place in the thread.
    pub(crate) number: i64,
    pub(crate) author: Author,
    pub(crate) created_at: Timestamp,
    /// Of the thread.
    pub(crate) title: String,
    /// Of the thread.
    pub(crate) slug: String,
    pub(crate) category_id: Id,
    /// Where the words stand in the text, as safe HTML, each within `<mark>`.
    pub(crate) excerpt: String,
    #[serde(skip)]
    pub(crate) score: i64,
}

impl FromRow for Hit {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        let name: String = row.get(4)?;
        Ok(Self {
            id: row.get(0)?,
            thread_id: row.get(1)?,
            number: row.get(2)?,
            author: Author::named(row.get(3)?, &name),
            created_at: row.get(5)?,
            title: row.get(6)?,
            slug: row.get(7)?,
            category_id: row.get(8)?,
            excerpt: row.get(9)?,
            score: row.get(10)?,
        })
    }
}

/// In which order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    /// By how well they fit, of each 2,000 posts that have the words, the latest first.
    #[default]
    Relevance,
    /// The latest first.
    Newest,
}

/// Which posts are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SearchFilter {
    pub(crate) query: Query,
    pub(crate) category: Option<Id>,
    pub(crate) author: Option<Id>,
    pub(crate) tag: Option<String>,
    pub(crate) order: Order,
}

/// A place among what is found: the candidates are those before the first, and of them those come that
/// are after the score and the id.
pub(crate) type Place = [i64; 3];

/// The first place there is.
pub(crate) const FIRST: Place = [i64::MAX, i64::MAX, i64::MAX];

/// What was found.
#[derive(Debug)]
pub(crate) struct SearchPage {
    /// With the text of the post in place of the excerpt.
    pub(crate) hits: Vec<Hit>,
    /// Before which post the candidates of this page are.
    pub(crate) before: i64,
    /// Where to look on, if the page is not full and there may be more.
    pub(crate) looked_to: Option<Place>,
}

/// Finds posts that the viewer may read, from a place on.
pub(crate) async fn find(
    conn: &mut Conn,
    filter: &SearchFilter,
    viewer: Viewer,
    mut place: Place,
    fetch: i64,
) -> Result<SearchPage, DbError> {
    let mut looks = 0;
    loop {
        looks += 1;
        let [before, ..] = place;
        let hits: Vec<Hit> =
            conn.all(filter.hits(conn.is_postgres(), viewer, place, fetch)).await?;
        let is_full = i64::try_from(hits.len()).is_ok_and(|found| found >= fetch);
        let looked_to = if is_full {
            None
        } else {
            let last: Option<(Id,)> =
                conn.optional(filter.last_candidate(conn.is_postgres(), before)).await?;
            last.map(|(id,)| [id.raw(), i64::MAX, i64::MAX])
        };
        match looked_to {
            Some(next) if hits.is_empty() && looks < LOOKS => place = next,
            looked_to => return Ok(SearchPage { hits, before, looked_to }),
        }
    }
}

impl SearchFilter {
    /// Adds the latest posts before `before` that have the words, without regard for who may read them.
    fn add_candidates(&self, text: &mut Composed, is_postgres: bool, before: i64, scored: bool) {
        let words = || Value::from(if is_postgres { tsquery } else { match_query }(&self.query));
        let score = match (scored, is_postgres) {
            (false, _) => "",
            (true, true) => {
                ", CAST(1000000000 * ts_rank(s.tokens, CAST($ AS TSQUERY)) AS BIGINT) AS score"
            }
            (true, false) => {
                ", CAST(-1000000000 * bm25(post_search, 5.0, 1.0) AS INTEGER) AS score"
            }
        };
        let ranked = (scored && is_postgres).then(|| Value::from(rank_query(&self.query)));
        if is_postgres {
            text.with(&format!("SELECT s.post_id AS id{score} FROM post_search s"), ranked);
            let condition = " WHERE s.tokens @@ CAST($ AS TSQUERY) AND s.post_id < $";
            text.with(condition, [words(), before.into()]);
            text.add(" ORDER BY s.post_id DESC");
        } else {
            text.add(&format!("SELECT rowid AS id{score} FROM post_search"));
            let condition = " WHERE post_search MATCH $ AND rowid < $";
            text.with(condition, [words(), before.into()]);
            text.add(" ORDER BY rowid DESC");
        }
    }

    fn hits(&self, is_postgres: bool, viewer: Viewer, place: Place, fetch: i64) -> Statement {
        let [before, score, id] = place;
        let by_score = self.order == Order::Relevance;
        let mut text = Composed::default();
        text.with(
            "SELECT p.id, p.thread_id, p.number, p.author_id, \
             COALESCE((SELECT a.name FROM authors a WHERE a.id = p.author_id), ''), p.created_at, \
             t.title, t.slug, t.category_id, substr(p.body, 1, CAST($ AS INTEGER)), ",
            [SHOWN_CHARS.into()],
        );
        text.add(if by_score { "m.score FROM (" } else { "CAST(0 AS BIGINT) FROM (" });
        self.add_candidates(&mut text, is_postgres, before, by_score);
        let joins =
            " LIMIT $) AS m CROSS JOIN posts p CROSS JOIN threads t CROSS JOIN categories c";
        text.with(joins, [CANDIDATES.into()]);
        text.add(" WHERE p.id = m.id AND t.id = p.thread_id AND c.id = t.category_id");
        text.add(" AND p.deleted_at IS NULL AND t.deleted_at IS NULL");
        text.with(" AND c.read_level <= $", [viewer.level.into()]);
        if let Some(category) = self.category {
            text.with(" AND (c.id = $ OR c.parent_id = $)", [category.into(), category.into()]);
        }
        if let Some(author) = self.author {
            text.with(" AND p.author_id = $", [author.into()]);
        }
        if let Some(tag) = &self.tag {
            let tagged = "SELECT 1 FROM thread_tags k WHERE k.thread_id = t.id AND k.tag = $";
            text.with(&format!(" AND EXISTS ({tagged})"), [tag.as_str().into()]);
        }
        if by_score {
            text.with(" AND (m.score, m.id) < ($, $)", [score.into(), id.into()]);
            text.add(" ORDER BY m.score DESC, m.id DESC");
        } else {
            text.add(" ORDER BY m.id DESC");
        }
        text.with(" LIMIT $", [fetch.into()]);
        text.done().once()
    }

    /// The last candidate, if there are as many as are looked at.
    fn last_candidate(&self, is_postgres: bool, before: i64) -> Statement {
        let mut text = Composed::default();
        self.add_candidates(&mut text, is_postgres, before, false);
        text.with(" LIMIT 1 OFFSET $", [(CANDIDATES - 1).into()]);
        text.done().once()
    }
}
