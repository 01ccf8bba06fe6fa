//! `GET /api/v2/forum/threads`

use axum::Json;
use axum::extract::State;
use panel_kernel::http::validate::Check;
use panel_kernel::http::{CacheFor, Caller, Listing, PageRequest, Params};
use panel_kernel::ids::Id;
use panel_kernel::problem::Problem;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Refusal, Shared};
use crate::error::ForumError;
use crate::rules::{self, Viewer};
use crate::store::thread_list::{self, Sort, ThreadFilter};
use crate::store::threads::Thread;

/// Which threads, in which order.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ThreadQuery {
    /// Only those of this category.
    #[param(value_type = Option<Id>)]
    category: Option<String>,
    /// Only those with this tag.
    tag: Option<String>,
    /// Descending by latest post, opening post, or number of replies; `activity` by default.
    #[param(value_type = Option<Sort>)]
    sort: Option<String>,
    /// Items on a page, 1 to 100; 20 by default.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Threads
#[utoipa::path(get, path = "/api/v2/forum/threads", tag = "forum", params(ThreadQuery),
    responses((status = 200, description = "One page", body = Listing<Thread>), Refusal))]
pub(super) async fn list_threads(
    State(forum): State<Shared>,
    caller: Caller,
    Params(query): Params<ThreadQuery>,
) -> Result<(CacheFor, Json<Listing<Thread>>), ForumError> {
    let (mut filter, page) = parse(query)?;
    let scope = scope(&filter);
    filter.after = page.after(&forum.cursors, &scope)?;
    let (viewer, sort, fetch) = (Viewer::of(&caller.principal), filter.sort, page.fetch());
    let found: Result<Vec<Thread>, ForumError> =
        forum.db.read(|conn| Box::pin(thread_list::list(conn, filter, viewer, fetch))).await;
    let next = |last: &Thread| forum.cursors.encode(&scope, &sort.key(last));
    let cache = CacheFor::everybody(&caller.principal);
    Ok((cache, Json(Listing::from_excess(found?, page.limit, next))))
}

/// The list a query asks for; where to begin in it is in the cursor.
fn parse(query: ThreadQuery) -> Result<(ThreadFilter, PageRequest), Problem> {
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let page = PageRequest::parse(query.limit.as_deref(), query.cursor)?;
    let mut check = Check::new();
    let category = given(query.category).and_then(|text| {
        let id = text.parse().ok();
        if id.is_none() {
            check.fail("category", "invalid", "is not the id of a category");
        }
        id
    });
    let tag = given(query.tag).and_then(|text| {
        let tag = rules::tag(&text);
        if tag.is_none() {
            check.fail("tag", "invalid", "is not a tag");
        }
        tag
    });
    let sort = match query.sort.as_deref() {
        None | Some("" | "activity") => Sort::Activity,
        Some("created") => Sort::Created,
        Some("top") => Sort::Top,
        Some(_) => {
            check.fail("sort", "invalid", "must be activity, created or top");
            Sort::Activity
        }
    };
    check.done()?;
    Ok((ThreadFilter { category, tag, sort, after: None }, page))
}

/// What makes two lists the same list, for cursors.
fn scope(ThreadFilter { category, tag, sort, .. }: &ThreadFilter) -> String {
    let category = category.map(|id| id.to_string()).unwrap_or_default();
    format!("threads {sort:?} {category} {}", tag.as_deref().unwrap_or_default())
}
