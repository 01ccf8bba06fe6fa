//! Routes of this service.

mod account;
mod devices;
mod identity;
mod password;
mod session;
mod setup;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use panel_kernel::ids::Id;
use panel_kernel::role::Role;
use panel_kernel::service::{Runtime, ServiceContext};
use panel_kernel::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::config::AuthConfig;
use crate::hashing::Passwords;
use crate::pages;
use crate::store::users::UserRow;
use crate::throttle::Throttle;
use crate::token_keeper::Keys;

/// What handlers work with.
#[derive(Debug)]
pub(crate) struct App {
    db: panel_kernel::data::Database,
    runtime: Runtime,
    config: AuthConfig,
    keys: Keys,
    passwords: Passwords,
    throttle: Throttle,
}

impl App {
    pub(crate) fn new(
        context: &ServiceContext,
        config: AuthConfig,
        keys: Keys,
        passwords: Passwords,
        throttle: Throttle,
    ) -> Self {
        let (db, runtime) = (context.db.clone(), context.runtime.clone());
        Self { db, runtime, config, keys, passwords, throttle }
    }
}

/// The same as handlers share it: it is cloned several times for every request.
type Shared = Arc<App>;

/// An account as its owner sees it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct UserView {
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
    /// When it was made.
    created_at: Timestamp,
    /// When it was changed last.
    updated_at: Timestamp,
}

impl From<&UserRow> for UserView {
    fn from(row: &UserRow) -> Self {
        Self {
            id: row.id,
            username: row.username.clone(),
            email: row.email.clone(),
            display_name: row.display_name.clone(),
            role: row.role(),
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// An account, alone in an answer.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct UserAnswer {
    /// The account.
    user: UserView,
}

/// The documented routes.
pub(crate) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(account::register))
        .routes(routes!(account::profile, account::change_profile))
        .routes(routes!(account::me))
        .routes(routes!(session::login))
        .routes(routes!(session::refresh))
        .routes(routes!(session::logout))
        .routes(routes!(devices::list))
        .routes(routes!(devices::end))
        .routes(routes!(devices::end_all))
        .routes(routes!(password::change))
        .routes(routes!(setup::claim))
        .routes(routes!(identity::jwks))
}

/// All routes, ready to answer.
pub(crate) fn router(app: App) -> Router {
    Router::from(routes())
        .route("/setup", get(pages::setup))
        .route(panel_kernel::identity::PATH, get(identity::report))
        .with_state(Arc::new(app))
}
