//! The pages at which people read the forum: `/forum` and what is below it. They need no script; where one runs, a
//! thread tells what happens in it while it is open. Who writes does so by the API.

mod search;
mod thread;
mod threads;
pub(crate) mod unsubscribe;

use askama::Template;
use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use panel_kernel::http::{RouteError, refusal};
use panel_kernel::ids::Id;
use panel_kernel::problem::Problem;
use panel_kernel::time::Timestamp;

use crate::api::Shared;

/// Under which addresses they are.
pub(crate) const PREFIXES: &[&str] = &["/forum"];

/// The pages.
pub(crate) fn router() -> Router<Shared> {
    Router::new()
        .route("/forum", get(threads::front))
        .route("/forum/search", get(search::search))
        .route("/forum/unsubscribe/{token}", get(unsubscribe::ask).post(unsubscribe::unsubscribe))
        .route("/forum/users/{name}", get(threads::person))
        .route("/forum/categories/{id}", get(threads::category))
        .route("/forum/categories/{id}/{slug}", get(threads::category))
        .route("/forum/threads/{id}", get(thread::thread))
        .route("/forum/threads/{id}/{slug}", get(thread::thread))
}

#[derive(Template)]
#[template(path = "refusal.html")]
struct Refusal {
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
            Refusal { nonce, title, detail }.render()
        })
    }
}

/// What a page is answered with.
type Shown = Result<Response, Refused>;

/// A page whose own style alone counts, and that runs nothing.
const STILL: &str = "style-src {nonce}; img-src 'self' http: https:; form-action 'self'";
/// The same with a script of its own, which asks this site alone.
const LIVE: &str = "style-src {nonce}; script-src {nonce}; connect-src 'self'; \
                    img-src 'self' http: https:; form-action 'self'";

/// The id that an address begins with; what comes after it is for people.
fn id(segments: &[String]) -> Result<Id, RouteError> {
    let id = segments.first().and_then(|text| text.parse().ok());
    id.ok_or(RouteError::NotFound("page"))
}

/// A moment as people read it, to the minute.
fn shown(at: Timestamp) -> String {
    let text = at.to_string();
    let minute = text.get(..16).unwrap_or(&text);
    format!("{} UTC", minute.replace('T', " "))
}
