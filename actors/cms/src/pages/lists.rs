//! Lists of posts: all, of a category, with a tag, of an author; and the feed.

use askama::Template;
use axum::extract::{OriginalUri, State};
use axum::response::{IntoResponse as _, Response};
use panel_kernel::http::{
    CacheFor, Caller, Listing, MAX_PAGE_BYTES, PageRequest, Params, RouteError, Segments, page_for,
};
use panel_kernel::ids::Id;
use panel_text::feed::{Entry, Feed, Of};
use panel_text::names::segment;
use serde::Deserialize;

use super::menus::Menus;
use super::redirects::or_redirect;
use super::{Place, STILL, Shown, day, search};
use crate::api::Shared;
use crate::rules::Kind;
use crate::store::lists::{self, Listed, Wanted};
use crate::store::shown;
use crate::store::terms::{self, TermKind};
use crate::tags;

/// Posts on a page, and in the feed.
const LIMIT: u32 = 20;

/// Where the page begins.
#[derive(Debug, Deserialize)]
pub(super) struct FromQuery {
    cursor: Option<String>,
}

/// The same, or what is looked for.
#[derive(Debug, Deserialize)]
pub(super) struct FrontQuery {
    cursor: Option<String>,
    q: Option<String>,
}

#[derive(Template)]
#[template(path = "articles.html")]
struct ListPage {
    nonce: String,
    menus: Menus,
    title: String,
    canonical: String,
    /// For search results.
    description: String,
    /// For the page.
    about: String,
    articles: Vec<Shape>,
    next: Option<String>,
}

/// A post as it is shown.
struct Shape {
    path: String,
    title: String,
    excerpt: String,
    author: String,
    at: String,
    shown: String,
    tags: Vec<Place>,
}

impl From<Listed> for Shape {
    fn from(it: Listed) -> Self {
        let at = it.published_at.unwrap_or(it.updated_at);
        Self {
            author: it.authors().map(|(_, name)| name.as_str()).collect::<Vec<_>>().join(", "),
            path: format!("/blog/{}", it.slug),
            title: it.title,
            excerpt: it.excerpt,
            at: at.to_string(),
            shown: day(at),
            tags: it.tags.iter().map(|tag| Place::of_tag(tag)).collect(),
        }
    }
}

/// What a list is of.
struct About {
    path: String,
    title: String,
    text: String,
    wanted: Wanted,
}

const fn all() -> Wanted {
    Wanted { kind: Kind::Post, category: None, tag: None, author: None, after: None, limit: 0 }
}

/// `GET /blog`; with `?q=` what is found for that.
pub(super) async fn front(
    State(cms): State<Shared>,
    caller: Caller,
    Params(FrontQuery { cursor, q }): Params<FrontQuery>,
) -> Shown {
    if let Some(asked) = q {
        return search::found_for(&cms, &caller, asked, cursor).await;
    }
    let query = FromQuery { cursor };
    let (path, title) = ("/blog".to_owned(), "Blog".to_owned());
    listed(&cms, &caller, About { path, title, text: String::new(), wanted: all() }, query).await
}

/// `GET /blog/category/{slug}`
pub(super) async fn category(
    State(cms): State<Shared>,
    OriginalUri(uri): OriginalUri,
    caller: Caller,
    Segments(slug): Segments<String>,
    Params(query): Params<FromQuery>,
) -> Shown {
    let wanted = Wanted { category: Some(slug.clone()), ..all() };
    let about = (TermKind::Category, slug, wanted);
    of_term(&cms, &caller, about, (query, uri.path())).await
}

/// `GET /blog/tag/{slug}`
pub(super) async fn tag(
    State(cms): State<Shared>,
    OriginalUri(uri): OriginalUri,
    caller: Caller,
    Segments(slug): Segments<String>,
    Params(query): Params<FromQuery>,
) -> Shown {
    let wanted = Wanted { tag: Some(slug.clone()), ..all() };
    of_term(&cms, &caller, (TermKind::Tag, slug, wanted), (query, uri.path())).await
}

