//! Holds the keys that sign access tokens. The current one is made when there is none; all are
//! read again every few seconds, so that a key another node made is known here soon.
//!
//! Failure: the keys it last read stay in use; a first start without a database has none, and
//! logins answer 503 until it has.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::EncodingKey;
use panel_kernel::data::{Database, DbError};
use panel_kernel::identity::PublicKey;
use panel_kernel::keys::{ClusterKey, SealingKey};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use ractor_cluster::RactorMessage;

use crate::error::AuthError;
use crate::store::keys::{self, StoredKey};
use crate::tokens::SigningKey;

const LOOK: Duration = Duration::from_secs(5);
const LOOK_AT_START: Duration = Duration::from_millis(20);

/// The keys as last read. Cheap to clone; all clones see the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys(Arc<ArcSwap<Ring>>);

#[derive(Debug, Default)]
struct Ring {
    current: Option<Arc<SigningKey>>,
    public: Vec<PublicKey>,
}

impl Keys {
    /// The key to sign with.
    pub(crate) fn current(&self) -> Result<Arc<SigningKey>, AuthError> {
        self.0.load().current.clone().ok_or(AuthError::KeysNotReady)
    }

    /// The keys that verify.
    pub(crate) fn public(&self) -> Vec<PublicKey> {
        self.0.load().public.clone()
    }
}

/// What the keeper is told.
#[derive(Debug, RactorMessage)]
pub(crate) enum TokenKeeperMessage {
    /// Time to read the keys. A tick.
    Look,
}

/// Reads the keys, and makes the first.
#[derive(Debug)]
pub(crate) struct TokenKeeper {
    pub(crate) db: Database,
    pub(crate) sealing: SealingKey,
    pub(crate) keys: Keys,
}

impl TokenKeeper {
    pub(crate) fn sealing_key(cluster: &ClusterKey) -> SealingKey {
        cluster.derive("auth signing keys")
    }
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
                if self.keys.current().is_err() { LOOK_AT_START } else { LOOK }
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
        let mut stored = self.read().await?;
        if !stored.iter().any(|key| key.current) {
            self.make().await?;
            stored = self.read().await?;
        }
        let mut ring = Ring::default();
        for key in stored {
            let kid = key.id.to_string();
            if key.current {
                let private = self
                    .sealing
                    .open(key.public_key.as_bytes(), &key.sealed)
                    .map_err(|error| AuthError::Crypto(error.to_string()))?;
                let key = EncodingKey::from_ed_der(&private);
                ring.current = Some(Arc::new(SigningKey { kid: kid.clone(), key }));
            }
            ring.public.push(PublicKey { kid, x: key.public_key });
        }
        self.keys.0.store(Arc::new(ring));
        Ok(())
    }

    async fn read(&self) -> Result<Vec<StoredKey>, DbError> {
        let now = self.db.clock().now();
        keys::usable(&mut self.db.reader().await?, now).await
    }

    /// Makes the first key. If another node was faster, its key is the one.
    async fn make(&self) -> Result<(), AuthError> {
        let crypto = |what: &str| AuthError::Crypto(what.to_owned());
        let pair = Ed25519KeyPair::generate().map_err(|_| crypto("no new key"))?;
        let private = pair.to_pkcs8v1().map_err(|_| crypto("the key can't be written"))?;
        let public_key = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
        let sealed = self
            .sealing
            .seal(public_key.as_bytes(), private.as_ref())
            .map_err(|error| AuthError::Crypto(error.to_string()))?;
        let key = StoredKey { id: self.db.next_id().await?, public_key, sealed, current: true };
        let now = self.db.clock().now();
        let made: Result<(), DbError> = self
            .db
            .transact(move |tx| Box::pin(async move { keys::insert(tx, key, now).await }))
            .await;
        match made {
            Ok(()) | Err(DbError::Unique) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
