//! Everything there is of one's own account, as a file: asked for, waited for, fetched.

use std::ops::ControlFlow;

use axum::Json;
use axum::extract::State;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use panel_kernel::data::{Answer, Audit, WriteContext};
use panel_kernel::http::etag;
use panel_kernel::http::{Attachment, Caller, IdPath, Listing, PageQuery, Params, Payload, Write};
use panel_kernel::ids::Id;
use panel_kernel::problem::{Problem, ProblemBody};
use panel_kernel::time::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::Shared;
use super::step_up::{self, PasswordAgain};
use crate::error::AuthError;
use crate::mail::Letter;
use crate::rules::exports::{DAY, MOST_A_DAY};
use crate::store::exports::{self, ExportRow};

/// Everything there is of an account, as a file that is being put together or is there.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ExportView {
    /// Its id.
    id: Id,
    /// `waiting`: it is being put together. `ready`: it can be fetched. `failed`: it can't be made. `ended`: it
    /// was.
    status: String,
    /// When it was asked for.
    requested_at: Timestamp,
    /// How far it is: `records` (by service and kind), `left` (services still to be asked), `waits_for` (the
    /// one that could not be asked and is asked again).
    #[schema(value_type = Object)]
    progress: Box<RawValue>,
    /// When that was over.
    finished_at: Option<Timestamp>,
    /// Until when it can be fetched.
    expires_at: Option<Timestamp>,
    /// How long the file is, in bytes.
    bytes: Option<i64>,
    /// When its fetching was begun first.
    downloaded_at: Option<Timestamp>,
    /// Where it is, once it is there.
    url: Option<String>,
}

impl ExportView {
    fn new(row: ExportRow, now: Timestamp) -> Self {
        let url = row.file(now).map(|_| format!("/api/v2/auth/account/export/{}/file", row.id));
        Self {
            id: row.id,
            bytes: row.bytes(),
            progress: RawValue::from_string(row.progress).unwrap_or_default(),
            status: row.status,
            requested_at: row.requested_at,
            finished_at: row.finished_at,
            expires_at: row.expires_at,
            downloaded_at: row.downloaded_at,
            url,
        }
    }
}

/// Ask for everything there is of one's own account: it is put together as a zip archive, of all services, and
/// a mail says when it is there. While one is being put together, that is the answer; and three a day are
/// the most.
#[utoipa::path(post, path = "/api/v2/auth/account/export", tag = "auth",
    request_body = Option<PasswordAgain>,
    responses((status = 202, body = ExportView), (status = 401, body = ProblemBody),
              (status = 403, body = ProblemBody), (status = 422, body = ProblemBody),
              (status = 429, body = ProblemBody)))]
pub(super) async fn request(
    State(app): State<Shared>,
    caller: Caller,
    Write(context): Write,
    request: Option<Payload<PasswordAgain>>,
) -> Result<Answer, AuthError> {
    let caller = caller.principal.user()?.clone();
    let shown = step_up::shown_again(&app, &caller, request, &context).await?;
    if let ControlFlow::Break(remembered) = shown {
        return Ok(remembered);
    }
    let (export, mail) = (app.db.next_id().await?, app.db.next_id().await?);
    let (sharing, written) = (app.clone(), context.clone());
    let answer = app.db.write(&context, move |tx| {
        Box::pin(async move {
            let (user, now) = (caller.id, written.now);
            step_up::hold(tx, &caller, None).await?;
            let accepted = |row| Answer::json(StatusCode::ACCEPTED, &ExportView::new(row, now));
            if let Some(waiting) = exports::waiting(tx, user).await? {
                return Ok(accepted(waiting));
            }
            let asked = exports::asked_since(tx, user, now.minus(DAY), MOST_A_DAY).await?;
            if let Some(wait) = crate::rules::exports::wait(&asked, now) {
                return Err(AuthError::TooManyExports(wait));
            }
            exports::add(tx, export, user, now).await?;
            sharing.tell(tx, mail, user, &Letter::ExportAsked, now).await?;
            tx.audit(&audit("account.export", user, &written));
            let row = exports::one(tx, user, export).await?;
            Ok(accepted(row.ok_or_else(Problem::internal)?))
        })
    });
    let answer = answer.await?;
    app.post.ring();
    app.exports.ring();
    Ok(answer)
}

/// What one has asked for, the newest first.
#[utoipa::path(get, path = "/api/v2/auth/account/export", tag = "auth", params(PageQuery),
    responses((status = 200, body = Listing<ExportView>), (status = 401, body = ProblemBody)))]
pub(super) async fn list(
    State(app): State<Shared>,
    caller: Caller,
    Params(query): Params<PageQuery>,
) -> Result<Json<Listing<ExportView>>, AuthError> {
    let user = caller.principal.user()?.id;
    let page = query.newest_first(&app.runtime.cursors, format!("auth.exports {user}"))?;
    let rows =
        exports::of_user(&mut app.db.reader().await?, user, page.before, page.fetch()).await?;
    let now = app.db.clock().now();
    Ok(Json(page.listing(rows, |row| row.id).map(|row| ExportView::new(row, now))))
}

