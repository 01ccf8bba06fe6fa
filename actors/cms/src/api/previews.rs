//! Links by which somebody without an account reads what is not published. The cluster signs them, so any node knows
//! its own, and an article remembers of which epoch they must be.

use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use panel_kernel::data::Answer;
use panel_kernel::http::{Payload, Refusal, RouteError, Segments, SignedIn};
use panel_kernel::ids::Id;
use panel_kernel::message::Principal;
use panel_kernel::problem::Problem;
use panel_kernel::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::views::ArticleView;
use super::writing::{Named, current};
use super::{Cms, Shared};
use crate::pages::PREVIEW;
use crate::rules::{self, Viewer};
use crate::settling::action;
use crate::store::articles::{self, Article};

/// What signs them.
const SCOPE: &str = "cms.preview";
/// How long a link is good if nobody says otherwise, and at most, in hours.
const HOURS: u32 = 7 * 24;
const MOST_HOURS: u32 = 30 * 24;

/// How long a link is to be good.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct NewPreview {
    /// 1 to 720; 168 if not given.
    expires_in_hours: Option<u32>,
}

/// A link.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PreviewLink {
    /// Of a page: whoever has it reads the article as it is at the time.
    url: String,
    /// The same for programs, at `/api/v2/cms/preview/{token}`.
    token: String,
    expires_at: Timestamp,
}

/// Make a link to what is not published
///
/// Whoever has it reads the article, also changes that are made later, until it expires or all links to it are ended.
#[utoipa::path(post, path = "/{id}/preview-link", tag = "cms", request_body = Option<NewPreview>,
    params(("id" = String, Path), ("If-Match" = String, Header)),
    responses((status = 201, description = "The link", body = PreviewLink), Refusal))]
pub(super) async fn link_preview(
    State(cms): State<Shared>,
    by: SignedIn,
    Named { kind, name, if_match }: Named,
    new: Option<Payload<NewPreview>>,
) -> Result<Answer, RouteError> {
    let hours = new.and_then(|Payload(new)| new.expires_in_hours).unwrap_or(HOURS);
    if !(1..=MOST_HOURS).contains(&hours) {
        let message = format!("must be from 1 to {MOST_HOURS}");
        return Err(Problem::field("expires_in_hours", "out_of_range", message).into());
    }
    let this = std::sync::Arc::clone(&cms);
    cms.write(by, move |mut writing| {
        Box::pin(async move {
            let article = writing.held(kind, &name).await?;
            current(if_match, &article)?;
            rules::may_show(writing.viewer, article.is_by(writing.viewer))?;
            let good_for = Duration::from_secs(u64::from(hours) * 3_600);
            let expires_at = writing.by.context.now.plus(good_for);
            let token = this.preview(&article, expires_at);
            let url = format!("{}{PREVIEW}/{token}", this.public_url);
            let target = format!("{}:{}", kind.name(), article.id);
            let made = json!({"expires_at": expires_at});
            writing.audit(action(kind, "link_preview"), target, (None, Some(made)));
            writing.tx.makes_nothing_old();
            Ok(Answer::json(StatusCode::CREATED, &PreviewLink { url, token, expires_at }).sealed())
        })
    })
    .await
}

/// End all links to what is not published of an article
#[utoipa::path(delete, path = "/{id}/preview-link", tag = "cms",
    params(("id" = String, Path), ("If-Match" = String, Header)),
    responses((status = 204, description = "They lead nowhere any more"), Refusal))]
pub(super) async fn end_previews(
    State(cms): State<Shared>,
    by: SignedIn,
    Named { kind, name, if_match }: Named,
) -> Result<Answer, RouteError> {
    cms.write(by, move |mut writing| {
        Box::pin(async move {
            let before = writing.held(kind, &name).await?;
            current(if_match, &before)?;
            if !before.is_seen_by(writing.viewer) {
                return Err(RouteError::Forbidden("only its authors and moderators may do that"));
            }
            let preview_epoch = before.preview_epoch + 1;
            let after = Article { preview_epoch, ..before.clone() };
            articles::update(writing.tx, &before, &after).await?;
            writing.tx.makes_nothing_old();
            let target = format!("{}:{}", kind.name(), before.id);
            writing.audit(action(kind, "end_previews"), target, (None, None));
            Ok(Answer::no_content())
        })
    })
    .await
}

/// Read an article by a link to it
#[utoipa::path(get, path = "/api/v2/cms/preview/{token}", tag = "cms",
    params(("token" = String, Path)),
    responses((status = 200, description = "As it is now", body = ArticleView), Refusal))]
pub(super) async fn read_preview(
    State(cms): State<Shared>,
    Segments(token): Segments<String>,
) -> Result<Response, RouteError> {
    let article = cms.previewed(&token).await?;
    let nobody = Viewer::of(&Principal::Anonymous);
    let shown = axum::Json(ArticleView::new(article, nobody));
    Ok((unkept(), shown).into_response())
}

/// What is said with it: nobody keeps it, and search engines leave it out.
pub(crate) fn unkept() -> [(HeaderName, HeaderValue); 2] {
    [
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (HeaderName::from_static("x-robots-tag"), HeaderValue::from_static("noindex")),
    ]
}

impl Cms {
    /// What names a preview that is good until then.
    fn preview(&self, article: &Article, expires_at: Timestamp) -> String {
        let signed = [article.id.raw(), article.preview_epoch, expires_at.as_micros()];
        self.cursors.encode(SCOPE, &signed)
    }

    /// What a link leads to.
    pub(crate) async fn previewed(&self, token: &str) -> Result<Article, RouteError> {
        const NOWHERE: RouteError = RouteError::NotFound("preview; its link may have expired");
        let [id, epoch, expires_at] =
            self.cursors.decode::<3>(SCOPE, token).map_err(|_| NOWHERE)?;
        if Timestamp::from_micros(expires_at) <= self.db.clock().now() {
            return Err(NOWHERE);
        }
        let found = articles::by_id(&mut self.db.reader().await?, Id::from_raw(id)).await?;
        let found = found.filter(|it| it.deleted_at.is_none() && it.preview_epoch == epoch);
        found.ok_or(NOWHERE)
    }
}
