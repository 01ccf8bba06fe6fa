//! Routes of this service.

use axum::extract::State;
use axum::response::Response;
use axum::{Json, Router};
use http::Method;
use panel_kernel::access::{Guarded as _, Need};
use panel_kernel::data::Database;
use panel_kernel::http::{Caller, IdPath, Listing, PageRequest, Params, Payload};
use panel_kernel::ids::Id;
use panel_kernel::problem::{Problem, ProblemBody};
use panel_kernel::role::Role;
use panel_kernel::service::{Runtime, ServiceContext, forward};
use panel_kernel::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::rules;
use crate::store::users::{self, UserRow};

/// What handlers share. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct App {
    db: Database,
    runtime: Runtime,
}

impl App {
    pub(crate) fn new(context: &ServiceContext) -> Self {
        Self { db: context.db.clone(), runtime: context.runtime.clone() }
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
    status: &'static str,
    /// Until when it is suspended; null: for good, or not at all.
    suspended_until: Option<Timestamp>,
    /// When it was made.
    created_at: Timestamp,
}

impl UserItem {
    fn of(row: UserRow, now: Timestamp) -> Self {
        let (suspended, suspended_until) = row.suspension(now);
        Self {
            status: if suspended { "suspended" } else { "active" },
            suspended_until,
            role: row.role(),
            id: row.id,
            username: row.username,
            email: row.email,
            display_name: row.display_name,
            created_at: row.created_at,
        }
    }
}

/// Which page of which accounts.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
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
    let after = page.after(&app.runtime.cursors, &scope)?;
    let ([after], now) = (after.unwrap_or([0]), app.runtime.clock.now());
    let rows = users::list(&mut app.db.reader().await?, filter, (after, page.fetch()), now).await?;
    let listing = Listing::from_excess(rows, page.limit, |row| {
        app.runtime.cursors.encode(&scope, &[row.id.raw()])
    });
    Ok(Json(listing.map(|row| UserItem::of(row, now))))
}

/// Why an account is suspended, and until when.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SuspendRequest {
    /// Told to the owner; at most 1,000 characters.
    reason: String,
    /// When it ends; if not given, never by itself.
    until: Option<Timestamp>,
}

/// The rank an account is to have.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RoleRequest {
    /// The rank.
    role: Role,
}

/// Has auth do this to an account: it knows what the caller and the account are.
async fn done_by_auth<T: Serialize>(
    app: &App,
    caller: &Caller,
    (id, act): (Id, &str),
    body: &T,
) -> Result<Response, Problem> {
    let path = format!("/.panel/accounts/{id}/{act}");
    forward(&app.runtime, "auth", caller, (Method::POST, &path), body).await
}

/// Suspend an account: all its sessions end, its API keys are refused, and nobody signs in to it. Its owner
/// is told the reason. Only of lower rank than one's own.
#[utoipa::path(post, path = "/api/v2/admin/users/{id}/suspend", tag = "admin",
    params(("id" = String, Path, description = "The account")), request_body = SuspendRequest,
    responses((status = 200, body = UserItem), (status = 403, body = ProblemBody),
              (status = 404, body = ProblemBody), (status = 422, body = ProblemBody)))]
async fn suspend(
    State(app): State<App>,
    caller: Caller,
    IdPath(id): IdPath,
    Payload(request): Payload<SuspendRequest>,
) -> Result<Response, Problem> {
    done_by_auth(&app, &caller, (id, "suspend"), &request).await
}

/// End a suspension.
#[utoipa::path(post, path = "/api/v2/admin/users/{id}/restore", tag = "admin",
    params(("id" = String, Path, description = "The account")),
    responses((status = 200, body = UserItem), (status = 403, body = ProblemBody),
              (status = 404, body = ProblemBody)))]
async fn restore(
    State(app): State<App>,
    caller: Caller,
    IdPath(id): IdPath,
) -> Result<Response, Problem> {
    done_by_auth(&app, &caller, (id, "restore"), &json!({})).await
}

/// Give an account another rank, below one's own. All its sessions end.
#[utoipa::path(post, path = "/api/v2/admin/users/{id}/role", tag = "admin",
    params(("id" = String, Path, description = "The account")), request_body = RoleRequest,
    responses((status = 200, body = UserItem), (status = 403, body = ProblemBody),
              (status = 404, body = ProblemBody), (status = 422, body = ProblemBody)))]
async fn set_role(
    State(app): State<App>,
    caller: Caller,
    IdPath(id): IdPath,
    Payload(request): Payload<RoleRequest>,
) -> Result<Response, Problem> {
    done_by_auth(&app, &caller, (id, "role"), &request).await
}

/// End all sessions of an account.
#[utoipa::path(post, path = "/api/v2/admin/users/{id}/force-logout", tag = "admin",
    params(("id" = String, Path, description = "The account")),
    responses((status = 204), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody)))]
async fn force_logout(
    State(app): State<App>,
    caller: Caller,
    IdPath(id): IdPath,
) -> Result<Response, Problem> {
    done_by_auth(&app, &caller, (id, "force-logout"), &json!({})).await
}

/// Have the owner of an account sent the link to choose another password.
#[utoipa::path(post, path = "/api/v2/admin/users/{id}/reset-password", tag = "admin",
    params(("id" = String, Path, description = "The account")),
    responses((status = 202), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
              (status = 409, body = ProblemBody)))]
async fn reset_password(
    State(app): State<App>,
    caller: Caller,
    IdPath(id): IdPath,
) -> Result<Response, Problem> {
    done_by_auth(&app, &caller, (id, "reset-password"), &json!({})).await
}

const ADMIN: Need = Need::Rank(Role::Admin);

/// The documented routes.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .guarded(ADMIN, routes!(list_users))
        .guarded(ADMIN, routes!(suspend))
        .guarded(ADMIN, routes!(restore))
        .guarded(ADMIN, routes!(set_role))
        .guarded(ADMIN, routes!(force_logout))
        .guarded(ADMIN, routes!(reset_password))
}

/// All routes, ready to answer.
pub(crate) fn router(app: App) -> Router {
    Router::from(routes()).with_state(app)
}
