//! `/api/v2/forum/posts/{id}/revisions`: texts as they were.

use axum::Json;
use axum::extract::State;
use panel_kernel::data::{Answer, Conn};
use panel_kernel::http::{
    CacheFor, Caller, IdPath, Listing, PageQuery, Params, Refusal, RouteError, Segments, SignedIn,
    json_bytes, last_that_fits,
};
use panel_kernel::ids::Id;
use panel_text::diff::{self, Change};
use serde::Serialize;
use utoipa::ToSchema;

use super::Shared;
use super::conduct::deed;
use crate::rules::{self, Viewer};
use crate::store::posts;
use crate::store::revisions::{self, Revision};
use crate::tags;

/// What changed from one revision to another.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Comparison {
    from: i64,
    to: i64,
    /// In order: what is equal or deleted makes the first text, what is equal or inserted the second.
    changes: Vec<Change>,
}

/// The texts a post had, from the first to the one it has now
///
/// For everybody who may read the post. A page of long texts may have fewer than `limit`.
#[utoipa::path(get, path = "/api/v2/forum/posts/{id}/revisions", tag = "forum",
    params(("id" = Id, Path), PageQuery),
    responses((status = 200, description = "One page", body = Listing<Revision>), Refusal))]
pub(super) async fn list_revisions(
    State(forum): State<Shared>,
    caller: Caller,
    IdPath(post): IdPath,
    Params(query): Params<PageQuery>,
) -> Result<(CacheFor, Json<Listing<Revision>>), RouteError> {
    let page = query.checked()?;
    let scope = format!("revisions {post}");
    let [after] = page.after(&forum.cursors, &scope)?.unwrap_or([0]);
    let (viewer, fetch) = (Viewer::of(&caller.principal), page.fetch());
    let found: Result<(Id, Vec<Revision>), RouteError> = forum
        .db
        .look(|conn| {
            Box::pin(async move {
                let thread = must_see(conn, post, viewer).await?;
                let lengths = revisions::lengths(conn, post, after, fetch).await?;
                let Some(last) = last_that_fits(&lengths) else {
                    return Ok((thread, Vec::new()));
                };
                Ok((thread, revisions::range(conn, post, (after + 1, last)).await?))
            })
        })
        .await;
    let next = |last: &Revision| forum.cursors.encode(&scope, &[last.number]);
    let bytes = |revision: &Revision| json_bytes(&revision.body);
    let (thread, found) = found?;
    let cache = CacheFor::everybody(&caller.principal).tagged([tags::thread(thread)]);
    Ok((cache, Json(Listing::within_bytes(found, page.limit, bytes, next))))
}

/// One of the texts a post had
#[utoipa::path(get, path = "/api/v2/forum/posts/{id}/revisions/{number}", tag = "forum",
    params(("id" = Id, Path), ("number" = i64, Path)),
    responses((status = 200, description = "The text", body = Revision), Refusal))]
pub(super) async fn read_revision(
    State(forum): State<Shared>,
    caller: Caller,
    Segments((post, number)): Segments<(Id, i64)>,
) -> Result<(CacheFor, Json<Revision>), RouteError> {
    let viewer = Viewer::of(&caller.principal);
    let found: Result<(Id, Revision), RouteError> =
        forum.db.look(|conn| Box::pin(one(conn, post, number, viewer))).await;
    let (thread, found) = found?;
    let cache = CacheFor::everybody(&caller.principal).tagged([tags::thread(thread)]);
    Ok((cache, Json(found)))
}

/// What changed from one text of a post to another
#[utoipa::path(get, path = "/api/v2/forum/posts/{id}/revisions/{from}/diff/{to}", tag = "forum",
    params(("id" = Id, Path), ("from" = i64, Path), ("to" = i64, Path)),
    responses((status = 200, description = "Piece by piece", body = Comparison), Refusal))]
pub(super) async fn compare_revisions(
    State(forum): State<Shared>,
    caller: Caller,
    Segments((post, from, to)): Segments<(Id, i64, i64)>,
) -> Result<(CacheFor, Json<Comparison>), RouteError> {
    let viewer = Viewer::of(&caller.principal);
    let read: Result<_, RouteError> = forum
        .db
        .look(|conn| {
            Box::pin(async move {
                let (thread, earlier) = one(conn, post, from, viewer).await?;
                let (_, later) = one(conn, post, to, viewer).await?;
                Ok((thread, earlier, later))
            })
        })
        .await;
    let (thread, earlier, later) = read?;
    if earlier.hidden || later.hidden {
        return Err(RouteError::Conflict("one of these texts was taken out by a moderator"));
    }
    let compare = move || diff::changes(&earlier.body, &later.body);
    let changes =
        forum.renderer.for_readers("too many texts are compared at once", compare).await?;
    let cache = CacheFor::everybody(&caller.principal).tagged([tags::thread(thread)]);
    Ok((cache, Json(Comparison { from, to, changes })))
}

/// Take the text out of an earlier revision
///
/// For what should never have been written. The text as it is now is not among them: change that first.
#[utoipa::path(delete, path = "/api/v2/forum/posts/{id}/revisions/{number}", tag = "forum",
    params(("id" = Id, Path), ("number" = i64, Path)),
    responses((status = 204, description = "Its text is gone"), Refusal))]
pub(super) async fn hide_revision(
    State(forum): State<Shared>,
    by: SignedIn,
    Segments((post, number)): Segments<(Id, i64)>,
) -> Result<Answer, RouteError> {
    forum
        .write(by, move |mut writing| {
            Box::pin(async move {
                let found = posts::find(writing.tx, post, writing.viewer).await?;
                let found = found.ok_or(RouteError::NotFound("post"))?;
                let whose = (found.post.author.id, found.author_level);
                rules::may_change(&writing.by.user, whose, found.thread_locked)?;
                if !revisions::hide(writing.tx, post, number).await? {
                    return Err(RouteError::NotFound("earlier revision"));
                }
                writing.tx.removes(tags::showing(found.post.thread_id));
                let hidden = serde_json::json!({"revision": number});
                writing.audit("post.hide_revision", post, Some(hidden), None);
                let deed = deed("post.hide_revision", &found.post, found.category_id, "");
                writing.remember(deed).await?;
                Ok(Answer::no_content())
            })
        })
        .await
}

/// The thread of a post that the viewer may see.
async fn must_see(conn: &mut Conn, post: Id, viewer: Viewer) -> Result<Id, RouteError> {
    let found = posts::find(conn, post, viewer).await?;
    found.map(|found| found.post.thread_id).ok_or(RouteError::NotFound("post"))
}

async fn one(
    conn: &mut Conn,
    post: Id,
    number: i64,
    viewer: Viewer,
) -> Result<(Id, Revision), RouteError> {
    let thread = must_see(conn, post, viewer).await?;
    let mut found = revisions::range(conn, post, (number, number)).await?;
    let found = found.pop().ok_or(RouteError::NotFound("revision"))?;
    Ok((thread, found))
}
