//! `/.panel/discussions/{article}`: what is said about an article, for the cms, which shows it and lets people say it
//! there. Nothing a client sends comes here.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use panel_kernel::data::{Answer, Conn};
use panel_kernel::http::{
    CacheFor, Caller, IdPath, Listing, Params, Payload, RouteError, SignedIn,
};
use panel_kernel::ids::Id;
use serde::{Deserialize, Serialize};

use super::Shared;
use super::post_list::with_reactions;
use super::posts::{NewPost, create_post};
use crate::rules::Viewer;
use crate::store::discussions;
use crate::store::post_list;
use crate::store::posts::Post;
use crate::tags;

/// The most posts of an answer.
const MOST: u32 = 100;

/// Which posts.
#[derive(Debug, Deserialize)]
struct Query {
    /// Those after this number.
    #[serde(default)]
    after: i64,
    limit: u32,
}

/// What is said about an article.
#[derive(Debug, Serialize)]
struct Discussed {
    /// Where; nothing if nowhere, or not where the reader may read.
    thread: Option<Place>,
    /// Comments, ascending, deleted ones as tombstones.
    posts: Vec<Post>,
    /// After which number there are more, if there are.
    more_after: Option<i64>,
}

/// The thread in which an article is discussed.
#[derive(Debug, Serialize)]
struct Place {
    id: Id,
    slug: String,
    reply_count: i64,
    locked: bool,
}

/// The routes.
pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/.panel/discussions/{article}", get(read))
        .route("/.panel/discussions/{article}/posts", post(reply))
}

async fn read(
    State(forum): State<Shared>,
    caller: Caller,
    IdPath(article): IdPath,
    Params(query): Params<Query>,
) -> Result<Response, RouteError> {
    let viewer = Viewer::of(&caller.principal);
    let limit = query.limit.clamp(1, MOST);
    let found: Result<_, RouteError> = forum
        .db
        .look(|conn| Box::pin(discussed(conn, (article, viewer), query.after, limit)))
        .await;
    let (thread, discussed) = found?;
    let thread = thread.map(tags::thread);
    let tags = [tags::discussion(article)].into_iter().chain(thread);
    let cache = CacheFor::everybody(&caller.principal).tagged(tags);
    Ok((cache, Json(discussed)).into_response())
}

/// What is said about it, and in which thread, whether the reader may see that or not.
async fn discussed(
    conn: &mut Conn,
    (article, viewer): (Id, Viewer),
    after: i64,
    limit: u32,
) -> Result<(Option<Id>, Discussed), RouteError> {
    let nothing = Discussed { thread: None, posts: Vec::new(), more_after: None };
    let Some(place) = discussions::place(conn, article, viewer.level).await? else {
        return Ok((None, nothing));
    };
    let id = place.thread;
    // What moderators have deleted they alone see in the forum, and nobody elsewhere.
    if !place.is_shown {
        return Ok((Some(id), nothing));
    }
    let after = after.max(place.after);
    let mut posts = post_list::list(conn, id, viewer, after, i64::from(limit) + 1).await?;
    with_reactions(conn, viewer, &mut posts).await?;
    let page = Listing::within_bytes(posts, limit, Post::bytes, |last| last.number.to_string());
    let last = page.items.last().map(|post| post.number);
    let discussions::Place { slug, reply_count, locked, .. } = place;
    let place = Place { id, slug, reply_count, locked };
    let more_after = page.next_cursor.and(last);
    Ok((Some(id), Discussed { thread: Some(place), posts: page.items, more_after }))
}

async fn reply(
    forum: State<Shared>,
    by: SignedIn,
    IdPath(article): IdPath,
    new: Payload<NewPost>,
) -> Result<Answer, RouteError> {
    let found: Result<_, RouteError> = forum
        .db
        .look(|conn| Box::pin(async move { Ok(discussions::find(conn, article).await?) }))
        .await;
    match found? {
        Some(found) => create_post(forum, by, IdPath(found.thread), new).await,
        // It is about to be opened, or there is no room for it.
        None => {
            forum.db.refuse(&by.context, RouteError::Conflict("comments are not open yet")).await
        }
    }
}
