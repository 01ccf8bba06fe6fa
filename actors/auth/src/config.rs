//! The `[auth]` section.

use std::collections::BTreeMap;

use panel_kernel::blocking::half_of_the_processors;
use panel_kernel::config::{BadValue, PoolConfig, Section, Span};
use panel_kernel::identity::ACCESS_TOKEN_LIFE;
use serde::{Deserialize, Serialize};

use crate::federation::ProviderConfig;
use crate::mail::MailConfig;
use crate::rules::throttle::Backoff;

/// How accounts and sessions behave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuthConfig {
    /// How much the service takes at a time.
    pub pool: PoolConfig,
    /// Who may register.
    pub registration: Registration,
    /// Whether an address must be proven before anybody signs in to a new account.
    pub verify_email: bool,
    /// Whether browsers may have cookies where the site is served without TLS, and not on this
    /// machine alone.
    pub insecure_cookies: bool,
    /// How mail leaves.
    pub mail: MailConfig,
    /// Where else people have an account with which they may sign in here, by name.
    pub providers: BTreeMap<String, ProviderConfig>,
    /// A service that knows passwords of breaches, in the manner of Have I Been Pwned; empty: none is
    /// asked.
    pub breach_url: String,
    /// How long a session lasts without use.
    pub session_life: Span,
    /// How long what there is of somebody can be fetched once it was put together for them.
    pub export_life: Span,
    /// After which a new key signs access tokens.
    pub signing_key_life: Span,
    /// Wrong passwords for one name that cost nothing; after that, waiting.
    pub login_attempts: u32,
    /// The same for one address, whatever the names.
    pub login_attempts_per_address: u32,
    /// The longest that a wrong password makes anybody wait.
    pub login_backoff: Span,
    /// Passwords hashed at the same time; 0: half of the processors.
    pub hashing_threads: usize,
    /// Logins and registrations that wait until others' passwords are hashed; more are refused
    /// (503).
    pub hashing_queue: usize,
    /// argon2id memory, in KiB (RFC 9106, OWASP: 19456).
    pub argon2_memory_kib: u32,
    /// argon2id iterations (OWASP: 2 at 19 MiB).
    pub argon2_iterations: u32,
}

/// Who may register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Registration {
    /// Everybody.
    Open,
    /// Who is invited by somebody who moderates.
    Invitation,
    /// Nobody; accounts are made by administrators.
    Closed,
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            pool: PoolConfig::default(),
            registration: Registration::Open,
            verify_email: false,
            insecure_cookies: false,
            mail: MailConfig::default(),
            providers: BTreeMap::new(),
            breach_url: String::new(),
            session_life: Span::seconds(30 * 24 * 3_600),
            export_life: Span::seconds(7 * 24 * 3_600),
            signing_key_life: Span::seconds(90 * 24 * 3_600),
            login_attempts: 5,
            login_attempts_per_address: 50,
            login_backoff: Span::seconds(15 * 60),
            hashing_threads: 0,
            hashing_queue: 12,
            argon2_memory_kib: 19_456,
            argon2_iterations: 2,
        }
    }
}

impl AuthConfig {
    /// Reads and checks the section.
    ///
    /// # Errors
    /// [`BadValue`] names the key and the reason.
    pub fn parse(section: &Section) -> Result<Self, BadValue> {
        let config: Self = section.parse()?;
        config.pool.check("auth.pool")?;
        let bad = |key: &str, reason: &str| {
            Err(BadValue { key: format!("auth.{key}"), reason: reason.to_owned() })
        };
        if config.session_life.0.as_secs() < 60 {
            return bad("session_life", "must be at least 1m");
        }
        if !(3_600..=90 * 24 * 3_600).contains(&config.export_life.0.as_secs()) {
            return bad("export_life", "must be between 1h and 90d");
        }
        if config.signing_key_life.0 < ACCESS_TOKEN_LIFE * 6 {
            return bad("signing_key_life", "must be at least 1h");
        }
        if config.login_attempts == 0 {
            return bad("login_attempts", "must be at least 1");
        }
        if config.login_attempts_per_address == 0 {
            return bad("login_attempts_per_address", "must be at least 1");
        }
        if !(1..=24 * 3_600).contains(&config.login_backoff.0.as_secs()) {
            return bad("login_backoff", "must be between 1s and 1d");
        }
        if config.hashing_threads > 256 {
            return bad("hashing_threads", "must be at most 256");
        }
        if config.hashing_threads() + config.hashing_queue >= config.pool.workers {
            let reason = "with hashing_threads it must stay below pool.workers, or a storm of \
                          logins would hold every worker";
            return bad("hashing_queue", reason);
        }
        if !(8..=4 * 1024 * 1024).contains(&config.argon2_memory_kib) {
            return bad("argon2_memory_kib", "must be between 8 and 4194304");
        }
        if !(1..=100).contains(&config.argon2_iterations) {
            return bad("argon2_iterations", "must be between 1 and 100");
        }
        Ok(config)
    }

    /// How long wrong passwords for one name make people wait.
    pub(crate) fn login_backoff(&self) -> Backoff {
        Backoff { free: self.login_attempts, longest: self.login_backoff.0 }
    }

    /// How many passwords are hashed at the same time.
    #[must_use]
    pub fn hashing_threads(&self) -> usize {
        match self.hashing_threads {
            0 => half_of_the_processors(),
            threads => threads,
        }
    }
}
