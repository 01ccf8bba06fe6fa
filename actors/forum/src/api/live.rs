//! `/api/v2/forum/threads/{id}/{stream, typing}`: a thread while it is open.

use axum::extract::State;
use http::StatusCode;
use panel_kernel::access::Need;
use panel_kernel::data::Conn;
use panel_kernel::http::{Caller, EventStream, IdPath, Payload, Refusal, RouteError};
use panel_kernel::ids::Id;
use panel_kernel::message::User;
use panel_kernel::purge::Purge;
use panel_kernel::time::Timestamp;
use serde::Deserialize;
use utoipa::ToSchema;

use super::Shared;
use super::conduct::not_banned;
use super::posts::may_reply;
use crate::live::{News, topic};
use crate::rules::Viewer;
use crate::rules::bans::Act;
use crate::store::authors::Author;
use crate::store::threads;

/// What happens in a thread, as it happens
///
/// Server-sent events of the moment, for whoever has the thread open: `post` and `thread` tell what has
/// changed, to be read where it is of interest, and `typing` who writes an answer. They have no ids, and can't be
/// asked for again. `missed` says that something may have been lost: read the page again then, and once
/// whenever the stream is open. It ends after ten minutes at the latest, and is opened again by the reader. Not
/// by API keys.
#[utoipa::path(get, path = "/api/v2/forum/threads/{id}/stream", tag = "forum",
    params(("id" = Id, Path)),
    responses((status = 200, description = "Stays open; each event has this as data", body = News,
               content_type = "text/event-stream"),
              (status = 101, description = "A WebSocket, if one was asked for"), Refusal))]
pub(super) async fn stream_thread(
    State(forum): State<Shared>,
    caller: Caller,
    IdPath(id): IdPath,
) -> Result<EventStream, RouteError> {
    let viewer = Viewer::of(&caller.principal);
    if caller.principal.user().is_ok() {
        Need::Session.check(&caller.principal)?;
    }
    let found: Result<_, RouteError> = forum
        .db
        .look(|conn| Box::pin(async move { Ok(threads::find(conn, id, viewer).await?) }))
        .await;
    let found = found?.filter(|seen| !seen.merged).ok_or(RouteError::NotFound("thread"))?;
    Ok(EventStream { topics: vec![topic(found.thread.id)], after_id: None })
}

/// What somebody does at the moment.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Typing {
    /// Whether they type.
    typing: bool,
}

/// You type an answer
///
/// Those who have the thread open see it for six seconds; say it again every three while it goes on. It ends with
/// the answer, or with `{"typing": false}`. For whoever may reply.
#[utoipa::path(post, path = "/api/v2/forum/threads/{id}/typing", tag = "forum",
    params(("id" = Id, Path)),
    request_body = Option<Typing>,
    responses((status = 204, description = "It is told"), Refusal))]
pub(super) async fn type_in_thread(
    State(forum): State<Shared>,
    caller: Caller,
    IdPath(id): IdPath,
    typing: Option<Payload<Typing>>,
) -> Result<(Purge, StatusCode), RouteError> {
    let user = caller.principal.user()?.clone();
    let (by, now) = (Author::from(&user), forum.db.clock().now());
    let may: Result<(), RouteError> =
        forum.db.look(|conn| Box::pin(may_type(conn, id, user, now))).await;
    may?;
    forum.rooms.types(id, by, typing.is_none_or(|Payload(Typing { typing })| typing));
    Ok((Purge::nothing(), StatusCode::NO_CONTENT))
}

async fn may_type(
    conn: &mut Conn,
    thread: Id,
    user: User,
    now: Timestamp,
) -> Result<(), RouteError> {
    let category = may_reply(conn, thread, Viewer::from(&user)).await?;
    not_banned(conn, (user.id, category), Act::Text, now).await
}
