//! `/api/v2/forum/drafts`: what somebody has begun to write, for themselves.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use panel_kernel::data::Answer;
use panel_kernel::http::validate::Check;
use panel_kernel::http::{
    Caller, IfMatch, Listing, PageQuery, Params, Payload, Refusal, RouteError, Segments, SignedIn,
    etag, json_bytes, last_that_fits,
};
use panel_kernel::problem::Problem;
use serde_json::{Map, Value};

use super::Shared;
use super::writing::shown;
use crate::rules;
use crate::store::drafts::{self, Draft, DraftContent};

/// Your drafts, the latest begun first
///
/// A page of long drafts may have fewer than `limit`; `next_cursor` leads on.
#[utoipa::path(get, path = "/api/v2/forum/drafts", tag = "forum", params(PageQuery),
    responses((status = 200, description = "One page", body = Listing<Draft>), Refusal))]
pub(super) async fn list_drafts(
    State(forum): State<Shared>,
    caller: Caller,
    Params(query): Params<PageQuery>,
) -> Result<Json<Listing<Draft>>, RouteError> {
    let user = caller.principal.user()?.id;
    let page = query.newest_first(&forum.cursors, format!("drafts {user}"))?;
    let (before, fetch) = (page.before, page.fetch());
    let found: Result<Vec<Draft>, RouteError> = forum
        .db
        .read(|conn| {
            Box::pin(async move {
                let lengths = drafts::lengths(conn, user, before, fetch).await?;
                let Some(from) = last_that_fits(&lengths) else { return Ok(Vec::new()) };
                drafts::list(conn, user, (from, before)).await
            })
        })
        .await;
    let bytes = |draft: &Draft| {
        draft.content.values().map(|value| json_bytes(value.as_str().unwrap_or_default())).sum()
    };
    Ok(Json(page.listing_within_bytes(found?, bytes, |draft| draft.id)))
}

/// One of your drafts
#[utoipa::path(get, path = "/api/v2/forum/drafts/{key}", tag = "forum",
    params(("key" = String, Path)),
    responses((status = 200, description = "As it is now", body = Draft), Refusal))]
pub(super) async fn read_draft(
    State(forum): State<Shared>,
    caller: Caller,
    Segments(key): Segments<String>,
) -> Result<Response, RouteError> {
    let user = caller.principal.user()?.id;
    let found: Result<_, RouteError> =
        forum.db.read(|conn| Box::pin(async move { drafts::find(conn, user, &key).await })).await;
    let draft = found?.ok_or(RouteError::NotFound("draft"))?;
    Ok(etag::versioned(draft.version, &draft))
}

/// Store a draft, new or in place of the one with this key
///
/// With `If-Match` only in place of that version: two devices don't overwrite each other.
#[utoipa::path(put, path = "/api/v2/forum/drafts/{key}", tag = "forum",
    params(("key" = String, Path, description = "1 to 100 of a-z, A-Z, 0-9, . _ : -"),
        ("If-Match" = Option<String>, Header)),
    request_body = DraftContent,
    responses((status = 200, description = "As it is now", body = Draft), Refusal))]
pub(super) async fn store_draft(
    State(forum): State<Shared>,
    by: SignedIn,
    Segments(key): Segments<String>,
    if_match: IfMatch,
    Payload(content): Payload<DraftContent>,
) -> Result<Answer, RouteError> {
    let content = checked(&key, content, forum.max_body_chars)?;
    let id = forum.db.next_id().await?;
    forum
        .write(by, move |writing| {
            Box::pin(async move {
                let user = writing.by.user.id;
                let updated_at = writing.by.context.now;
                writing.tx.makes_nothing_old();
                let before = drafts::find(writing.tx, user, &key).await?;
                match (&before, &if_match) {
                    (None, IfMatch::Any) => IfMatch::Versions(Vec::new()).check(0)?,
                    _ => if_match.check(before.as_ref().map_or(0, |draft| draft.version))?,
                }
                if before.is_none() && drafts::count(writing.tx, user).await? >= rules::MAX_DRAFTS {
                    return Err(RouteError::Conflict("there are as many drafts as there may be"));
                }
                // One that was removed and begun anew is another: its versions begin later.
                let first = updated_at.as_micros();
                let (id, version) = before.map_or((id, first), |it| (it.id, it.version + 1));
                let draft = Draft { id, key, content, updated_at, version };
                if drafts::store(writing.tx, user, &draft).await? {
                    Ok(shown(version, &draft))
                } else {
                    Err(RouteError::Conflict("another device stored this draft at the same moment"))
                }
            })
        })
        .await
}

/// Remove a draft
#[utoipa::path(delete, path = "/api/v2/forum/drafts/{key}", tag = "forum",
    params(("key" = String, Path)),
    responses((status = 204, description = "Gone"), Refusal))]
pub(super) async fn delete_draft(
    State(forum): State<Shared>,
    by: SignedIn,
    Segments(key): Segments<String>,
) -> Result<Answer, RouteError> {
    forum
        .write(by, move |writing| {
            Box::pin(async move {
                writing.tx.makes_nothing_old();
                if !drafts::delete(writing.tx, writing.by.user.id, &key).await? {
                    return Err(RouteError::NotFound("draft"));
                }
                Ok(Answer::no_content())
            })
        })
        .await
}

/// What is stored: nothing in it is too long.
fn checked(key: &str, content: DraftContent, most: usize) -> Result<Map<String, Value>, Problem> {
    let mut check = Check::new();
    if !rules::is_draft_key(key) {
        check.fail("key", "invalid", "must be 1 to 100 of a-z, A-Z, 0-9, and . _ : -");
    }
    let body = content.body.map(|body| check.text("body", &body, 0, most));
    let title = content.title.map(|title| check.text("title", &title, 0, rules::MAX_TITLE_CHARS));
    for (at, tag) in content.tags.iter().flatten().enumerate() {
        if at >= rules::MAX_TAGS {
            check.fail("tags", "too_many", format!("must be at most {}", rules::MAX_TAGS));
            break;
        }
        check.text(&format!("tags[{at}]"), tag, 0, rules::MAX_TITLE_CHARS);
    }
    check.done()?;
    match serde_json::to_value(DraftContent { body, title, ..content }) {
        Ok(Value::Object(content)) => Ok(content),
        _ => Err(Problem::internal()),
    }
}
