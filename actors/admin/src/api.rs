//! Routes of this service.

use axum::extract::State;
use axum::{Json, Router};
use panel_kernel::access::{Guarded as _, Need};
use panel_kernel::cursor::Cursors;
use panel_kernel::data::Database;
use panel_kernel::http::{Listing, PageRequest, Params};
use panel_kernel::ids::Id;
use panel_kernel::problem::{Problem, ProblemBody};
use panel_kernel::role::Role;
use panel_kernel::service::ServiceContext;
use panel_kernel::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::rules;
use crate::store::users::{self, UserRow};

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

/// An account as administrators see it.
#[derive(Debug, Serialize, ToSchema)]
struct UserItem {
    /// Its id.
    id: Id,
    /// The name to sign in with.
    username: String,
    /// The mail address.
    email: String,
    /// The name shown to others.
    display_name: String,
    /// The rank.
    role: Role,
    /// `active` or `suspended`.
    status: String,
    /// When it was made.
    created_at: Timestamp,
}

impl From<UserRow> for UserItem {
    fn from(row: UserRow) -> Self {
        Self {
            role: row.role(),
            id: row.id,
            username: row.username,
            email: row.email,
            display_name: row.display_name,
            status: row.status,
            created_at: row.created_at,
        }
    }
}

/// Which page of which accounts.
#[derive(Debug, Deserialize, IntoParams)]
struct ListParams {
    /// Part of a name or an address.
    q: Option<String>,
    /// Only of this rank.
    role: Option<String>,
    /// `active` or `suspended`.
    status: Option<String>,
    /// 1 to 100; 20 if not given.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// All accounts, oldest first. Administrators only.
#[utoipa::path(get, path = "/api/v2/admin/users", tag = "admin", params(ListParams),
    responses((status = 200, body = Listing<UserItem>), (status = 401, body = ProblemBody),
              (status = 403, body = ProblemBody), (status = 422, body = ProblemBody)))]
async fn list_users(
    State(app): State<App>,
    Params(params): Params<ListParams>,
) -> Result<Json<Listing<UserItem>>, Problem> {
    let page = PageRequest::parse(params.limit.as_deref(), params.cursor)?;
    let filter = rules::user_filter(params.q.as_deref(), params.role.as_deref(), params.status)?;
    let scope = format!("admin.users {filter:?}");
    let after = page.after(&app.cursors, &scope)?;
    let [after] = after.unwrap_or([0]);
    let rows = users::list(&mut app.db.reader().await?, filter, after, page.fetch()).await?;
    let listing =
        Listing::from_excess(rows, page.limit, |row| app.cursors.encode(&scope, &[row.id.raw()]));
    Ok(Json(listing.map(UserItem::from)))
}

/// The documented routes.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().guarded(Need::Rank(Role::Admin), routes!(list_users))
}

/// All routes, ready to answer.
pub(crate) fn router(app: App) -> Router {
    Router::from(routes()).with_state(app)
}
