//! The page on which posts are found.

use askama::Template;
use axum::extract::State;
use panel_kernel::http::{Caller, Params, RouteError, page_for};
use panel_kernel::ids::Id;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{STILL, Shown, shown};
use crate::api::Shared;
use crate::api::search::{SearchQuery, found};
use crate::store::search::Hit;
use crate::tags;

#[derive(Template)]
#[template(path = "search.html")]
struct Search {
    nonce: String,
    asked: String,
    refusal: Option<String>,
    hits: Vec<Row>,
    next: Option<String>,
}

struct Row {
    thread_id: Id,
    slug: String,
    number: i64,
    title: String,
    author: String,
    shown: String,
    excerpt: String,
}

impl From<Hit> for Row {
    fn from(hit: Hit) -> Self {
        Self {
            thread_id: hit.thread_id,
            slug: hit.slug,
            number: hit.number,
            title: hit.title,
            author: hit.author.name,
            shown: shown(hit.created_at),
            excerpt: hit.excerpt,
        }
    }
}

/// `GET /forum/search`
pub(super) async fn search(
    State(forum): State<Shared>,
    caller: Caller,
    Params(query): Params<SearchQuery>,
) -> Shown {
    let asked = query.asked().to_owned();
    let (mut refusal, mut hits, mut next) = (None, Vec::new(), None);
    if !asked.trim().is_empty() {
        match found(&forum, &caller, query).await {
            Ok(listing) => {
                hits = listing.items.into_iter().map(Row::from).collect();
                let query = utf8_percent_encode(&asked, NON_ALPHANUMERIC).to_string();
                let cursor = listing.next_cursor;
                next = cursor.map(|cursor| format!("/forum/search?q={query}&cursor={cursor}"));
            }
            // What is asked is wrong: the page says so.
            Err(RouteError::Refused(problem)) if !problem.errors.is_empty() => {
                refusal =
                    problem.errors.first().map(|error| format!("The query {}.", error.message));
            }
            Err(error) => return Err(error.into()),
        }
    }
    page_for(&caller, [tags::SEARCH], STILL, |nonce| {
        Search { nonce, asked, refusal, hits, next }.render()
    })
}
