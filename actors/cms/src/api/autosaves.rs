//! `…/{id}/autosave`: what an editor has written and not saved. Everybody has their own, and nobody else sees it.

use axum::extract::State;
use axum::{Extension, Json};
use http::StatusCode;
use panel_kernel::data::Answer;
use panel_kernel::http::validate::Check;
use panel_kernel::http::{Caller, Payload, Refusal, RouteError, Segments, SignedIn};
use panel_kernel::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Shared;
use super::revisions::written;
use super::writing::Named;
use crate::rules::{self, Kind, Viewer, fields};
use crate::store::autosaves::{self, Autosave};

/// A text that is not to be lost.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewAutosave {
    title: String,
    /// Markdown.
    body: String,
    /// The version of the article that they began with.
    version: i64,
}

/// A text that is not saved.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AutosaveView {
    title: String,
    body: String,
    /// The version of the article that they began with.
    version: i64,
    /// Whether somebody changed the article since.
    outdated: bool,
    saved_at: Timestamp,
}

impl AutosaveView {
    fn new(text: Autosave, current: i64) -> Self {
        let Autosave { title, body, version, saved_at } = text;
        Self { title, body, version, outdated: version != current, saved_at }
    }
}

/// What one has written into an article and not saved
#[utoipa::path(get, path = "/{id}/autosave", tag = "cms", params(("id" = String, Path)),
    responses((status = 200, description = "The text", body = AutosaveView), Refusal))]
pub(super) async fn read_autosave(
    State(cms): State<Shared>,
    Extension(kind): Extension<Kind>,
    caller: Caller,
    Segments(name): Segments<String>,
) -> Result<Json<AutosaveView>, RouteError> {
    let (viewer, user) = (Viewer::of(&caller.principal), caller.principal.user()?.id);
    let mut conn = cms.db.reader().await?;
    let article = written(&mut conn, kind, &name, viewer).await?;
    let found = autosaves::find(&mut conn, article.id, user).await?;
    let found = found.ok_or(RouteError::NotFound("unsaved text"))?;
    Ok(Json(AutosaveView::new(found, article.version)))
}

/// Keep what one writes into an article
///
/// It changes nothing that anybody sees, and goes when the article is saved.
#[utoipa::path(put, path = "/{id}/autosave", tag = "cms", params(("id" = String, Path)),
    request_body = NewAutosave,
    responses((status = 200, description = "Kept", body = AutosaveView), Refusal))]
pub(super) async fn autosave(
    State(cms): State<Shared>,
    by: SignedIn,
    Named { kind, name, .. }: Named,
    Payload(new): Payload<NewAutosave>,
) -> Result<Answer, RouteError> {
    let mut check = Check::new();
    // A title that is not there yet is none to be refused.
    let title = check.line("title", &new.title, 0, fields::MAX_TITLE_CHARS);
    let body = fields::body(&mut check, &new.body, cms.max_body_chars);
    check.done()?;
    let (version, saved_at) = (new.version, by.context.now);
    let text = Autosave { title, body, version, saved_at };
    cms.write(by, move |mut writing| {
        Box::pin(async move {
            let article = writing.held(kind, &name).await?;
            let is_author = article.is_by(writing.viewer);
            rules::may_change(writing.viewer, (is_author, kind), article.status)?;
            let whose = (article.id, writing.by.user.id);
            autosaves::store(writing.tx, writing.kept_id, whose, &text).await?;
            writing.tx.makes_nothing_old();
            Ok(Answer::json(StatusCode::OK, &AutosaveView::new(text, article.version)))
        })
    })
    .await
}

/// Forget what one has written and not saved
#[utoipa::path(delete, path = "/{id}/autosave", tag = "cms", params(("id" = String, Path)),
    responses((status = 204, description = "Gone"), Refusal))]
pub(super) async fn forget_autosave(
    State(cms): State<Shared>,
    by: SignedIn,
    Named { kind, name, .. }: Named,
) -> Result<Answer, RouteError> {
    cms.write(by, move |mut writing| {
        Box::pin(async move {
            let article = writing.held(kind, &name).await?;
            autosaves::forget(writing.tx, article.id, writing.by.user.id).await?;
            writing.tx.makes_nothing_old();
            Ok(Answer::no_content())
        })
    })
    .await
}
