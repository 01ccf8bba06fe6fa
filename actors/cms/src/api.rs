//! Routes of this service.

use axum::extract::State;
use axum::{Json, Router};
use panel_kernel::access::{Guarded as _, Need};
use panel_kernel::cursor::Cursors;
use panel_kernel::data::Database;
use panel_kernel::http::{CacheFor, Caller, Listing, PageRequest, Params};
use panel_kernel::ids::Id;
use panel_kernel::problem::{Problem, ProblemBody};
use panel_kernel::service::ServiceContext;
use panel_kernel::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::rules;
use crate::store::articles::{self, ArticleRow, Wanted};

/// By which lists of articles are made old.
const ARTICLES: &str = "articles";

/// What handlers share. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct App {
    db: Database,
    cursors: Cursors,
}

impl App {
    pub(crate) fn new(context: &ServiceContext) -> Self {
        Self { db: context.db.clone(), cursors: context.runtime.cursors.clone() }
    }
}

/// Who wrote it.
#[derive(Debug, Serialize, ToSchema)]
struct AuthorView {
    /// The account.
    id: Id,
    /// The name shown.
    name: String,
}

/// An article in a list.
#[derive(Debug, Serialize, ToSchema)]
struct ArticleItem {
    /// Its id.
    id: Id,
    /// Its place in the address.
    slug: String,
    /// The title.
    title: String,
    /// A few lines.
    excerpt: String,
    /// `published`, in this list.
    status: String,
    /// Who wrote it.
    author: AuthorView,
    /// The category, if it has one.
    category: Option<String>,
    /// Tags.
    tags: Vec<String>,
    /// When it was published.
    published_at: Timestamp,
    /// When it was changed last.
    updated_at: Timestamp,
    /// Its version.
    version: i64,
}

impl From<ArticleRow> for ArticleItem {
    fn from(row: ArticleRow) -> Self {
        Self {
            id: row.id,
            slug: row.slug,
            title: row.title,
            excerpt: row.excerpt,
            status: row.status,
            author: AuthorView { id: row.author_id, name: row.author_name },
            category: row.category,
            // Written by this service only; a text that is no list shows as none.
            tags: serde_json::from_str(&row.tags).unwrap_or_default(),
            published_at: row.published_at,
            updated_at: row.updated_at,
            version: row.version,
        }
    }
}

/// Which page of which articles.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListParams {
    /// Only of this category.
    category: Option<String>,
    /// Only with this tag.
    tag: Option<String>,
    /// 1 to 100; 20 if not given.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Published articles, newest first.
#[utoipa::path(get, path = "/api/v2/cms/posts", tag = "cms", params(ListParams),
    responses((status = 200, body = Listing<ArticleItem>), (status = 400, body = ProblemBody),
              (status = 422, body = ProblemBody)))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Params(params): Params<ListParams>,
) -> Result<(CacheFor, Json<Listing<ArticleItem>>), Problem> {
    let page = PageRequest::parse(params.limit.as_deref(), params.cursor)?;
    let category = rules::filter("category", params.category)?;
    let tag = rules::filter("tag", params.tag)?;
    let scope = format!("cms.posts {category:?} {tag:?}");
    let after = page.after(&app.cursors, &scope)?;
    let wanted = Wanted { category, tag, after, limit: page.fetch() };
    let rows = articles::published(&mut app.db.reader().await?, wanted).await?;
    let listing = Listing::from_excess(rows, page.limit, |row| {
        app.cursors.encode(&scope, &[row.published_at.as_micros(), row.id.raw()])
    });
    let cache = CacheFor::everybody(&caller.principal).tagged([ARTICLES]);
    Ok((cache, Json(listing.map(ArticleItem::from))))
}

/// The documented routes.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().guarded(Need::Nothing, routes!(list))
}

/// All routes, ready to answer.
pub(crate) fn router(app: App) -> Router {
    Router::from(routes()).with_state(app)
}
