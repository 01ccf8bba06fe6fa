//! `/api/v2/cms/posts/{id}/comments`

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use panel_kernel::http::{
    CacheFor, Caller, PageQuery, Params, Payload, Refusal, RouteError, Segments,
};
use panel_kernel::ids::Id;
use panel_kernel::purge::Purge;
use panel_kernel::service::Told;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Shared;
use super::articles::seen;
use crate::comments::{Comment, Discussed, Discussion};
use crate::rules::{Kind, Viewer};
use crate::store::articles::Article;
use crate::tags;

/// One page of comments.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct CommentPage {
    /// Ascending.
    items: Vec<Comment>,
    /// Give this as `cursor` for the next page; null on the last one.
    next_cursor: Option<String>,
    /// Where in the forum they are; null as long as nobody can comment.
    discussion: Option<Discussion>,
}

/// Something to be said about an article.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewComment {
    /// Markdown.
    body: String,
    /// Another comment on the same article.
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<Id>,
}

/// Comments on a post
///
/// The posts of a thread in the forum, but for the one that tells of the article, ascending. `GET`, `PATCH` and `DELETE
/// /api/v2/forum/posts/{id}`, reactions and flags are for them as well.
#[utoipa::path(get, path = "/api/v2/cms/posts/{id}/comments", tag = "cms",
    params(("id" = String, Path), PageQuery),
    responses((status = 200, description = "One page", body = CommentPage), Refusal))]
pub(super) async fn list_comments(
    State(cms): State<Shared>,
    caller: Caller,
    Segments(name): Segments<String>,
    Params(query): Params<PageQuery>,
) -> Result<Response, RouteError> {
    let page = query.checked()?;
    let article = discussed(&cms, &caller, &name).await?;
    let scope = format!("comments {}", article.id);
    let [after] = page.after(&cms.cursors, &scope)?.unwrap_or([0]);
    let told = cms.comments.after(&caller, article.id, (after, page.limit)).await?;
    let Told { value: Discussed { thread, posts, more_after }, tags } = told;
    let next_cursor = more_after.map(|last| cms.cursors.encode(&scope, &[last]));
    let tags = tags.into_iter().chain([tags::article(article.id)]);
    let cache = CacheFor::everybody(&caller.principal).tagged(tags);
    let shown = CommentPage { items: posts, next_cursor, discussion: thread };
    Ok((cache, Json(shown)).into_response())
}

/// Comment on a post
///
/// It is a reply in the forum, under all that holds there: bans, limits, moderation.
#[utoipa::path(post, path = "/api/v2/cms/posts/{id}/comments", tag = "cms",
    params(("id" = String, Path)), request_body = NewComment,
    responses((status = 201, description = "Said", body = Comment,
               headers(("Location" = String, description = "The post of the forum"))), Refusal))]
pub(super) async fn create_comment(
    State(cms): State<Shared>,
    caller: Caller,
    Segments(name): Segments<String>,
    Payload(new): Payload<NewComment>,
) -> Response {
    let said: Result<_, RouteError> = async {
        let article = discussed(&cms, &caller, &name).await?;
        Ok(cms.comments.say(&caller, article.id, &new).await?)
    }
    .await;
    // Whatever comes of it, nothing of this service is old by it.
    (Purge::nothing(), said).into_response()
}

/// The post of this name, if they may see it and it wants comments.
async fn discussed(cms: &Shared, caller: &Caller, name: &str) -> Result<Article, RouteError> {
    let viewer = Viewer::of(&caller.principal);
    let name = name.to_owned();
    let find = cms
        .db
        .look(move |conn| Box::pin(async move { seen(conn, Kind::Post, &name, viewer).await }));
    let article = find.await?;
    if article.comments && article.is_public() {
        Ok(article)
    } else {
        Err(RouteError::Conflict("this article takes no comments"))
    }
}
