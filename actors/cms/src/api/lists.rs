//! Lists of articles.

use axum::extract::State;
use axum::{Extension, Json};
use panel_kernel::http::{
    CacheFor, Caller, Listing, PageQuery, PageRequest, Params, Refusal, RouteError,
};
use panel_kernel::ids::Id;
use panel_kernel::problem::Problem;
use serde::Deserialize;
use utoipa::IntoParams;

use super::Shared;
use super::views::{AnyArticleItem, ArticleItem, DeletedItem};
use crate::rules::{Kind, Status, Viewer, fields};
use crate::store::lists::{self, Wanted};
use crate::tags;

/// Which page of which articles.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Only of the category with this slug.
    category: Option<String>,
    /// Only with this tag.
    tag: Option<String>,
    /// Only of this author; `me`: one's own.
    author: Option<String>,
    /// 1 to 100; 20 if not given.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// The same, of articles in some state.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct AllQuery {
    /// Only those in this state.
    #[param(value_type = Option<Status>)]
    status: Option<String>,
    /// Only of the category with this slug.
    category: Option<String>,
    /// Only with this tag.
    tag: Option<String>,
    /// Only of this author; `me`: one's own.
    author: Option<String>,
    /// 1 to 100; 20 if not given.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Published articles, the newest first
#[utoipa::path(get, path = "/", tag = "cms", params(ListQuery),
    responses((status = 200, description = "One page", body = Listing<ArticleItem>), Refusal))]
pub(super) async fn list(
    State(cms): State<Shared>,
    Extension(kind): Extension<Kind>,
    caller: Caller,
    Params(query): Params<ListQuery>,
) -> Result<(CacheFor, Json<Listing<ArticleItem>>), RouteError> {
    let page = PageRequest::parse(query.limit.as_deref(), query.cursor)?;
    let category = fields::filter("category", query.category)?;
    let tag = fields::filter("tag", query.tag)?;
    let author = author(query.author.as_deref(), Viewer::of(&caller.principal))?;
    let scope = format!("cms.{} {category:?} {tag:?} {author:?}", kind.name());
    let after = page.after(&cms.cursors, &scope)?;
    let wanted = Wanted { kind, category, tag, author, after, limit: page.fetch() };
    let rows = lists::published(&mut cms.db.reader().await?, wanted).await?;
    let listing = Listing::from_excess(rows, page.limit, |last| {
        let at = last.published_at.unwrap_or(last.updated_at);
        cms.cursors.encode(&scope, &[at.as_micros(), last.id.raw()])
    });
    let cache = CacheFor::everybody(&caller.principal).tagged([tags::ARTICLES]);
    Ok((cache, Json(listing.map(ArticleItem::from))))
}

/// Articles in any state, the last changed first
///
/// For moderators all of them; for authors their own.
#[utoipa::path(get, path = "/all", tag = "cms", params(AllQuery),
    responses((status = 200, description = "One page", body = Listing<AnyArticleItem>), Refusal))]
pub(super) async fn list_all(
    State(cms): State<Shared>,
    Extension(kind): Extension<Kind>,
    caller: Caller,
    Params(query): Params<AllQuery>,
) -> Result<Json<Listing<AnyArticleItem>>, RouteError> {
    let page = PageRequest::parse(query.limit.as_deref(), query.cursor)?;
    let category = fields::filter("category", query.category)?;
    let tag = fields::filter("tag", query.tag)?;
    let state = query.status.as_deref().map(state).transpose()?;
    let viewer = Viewer::of(&caller.principal);
    let asked = author(query.author.as_deref(), viewer)?;
    let author = if viewer.edits() { asked } else { Some(own(asked, viewer)?) };
    let scope = format!("cms.all {} {category:?} {tag:?} {author:?} {state:?}", kind.name());
    let after = page.after(&cms.cursors, &scope)?;
    let wanted = Wanted { kind, category, tag, author, after, limit: page.fetch() };
    let rows = lists::by_change(&mut cms.db.reader().await?, wanted, state).await?;
    let listing = Listing::from_excess(rows, page.limit, |last| {
        cms.cursors.encode(&scope, &[last.updated_at.as_micros(), last.id.raw()])
    });
    Ok(Json(listing.map(AnyArticleItem::from)))
}

fn state(text: &str) -> Result<Status, Problem> {
    text.parse().map_err(|()| {
        let message = "must be draft, in_review, scheduled, published or archived";
        Problem::field("status", "unknown", message)
    })
}

fn author(text: Option<&str>, viewer: Viewer) -> Result<Option<Id>, Problem> {
    match text {
        None => Ok(None),
        Some("me") => signed_in(viewer).map(Some),
        Some(text) => text.parse().map(Some).map_err(|_| {
            Problem::field("author", "invalid", "must be the id of an account, or `me`")
        }),
    }
}

fn signed_in(viewer: Viewer) -> Result<Id, Problem> {
    let nobody = || Problem::new(panel_kernel::problem::Kind::Unauthorized, "sign in first");
    viewer.who.ok_or_else(nobody)
}

/// Themselves, if they ask for nobody else.
fn own(author: Option<Id>, viewer: Viewer) -> Result<Id, RouteError> {
    let own = signed_in(viewer)?;
    match author {
        Some(other) if other != own => {
            Err(RouteError::Forbidden("only moderators see what others have not published"))
        }
        _ => Ok(own),
    }
}

/// Articles that were deleted and can be restored, the last first
#[utoipa::path(get, path = "/trash", tag = "cms", params(PageQuery),
    responses((status = 200, description = "One page", body = Listing<DeletedItem>), Refusal))]
pub(super) async fn list_trash(
    State(cms): State<Shared>,
    Extension(kind): Extension<Kind>,
    Params(query): Params<PageQuery>,
) -> Result<Json<Listing<DeletedItem>>, RouteError> {
    let page = query.checked()?;
    let scope = format!("cms.trash {}", kind.name());
    let after = page.after(&cms.cursors, &scope)?;
    let rows = lists::deleted(&mut cms.db.reader().await?, kind, after, page.fetch()).await?;
    let listing = Listing::from_excess(rows, page.limit, |(last, at)| {
        cms.cursors.encode(&scope, &[at.as_micros(), last.id.raw()])
    });
    Ok(Json(listing.map(DeletedItem::from)))
}
