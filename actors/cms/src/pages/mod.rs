//! The pages at which people read what is published, and what programs read of it: the feed, the map of the site. They
//! need no script. Who writes does so by the API.

mod article;
mod comments;
mod lists;
mod media;
mod menus;
mod redirects;
mod search;
mod sitemap;

use askama::Template;
use axum::Router;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use panel_kernel::http::{CacheFor, Caller, RouteError, refusal};
use panel_kernel::problem::Problem;
use panel_kernel::time::Timestamp;
use panel_text::names::segment;

use self::menus::Menus;
use crate::api::Shared;
use crate::store::people::Person;

pub(crate) use article::PREVIEW;

/// Under which addresses they are.
pub(crate) const PREFIXES: &[&str] = &[
    "/blog",
    "/pages",
    "/feed.xml",
    "/sitemap.xml",
    "/sitemap",
    "/robots.txt",
    "/media",
    // Whatever is nobody's: where another site was before, its addresses lead on.
    "",
];

/// The pages.
pub(crate) fn router() -> Router<Shared> {
    Router::new()
        .route("/", get(redirects::home))
        .route("/blog", get(lists::front))
        .route("/blog/", get(async || Redirect::permanent("/blog")))
        .route("/blog/category/{slug}", get(lists::category))
        .route("/blog/tag/{slug}", get(lists::tag))
        .route("/blog/author/{id}", get(lists::author))
        .route("/blog/preview/{token}", get(article::preview))
        .route("/blog/{slug}", get(article::post))
        .route("/pages/{slug}", get(article::page))
        .route("/blog/{a}/", get(redirects::follow))
        .route("/blog/{a}/{b}", get(redirects::follow))
        .route("/blog/{a}/{b}/", get(redirects::follow))
        .route("/blog/{a}/{b}/{*rest}", get(redirects::follow))
        .route("/pages/{a}/", get(redirects::follow))
        .route("/pages/{a}/{*rest}", get(redirects::follow))
        .route("/media/{name}", get(media::file))
        .route("/feed.xml", get(lists::feed))
        .route("/sitemap.xml", get(sitemap::index))
        .route("/sitemap/{part}", get(sitemap::part))
        .route("/robots.txt", get(sitemap::robots))
        .fallback(redirects::elsewhere)
}

#[derive(Template)]
#[template(path = "refusal.html")]
struct Refusal {
    /// None: a page that refuses asks nothing of anybody.
    menus: Menus,
    nonce: String,
    title: &'static str,
    detail: String,
}

/// A refusal, as a page.
struct Refused(Problem);

impl<E: Into<RouteError>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self(Problem::from(error.into()))
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        refusal(self.0, STILL, |refused| {
            let panel_kernel::http::Refused { nonce, title, detail } = refused;
            Refusal { menus: Menus::default(), nonce, title, detail }.render()
        })
    }
}

/// What a page is answered with.
type Shown = Result<Response, Refused>;

/// A page whose own style alone counts, and that runs nothing.
const STILL: &str = "style-src {nonce}; img-src 'self' http: https:; form-action 'self'";

/// A name, and where it leads.
struct Place {
    name: String,
    path: String,
}

/// In which language pages speak of themselves.
const LANGUAGE: &str = "en";

impl Place {
    /// What somebody wrote.
    fn of_author((id, name): &Person) -> Self {
        Self { name: name.clone(), path: format!("/blog/author/{id}") }
    }

    /// What has this tag.
    fn of_tag(tag: &str) -> Self {
        Self { name: tag.to_owned(), path: format!("/blog/tag/{}", segment(tag)) }
    }
}

/// An answer that may be kept for others, and shown for a while, if nobody in particular reads it; or only while it
/// can't be had, if there is more to it at other times.
fn kept(caller: &Caller, is_whole: bool) -> CacheFor {
    if is_whole {
        CacheFor::everybody(&caller.principal)
    } else {
        CacheFor::outages(&caller.principal)
    }
}

/// A day as people read it.
fn day(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}
