//! `GET /api/v2/cms/search`

use axum::Json;
use axum::extract::State;
use panel_kernel::http::validate::Check;
use panel_kernel::http::{CacheFor, Caller, Listing, PageRequest, Params, Refusal, RouteError};
use panel_kernel::ids::Id;
use panel_kernel::problem::Problem;
use panel_kernel::time::Timestamp;
use panel_text::asked;
use panel_text::excerpt::excerpt;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::views::Person;
use super::{Cms, Shared};
use crate::rules::{Kind, fields, path};
use crate::store::search::{self, Found, Order, Sought};
use crate::tags;

/// What is looked for.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SearchQuery {
    /// Words, all of which are to be found in an article or in its title; `"words in this order"`, `begin*`, `-not this`.
    /// Case and accents don't count. 1 to 200 characters.
    #[param(value_type = String)]
    q: Option<String>,
    /// `post` or `page`: only those.
    kind: Option<String>,
    /// Only of the category with this slug.
    category: Option<String>,
    /// Only with this tag.
    tag: Option<String>,
    /// Only of this author.
    #[param(value_type = Option<Id>)]
    author: Option<String>,
    /// `relevance` by default: those that fit best, of the 2,000 latest; or `newest`.
    sort: Option<String>,
    /// 1 to 100; 20 if not given.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A published article that was found.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ArticleHit)]
pub(crate) struct Hit {
    id: Id,
    kind: &'static str,
    slug: String,
    /// The page at which people read it.
    pub(crate) path: String,
    pub(crate) title: String,
    author: Person,
    /// Who wrote it, its author first.
    authors: Vec<Person>,
    category: Option<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) published_at: Timestamp,
    /// Where the words stand in the text, as safe HTML, each within `<mark>`.
    pub(crate) excerpt: String,
}

impl Hit {
    fn new(it: Found, sought: &Sought) -> Self {
        Self {
            id: it.id,
            kind: it.kind.name(),
            path: path(it.kind, &it.slug),
            slug: it.slug,
            title: it.title,
            authors: [&it.author].into_iter().chain(&it.co_authors).map(Person::from).collect(),
            author: it.author.into(),
            category: it.category,
            tags: it.tags,
            published_at: it.published_at,
            excerpt: excerpt(&it.body, &sought.query),
        }
    }

    /// Who wrote it.
    pub(crate) fn byline(&self) -> String {
        self.authors.iter().map(Person::name).collect::<Vec<_>>().join(", ")
    }
}

/// Find published articles
///
/// They are found a moment after they were published. By relevance, of the 2,000 latest that have the words.
#[utoipa::path(get, path = "/api/v2/cms/search", tag = "cms", params(SearchQuery),
    responses((status = 200, description = "One page", body = Listing<Hit>), Refusal))]
pub(super) async fn search_articles(
    State(cms): State<Shared>,
    caller: Caller,
    Params(query): Params<SearchQuery>,
) -> Result<(CacheFor, Json<Listing<Hit>>), RouteError> {
    let found = found(&cms, query).await?;
    let cache = CacheFor::everybody(&caller.principal).tagged([tags::SEARCH, tags::ARTICLES]);
    Ok((cache, Json(found)))
}

/// The page of what is found for a query.
pub(crate) async fn found(cms: &Cms, query: SearchQuery) -> Result<Listing<Hit>, RouteError> {
    let (sought, page) = parse(query)?;
    let scope = format!("cms.search {sought:?}");
    let after: Option<[i64; 2]> = page.after(&cms.cursors, &scope)?;
    let mut conn = cms.db.reader().await?;
    let rows = search::find(&mut conn, &sought, after, page.fetch()).await?;
    drop(conn);
    let next = |last: &Found| {
        let place = match sought.order {
            // What fits best may be another a moment later: there is no place but the number.
            Order::Relevance => [after.unwrap_or_default()[0] + i64::from(page.limit), 0],
            Order::Newest => [last.published_at.as_micros(), last.id.raw()],
        };
        cms.cursors.encode(&scope, &place)
    };
    Ok(Listing::from_excess(rows, page.limit, next).map(|it| Hit::new(it, &sought)))
}

impl SearchQuery {
    /// What somebody types into the field of a page.
    pub(crate) fn typed(q: String, cursor: Option<String>) -> Self {
        Self { q: Some(q), cursor, ..Self::default() }
    }
}

fn parse(query: SearchQuery) -> Result<(Sought, PageRequest), Problem> {
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let page = PageRequest::parse(query.limit.as_deref(), query.cursor)?;
    let category = fields::filter("category", given(query.category))?;
    let mut check = Check::new();
    let words = asked::words(&mut check, &query.q.unwrap_or_default());
    let kind = given(query.kind).and_then(|text| {
        let kind = text.parse::<Kind>().ok();
        if kind.is_none() {
            check.fail("kind", "invalid", "must be post or page");
        }
        kind
    });
    let author = given(query.author).and_then(|text| {
        let author = text.parse::<Id>().ok();
        if author.is_none() {
            check.fail("author", "invalid", "must be the id of an account");
        }
        author
    });
    let tag = asked::tag(&mut check, query.tag);
    let order = if asked::is_newest_first(&mut check, query.sort.as_deref()) {
        Order::Newest
    } else {
        Order::Relevance
    };
    check.done()?;
    let query = words.ok_or_else(Problem::internal)?;
    Ok((Sought { query, kind, category, tag, author, order }, page))
}
