//! Hashes passwords with argon2id: a bounded number at the same time, on threads where blocking is
//! allowed, and with a bounded queue. What does not fit is refused at once, so that a storm of
//! logins costs those logins and not everybody's reads.
//!
//! A [`Turn`] is taken before anything else is done for a login and held until it is answered. So
//! logins never hold more of the service's workers than there are turns, which are fewer than the
//! workers (`config`): somebody is always there for gateways, who ask for keys and revocations.

use std::sync::Arc;

use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use panel_kernel::blocking::{BlockingPool, Place};

use crate::error::AuthError;
use crate::rules;

/// argon2id with these parameters.
pub(crate) fn argon2id(memory_kib: u32, iterations: u32) -> Result<Argon2<'static>, String> {
    let params = Params::new(memory_kib, iterations, 1, None).map_err(|error| error.to_string())?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// The hash of `password`, as a PHC string. Takes long, as it should.
pub(crate) fn hash(argon2: &Argon2<'_>, password: &[u8]) -> Result<String, String> {
    argon2.hash_password(password).map(|hash| hash.to_string()).map_err(|error| error.to_string())
}

/// What a password turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Not the one.
    Wrong,
    /// The one.
    Right,
    /// The one, whose hash was made with other parameters: this is the hash to keep.
    RightAs(String),
}

fn verify(argon2: &Argon2<'_>, password: &[u8], text: &str) -> Result<Verdict, String> {
    let kept = argon2::PasswordHash::new(text).map_err(|error| error.to_string())?;
    if argon2.verify_password(password, &kept).is_err() {
        return Ok(Verdict::Wrong);
    }
    let parameters = Params::try_from(&kept).map_err(|error| error.to_string())?;
    let current = argon2.params();
    let same = (parameters.m_cost(), parameters.t_cost(), parameters.p_cost())
        == (current.m_cost(), current.t_cost(), current.p_cost());
    if same { Ok(Verdict::Right) } else { hash(argon2, password).map(Verdict::RightAs) }
}

/// Where passwords are hashed. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Passwords {
    pool: BlockingPool,
    argon2: Argon2<'static>,
    /// The hash of nobody's password, with the current parameters: verified where there is no
    /// account, so that it takes as long as where there is one.
    nobody: Arc<str>,
}

impl Passwords {
    pub(crate) fn new(pool: BlockingPool, argon2: Argon2<'static>, nobody: &str) -> Self {
        Self { pool, argon2, nobody: nobody.into() }
    }

    /// Gets in line, or is refused.
    pub(crate) fn turn(&self) -> Result<Turn, AuthError> {
        let place = self.pool.enter().map_err(|_| AuthError::HashingBusy)?;
        Ok(Turn { passwords: self.clone(), place })
    }
}

/// The right to have passwords hashed.
#[derive(Debug)]
pub(crate) struct Turn {
    passwords: Passwords,
    place: Place,
}

impl Turn {
    pub(crate) async fn hash(&self, password: String) -> Result<String, AuthError> {
        self.run(move |argon2| hash(argon2, password.as_bytes())).await
    }

    /// Whether `password` is the one behind `hash`; without a hash it takes as long and is not.
    pub(crate) async fn verify(
        &self,
        password: &str,
        hash: Option<String>,
    ) -> Result<Verdict, AuthError> {
        if !rules::is_plausible_password(password) {
            return Ok(Verdict::Wrong);
        }
        let known = hash.is_some();
        let password = rules::normal_password(password);
        let hash = hash.unwrap_or_else(|| self.passwords.nobody.to_string());
        let verdict = self.run(move |argon2| verify(argon2, password.as_bytes(), &hash)).await?;
        Ok(if known { verdict } else { Verdict::Wrong })
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Argon2<'static>) -> Result<T, String> + Send + 'static,
    ) -> Result<T, AuthError> {
        let argon2 = self.passwords.argon2.clone();
        let done = self.place.run(move || work(&argon2)).await;
        done.map_err(|_| AuthError::HashingBusy)?.map_err(AuthError::Crypto)
    }
}
