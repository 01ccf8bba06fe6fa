//! What can go wrong, and how it is told.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use panel_kernel::data::DbError;
use panel_kernel::problem::{Kind, Problem};
use panel_kernel::time::Timestamp;

use crate::rules::{MAX_API_KEYS, MAX_IDENTITIES, MAX_PASSKEYS};
use crate::store::users::BETWEEN_MAILS;

/// A refusal of the auth service.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// Unknown account or wrong password: one answer for both.
    #[error("the login or the password is not right")]
    BadCredentials,
    /// Too many wrong passwords came before this one.
    #[error("{}", throttled(*.wait, *.whose))]
    Throttled {
        /// How long to wait.
        wait: Duration,
        /// Whether they were for this name; else, from this address.
        whose: bool,
    },
    /// There is no such session, or it is somebody else's, or it has ended.
    #[error("there is no such session")]
    NoSuchSession,
    /// There is no such API key, or it is somebody else's, or it has ended.
    #[error("there is no such API key")]
    NoSuchKey,
    /// The account has as many API keys as one may have.
    #[error("an account may have {MAX_API_KEYS} API keys; end one first")]
    TooManyKeys,
    /// Somebody has asked for what there is of them several times today.
    #[error("this can be asked for three times a day")]
    TooManyExports(Duration),
    /// Somebody changed the password at the same moment.
    #[error("the password was changed meanwhile")]
    PasswordChanged,
    /// The password is right, and the account asks for a second factor.
    #[error("this account has a second factor: give totp_code or recovery_code as well")]
    FactorRequired,
    /// The second factor is not right, or was used before.
    #[error("the code is not right, or was used before")]
    BadFactor,
    /// The account has a second factor.
    #[error("the second factor is on; turn it off first")]
    FactorThere,
    /// There is no new second factor.
    #[error("there is nothing to confirm: begin with totp/enroll")]
    NothingToConfirm,
    /// The passkey, or its answer, is not good; or the answer was used before.
    #[error("the passkey is not right, or took too long")]
    BadPasskey,
    /// What a browser brings back from a provider is not what it was sent there with.
    #[error("this sign-in was not begun in this browser, or took too long; begin again")]
    BadReturn,
    /// Somebody did not agree, there.
    #[error("the provider says: {0}")]
    Declined(String),
    /// The provider does not answer.
    #[error("{0} does not answer at the moment")]
    NoProvider(String),
    /// What the provider says is not to be believed, or it does not take the code.
    #[error("{0} did not tell who you are; begin again")]
    NotBelieved(String),
    /// The provider vouches for no mail address.
    #[error("{0} vouches for no mail address: register here, and link that account then")]
    NoAddress(String),
    /// Somebody has an account with the address.
    #[error("an account with this mail address is there: sign in to it, and link this one then")]
    AccountThere,
    /// The account elsewhere is linked, here.
    #[error("that account is linked to an account here already")]
    IdentityThere,
    /// The account has as many as one may have.
    #[error("an account may be linked to {MAX_IDENTITIES} others; unlink one first")]
    TooManyIdentities,
    /// There would be no way to sign in.
    #[error("this is the last way to sign in: choose a password, or add another way, first")]
    LastCredential,
    /// Nobody would administer the site.
    #[error("nobody else administers this site: make somebody else an administrator first")]
    LastAdministrator,
    /// The account has no password.
    #[error("this account has no password; choose one with password/change")]
    NoPassword,
    /// The site has no name that browsers would make passkeys for.
    #[error("passkeys need a site with a name: set node.public_url")]
    NoPasskeysHere,
    /// Somebody has this passkey.
    #[error("this passkey is registered already")]
    PasskeyThere,
    /// The account has as many passkeys as one may have.
    #[error("an account may have {MAX_PASSKEYS} passkeys; remove one first")]
    TooManyPasskeys,
    /// The refresh token is unknown, expired or of an ended session.
    #[error("the refresh token is not valid")]
    BadRefreshToken,
    /// The setup link was used, replaced, or never existed.
    #[error("the setup link is not valid")]
    BadSetupLink,
    /// The token of a mail was used, replaced, is too old, or never existed.
    #[error("the link is not valid any more; have another one sent")]
    BadOneTimeToken,
    /// A mail of this kind was sent a moment ago.
    #[error("a mail was sent just now; wait for it, or try again in two minutes")]
    MailedJustNow,
    /// The account may not be used, until then or for good.
    #[error("{}", suspended(*.0))]
    Suspended(Option<Timestamp>),
    /// The address must be proven before anybody signs in.
    #[error("confirm your mail address first, with the link that was sent there")]
    MustVerify,
    /// Registration takes an invitation.
    #[error("registration takes an invitation")]
    NotInvited,
    /// The invitation was used up, has ended, was taken back, or never existed.
    #[error("the invitation is not valid any more")]
    BadInvitation,
    /// Registration is closed.
    #[error("registration is closed")]
    RegistrationClosed,
    /// The username or the address is taken.
    #[error("the {0} is taken")]
    Taken(&'static str),
    /// There is no such account.
    #[error("there is no such account")]
    NoSuchAccount,
    /// Too many passwords are waiting to be checked.
    #[error("too many logins at once")]
    HashingBusy,
    /// The signing keys are not known yet.
    #[error("the signing keys are not ready")]
    KeysNotReady,
    /// The password could not be hashed or the key not used: a fault of ours.
    #[error("cryptography failed: {0}")]
    Crypto(String),
    /// Another refusal, already put into words.
    #[error("{}", .0.detail)]
    Problem(Problem),
    /// The database.
    #[error(transparent)]
    Database(#[from] DbError),
}

impl From<Problem> for AuthError {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<AuthError> for Problem {
    fn from(error: AuthError) -> Self {
        let detail = error.to_string();
        match error {
            AuthError::BadCredentials | AuthError::BadRefreshToken | AuthError::BadPasskey => {
                Self::new(Kind::Unauthorized, detail)
            }
            AuthError::FactorRequired => {
                Self::new(Kind::Unauthorized, detail).code("totp_required")
            }
            AuthError::BadFactor => Self::new(Kind::Unauthorized, detail).code("totp_invalid"),
            AuthError::NotInvited => Self::new(Kind::Forbidden, detail).code("invitation_required"),
            AuthError::BadInvitation => Self::field("invitation", "invalid", detail),
            AuthError::BadOneTimeToken => Self::field("token", "invalid", detail),
            AuthError::MustVerify => Self::new(Kind::Forbidden, detail).code("email_unverified"),
            AuthError::Suspended(_) => Self::new(Kind::Forbidden, detail).code("account_suspended"),
            AuthError::BadReturn => Self::new(Kind::BadRequest, detail).code("oauth_begin_again"),
            AuthError::NotBelieved(_) => {
                Self::new(Kind::Unauthorized, detail).code("oauth_refused")
            }
            AuthError::Declined(_) => Self::new(Kind::Forbidden, detail).code("oauth_declined"),
            AuthError::NoAddress(_) => Self::new(Kind::Forbidden, detail).code("email_required"),
            AuthError::AccountThere => Self::new(Kind::Conflict, detail).code("account_exists"),
            AuthError::IdentityThere => Self::new(Kind::Conflict, detail).code("identity_taken"),
            AuthError::LastCredential => Self::new(Kind::Conflict, detail).code("last_credential"),
            AuthError::LastAdministrator => {
                Self::new(Kind::Conflict, detail).code("last_administrator")
            }
            AuthError::NoPassword => Self::new(Kind::Conflict, detail).code("no_password"),
            AuthError::BadSetupLink | AuthError::RegistrationClosed => {
                Self::new(Kind::Forbidden, detail)
            }
            AuthError::Taken(what) => Self {
                errors: vec![panel_kernel::problem::FieldError::new(what, "taken", "is taken")],
                ..Self::new(Kind::Conflict, detail)
            },
            AuthError::Throttled { wait, .. } | AuthError::TooManyExports(wait) => {
                Self::new(Kind::RateLimited, detail).retry_after(seconds(wait))
            }
            AuthError::MailedJustNow => {
                Self::new(Kind::RateLimited, detail).retry_after(seconds(BETWEEN_MAILS))
            }
            AuthError::PasswordChanged
            | AuthError::TooManyKeys
            | AuthError::FactorThere
            | AuthError::NoPasskeysHere
            | AuthError::PasskeyThere
            | AuthError::TooManyPasskeys
            | AuthError::TooManyIdentities
            | AuthError::NothingToConfirm => Self::new(Kind::Conflict, detail),
            AuthError::NoSuchAccount | AuthError::NoSuchSession | AuthError::NoSuchKey => {
                Self::new(Kind::NotFound, detail)
            }
            AuthError::HashingBusy | AuthError::KeysNotReady | AuthError::NoProvider(_) => {
                Self::unavailable("auth", detail)
            }
            AuthError::Crypto(why) => {
                tracing::error!(why, "cryptography failed");
                Self::internal()
            }
            AuthError::Problem(problem) => problem,
            AuthError::Database(error) => error.into(),
        }
    }
}

fn throttled(wait: Duration, whose: bool) -> String {
    let which = if whose { "for this name" } else { "from your address" };
    format!("too many wrong passwords {which}; try again in {} s", seconds(wait))
}

fn suspended(until: Option<Timestamp>) -> String {
    until.map_or_else(
        || "this account is suspended".to_owned(),
        |until| format!("this account is suspended until {until}"),
    )
}

/// Whole seconds, at least one: who comes back then need not wait any more.
fn seconds(wait: Duration) -> u32 {
    u32::try_from(wait.as_millis().div_ceil(1_000).max(1)).unwrap_or(u32::MAX)
}

impl IntoResponse for AuthError {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}
