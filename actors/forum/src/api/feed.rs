//! `GET /api/v2/forum/feed.atom` and `/api/v2/forum/threads/{id}/feed.atom` (RFC 4287).

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::header;
use panel_kernel::http::{CacheFor, Caller, IdPath, MAX_PAGE_BYTES, Params, Refusal, RouteError};
use panel_kernel::ids::Id;
use panel_kernel::problem::Problem;
use panel_kernel::time::Timestamp;
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

#[derive(Template)]
#[template(path = "feed.xml")]
struct Feed {
    /// Of the feed itself.
    address: String,
    /// Of what it is the feed of.
    page: String,
    title: String,
    updated: String,
    entries: Vec<Entry>,
}

struct Entry {
    id: String,
    page: String,
    title: String,
    author: String,
    published: String,
    updated: String,
    tags: Vec<String>,
    html: Option<String>,
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
            title: sound(thread.title),
            author: sound(thread.author.name),
            published: posted.clone(),
            updated: edited_at.map_or(posted, |at| at.to_string()),
            tags,
            html: html.map(sound),
        }
    });
    let address = format!("{}/api/v2/forum/feed.atom", forum.public_url);
    let (address, page, title) = match category {
        Some(category) => (
            format!("{address}?category={}", category.id),
            format!("{}/forum/categories/{}/{}", forum.public_url, category.id, category.slug),
            sound(category.name),
        ),
        None => (address, format!("{}/forum", forum.public_url), "Forum".to_owned()),
    };
    let cache = CacheFor::everybody(&caller.principal).tagged([tags::THREADS, tags::CATEGORIES]);
    answer(cache, &Feed::new((address, page, title), entries.collect()))
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
    let title = sound(thread.title);
    let entries = found.into_iter().map(|post| Entry {
        id: format!("{}/api/v2/forum/posts/{}", forum.public_url, post.id),
        page: format!("{page}#post-{}", post.number),
        title: format!("{title} (#{})", post.number),
        author: sound(post.author.name),
        published: post.created_at.to_string(),
        updated: post.edited_at.unwrap_or(post.created_at).to_string(),
        tags: Vec::new(),
        html: post.html.map(sound),
    });
    let address = format!("{}/api/v2/forum/threads/{id}/feed.atom", forum.public_url);
    let entries = entries.collect();
    let cache = CacheFor::everybody(&caller.principal).tagged([tags::thread(id)]);
    answer(cache, &Feed::new((address, page, title), entries))
}

impl Feed {
    /// With the HTML of as many entries as have room.
    fn new((address, page, title): (String, String, String), mut entries: Vec<Entry>) -> Self {
        let mut left = MAX_PAGE_BYTES;
        for entry in &mut entries {
            // What has a meaning in XML becomes five bytes.
            let special = |b: &u8| matches!(b, b'&' | b'<' | b'>' | b'"' | b'\'');
            let bytes = |html: &String| {
                html.len() + 4 * html.as_bytes().iter().filter(|b| special(b)).count()
            };
            entry.html = entry.html.take().filter(|html| bytes(html) <= left);
            left -= entry.html.as_ref().map_or(0, bytes);
        }
        let updated = entries.iter().map(|entry| entry.updated.clone()).max();
        let updated = updated.unwrap_or_else(|| Timestamp::from_micros(0).to_string());
        Self { address, page, title, updated, entries }
    }
}

impl Forum {
    /// The address at which people read a thread.
    fn thread_page(&self, id: Id, slug: &str) -> String {
        format!("{}/forum/threads/{id}/{slug}", self.public_url)
    }
}

fn answer(cache: CacheFor, feed: &Feed) -> Result<Response, RouteError> {
    let xml = feed.render().map_err(|_| Problem::internal())?;
    let kind = [(header::CONTENT_TYPE, "application/atom+xml; charset=utf-8")];
    Ok((cache, kind, xml).into_response())
}

/// Without what XML can't hold (XML 1.0, 2.2).
fn sound(text: String) -> String {
    let is_sound = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
    if text.chars().all(is_sound) { text } else { text.chars().filter(|c| is_sound(*c)).collect() }
}
