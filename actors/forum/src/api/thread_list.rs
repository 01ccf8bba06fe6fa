//! `GET /api/v2/forum/threads` and `GET /api/v2/forum/unread`

use axum::Json;
use axum::extract::State;
use panel_kernel::http::validate::Check;
use panel_kernel::http::{
    CacheFor, Caller, Listing, PageQuery, PageRequest, Params, Refusal, RouteError,
};
use panel_kernel::ids::Id;
use panel_kernel::problem::Problem;
use panel_text::names;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Forum, Shared};
use crate::rules::Viewer;
use crate::store::thread_list::{self, Sort, ThreadFilter, Unread, UnreadPage};
use crate::store::threads::Thread;
use crate::tags;

/// Which threads, in which order.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ThreadQuery {
    /// Only those of this category.
    #[param(value_type = Option<Id>)]
    category: Option<String>,
    /// Only those with this tag.
    tag: Option<String>,
    /// Descending by latest post (pinned threads first), opening post, or number of replies;
    /// `activity` by default.
    #[param(value_type = Option<Sort>)]
    sort: Option<String>,
    /// `true`: only those with posts that the caller has not read, by activity. A page may then have fewer
    /// than `limit` although there are more; `next_cursor` leads on.
    #[param(value_type = Option<bool>)]
    unread: Option<String>,
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
) -> Result<(CacheFor, Json<Listing<Thread>>), RouteError> {
    let (mut filter, is_unread, page) = parse(query)?;
    let unread = is_unread.then_some(Unread::All);
    if unread.is_some() {
        caller.principal.user()?;
    }
    let scope = scope(&filter, unread);
    filter.after = page.after(&forum.cursors, &scope)?;
    let viewer = Viewer::of(&caller.principal);
    let cache = CacheFor::everybody(&caller.principal).tagged([tags::THREADS]);
    let Some(unread) = unread else {
        let (sort, fetch) = (filter.sort, page.fetch());
        let found: Result<Vec<Thread>, RouteError> =
            forum.db.read(|conn| Box::pin(thread_list::list(conn, filter, viewer, fetch))).await;
        let next = |last: &Thread| forum.cursors.encode(&scope, &sort.place(last));
        return Ok((cache, Json(Listing::from_excess(found?, page.limit, next))));
    };
    let listing = forum.unread(filter, unread, viewer, &page, &scope).await?;
    Ok((cache, Json(listing)))
}

/// Threads you follow in which something is new
///
/// Those you have begun to read, written in, or watch, by activity, pinned ones first. A page may have
/// fewer than `limit` although there are more; `next_cursor` leads on.
#[utoipa::path(get, path = "/api/v2/forum/unread", tag = "forum", params(PageQuery),
    responses((status = 200, description = "One page", body = Listing<Thread>), Refusal))]
pub(super) async fn list_unread(
    State(forum): State<Shared>,
    caller: Caller,
    Params(query): Params<PageQuery>,
) -> Result<Json<Listing<Thread>>, RouteError> {
    let page = query.checked()?;
    let filter = ThreadFilter { category: None, tag: None, sort: Sort::Activity, after: None };
    let scope = scope(&filter, Some(Unread::Followed));
    let filter = ThreadFilter { after: page.after(&forum.cursors, &scope)?, ..filter };
    let viewer = Viewer::of(&caller.principal);
    forum.unread(filter, Unread::Followed, viewer, &page, &scope).await.map(Json)
}

impl Forum {
    async fn unread(
        &self,
        filter: ThreadFilter,
        unread: Unread,
        viewer: Viewer,
        page: &PageRequest,
        scope: &str,
    ) -> Result<Listing<Thread>, RouteError> {
        let (sort, fetch) = (filter.sort, page.fetch());
        let found: Result<UnreadPage, RouteError> = self
            .db
            .read(|conn| Box::pin(thread_list::unread(conn, filter, unread, viewer, fetch)))
            .await;
        let UnreadPage { threads, looked_to } = found?;
        let next = |last: &Thread| self.cursors.encode(scope, &sort.place(last));
        let mut listing = Listing::from_excess(threads, page.limit, next);
        if let (None, Some(place)) = (&listing.next_cursor, looked_to) {
            listing.next_cursor = Some(self.cursors.encode(scope, &place));
        }
        Ok(listing)
    }
}

/// The list a query asks for, and whether it is of unread ones; where to begin in it is in the cursor.
fn parse(query: ThreadQuery) -> Result<(ThreadFilter, bool, PageRequest), Problem> {
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
        let tag = names::tag(&text);
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
    let unread = match query.unread.as_deref() {
        None | Some("" | "false" | "0") => false,
        Some("true" | "1") => true,
        Some(_) => {
            check.fail("unread", "invalid", "must be true or false");
            false
        }
    };
    if unread && sort != Sort::Activity {
        check.fail("sort", "invalid", "unread threads go by activity");
    }
    check.done()?;
    Ok((ThreadFilter { category, tag, sort, after: None }, unread, page))
}

/// What makes two lists the same list, for cursors.
fn scope(
    ThreadFilter { category, tag, sort, .. }: &ThreadFilter,
    unread: Option<Unread>,
) -> String {
    let category = category.map(|id| id.to_string()).unwrap_or_default();
    let unread = unread.map(|unread| format!("{unread:?} ")).unwrap_or_default();
    format!("threads {unread}{sort:?} {category} {}", tag.as_deref().unwrap_or_default())
}
