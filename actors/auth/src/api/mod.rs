//! Routes of this service.

mod account;
mod accounts;
mod address;
mod api_keys;
mod beginning;
mod devices;
mod email;
mod erasure;
mod export;
mod identities;
mod identity;
mod invitations;
mod login;
mod oauth;
pub(crate) mod passkeys;
mod password;
mod people;
mod recovery;
mod second_factor;
mod session;
mod setup;
mod step_up;
mod totp;
mod ways_in;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use panel_kernel::access::{Guarded as _, Need};
use panel_kernel::data::{Audit, Database, Tx, WriteContext};
use panel_kernel::identity::{CsrfTokens, SiteCookie, stays_private};
use panel_kernel::ids::Id;
use panel_kernel::role::Role;
use panel_kernel::service::Runtime;
use panel_kernel::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::breaches::Breaches;
use crate::config::AuthConfig;
use crate::error::AuthError;
use crate::export::ExportBell;
use crate::federation::Federation;
use crate::hashing::Passwords;
use crate::mail::{Letter, Post};
use crate::pages;
use crate::passkeys::Passkeys;
use crate::store::users::{self, UserRow};
use crate::throttle::{Attempt, Throttle};
use crate::token_keeper::Keys;

pub(crate) use oauth::Away;
pub(crate) use second_factor::Factors;
use second_factor::{Given, Passed};

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
    pub(crate) cookie: SiteCookie,
    pub(crate) csrf: CsrfTokens,
    pub(crate) factors: Factors,
    pub(crate) passkeys: Passkeys,
    pub(crate) federation: Federation,
    pub(crate) breaches: Breaches,
    pub(crate) away: Away,
    /// Rung where somebody wants what there is of them, or where that is over.
    pub(crate) exports: ExportBell,
}

impl App {
    /// Writes to the owner of an account, if and when this transaction commits.
    async fn tell(
        &self,
        tx: &mut Tx,
        mail: Id,
        user: Id,
        letter: &Letter,
        now: Timestamp,
    ) -> Result<(), AuthError> {
        let Some(owner) = users::by_id(tx, user).await? else { return Ok(()) };
        self.post.send(tx, mail, &owner.recipient(), letter, now).await
    }

    /// Checks a second factor and uses it up; that a recovery code was used is told to its owner.
    async fn pass_factor(
        &self,
        tx: &mut Tx,
        mail: Id,
        user: Id,
        given: &Given,
        context: &WriteContext,
    ) -> Result<Passed, AuthError> {
        let passed = self.factors.pass(tx, user, given, context).await?;
        if let Passed::Recovery(left) = passed {
            self.tell(tx, mail, user, &Letter::RecoveryCodeUsed { left }, context.now).await?;
        }
        Ok(passed)
    }

    /// Refuses a password that is known from a breach.
    async fn check_breaches(&self, field: &str, password: &str) -> Result<(), AuthError> {
        let outcomes = &self.runtime.metrics.outbound;
        Ok(self.breaches.check(field, password, outcomes).await?)
    }

    /// Tells the owner of an account that somebody who has got past the first factor guesses at the
    /// second: when they have to wait for the first time.
    async fn tell_of_guessing(
        self: &Arc<Self>,
        user: Id,
        attempt: &Attempt,
        context: &WriteContext,
    ) {
        if !attempt.is_last_free() {
            return;
        }
        let Ok(mail) = self.db.next_id().await else { return };
        let (sharing, written) = (Arc::clone(self), context.clone());
        let told = self.db.transact(move |tx| {
            Box::pin(async move {
                tx.audit(&Audit {
                    action: "factor.guessed",
                    target: format!("user:{user}"),
                    before: None,
                    after: None,
                    context: &written,
                });
                sharing.tell(tx, mail, user, &Letter::FactorGuessed, written.now).await
            })
        });
        match told.await {
            Ok(()) => self.post.ring(),
            Err(error) => tracing::warn!(%error, "an owner was not told that codes are guessed"),
        }
    }

