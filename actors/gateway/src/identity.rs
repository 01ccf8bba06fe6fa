//! Verifies access tokens, by the keys and revocations the identity service reports.
//!
//! The follower asks twice a second; what it learns lies in a table that the edge reads without
//! a lock. While the identity service is gone, people who are signed in go on working: tokens
//! are verified with the keys known, and refused when they expire.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::{HeaderMap, Method};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use panel_kernel::identity::{ACCESS_TOKEN_LIFE, AUDIENCE, AccessClaims, IdentityReport, PATH};
use panel_kernel::ids::{Id, random_hex};
use panel_kernel::keys::sha256;
use panel_kernel::message::{Body, Envelope, Extensions, Payload, Principal, TraceContext, User};
use panel_kernel::problem::{Kind, Problem};
use panel_kernel::time::{Clock, Timestamp};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use ractor_cluster::RactorMessage;

use crate::dispatch::{Affinity, Dispatcher};

/// Two looks fit into the second within which a revocation must be known everywhere.
const LOOK: Duration = Duration::from_millis(400);
/// How far clocks may differ, and a request may take, without a revocation being missed.
const SKEW: Duration = Duration::from_secs(60);
/// Without news for this long, revocations are not up to date.
const STALE: Duration = Duration::from_secs(3);
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

/// Verifies tokens. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Identity {
    service: &'static str,
    known: Arc<ArcSwap<Known>>,
    verified: moka::sync::Cache<[u8; 32], Arc<AccessClaims>>,
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
        self.known.load().at.is_some_and(|at| at.until(now) <= STALE)
    }

    /// The principal a token stands for.
    ///
    /// # Errors
    /// 401 for a token that is not good; 503 while no key has ever been learnt.
    pub(crate) fn verify(&self, token: &str, now: Timestamp) -> Result<Principal, Problem> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(refused());
        }
        let known = self.known.load();
        let name = sha256(&[token.as_bytes()]);
        let claims = match self.verified.get(&name) {
            Some(claims) => claims,
            None => {
                let claims = Arc::new(self.check(&known, token)?);
                self.verified.insert(name, Arc::clone(&claims));
                claims
            }
        };
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

    fn check(&self, known: &Known, token: &str) -> Result<AccessClaims, Problem> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| refused())?;
        let kid = header.kid.ok_or_else(refused)?;
        if known.at.is_none() {
            let detail = "tokens can't be checked until the keys are known";
            return Err(Problem::unavailable(self.service, detail));
        }
        let key = known.keys.get(&kid).ok_or_else(refused)?;
        jsonwebtoken::decode::<AccessClaims>(token, key, &self.validation)
            .map(|data| data.claims)
            .map_err(|_| refused())
    }

    fn learn(&self, report: IdentityReport, now: Timestamp) {
        let before = self.known.load();
        let keys = if before.reported == report.keys {
            Arc::clone(&before.keys)
        } else {
            // Whatever was signed with a key that is gone must be checked again.
            self.verified.invalidate_all();
            let keys = report.keys.iter().filter_map(|key| {
                let decoding = DecodingKey::from_ed_components(&key.x).ok()?;
                Some((key.kid.clone(), decoding))
            });
            Arc::new(keys.collect())
        };
        let news = report.revoked.iter().any(|one| !before.revoked.contains_key(&one.session));
        let old = before.revoked.values().any(|until| *until < now);
        let revoked = if news || old {
            let mut revoked: HashMap<Id, Timestamp> = before.revoked.as_ref().clone();
            revoked.retain(|_, until| *until >= now);
            revoked.extend(report.revoked.into_iter().map(|one| (one.session, one.until)));
            Arc::new(revoked)
        } else {
            Arc::clone(&before.revoked)
        };
        self.known.store(Arc::new(Known { keys, reported: report.keys, revoked, at: Some(now) }));
    }
}

fn refused() -> Problem {
    Problem::new(Kind::Unauthorized, "the access token is not valid; refresh it or sign in again")
}

/// What the follower is told.
#[derive(Debug, RactorMessage)]
pub(crate) enum FollowerMessage {
    /// Time to ask. A tick.
    Look,
}

/// Follows the identity service.
pub(crate) struct Follower {
    pub(crate) identity: Identity,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) clock: Clock,
}

impl Actor for Follower {
    type Msg = FollowerMessage;
    type State = ();
    type Arguments = ();

    async fn pre_start(
        &self,
        myself: ActorRef<FollowerMessage>,
        (): (),
    ) -> Result<(), ActorProcessingErr> {
        myself.send_message(FollowerMessage::Look)?;
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<FollowerMessage>,
        FollowerMessage::Look: FollowerMessage,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        let known_before = self.identity.known.load().at.is_some();
        match self.ask().await {
            Ok(report) => self.identity.learn(report, self.clock.now()),
            Err(why) => tracing::debug!(why, "identity report failed"),
        }
        let known = self.identity.known.load().at.is_some();
        // At the start, keys are wanted as soon as the service is there.
        let next = if known || known_before { LOOK } else { Duration::from_millis(20) };
        drop(myself.send_after(next, || FollowerMessage::Look));
        Ok(())
    }
}

impl Follower {
    async fn ask(&self) -> Result<IdentityReport, String> {
        let now = self.clock.now();
        // Always as far back as any token that is still good: a revocation that was committed
        // late, or stamped by a clock that is behind ours, is in one of the next reports.
        let since = now.minus(ACCESS_TOKEN_LIFE).minus(SKEW).as_micros();
        let envelope = Envelope {
            method: Method::GET,
            uri: format!("{PATH}?since={since}").parse().map_err(|_| "no such path")?,
            headers: HeaderMap::new(),
            body: Payload::EMPTY,
            principal: Principal::Service("gateway".to_owned()),
            deadline: now.plus(Duration::from_secs(2)),
            idempotency_key: None,
            trace: TraceContext::begin(),
            request_id: random_hex(),
            extensions: Extensions::default(),
        };
        let answered = self
            .dispatcher
            .call(self.identity.service, envelope, Affinity::NONE)
            .await
            .map_err(|problem| problem.detail)?;
        match answered.reply.body {
            Body::Inline(json) if answered.reply.status.is_success() => {
                serde_json::from_slice(&json).map_err(|error| error.to_string())
            }
            _ => Err(format!("answered {}", answered.reply.status)),
        }
    }
}
