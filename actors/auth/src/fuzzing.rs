//! Doors for the fuzz targets, which see no more of this crate than others do. No other build has them.

use axum::body::Body;
use axum::extract::{FromRequest as _, Request};
use futures::FutureExt as _;
use http::header;
use panel_kernel::http::Payload;
use panel_kernel::ids::Id;
use panel_kernel::keys::ClusterKey;
use panel_kernel::message::User;
use panel_kernel::problem::Problem;
use panel_kernel::time::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::api::passkeys::{NewPasskey, PasskeyLogin};
use crate::error::AuthError;
use crate::passkeys::{self, Asked, CEREMONY, Checked};
use crate::rules::{self, totp};

/// What a code by time came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// It is good, and of this step.
    Good(i64),
    /// It is not the one, or not of this time.
    Wrong,
    /// It, or a later one, was used before.
    Used,
}

/// Checks a code by time, where one of `last_step` was used before.
#[must_use]
pub fn totp(secret: &[u8], code: &str, now: Timestamp, last_step: i64) -> Code {
    match totp::check(secret, code, now, last_step) {
        Ok(step) => Code::Good(step),
        Err(totp::BadCode::Wrong) => Code::Wrong,
        Err(totp::BadCode::Used) => Code::Used,
    }
}

/// A recovery code, as it is shown.
#[must_use]
pub fn recovery_code(random: [u8; 10]) -> String {
    totp::recovery_code(random)
}

/// Under which a recovery code is found, however it was typed.
#[must_use]
pub fn recovery_hash(user: Id, typed: &str) -> [u8; 32] {
    totp::recovery_hash(user, typed)
}

/// What a passkey's answer came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    /// It is good. The passkey as it is to be kept from now on, where that is another.
    Good(Option<String>),
    /// It is good but for its count.
    CountsBack,
}

/// A passkey as it is kept.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Whose it is.
    pub user: Id,
    /// How it is known.
    pub credential_id: Vec<u8>,
    /// All else.
    pub passkey: String,
}

/// Passkeys, without the database.
pub struct Passkeys(passkeys::Passkeys);

impl Passkeys {
    /// For the site at this URL.
    #[must_use]
    pub fn new(site: &str, key: &ClusterKey) -> Self {
        Self(passkeys::Passkeys::new(site, key))
    }

    /// What a browser is given for a new passkey, on a device that has none of `known`.
    ///
    /// # Errors
    /// If the site can't have any.
    pub fn ask_for_new(
        &self,
        user: &User,
        known: Vec<Vec<u8>>,
        now: Timestamp,
    ) -> Result<Value, Problem> {
        let until = now.plus(CEREMONY);
        let asked = self.0.ask_for_new(user, ("ada", "Ada"), known, (now, until));
        Ok(given(asked?))
    }

    /// What a browser is given to sign in.
    ///
    /// # Errors
    /// If the site can't have any.
    pub fn ask_for_any(&self, now: Timestamp) -> Result<Value, Problem> {
        Ok(given(self.0.ask_for_any(now)?))
    }

    /// Takes this body for a new passkey, as `passkeys/register/finish` does.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn register(&self, user: &User, body: &[u8], now: Timestamp) -> Result<Kept, Problem> {
        let request: NewPasskey = read(body)?;
        rules::passkey_name(request.name.as_deref())?;
        let answer = (request.ceremony.as_str(), &request.credential);
        let (registered, _) = self.0.new_one(user, answer, now)?;
        let (credential_id, passkey) = (registered.credential_id, registered.passkey);
        Ok(Kept { user: user.id, credential_id, passkey })
    }

    /// Takes this body for an answer of a passkey, as `passkeys/login/finish` does.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn sign_in(&self, kept: &Kept, body: &[u8], now: Timestamp) -> Result<Answered, Problem> {
        let request: PasskeyLogin = read(body)?;
        // It is looked up by that.
        if request.credential.get_credential_id() != kept.credential_id {
            return Err(AuthError::BadPasskey.into());
        }
        let answer = (request.ceremony.as_str(), &request.credential);
        let (checked, _) = self.0.check((kept.user, &kept.passkey), answer, now)?;
        Ok(match checked {
            Checked::Good(changed) => Answered::Good(changed),
            Checked::CountsBack => Answered::CountsBack,
        })
    }
}

fn given(asked: Asked) -> Value {
    json!({"ceremony": asked.ceremony, "publicKey": asked.public_key})
}

/// Reads a body as routes do.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let mut request = Request::new(Body::from(body.to_vec()));
    let json = http::HeaderValue::from_static("application/json");
    request.headers_mut().insert(header::CONTENT_TYPE, json);
    // All of it is there, so nothing is waited for.
    let read = Payload::from_request(request, &()).now_or_never();
    read.unwrap_or_else(|| Err(Problem::internal())).map(|Payload(read)| read)
}