    /// Whether cookies may be given out here: not over a network in the clear, unless the operator
    /// wants it.
    fn cookies_are_safe(&self) -> bool {
        let private = stays_private(&self.runtime.public_url);
        self.config.insecure_cookies || (private && self.runtime.knows_public_url)
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
        .guarded(Need::Nothing, routes!(account::register))
        .guarded(Need::Account, routes!(account::profile, account::change_profile))
        .guarded(Need::Account, routes!(account::me))
        .guarded(Need::Nothing, routes!(login::login))
        .guarded(Need::Nothing, routes!(session::refresh))
        .guarded(Need::Session, routes!(session::logout))
        .guarded(Need::Session, routes!(session::current))
        .guarded(Need::Session, routes!(devices::list))
        .guarded(Need::Session, routes!(devices::end))
        .guarded(Need::Session, routes!(devices::end_all))
        .guarded(Need::Session, routes!(erasure::erase))
        .guarded(Need::Session, routes!(export::request, export::list))
        .guarded(Need::Session, routes!(export::show, export::end))
        .guarded(Need::Session, routes!(export::file))
        .guarded(Need::Session, routes!(password::change))
        .guarded(Need::Session, routes!(step_up::reauthenticate))
        .guarded(Need::Rank(Role::Moderator), routes!(invitations::list, invitations::make))
        .guarded(Need::Rank(Role::Moderator), routes!(invitations::remove))
        .guarded(Need::Session, routes!(passkeys::list))
        .guarded(Need::Session, routes!(passkeys::remove))
        .guarded(Need::Session, routes!(passkeys::register_start))
        .guarded(Need::Session, routes!(passkeys::register_finish))
        .guarded(Need::Nothing, routes!(passkeys::login_start))
        .guarded(Need::Nothing, routes!(passkeys::login_finish))
        .guarded(Need::Nothing, routes!(oauth::providers))
        .guarded(Need::Nothing, routes!(oauth::start, oauth::start_with))
        .guarded(Need::Nothing, routes!(oauth::callback))
        .guarded(Need::Nothing, routes!(oauth::finish))
        .guarded(Need::Session, routes!(identities::list))
        .guarded(Need::Session, routes!(identities::link))
        .guarded(Need::Session, routes!(identities::unlink))
        .guarded(Need::Session, routes!(totp::status, totp::remove))
        .guarded(Need::Session, routes!(totp::enroll))
        .guarded(Need::Session, routes!(totp::confirm))
        .guarded(Need::Session, routes!(totp::renew_codes))
        .guarded(Need::Session, routes!(api_keys::list, api_keys::make))
        .guarded(Need::Session, routes!(api_keys::revoke))
        .guarded(Need::Nothing, routes!(recovery::forgot))
        .guarded(Need::Nothing, routes!(recovery::reset))
        .guarded(Need::Nothing, routes!(email::verify))
        .guarded(Need::Nothing, routes!(email::resend))
        .guarded(Need::Session, routes!(address::change))
        .guarded(Need::Nothing, routes!(setup::claim))
        .guarded(Need::Nothing, routes!(identity::jwks))
}

/// All routes, ready to answer.
pub(crate) fn router(app: App) -> Router {
    Router::from(routes())
        .merge(accounts::routes())
        .merge(people::routes())
        .route("/setup", get(pages::setup))
        .route("/join", get(pages::join))
        .route("/verify-email", get(pages::verify_email))
        .route("/reset-password", get(pages::reset_password))
        .route("/forgot-password", get(pages::forgot_password))
        .route("/sign-in", get(pages::sign_in))
        .route("/account-export", get(pages::account_export))
        .route(panel_kernel::identity::PATH, get(identity::report))
        .route(panel_kernel::identity::CREDENTIAL_PATH, get(identity::credential))
        .with_state(Arc::new(app))
}
