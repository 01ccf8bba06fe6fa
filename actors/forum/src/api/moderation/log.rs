//! `GET /api/v2/forum/moderation/log`: what moderators have done.

use axum::Json;
use axum::extract::State;
use panel_kernel::http::{CacheFor, Caller, Listing, PageRequest, Params, Refusal, RouteError};
use panel_kernel::ids::Id;
use panel_kernel::problem::{Kind, Problem};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::api::Shared;
use crate::api::query::id_of;
use crate::config::PublicLog;
use crate::rules::Viewer;
use crate::store::moderation::log::{self, LogEntry, LogFilter};
use crate::tags;

/// What of the log.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct LogQuery {
    /// Only what was done to this account, or to what it wrote.
    #[param(value_type = Option<Id>)]
    user: Option<String>,
    /// Only what this moderator did.
    #[param(value_type = Option<Id>)]
    moderator: Option<String>,
    /// Only what was done to this thread and its posts.
    #[param(value_type = Option<Id>)]
    thread: Option<String>,
    /// Items on a page, 1 to 100; 20 by default.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// What moderators have done, the latest first
///
/// For moderators; for everybody, where it is public (`forum.moderation.public_log`). Of categories that the
/// caller may read.
#[utoipa::path(get, path = "/api/v2/forum/moderation/log", tag = "forum", params(LogQuery),
    responses((status = 200, description = "One page", body = Listing<LogEntry>), Refusal))]
pub(super) async fn list_log(
    State(forum): State<Shared>,
    caller: Caller,
    Params(query): Params<LogQuery>,
) -> Result<(CacheFor, Json<Listing<LogEntry>>), RouteError> {
    let (viewer, public) = (Viewer::of(&caller.principal), forum.policy.moderation.public_log);
    if public == PublicLog::Off && !viewer.moderates {
        let problem = Problem::new(Kind::Forbidden, "the moderation log is for moderators");
        return Err(problem.into());
    }
    let is_named = viewer.moderates || public == PublicLog::Named;
    let page = PageRequest::parse(query.limit.as_deref(), query.cursor)?;
    let filter = LogFilter {
        user: id_of("user", query.user.as_deref())?,
        moderator: id_of("moderator", query.moderator.as_deref())?,
        thread: id_of("thread", query.thread.as_deref())?,
    };
    if filter.moderator.is_some() && !is_named {
        let message = "who did what is not public here";
        return Err(Problem::field("moderator", "unknown", message).into());
    }
    let scope = format!("forum.log {filter:?}");
    let [before] = page.after(&forum.cursors, &scope)?.unwrap_or([i64::MAX]);
    let fetch = page.fetch();
    let found: Result<Vec<LogEntry>, RouteError> =
        forum.db.read(|conn| Box::pin(log::list(conn, filter, viewer, before, fetch))).await;
    let next = |last: &LogEntry| forum.cursors.encode(&scope, &[last.id.raw()]);
    let listing = Listing::from_excess(found?, page.limit, next).map(|mut entry| {
        if !is_named {
            entry.moderator = None;
        }
        entry
    });
    Ok((CacheFor::everybody(&caller.principal).tagged([tags::LOG]), Json(listing)))
}
