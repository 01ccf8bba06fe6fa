//! `GET /api/v2/forum/feed.atom` and `/api/v2/forum/threads/{id}/feed.atom` (RFC 4287).

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use panel_kernel::http::{CacheFor, Caller, IdPath, Params, Refusal, RouteError};
use panel_kernel::ids::Id;
use panel_text::feed::{Entry, Feed, Of};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Forum, Shared};
use crate::rules::Viewer;
use crate::store::{categories, feed, threads};
use crate::tags;

/// Entries in a feed.
const ENTRIES: i64 = 30;

/// Which threads.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct FeedQuery {
    /// Only those of this category.
    #[param(value_type = Option<Id>)]
    category: Option<String>,
}

/// The newest threads, as a feed
///
/// Each with its opening post, if that is not long. With what the caller may read: feed readers are nobody
/// in particular.
#[utoipa::path(get, path = "/api/v2/forum/feed.atom", tag = "forum", params(FeedQuery),
    responses((status = 200, description = "Atom", content_type = "application/atom+xml", body = String),
        Refusal))]
pub(super) async fn threads_feed(
    State(forum): State<Shared>,
    caller: Caller,
    Params(query): Params<FeedQuery>,
) -> Result<Response, RouteError> {
    let viewer = Viewer::of(&caller.principal);
    let wanted = query.category.filter(|text| !text.is_empty());
    let wanted = wanted
        .map(|text| text.parse::<Id>().map_err(|_| RouteError::NotFound("category")))
        .transpose()?;
    let read: Result<_, RouteError> = forum
        .db
        .look(|conn| {
            Box::pin(async move {
                let category = match wanted {
                    Some(id) => {
                        let found = categories::find(conn, id, viewer).await?;
                        Some(found.ok_or(RouteError::NotFound("category"))?)
                    }
                    None => None,
                };
                let found = feed::newest_threads(conn, wanted, viewer, ENTRIES).await?;
                Ok((category, found))
            })
        })
        .await;
    let (category, found) = read?;
    let entries = found.into_iter().map(|(thread, (edited_at, html))| {
        let page = forum.thread_page(thread.id, &thread.slug);
        let tags = thread.tag_list();
        let posted = thread.created_at.to_string();
        Entry {
            id: format!("{}/api/v2/forum/threads/{}", forum.public_url, thread.id),
            page,
            title: thread.title,
            language: None,
            authors: vec![thread.author.name],
            published: posted.clone(),
            updated: edited_at.map_or(posted, |at| at.to_string()),
            tags,
            summary: None,
            html,
        }
    });
    let address = format!("{}/api/v2/forum/feed.atom", forum.public_url);
    let (address, page, title) = match category {
        Some(category) => (
            format!("{address}?category={}", category.id),
            format!("{}/forum/categories/{}/{}", forum.public_url, category.id, category.slug),
            category.name,
        ),
        None => (address, format!("{}/forum", forum.public_url), "Forum".to_owned()),
    };
    let cache = CacheFor::everybody(&caller.principal).tagged([tags::THREADS, tags::CATEGORIES]);
    let feed = Feed::new(Of { address, page, title }, entries.collect());
    Ok((cache, feed.answer()?).into_response())
}

/// The latest posts of a thread, as a feed
#[utoipa::path(get, path = "/api/v2/forum/threads/{id}/feed.atom", tag = "forum",
    params(("id" = Id, Path)),
    responses((status = 200, description = "Atom", content_type = "application/atom+xml", body = String),
        Refusal))]
pub(super) async fn posts_feed(
    State(forum): State<Shared>,
    caller: Caller,
    IdPath(id): IdPath,
) -> Result<Response, RouteError> {
    let viewer = Viewer::of(&caller.principal);
    let read: Result<_, RouteError> = forum
        .db
        .look(|conn| {
            Box::pin(async move {
                let found = threads::find(conn, id, viewer).await?;
                let found = found.filter(|found| !found.merged);
                let thread = found.ok_or(RouteError::NotFound("thread"))?.thread;
                let found = feed::latest_posts(conn, id, ENTRIES).await?;
                Ok((thread, found))
            })
        })
        .await;
    let (thread, found) = read?;
    let page = forum.thread_page(thread.id, &thread.slug);
    let title = thread.title;
    let entries = found.into_iter().map(|post| Entry {
        id: format!("{}/api/v2/forum/posts/{}", forum.public_url, post.id),
        page: format!("{page}#post-{}", post.number),
        title: format!("{title} (#{})", post.number),
        language: None,
        authors: vec![post.author.name],
        published: post.created_at.to_string(),
        updated: post.edited_at.unwrap_or(post.created_at).to_string(),
        tags: Vec::new(),
        summary: None,
        html: post.html,
    });
    let address = format!("{}/api/v2/forum/threads/{id}/feed.atom", forum.public_url);
    let entries = entries.collect();
    let cache = CacheFor::everybody(&caller.principal).tagged([tags::thread(id)]);
    let feed = Feed::new(Of { address, page, title }, entries);
    Ok((cache, feed.answer()?).into_response())
}

impl Forum {
    /// The address at which people read a thread.
    fn thread_page(&self, id: Id, slug: &str) -> String {
        format!("{}/forum/threads/{id}/{slug}", self.public_url)
    }
}
