//! `GET /api/v2/forum/search`

use axum::Json;
use axum::extract::State;
use panel_kernel::http::validate::Check;
use panel_kernel::http::{CacheFor, Caller, Listing, PageRequest, Params, Refusal, RouteError};
use panel_kernel::ids::Id;
use panel_kernel::problem::Problem;
use panel_text::asked;
use panel_text::excerpt::excerpt;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Forum, Shared};
use crate::rules::Viewer;
use crate::store::search::{self, FIRST, Hit, Order, Place, SearchFilter, SearchPage};
use crate::tags;

/// What is looked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SearchQuery {
    /// Words, all of which are to be found in a post, or in the title of the thread that it opens;
    /// `"words in this order"`, `begin*`, `-not this`. Case and accents don't count. 1 to 200 characters.
    #[param(value_type = String)]
    q: Option<String>,
    /// Only in this category, and those below it.
    #[param(value_type = Option<Id>)]
    category: Option<String>,
    /// Only posts by this account.
    #[param(value_type = Option<Id>)]
    author: Option<String>,
    /// Only in threads with this tag.
    tag: Option<String>,
    /// `relevance` by default: of each 2,000 posts that have the words, the latest first, those that fit best.
    #[param(value_type = Option<Order>)]
    sort: Option<String>,
    /// Items on a page, 1 to 100; 20 by default.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Find posts
///
/// Posts are found a moment after they were written. What is looked at for one page is bounded, so that a
/// page may have fewer than `limit` although there are more; `next_cursor` leads on.
#[utoipa::path(get, path = "/api/v2/forum/search", tag = "forum", params(SearchQuery),
    responses((status = 200, description = "One page", body = Listing<Hit>), Refusal))]
pub(super) async fn search(
    State(forum): State<Shared>,
    caller: Caller,
    Params(query): Params<SearchQuery>,
) -> Result<(CacheFor, Json<Listing<Hit>>), RouteError> {
    let found = found(&forum, &caller, query).await?;
    Ok((CacheFor::everybody(&caller.principal).tagged([tags::SEARCH]), Json(found)))
}

/// The page of what is found for a query.
pub(crate) async fn found(
    forum: &Forum,
    caller: &Caller,
    query: SearchQuery,
) -> Result<Listing<Hit>, RouteError> {
    let (filter, page) = parse(query)?;
    let scope = scope(&filter);
    let place: Place = page.after(&forum.cursors, &scope)?.unwrap_or(FIRST);
    let (viewer, fetch) = (Viewer::of(&caller.principal), page.fetch());
    let found: Result<SearchPage, RouteError> = forum
        .db
        .read(|conn| {
            let filter = filter.clone();
            Box::pin(async move { search::find(conn, &filter, viewer, place, fetch).await })
        })
        .await;
    let SearchPage { hits, before, looked_to } = found?;
    let cursor = |place: Place| forum.cursors.encode(&scope, &place);
    let next = |last: &Hit| {
        let id = last.id.raw();
        cursor(match filter.order {
            Order::Relevance => [before, last.score, id],
            Order::Newest => [id, i64::MAX, i64::MAX],
        })
    };
    let mut listing = Listing::from_excess(hits, page.limit, next);
    if let (None, Some(place)) = (&listing.next_cursor, looked_to) {
        listing.next_cursor = Some(cursor(place));
    }
    for hit in &mut listing.items {
        hit.excerpt = excerpt(&hit.excerpt, &filter.query);
    }
    Ok(listing)
}

impl SearchQuery {
    /// The words, as they were given.
    pub(crate) fn asked(&self) -> &str {
        self.q.as_deref().unwrap_or_default()
    }
}

fn parse(query: SearchQuery) -> Result<(SearchFilter, PageRequest), Problem> {
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let page = PageRequest::parse(query.limit.as_deref(), query.cursor)?;
    let mut check = Check::new();
    let words = asked::words(&mut check, &query.q.unwrap_or_default());
    let mut id = |field: &str, text: Option<String>| {
        given(text).and_then(|text| {
            let id = text.parse::<Id>().ok();
            if id.is_none() {
                check.fail(field, "invalid", "is no id");
            }
            id
        })
    };
    let (category, author) = (id("category", query.category), id("author", query.author));
    let tag = asked::tag(&mut check, query.tag);
    let order = if asked::is_newest_first(&mut check, query.sort.as_deref()) {
        Order::Newest
    } else {
        Order::Relevance
    };
    check.done()?;
    let query = words.ok_or_else(Problem::internal)?;
    Ok((SearchFilter { query, category, author, tag, order }, page))
}

/// What makes two lists the same list, for cursors.
fn scope(filter: &SearchFilter) -> String {
    format!("search {filter:?}")
}
