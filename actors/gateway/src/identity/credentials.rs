//! What stands behind API keys and cookies: asked of the identity service once, and then known until it
//! must be asked again, or until something about it has changed. While the identity service is gone,
//! those who are known go on.

use std::sync::Arc;
use std::time::Duration;

use panel_kernel::identity::{ACCESS_TOKEN_LIFE, Credential, CredentialKind, CredentialQuery};
use panel_kernel::message::{Principal, User};
use panel_kernel::problem::{Kind, Problem};
use panel_kernel::time::{Clock, Timestamp};
use tokio::sync::Semaphore;

use super::Identity;
use crate::dispatch::Dispatcher;

/// Questions at one time: more wait for their turn, so that whoever tries many keys keeps no more of the
/// identity service from others.
const ASKING: usize = 16;

/// How long a request waits for that, its turn included.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is known of credentials. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Credentials {
    identity: Identity,
    dispatcher: Dispatcher,
    clock: Clock,
    held: moka::future::Cache<[u8; 32], Arc<Held>>,
    asking: Arc<Semaphore>,
}

/// A credential as it was when it was asked about.
struct Held {
    credential: Credential,
    /// The change that was known of by then, if any: a later one makes this old.
    seen: Option<Timestamp>,
}

impl Credentials {
    pub(crate) fn new(identity: Identity, dispatcher: Dispatcher, clock: Clock, most: u64) -> Self {
        let held = moka::future::Cache::builder()
            .max_capacity(most)
            .time_to_live(ACCESS_TOKEN_LIFE)
            .build();
        Self { identity, dispatcher, clock, held, asking: Arc::new(Semaphore::new(ASKING)) }
    }

    /// Who asks with this credential, if that is known without asking.
    pub(crate) async fn known(&self, kind: CredentialKind, text: &str) -> Option<Principal> {
        let name = kind.hash(text);
        let held = self.held.get(&name).await?;
        if self.is_good(&held) {
            return Some(principal(&held));
        }
        self.held.invalidate(&name).await;
        None
    }

    /// Who asks with this credential; `None` if nothing stands behind it.
    ///
    /// # Errors
    /// 503 if that can't be told now.
    pub(crate) async fn ask(
        &self,
        kind: CredentialKind,
        text: &str,
    ) -> Result<Option<Principal>, Problem> {
        if !kind.is_plausible(text) {
            return Ok(None);
        }
        let name = kind.hash(text);
        // What changes while it is asked about is asked about again, once.
        for _ in 0..2 {
            match self.held.try_get_with(name, self.look_up(kind, name)).await {
                Ok(held) if self.is_good(&held) => return Ok(Some(principal(&held))),
                Ok(_) => self.held.invalidate(&name).await,
                Err(problem) if problem.kind == Kind::NotFound => return Ok(None),
                Err(problem) => return Err(problem.as_ref().clone()),
            }
        }
        Err(self.unknown())
    }

    fn unknown(&self) -> Problem {
        let detail = "credentials can't be checked at present";
        Problem::unavailable(self.identity.service, detail)
    }

    /// Asks, once it is its turn: all that within [`PATIENCE`].
    async fn look_up(&self, kind: CredentialKind, name: [u8; 32]) -> Result<Arc<Held>, Problem> {
        let asking = async {
            let _turn = self.asking.acquire().await.map_err(|_| self.unknown())?;
            let before = self.identity.known.load_full();
            let path = CredentialQuery::about(kind, name).path();
            let asked = self.dispatcher.ask_for_clients(self.identity.service, &path).await;
            asked.map(|credential: Credential| {
                let seen = before.revoked.get(&credential.session).copied();
                Arc::new(Held { credential, seen })
            })
        };
        match tokio::time::timeout(PATIENCE, asking).await {
            Ok(Ok(held)) => Ok(held),
            Ok(Err(problem)) if problem.kind == Kind::NotFound => Err(problem),
            Ok(Err(problem)) => {
                tracing::debug!(why = problem.detail, "a credential can't be checked");
                Err(self.unknown())
            }
            Err(_) => Err(self.unknown()),
        }
    }

    fn is_good(&self, held: &Held) -> bool {
        let changed = self.identity.known.load().revoked.get(&held.credential.session).copied();
        self.clock.now() < held.credential.until && changed == held.seen
    }
}

fn principal(held: &Held) -> Principal {
    let Credential { user: id, session, name, role, scopes, .. } = held.credential.clone();
    Principal::User(User { id, session, name, role, scopes })
}