/// One of them: how far it is.
#[utoipa::path(get, path = "/api/v2/auth/account/export/{id}", tag = "auth",
    params(("id" = String, Path, description = "The export")),
    responses((status = 200, body = ExportView), (status = 401, body = ProblemBody),
              (status = 404, body = ProblemBody)))]
pub(super) async fn show(
    State(app): State<Shared>,
    caller: Caller,
    IdPath(export): IdPath,
) -> Result<Json<ExportView>, AuthError> {
    let user = caller.principal.user()?.id;
    let row = exports::one(&mut app.db.reader().await?, user, export).await?;
    let row = row.ok_or_else(|| Problem::not_found("export"))?;
    Ok(Json(ExportView::new(row, app.db.clock().now())))
}

/// Do without one: it is not put together any more, or its file goes at once.
#[utoipa::path(delete, path = "/api/v2/auth/account/export/{id}", tag = "auth",
    params(("id" = String, Path, description = "The export")),
    responses((status = 204), (status = 401, body = ProblemBody), (status = 404, body = ProblemBody)))]
pub(super) async fn end(
    State(app): State<Shared>,
    caller: Caller,
    IdPath(export): IdPath,
    Write(context): Write,
) -> Result<Answer, AuthError> {
    let user = caller.principal.user()?.id;
    let written = context.clone();
    let answer = app.db.write(&context, move |tx| {
        Box::pin(async move {
            if !exports::end(tx, user, export).await? {
                return Err(AuthError::Problem(Problem::not_found("export")));
            }
            tx.audit(&audit("account.export_end", user, &written));
            Ok(Answer::no_content())
        })
    });
    let answer = answer.await?;
    app.exports.ring();
    Ok(answer)
}

/// The file, for who has shown within the last five minutes who they are. A download that was cut off can be
/// gone on with after that (`Range`, `If-Range`).
#[utoipa::path(get, path = "/api/v2/auth/account/export/{id}/file", tag = "auth",
    params(("id" = String, Path, description = "The export")),
    responses((status = 200, content_type = "application/zip", body = Vec<u8>),
              (status = 206, content_type = "application/zip", body = Vec<u8>),
              (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
              (status = 404, body = ProblemBody), (status = 416, body = ProblemBody)))]
pub(super) async fn file(
    State(app): State<Shared>,
    headers: HeaderMap,
    caller: Caller,
    IdPath(export): IdPath,
) -> Result<Attachment, AuthError> {
    let user = caller.principal.user()?;
    let row = exports::one(&mut app.db.reader().await?, user.id, export).await?;
    let row = row.ok_or_else(|| Problem::not_found("export"))?;
    let blob = row.file(app.db.clock().now()).ok_or_else(|| Problem::not_found("file"))?;
    if !goes_on(&headers, &etag::of_hash(&blob.sha256)) {
        step_up::fresh(&app, user, caller.now).await?;
        if !caller.is_head {
            note_fetched(&app, user.id, export, &caller).await?;
        }
    }
    let day = row.requested_at.to_string();
    let name = format!("panel-account-{}.zip", day.split('T').next().unwrap_or_default());
    Ok(Attachment { blob, media_type: "application/zip", name })
}

/// Whether somebody has the beginning of the file with this tag, and wants the rest: the tag is known to who
/// was given the beginning.
fn goes_on(headers: &HeaderMap, tag: &str) -> bool {
    let range = headers.get(header::RANGE).and_then(|range| range.to_str().ok());
    let from = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
    let has_beginning = from.is_some_and(|(from, _)| from.parse::<u64>().is_ok_and(|at| at > 0));
    let condition = headers.get(header::IF_RANGE).map(HeaderValue::as_bytes);
    has_beginning && condition == Some(tag.as_bytes())
}

/// That it is fetched is on record, as often as it is begun.
async fn note_fetched(
    app: &Shared,
    user: Id,
    export: Id,
    caller: &Caller,
) -> Result<(), AuthError> {
    let written = caller.write_context_by(&export.to_string());
    let noted = app.db.transact(move |tx| {
        Box::pin(async move {
            exports::fetched(tx, export, written.now).await?;
            tx.audit(&audit("account.export_fetch", user, &written));
            Ok::<_, AuthError>(())
        })
    });
    noted.await
}

fn audit<'a>(action: &'static str, user: Id, context: &'a WriteContext) -> Audit<'a> {
    Audit { action, target: format!("user:{user}"), before: None, after: None, context }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_goes_on_has_the_beginning() {
        let goes_on = |range: &str, tag: &str| {
            let headers = [(header::RANGE, range), (header::IF_RANGE, tag)];
            let headers = headers.map(|(name, value)| (name, value.parse().unwrap()));
            super::goes_on(&HeaderMap::from_iter(headers), "\"x\"")
        };
        assert!(goes_on("bytes=1-", "\"x\"") && goes_on("bytes=5-9", "\"x\""));
        for range in ["bytes=0-", "bytes=-5", "bytes=0-,5-", "5-", "bytes=", "bytes"] {
            assert!(!goes_on(range, "\"x\""), "{range}");
        }
        assert!(!goes_on("bytes=5-", "\"y\"") && !goes_on("bytes=5-", "x"));
        assert!(!super::goes_on(&HeaderMap::new(), "\"x\""));
    }
}
