//! The page of a thread. Numbers have no gaps, so that pages go by them, and every post has an address.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect};
use panel_kernel::http::{Caller, Listing, Params, RouteError, Segments, page_for};
use serde::Deserialize;

use super::{LIVE, Shown, shown};
use crate::api::{Shared, thread_or_target};
use crate::rules::Viewer;
use crate::store::post_list;
use crate::store::posts::Post;
use crate::tags;

/// Posts on a page.
const LIMIT: u32 = 20;

/// Where the page begins.
#[derive(Debug, Deserialize)]
pub(super) struct FromQuery {
    from: Option<String>,
}

#[derive(Template)]
#[template(path = "thread.html")]
struct ThreadPage {
    nonce: String,
    id: String,
    title: String,
    canonical: String,
    /// The number of its latest post.
    last: i64,
    locked: bool,
    tags: Vec<String>,
    posts: Vec<Shape>,
    previous: Option<String>,
    next: Option<String>,
}

/// A post as it is shown.
struct Shape {
    number: i64,
    author: String,
    at: String,
    shown: String,
    edited: bool,
    deleted: bool,
    moved: bool,
    html: String,
    reactions: Vec<(String, i64)>,
}

impl From<Post> for Shape {
    fn from(post: Post) -> Self {
        let reactions = post.reaction_counts().into_iter().collect();
        Self {
            number: post.number,
            author: post.author.name,
            at: post.created_at.to_string(),
            shown: shown(post.created_at),
            edited: post.edited_at.is_some(),
            deleted: post.deleted,
            moved: post.moved_to.is_some(),
            html: post.body_html,
            reactions,
        }
    }
}

/// `GET /forum/threads/{id}/{slug}`
pub(super) async fn thread(
    State(forum): State<Shared>,
    caller: Caller,
    Segments(segments): Segments<Vec<String>>,
    Params(query): Params<FromQuery>,
) -> Shown {
    let id = super::id(&segments)?;
    let viewer = Viewer::of(&caller.principal);
    let from = query.from.and_then(|text| text.parse::<i64>().ok()).unwrap_or(1);
    let fetch = i64::from(LIMIT) + 1;
    let found: Result<_, RouteError> = forum
        .db
        .look(|conn| {
            Box::pin(async move {
                let thread = match thread_or_target(conn, id, viewer).await? {
                    Ok(thread) => thread,
                    Err(target) => return Ok(Err(target)),
                };
                // Beyond the end there is the end.
                let first = from.clamp(1, thread.last_number.max(1));
                let posts = post_list::list(conn, id, viewer, first - 1, fetch).await?;
                Ok(Ok((thread, first, posts)))
            })
        })
        .await;
    let (thread, first, posts) = match found? {
        Ok(found) => found,
        Err(target) => {
            return Ok(Redirect::permanent(&format!("/forum/threads/{target}")).into_response());
        }
    };
    let path = format!("/forum/threads/{id}/{}", thread.slug);
    if segments.get(1) != Some(&thread.slug) {
        // The title has changed since, or the address is short.
        let at = if first > 1 { format!("{path}?from={first}") } else { path };
        return Ok(Redirect::temporary(&at).into_response());
    }
    forum.views.seen(&caller, id);
    let page = Listing::within_bytes(posts, LIMIT, Post::bytes, |last| last.number.to_string());
    let last = page.items.last().map_or(first, |post| post.number);
    let at = |from: i64| if from > 1 { format!("{path}?from={from}") } else { path.clone() };
    let previous = (first > 1).then(|| at((first - i64::from(LIMIT)).max(1)));
    let next = page.next_cursor.is_some().then(|| at(last + 1));
    let shown_tags = thread.tag_list();
    page_for(&caller, [tags::thread(id)], LIVE, |nonce| {
        ThreadPage {
            nonce,
            id: id.to_string(),
            title: thread.title,
            last: thread.last_number,
            canonical: format!("{}{}", forum.public_url, at(first)),
            locked: thread.locked,
            tags: shown_tags,
            posts: page.items.into_iter().map(Shape::from).collect(),
            previous,
            next,
        }
        .render()
    })
}
