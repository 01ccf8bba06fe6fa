//! `/api/v2/forum/blocks`: of whom somebody does not want to hear.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use panel_kernel::data::Answer;
use panel_kernel::http::{
    Caller, IdPath, Listing, PageQuery, Params, Refusal, RouteError, SignedIn,
};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::Shared;
use crate::rules::bans::is_other;
use crate::store::authors::{self, Author};
use crate::store::notifications::boxes;

/// The most people that somebody can block.
const MOST: i64 = 1_000;

/// Somebody of whom they don't want to hear.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Block {
    user: Author,
    created_at: Timestamp,
}

/// Whom you have blocked
#[utoipa::path(get, path = "/api/v2/forum/blocks", tag = "forum", params(PageQuery),
    responses((status = 200, description = "One page", body = Listing<Block>), Refusal))]
pub(super) async fn list_blocks(
    State(forum): State<Shared>,
    caller: Caller,
    Params(query): Params<PageQuery>,
) -> Result<Json<Listing<Block>>, RouteError> {
    let user = caller.principal.user()?.id;
    let page = query.newest_first(&forum.cursors, format!("forum.blocks {user}"))?;
    let (before, fetch) = (page.before, page.fetch());
    let found: Result<Vec<(Author, Timestamp)>, RouteError> =
        forum.db.read(|conn| Box::pin(boxes::blocked(conn, user, before, fetch))).await;
    let listing = page.listing(found?, |(user, _)| user.id);
    Ok(Json(listing.map(|(user, created_at)| Block { user, created_at })))
}

/// Hear nothing of somebody any more
///
/// You are not told of what they write or do; it stays where it is. They are not told.
#[utoipa::path(put, path = "/api/v2/forum/blocks/{id}", tag = "forum", params(("id" = Id, Path)),
    responses((status = 200, description = "Blocked", body = Block), Refusal))]
pub(super) async fn block_user(
    State(forum): State<Shared>,
    by: SignedIn,
    IdPath(id): IdPath,
) -> Result<Answer, RouteError> {
    forum
        .write(by, move |writing| {
            Box::pin(async move {
                is_other(writing.viewer, id)?;
                let user = authors::find(writing.tx, id).await?;
                let user = user.ok_or(RouteError::NotFound("account"))?;
                let (by, created_at) = (writing.by.user.id, writing.by.context.now);
                if boxes::count_blocked(writing.tx, by).await? >= MOST {
                    return Err(RouteError::Conflict("you have blocked as many as you can"));
                }
                writing.tx.makes_nothing_old();
                boxes::block(writing.tx, by, id, created_at).await?;
                Ok(Answer::json(StatusCode::OK, &Block { user, created_at }))
            })
        })
        .await
}

/// Hear of somebody again
#[utoipa::path(delete, path = "/api/v2/forum/blocks/{id}", tag = "forum",
    params(("id" = Id, Path)),
    responses((status = 204, description = "Not blocked any more"), Refusal))]
pub(super) async fn unblock_user(
    State(forum): State<Shared>,
    by: SignedIn,
    IdPath(id): IdPath,
) -> Result<Answer, RouteError> {
    forum
        .write(by, move |writing| {
            Box::pin(async move {
                writing.tx.makes_nothing_old();
                if !boxes::unblock(writing.tx, writing.by.user.id, id).await? {
                    return Err(RouteError::NotFound("block"));
                }
                Ok(Answer::no_content())
            })
        })
        .await
}
