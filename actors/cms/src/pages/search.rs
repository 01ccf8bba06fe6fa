//! The page on which articles are found: `/blog?q=…`.

use askama::Template;
use panel_kernel::http::{Caller, Listing, RouteError, page_for};
use panel_text::names::segment;

use super::menus::Menus;
use super::{Place, STILL, Shown, day};
use crate::api::Shared;
use crate::api::search::{Hit, SearchQuery, found};
use crate::tags;

#[derive(Template)]
#[template(path = "search.html")]
struct SearchPage {
    nonce: String,
    menus: Menus,
    asked: String,
    refusal: Option<String>,
    hits: Vec<Row>,
    next: Option<String>,
}

/// An article as it is shown.
struct Row {
    path: String,
    title: String,
    author: String,
    at: String,
    shown: String,
    /// Safe HTML.
    excerpt: String,
    tags: Vec<Place>,
}

impl From<Hit> for Row {
    fn from(hit: Hit) -> Self {
        Self {
            author: hit.byline(),
            at: hit.published_at.to_string(),
            shown: day(hit.published_at),
            tags: hit.tags.iter().map(|tag| Place::of_tag(tag)).collect(),
            path: hit.path,
            title: hit.title,
            excerpt: hit.excerpt,
        }
    }
}

/// What is found for these words.
pub(super) async fn found_for(
    cms: &Shared,
    caller: &Caller,
    asked: String,
    cursor: Option<String>,
) -> Shown {
    let (mut refusal, mut listing) = (None, Listing { items: Vec::new(), next_cursor: None });
    if !asked.trim().is_empty() {
        match found(cms, SearchQuery::typed(asked.clone(), cursor)).await {
            Ok(found) => listing = found,
            // What is asked is wrong: the page says so.
            Err(RouteError::Refused(problem)) if !problem.errors.is_empty() => {
                let first = problem.errors.first();
                refusal = first.map(|error| format!("The query {}.", error.message));
            }
            Err(error) => return Err(error.into()),
        }
    }
    let next = listing.next_cursor.take();
    let next = next.map(|cursor| format!("/blog?q={}&cursor={cursor}", segment(&asked)));
    let hits = listing.items.into_iter().map(Row::from).collect();
    let menus = Menus::on(&mut cms.db.reader().await?, "/blog").await?;
    page_for(caller, [tags::SEARCH, tags::ARTICLES, tags::MENUS], STILL, |nonce| {
        SearchPage { nonce, menus, asked, refusal, hits, next }.render()
    })
}
