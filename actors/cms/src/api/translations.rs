//! `/api/v2/cms/{posts,pages}/{id}/translations`

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use panel_kernel::http::{CacheFor, Caller, Refusal, RouteError, Segments};
use panel_kernel::ids::Id;
use serde::Serialize;
use utoipa::ToSchema;

use super::Shared;
use super::articles::seen;
use crate::rules::{Kind, Status, Viewer, path};
use crate::store::translations::{self, Translation};
use crate::tags;

/// All that say the same.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Translations {
    /// By their languages; the article that was asked for is one of them.
    items: Vec<TranslationItem>,
}

/// An article in one of the languages in which it is there.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TranslationItem {
    id: Id,
    /// A tag of BCP 47.
    language: String,
    slug: String,
    /// The page at which people read it.
    path: String,
    title: String,
    status: Status,
    /// Whether it was there first: it is what others say they are translations of.
    original: bool,
}

/// The languages in which an article is there
///
/// It is among them. None, if its language is not known. What is not published is for its authors and for moderators.
#[utoipa::path(get, path = "/{id}/translations", tag = "cms", params(("id" = String, Path)),
    responses((status = 200, description = "All of them", body = Translations), Refusal))]
pub(super) async fn list_translations(
    State(cms): State<Shared>,
    Extension(kind): Extension<Kind>,
    caller: Caller,
    Segments(name): Segments<String>,
) -> Result<Response, RouteError> {
    let viewer = Viewer::of(&caller.principal);
    let found: Result<_, RouteError> = cms
        .db
        .look(move |conn| {
            Box::pin(async move {
                let article = seen(conn, kind, &name, viewer).await?;
                let all = match article.group() {
                    Some(group) => translations::of(conn, group).await?,
                    None => Vec::new(),
                };
                Ok((article, all))
            })
        })
        .await;
    let (article, all) = found?;
    let group = article.group();
    let items = all.into_iter().filter(|it| it.is_seen_by(viewer)).map(|it| TranslationItem {
        path: path(kind, &it.slug),
        original: Some(it.id) == group,
        id: it.id,
        language: it.language,
        slug: it.slug,
        title: it.title,
        status: it.status,
    });
    let shown = Translations { items: items.collect() };
    let group = group.map(tags::translations);
    let cache = CacheFor::everybody(&caller.principal);
    let cache = cache.tagged([tags::article(article.id)].into_iter().chain(group));
    Ok((cache, Json(shown)).into_response())
}

impl Translation {
    fn is_seen_by(&self, viewer: Viewer) -> bool {
        let is_theirs = viewer.sees(self.author) || self.co_authors.iter().any(|id| viewer.is(*id));
        self.status == Status::Published || is_theirs
    }
}
