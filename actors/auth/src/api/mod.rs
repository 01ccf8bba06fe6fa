//! Routes of this service.

mod account;
mod devices;
mod email;
mod identity;
mod password;
mod recovery;
mod session;
mod setup;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use panel_kernel::data::Database;
use panel_kernel::ids::Id;
use panel_kernel::role::Role;
use panel_kernel::service::Runtime;
use panel_kernel::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::config::AuthConfig;
use crate::hashing::Passwords;
use crate::mail::Post;
use crate::pages;
use crate::store::users::UserRow;
use crate::throttle::Throttle;
use crate::token_keeper::Keys;

/// What handlers work with.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) db: Database,
    pub(crate) runtime: Runtime,
    pub(crate) config: AuthConfig,
    pub(crate) keys: Keys,
    pub(crate) passwords: Passwords,
    pub(crate) throttle: Throttle,
    pub(crate) post: Post,
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
    /// Whether somebody has shown that mail to the address reaches them.
    email_verified: bool,
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
            email_verified: row.is_verified(),
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
        .routes(routes!(recovery::forgot))
        .routes(routes!(recovery::reset))
        .routes(routes!(email::verify))
        .routes(routes!(email::resend))
        .routes(routes!(setup::claim))
        .routes(routes!(identity::jwks))
}

/// All routes, ready to answer.
pub(crate) fn router(app: App) -> Router {
    Router::from(routes())
        .route("/setup", get(pages::setup))
        .route("/verify-email", get(pages::verify_email))
        .route("/reset-password", get(pages::reset_password))
        .route(panel_kernel::identity::PATH, get(identity::report))
        .with_state(Arc::new(app))
}
