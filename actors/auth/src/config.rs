//! The `[auth]` section.

use panel_kernel::blocking::half_of_the_processors;
use panel_kernel::config::{BadValue, PoolConfig, Section, Span};
use serde::{Deserialize, Serialize};

/// How accounts and sessions behave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuthConfig {
    /// How much the service takes at a time.
    pub pool: PoolConfig,
    /// Who may register.
    pub registration: Registration,
    /// How long a session lasts without use.
    pub session_life: Span,
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
    /// Nobody; accounts are made by administrators.
    Closed,
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            pool: PoolConfig::default(),
            registration: Registration::Open,
            session_life: Span::seconds(30 * 24 * 3_600),
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

    /// How many passwords are hashed at the same time.
    #[must_use]
    pub fn hashing_threads(&self) -> usize {
        match self.hashing_threads {
            0 => half_of_the_processors(),
            threads => threads,
        }
    }
}
