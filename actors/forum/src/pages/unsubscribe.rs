//! Where people say, without signing in, that they want no more mails of what they were told. The address is
//! theirs alone: it was in such a mail.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, header};
use panel_kernel::cursor::Cursors;
use panel_kernel::http::{RouteError, Segments, page};
use panel_kernel::ids::Id;
use panel_kernel::purge::Purge;

use super::{LIVE, Shown};
use crate::api::Shared;
use crate::rules::digests::Digest;
use crate::store::notifications::digests;

const SCOPE: &str = "forum.unsubscribe";

/// The address for somebody.
pub(crate) fn place(site: &str, cursors: &Cursors, user: Id) -> String {
    format!("{site}/forum/unsubscribe/{}", cursors.encode(SCOPE, &[user.raw()]))
}

#[derive(Template)]
#[template(path = "unsubscribe.html")]
struct Unsubscribe {
    nonce: String,
    done: bool,
}

/// `GET /forum/unsubscribe/{token}`. It waits for a click: programs that look through mails open links.
pub(super) async fn ask(
    State(forum): State<Shared>,
    Segments(segments): Segments<Vec<String>>,
) -> Shown {
    whose(&forum, &segments)?;
    shown(false)
}

/// `POST /forum/unsubscribe/{token}`: from the page, or from a program for mails by itself (RFC 8058).
pub(super) async fn unsubscribe(
    State(forum): State<Shared>,
    Segments(segments): Segments<Vec<String>>,
) -> Shown {
    let user = whose(&forum, &segments)?;
    let done: Result<(), RouteError> = forum
        .db
        .transact(move |tx| {
            Box::pin(async move { Ok(digests::store(tx, user, Digest::Never, None).await?) })
        })
        .await;
    done?;
    Ok((Purge::nothing(), shown(true)?).into_response())
}

fn whose(forum: &Shared, segments: &[String]) -> Result<Id, RouteError> {
    let token = segments.first().map(String::as_str).unwrap_or_default();
    let user = forum.cursors.decode::<1>(SCOPE, token);
    user.map(|[user]| Id::from_raw(user)).map_err(|_| RouteError::NotFound("page"))
}

fn shown(done: bool) -> Shown {
    let mut response: Response = page(LIVE, |nonce| Unsubscribe { nonce, done }.render())?;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Ok(response)
}
