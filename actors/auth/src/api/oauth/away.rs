//! What travels with a browser while it is at a provider, and after that until it has shown its second
//! factor.

use std::time::Duration;

use panel_kernel::http::Caller;
use panel_kernel::identity::SiteCookie;
use panel_kernel::ids::Id;
use panel_kernel::service::Runtime;
use panel_kernel::time::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::carried::{Carrier, Returned};
use crate::error::AuthError;
use crate::federation::Agreed;

/// How long somebody may be away.
const AWAY: Duration = Duration::from_secs(600);
/// How long somebody may look for their second factor.
const ALMOST: Duration = Duration::from_secs(300);
/// Browsers keep cookies of 4,096 characters, with their names.
const LONGEST: usize = 3_900;

const GOING: &[u8] = b"going";
const WAITING: &[u8] = b"waiting";

/// Seals what travels. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Away {
    carrier: Carrier,
    cookie: SiteCookie,
}

/// Somebody who is at a provider.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::api) struct Going {
    pub(in crate::api) provider: String,
    pub(in crate::api) agreed: Agreed,
    pub(in crate::api) whither: Whither,
}

/// What for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::api) enum Whither {
    /// To sign in, or to make an account; with a cookie and on to there, or with tokens.
    SignIn { return_to: Option<String>, invitation: Option<[u8; 32]> },
    /// To link the account there to this one here, out of this session.
    Link { user: Id, session: Id, return_to: Option<String> },
}

impl Whither {
    /// Where the browser goes on, if it does.
    pub(super) fn return_to(&self) -> Option<&str> {
        match self {
            Self::SignIn { return_to, .. } | Self::Link { return_to, .. } => return_to.as_deref(),
        }
    }
}

/// Somebody who has come back, and has a second factor here.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Waiting {
    pub(super) user: Id,
    pub(super) identity: Id,
    pub(super) cookie: bool,
}

impl Away {
    pub(crate) fn new(runtime: &Runtime) -> Self {
        Self {
            carrier: Carrier::new(&runtime.key, "auth sign-ins elsewhere", LONGEST),
            cookie: SiteCookie::sign_in(&runtime.public_url),
        }
    }

    /// The cookie of who goes.
    pub(super) fn goes(&self, going: Going, now: Timestamp) -> Result<String, AuthError> {
        let sealed = self.carrier.seal(GOING, going, now.plus(AWAY))?;
        Ok(self.cookie.set(&sealed))
    }

    /// The cookie of who waits.
    pub(super) fn waits(&self, waiting: Waiting, now: Timestamp) -> Result<String, AuthError> {
        let sealed = self.carrier.seal(WAITING, waiting, now.plus(ALMOST))?;
        Ok(self.cookie.set(&sealed))
    }

    /// Takes the cookie away.
    pub(super) fn over(&self) -> String {
        self.cookie.clear()
    }

    /// Who comes back.
    pub(super) fn gone(&self, caller: &Caller) -> Result<(Going, Returned), AuthError> {
        self.carried(GOING, caller)
    }

    /// Who waits.
    pub(super) fn waiting(&self, caller: &Caller) -> Result<(Waiting, Returned), AuthError> {
        self.carried(WAITING, caller)
    }

    fn carried<T: DeserializeOwned>(
        &self,
        context: &[u8],
        caller: &Caller,
    ) -> Result<(T, Returned), AuthError> {
        let carried = caller.sign_in.as_deref().unwrap_or_default();
        self.carrier.open(context, carried, caller.now).ok_or(AuthError::BadReturn)
    }
}
