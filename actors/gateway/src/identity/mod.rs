//! Verifies access tokens, by the keys and revocations the identity service reports.
//!
//! The follower asks twice a second; what it learns lies in a table that the edge reads without
//! a lock. While the identity service is gone, people who are signed in go on working: tokens
//! are verified with the keys known, and refused when they expire.

mod config;
mod credentials;
mod follower;
mod token_check;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use panel_kernel::identity::{ACCESS_TOKEN_LIFE, AUDIENCE, AccessClaims, IdentityReport};
use panel_kernel::ids::Id;
use panel_kernel::keys::sha256;
use panel_kernel::message::{Principal, User};
use panel_kernel::problem::{Kind, Problem};
use panel_kernel::time::Timestamp;

pub use config::AuthenticationConfig;
pub(crate) use credentials::Credentials;
pub(crate) use follower::Follower;
pub use token_check::TokenCheck;

/// Without news for this long, revocations are not up to date.
const STALE: Duration = Duration::from_secs(3);
/// How much clocks may differ, and a request take. So much later than its stamp a revocation may be there
/// to be seen, and so much longer may it matter.
const LATE: Duration = Duration::from_secs(90);
/// Longer tokens are none of ours.
const MAX_TOKEN_BYTES: usize = 2 * 1024;

/// What is known.
#[derive(Clone, Default)]
struct Known {
    keys: Arc<HashMap<String, DecodingKey>>,
    reported: Vec<panel_kernel::identity::PublicKey>,
    revoked: Arc<HashMap<Id, Timestamp>>,
    at: Option<Timestamp>,
}

/// A token that was good when it was looked at, and the key that said so.
struct Verified {
    kid: String,
    claims: AccessClaims,
}

/// Verifies tokens. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Identity {
    service: &'static str,
    known: Arc<ArcSwap<Known>>,
    verified: moka::sync::Cache<[u8; 32], Arc<Verified>>,
    validation: Arc<Validation>,
}

impl Identity {
    pub(crate) fn new(service: &'static str, issuer: &str, cache: u64) -> Self {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[issuer]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // Checked against our own clock below.
        validation.validate_exp = false;
        Self {
            service,
            known: Arc::default(),
            verified: moka::sync::Cache::builder()
                .max_capacity(cache)
                .time_to_live(ACCESS_TOKEN_LIFE)
                .build(),
            validation: Arc::new(validation),
        }
    }

    /// Whether revocations are up to date.
    pub(crate) fn is_current(&self, now: Timestamp) -> bool {
        is_recent(&self.known.load(), now)
    }

    /// The principal a token stands for.
    ///
    /// # Errors
    /// 401 for a token that is not good; 503 for one of an unknown key while there is no news.
    pub(crate) fn verify(&self, token: &str, now: Timestamp) -> Result<Principal, Problem> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(refused());
        }
        let known = self.known.load();
        let name = sha256(&[token.as_bytes()]);
        // What was signed with a key that is gone is not good any more.
        let still = |verified: &Arc<Verified>| known.keys.contains_key(&verified.kid);
        let verified = match self.verified.get(&name).filter(still) {
            Some(verified) => verified,
            None => {
                let verified = Arc::new(self.check(&known, token, now)?);
                self.verified.insert(name, Arc::clone(&verified));
                verified
            }
        };
        let claims = &verified.claims;
        let seconds = now.as_seconds();
        if claims.exp <= seconds || claims.iat > seconds + 60 {
            return Err(refused());
        }
        if known.revoked.contains_key(&claims.sid) {
            return Err(refused());
        }
        Ok(Principal::User(User {
            id: claims.sub,
            session: claims.sid,
            name: claims.name.clone(),
            role: claims.role,
            scopes: None,
        }))
    }

    /// Whether a session has ended before its tokens did.
    pub(crate) fn is_revoked(&self, session: Id) -> bool {
        self.known.load().revoked.contains_key(&session)
    }

    fn check(&self, known: &Known, token: &str, now: Timestamp) -> Result<Verified, Problem> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| refused())?;
        let kid = header.kid.ok_or_else(refused)?;
        let Some(key) = known.keys.get(&kid) else {
            // It may be signed with a key that is newer than the last news.
            let detail = "tokens can't be checked until the keys are known";
            let unheard = || Problem::unavailable(self.service, detail);
            return Err(if is_recent(known, now) { refused() } else { unheard() });
        };
        let data = jsonwebtoken::decode::<AccessClaims>(token, key, &self.validation);
        data.map(|data| Verified { kid, claims: data.claims }).map_err(|_| refused())
    }

    /// Takes in what was known at `now`; with `complete`, there is no more.
    pub(crate) fn learn(&self, report: IdentityReport, now: Timestamp, complete: bool) {
        let before = self.known.load();
        let keys = if before.reported == report.keys {
            Arc::clone(&before.keys)
        } else {
            let keys = report.keys.iter().filter_map(|key| {
                let decoding = DecodingKey::from_ed_components(&key.x).ok()?;
                Some((key.kid.clone(), decoding))
            });
            Arc::new(keys.collect())
        };
        // A key may have been changed before.
        let news =
            report.revoked.iter().any(|one| before.revoked.get(&one.session) != Some(&one.until));
        // What was handed out by a clock that is ahead is good for that much longer.
        let forgotten = now.minus(LATE);
        let old = before.revoked.values().any(|until| *until < forgotten);
        let revoked = if news || old {
            let mut revoked: HashMap<Id, Timestamp> = before.revoked.as_ref().clone();
            revoked.retain(|_, until| *until >= forgotten);
            revoked.extend(report.revoked.into_iter().map(|one| (one.session, one.until)));
            Arc::new(revoked)
        } else {
            Arc::clone(&before.revoked)
        };
        let at = if complete { Some(now) } else { before.at };
        self.known.store(Arc::new(Known { keys, reported: report.keys, revoked, at }));
    }
}

fn is_recent(known: &Known, now: Timestamp) -> bool {
    known.at.is_some_and(|at| at.until(now) <= STALE)
}

fn refused() -> Problem {
    Problem::new(Kind::Unauthorized, "the access token is not valid; refresh it or sign in again")
}

#[cfg(test)]
mod tests;
