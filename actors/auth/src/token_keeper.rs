//! Holds the keys that sign access tokens. The first is made when there is none, the next when the
//! newest is old; all are read again every few seconds, so that a key another node made is known
//! here before it signs.
//!
//! Failure: the keys it last read stay in use; a first start without a database has none, and
//! logins answer 503 until it has. Where the database is there, they wait a moment for them.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jsonwebtoken::EncodingKey;
use panel_kernel::data::{Database, DbError, WriteContext};
use panel_kernel::identity::PublicKey;
use panel_kernel::keys::SealingKey;
use panel_kernel::time::Timestamp;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use ractor_cluster::RactorMessage;
use tokio::sync::Notify;

use crate::error::AuthError;
use crate::rotation::{self, Retired};
use crate::store::keys::{self, StoredKey};
use crate::tokens::SigningKey;

const LOOK: Duration = Duration::from_secs(5);
const LOOK_AT_START: Duration = Duration::from_millis(20);

/// How long somebody who signs in waits for the first keys: a node that has just started reads them within
/// milliseconds, once its database is there.
const PATIENCE: Duration = Duration::from_secs(2);

/// The keys as last read. Cheap to clone; all clones see the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys(Arc<Held>);

#[derive(Debug, Default)]
struct Held {
    ring: ArcSwap<Ring>,
    /// Rings whenever they were read.
    read: Notify,
}

#[derive(Debug, Default)]
struct Ring {
    /// Newest first, each with the moment since which it signs.
    signing: Vec<(Timestamp, Arc<SigningKey>)>,
    public: Vec<PublicKey>,
}

impl Keys {
    /// The key to sign with at `now`: the newest that signs by then.
    pub(crate) async fn current(&self, now: Timestamp) -> Result<Arc<SigningKey>, AuthError> {
        if !self.are_known() {
            tokio::time::timeout(PATIENCE, self.known()).await.ok();
        }
        let ring = self.0.ring.load();
        let signs = ring.signing.iter().find(|(from, _)| *from <= now);
        // A clock that is behind knows none that does; the oldest is the best known.
        let signs = signs.or(ring.signing.last());
        signs.map(|(_, key)| Arc::clone(key)).ok_or(AuthError::KeysNotReady)
    }

    /// The keys that verify.
    pub(crate) fn public(&self) -> Vec<PublicKey> {
        self.0.ring.load().public.clone()
    }

    fn are_known(&self) -> bool {
        !self.0.ring.load().signing.is_empty()
    }

    /// Until they are.
    async fn known(&self) {
        loop {
            let read = self.0.read.notified();
            if self.are_known() {
                return;
            }
            read.await;
        }
    }

    fn replace(&self, ring: Ring) {
        self.0.ring.store(Arc::new(ring));
        self.0.read.notify_waiters();
    }
}

/// What the keeper is told.
#[derive(Debug, RactorMessage)]
pub(crate) enum TokenKeeperMessage {
    /// Time to read the keys. A tick.
    Look,
}

/// Reads the keys, and makes new ones.
#[derive(Debug)]
pub(crate) struct TokenKeeper {
    pub(crate) db: Database,
    pub(crate) sealing: SealingKey,
    pub(crate) keys: Keys,
    /// After which a key is followed by another.
    pub(crate) life: Duration,
}

impl Actor for TokenKeeper {
    type Msg = TokenKeeperMessage;
    type State = ();
    type Arguments = ();

    async fn pre_start(
        &self,
        myself: ActorRef<TokenKeeperMessage>,
        (): (),
    ) -> Result<(), ActorProcessingErr> {
        myself.send_message(TokenKeeperMessage::Look)?;
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<TokenKeeperMessage>,
        TokenKeeperMessage::Look: TokenKeeperMessage,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        let next = match self.look().await {
            Ok(()) => LOOK,
            // Without a key nobody can sign in, so that it is wanted as soon as the database is
            // there: also where that comes up long after the node.
            Err(AuthError::Database(error)) if error.is_outage() => {
                if self.keys.are_known() {
                    LOOK
                } else {
                    LOOK_AT_START
                }
            }
            Err(error) => {
                tracing::error!(%error, "the signing keys can't be read");
                LOOK
            }
        };
        drop(myself.send_after(next, || TokenKeeperMessage::Look));
        Ok(())
    }
}

impl TokenKeeper {
    async fn look(&self) -> Result<(), AuthError> {
        let now = self.db.clock().now();
        let mut stored = self.read(now).await?;
        let made = match stored.iter().find(|key| key.current) {
            None => rotation::make_first(&self.db, &self.sealing).await.map(|()| true)?,
            Some(newest) if newest.created_at.until(now) >= self.life => {
                self.follow(newest, now).await?
            }
            Some(_) => false,
        };
        if made {
            stored = self.read(now).await?;
        }
        let mut ring = Ring::default();
        for key in stored {
            let kid = key.id.to_string();
            let private = self
                .sealing
                .open(key.public_key.as_bytes(), &key.sealed)
                .map_err(|error| AuthError::Crypto(error.to_string()))?;
            let signing = SigningKey { kid: kid.clone(), key: EncodingKey::from_ed_der(&private) };
            ring.signing.push((key.signs_from, Arc::new(signing)));
            ring.public.push(PublicKey { kid, x: key.public_key });
        }
        self.keys.replace(ring);
        Ok(())
    }

    async fn read(&self, now: Timestamp) -> Result<Vec<StoredKey>, DbError> {
        keys::usable(&mut self.db.reader().await?, now).await
    }

    /// Makes the key after `newest`, unless another node has.
    async fn follow(&self, newest: &StoredKey, now: Timestamp) -> Result<bool, AuthError> {
        let context = WriteContext::internal("auth", now);
        let rotated =
            rotation::rotate(&self.db, &self.sealing, newest.id, Retired::Verifying, context);
        if let Some(rotation) = rotated.await? {
            tracing::info!(key = rotation.kid, "a new key signs access tokens from now on");
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_comes_before_the_first_keys_waits_for_them() {
        let keys = Keys::default();
        let now = Timestamp::from_micros(1);
        let reader = keys.clone();
        let read = async move {
            tokio::task::yield_now().await;
            assert!(!reader.are_known());
            let key = SigningKey { kid: "k".to_owned(), key: EncodingKey::from_ed_der(&[]) };
            let signing = vec![(now, Arc::new(key))];
            reader.replace(Ring { signing, public: Vec::new() });
        };
        let (key, ()) = tokio::join!(keys.current(now), read);
        assert_eq!(key.unwrap().kid, "k");
    }
}
