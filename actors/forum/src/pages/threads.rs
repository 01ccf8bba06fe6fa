//! Pages that list threads: the front page, a category, what somebody has started.

use askama::Template;
use axum::extract::State;
use panel_kernel::http::{Caller, Listing, PageRequest, Params, RouteError, Segments, page_for};
use panel_kernel::ids::Id;
use panel_kernel::names::lookup_key;
use serde::Deserialize;

use super::{STILL, Shown, shown};
use crate::api::Shared;
use crate::people::page_of;
use crate::rules::Viewer;
use crate::store::authors;
use crate::store::categories::{self, Category};
use crate::store::thread_list::{self, Sort, ThreadFilter};
use crate::store::threads::Thread;
use crate::tags;

/// Threads on a page.
const LIMIT: u32 = 30;

/// Where a page begins.
#[derive(Debug, Deserialize)]
pub(super) struct PageQuery {
    cursor: Option<String>,
}

#[derive(Template)]
#[template(path = "threads.html")]
struct ThreadList {
    nonce: String,
    title: String,
    canonical: String,
    description: Option<String>,
    categories: Vec<Category>,
    threads: Vec<Row>,
    next: Option<String>,
}

struct Row {
    id: Id,
    slug: String,
    title: String,
    author: String,
    replies: i64,
    views: i64,
    at: String,
    shown: String,
    pinned: bool,
    locked: bool,
    tags: Vec<String>,
}

impl From<Thread> for Row {
    fn from(thread: Thread) -> Self {
        let tags = thread.tag_list();
        Self {
            id: thread.id,
            slug: thread.slug,
            title: thread.title,
            author: thread.author.name,
            replies: thread.reply_count,
            views: thread.view_count,
            at: thread.last_post_at.to_string(),
            shown: shown(thread.last_post_at),
            pinned: thread.pinned,
            locked: thread.locked,
            tags,
        }
    }
}

/// `GET /forum`
pub(super) async fn front(
    State(forum): State<Shared>,
    caller: Caller,
    Params(query): Params<PageQuery>,
) -> Shown {
    let viewer = Viewer::of(&caller.principal);
    let categories: Result<_, RouteError> =
        forum.db.read(|conn| Box::pin(categories::list(conn, viewer))).await;
    let (threads, next) = listed(&forum, viewer, None, query.cursor).await?;
    let categories = categories?;
    page_for(&caller, [tags::THREADS, tags::CATEGORIES], STILL, |nonce| {
        ThreadList {
            nonce,
            title: "Forum".to_owned(),
            canonical: format!("{}/forum", forum.public_url),
            description: None,
            categories,
            threads,
            next: next.map(|cursor| format!("/forum?cursor={cursor}")),
        }
        .render()
    })
}

/// `GET /forum/categories/{id}/{slug}`
pub(super) async fn category(
    State(forum): State<Shared>,
    caller: Caller,
    Segments(segments): Segments<Vec<String>>,
    Params(query): Params<PageQuery>,
) -> Shown {
    let id = super::id(&segments)?;
    let viewer = Viewer::of(&caller.principal);
    let found: Result<_, RouteError> =
        forum.db.read(|conn| Box::pin(categories::find(conn, id, viewer))).await;
    let category = found?.ok_or(RouteError::NotFound("category"))?;
    let (threads, next) = listed(&forum, viewer, Some(id), query.cursor).await?;
    let path = format!("/forum/categories/{id}/{}", category.slug);
    page_for(&caller, [tags::THREADS, tags::CATEGORIES], STILL, |nonce| {
        ThreadList {
            nonce,
            title: category.name,
            canonical: format!("{}{path}", forum.public_url),
            description: category.description,
            categories: Vec::new(),
            threads,
            next: next.map(|cursor| format!("{path}?cursor={cursor}")),
        }
        .render()
    })
}

/// `GET /forum/users/{name}`: what they have started lately.
pub(super) async fn person(
    State(forum): State<Shared>,
    caller: Caller,
    Segments(name): Segments<String>,
) -> Shown {
    let viewer = Viewer::of(&caller.principal);
    let key = lookup_key(&name);
    let canonical = format!("{}{}", forum.public_url, page_of(&key));
    let found: Result<_, RouteError> = forum
        .db
        .look(|conn| {
            Box::pin(async move {
                let found = authors::named(conn, &key).await?;
                let author = found.ok_or(RouteError::NotFound("account"))?;
                let threads =
                    thread_list::by_author(conn, author.id, viewer, i64::from(LIMIT)).await?;
                Ok((author, threads))
            })
        })
        .await;
    let (author, threads) = found?;
    page_for(&caller, [tags::THREADS, tags::CATEGORIES], STILL, |nonce| {
        ThreadList {
            nonce,
            title: author.name,
            canonical,
            description: Some("Threads they have started".to_owned()),
            categories: Vec::new(),
            threads: threads.into_iter().map(Row::from).collect(),
            next: None,
        }
        .render()
    })
}

async fn listed(
    forum: &Shared,
    viewer: Viewer,
    category: Option<Id>,
    cursor: Option<String>,
) -> Result<(Vec<Row>, Option<String>), RouteError> {
    let page = PageRequest { limit: LIMIT, cursor };
    let scope = format!("page of threads {category:?}");
    let after = page.after(&forum.cursors, &scope)?;
    let filter = ThreadFilter { category, tag: None, sort: Sort::Activity, after };
    let fetch = page.fetch();
    let found: Result<Vec<Thread>, RouteError> =
        forum.db.read(|conn| Box::pin(thread_list::list(conn, filter, viewer, fetch))).await;
    let next = |last: &Thread| forum.cursors.encode(&scope, &Sort::Activity.place(last));
    let listing = Listing::from_excess(found?, LIMIT, next).map(Row::from);
    Ok((listing.items, listing.next_cursor))
}