async fn of_term(
    cms: &Shared,
    caller: &Caller,
    (kind, slug, wanted): (TermKind, String, Wanted),
    (query, at): (FromQuery, &str),
) -> Shown {
    let found = terms::find(&mut cms.db.reader().await?, kind, &slug).await?;
    let Some(term) = found else {
        return or_redirect(cms, caller, at, RouteError::NotFound(kind.name())).await;
    };
    let path = format!("/blog/{}/{}", kind.name(), segment(&slug));
    let about = About { path, title: term.name, text: term.description, wanted };
    listed(cms, caller, about, query).await
}

/// `GET /blog/author/{id}`
pub(super) async fn author(
    State(cms): State<Shared>,
    OriginalUri(uri): OriginalUri,
    caller: Caller,
    Segments(name): Segments<String>,
    Params(query): Params<FromQuery>,
) -> Shown {
    // What is no id was an author's name elsewhere.
    let known = match name.parse::<Id>() {
        Ok(id) => shown::author(&mut cms.db.reader().await?, id).await?.map(|title| (id, title)),
        Err(_) => None,
    };
    let Some((id, title)) = known else {
        return or_redirect(&cms, &caller, uri.path(), RouteError::NotFound("author")).await;
    };
    let (path, wanted) = (format!("/blog/author/{id}"), Wanted { author: Some(id), ..all() });
    listed(&cms, &caller, About { path, title, text: String::new(), wanted }, query).await
}

async fn listed(cms: &Shared, caller: &Caller, about: About, query: FromQuery) -> Shown {
    let About { path, title, text, wanted } = about;
    let at = query.cursor.as_deref().map(|cursor| format!("{path}?cursor={cursor}"));
    let page = PageRequest { limit: LIMIT, cursor: query.cursor };
    let scope = format!("page {path}");
    let after = page.after(&cms.cursors, &scope)?;
    let wanted = Wanted { after, limit: page.fetch(), ..wanted };
    let mut conn = cms.db.reader().await?;
    let rows = lists::published(&mut conn, wanted).await?;
    let menus = Menus::on(&mut conn, &path).await?;
    drop(conn);
    let listing = Listing::from_excess(rows, LIMIT, |last| {
        let at = last.published_at.unwrap_or(last.updated_at);
        cms.cursors.encode(&scope, &[at.as_micros(), last.id.raw()])
    });
    let listing = listing.map(Shape::from);
    page_for(caller, [tags::ARTICLES, tags::TERMS, tags::MENUS], STILL, |nonce| {
        ListPage {
            nonce,
            menus,
            canonical: format!("{}{}", cms.public_url, at.as_deref().unwrap_or(&path)),
            description: if text.is_empty() { title.clone() } else { text.clone() },
            about: text,
            title,
            articles: listing.items,
            next: listing.next_cursor.map(|cursor| format!("{path}?cursor={cursor}")),
        }
        .render()
    })
}

/// `GET /feed.xml`: the latest posts, with their texts.
pub(super) async fn feed(
    State(cms): State<Shared>,
    caller: Caller,
) -> Result<Response, RouteError> {
    let longest = i64::try_from(MAX_PAGE_BYTES / 4).unwrap_or(i64::MAX);
    let mut conn = cms.db.reader().await?;
    let found = shown::latest(&mut conn, longest, i64::from(LIMIT)).await?;
    drop(conn);
    let url = &cms.public_url;
    let entries = found.into_iter().map(|post| Entry {
        id: format!("{url}/api/v2/cms/posts/{}", post.id),
        page: format!("{url}/blog/{}", post.slug),
        title: post.title,
        language: post.language,
        authors: [post.author]
            .into_iter()
            .chain(post.co_authors.into_iter().map(|(_, name)| name))
            .collect(),
        published: post.published_at.to_string(),
        updated: post.updated_at.to_string(),
        tags: post.tags,
        summary: Some(post.excerpt),
        html: Some(post.body_html).filter(|html| !html.is_empty()),
    });
    let (address, page, title) =
        (format!("{url}/feed.xml"), format!("{url}/blog"), "Blog".to_owned());
    let feed = Feed::new(Of { address, page, title }, entries.collect());
    let cache = CacheFor::everybody(&caller.principal).tagged([tags::ARTICLES]);
    Ok((cache, feed.answer()?).into_response())
}
