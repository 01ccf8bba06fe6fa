//! Making the keys that sign access tokens, and changing them. A new key is shown to everybody who
//! verifies before it signs, and the one before verifies until the last token it signed has ended:
//! nobody notices a change.

use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use panel_kernel::data::{Audit, Database, DbError, WriteContext};
use panel_kernel::ids::Id;
use panel_kernel::keys::{ClusterKey, SealingKey};
use panel_kernel::problem::{Kind, Problem};
use panel_kernel::time::Timestamp;
use serde_json::json;

use crate::error::AuthError;
use crate::store::keys::{self, StoredKey};

/// How long a new key is shown before it signs: longer than nodes take to read it again, and
/// gateways to hear of it.
const SHOWN_BEFORE: Duration = Duration::from_secs(15);

/// What became of the keys that were there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retired {
    /// They verify what they have signed, until that ends.
    Verifying,
    /// They are worth nothing from now on: somebody may have seen them.
    Revoked,
}

/// A key has taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// The new key's id, as in the header of tokens.
    pub kid: String,
    /// Since when it signs.
    pub signs_from: Timestamp,
}

/// The key that seals the private parts.
pub(crate) fn sealing_key(cluster: &ClusterKey) -> SealingKey {
    cluster.derive("auth signing keys")
}

/// Makes a new signing key beside the ones there are, without a request: for the command line, on a
/// database that nodes may be running on.
///
/// # Errors
/// A [`Problem`] that says what is in the way.
pub async fn rotate_signing_key(
    db: &Database,
    cluster: &ClusterKey,
    retired: Retired,
) -> Result<Rotation, Problem> {
    let sealing = sealing_key(cluster);
    let now = db.clock().now();
    let kept = keys::usable(&mut db.reader().await?, now).await?;
    let Some(newest) = kept.iter().find(|key| key.current) else {
        make_first(db, &sealing).await?;
        let made = keys::usable(&mut db.reader().await?, now).await?;
        let first = made.first().ok_or_else(Problem::internal)?;
        return Ok(Rotation { kid: first.id.to_string(), signs_from: first.signs_from });
    };
    if sealing.open(newest.public_key.as_bytes(), &newest.sealed).is_err() {
        let detail = "the cluster key here is not the one that the keys there are sealed with; \
                      name the data directory or the tls_dir of a node";
        return Err(Problem::new(Kind::Conflict, detail));
    }
    let context = WriteContext::internal("command line", now);
    let rotated = rotate(db, &sealing, newest.id, retired, context).await?;
    rotated.ok_or_else(|| Problem::new(Kind::Conflict, "somebody else changed the key meanwhile"))
}

/// Makes the first key. If another node was faster, its key is the one.
pub(crate) async fn make_first(db: &Database, sealing: &SealingKey) -> Result<(), AuthError> {
    let now = db.clock().now();
    let key = new_key(db, sealing, now, now).await?;
    let made: Result<(), DbError> =
        db.transact(move |tx| Box::pin(async move { keys::insert(tx, &key).await })).await;
    match made {
        Ok(()) | Err(DbError::Unique) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Makes the key that follows `newest`; `None` if another has followed already.
pub(crate) async fn rotate(
    db: &Database,
    sealing: &SealingKey,
    newest: Id,
    retired: Retired,
    context: WriteContext,
) -> Result<Option<Rotation>, AuthError> {
    let now = context.now;
    let signs_from = match retired {
        Retired::Verifying => now.plus(SHOWN_BEFORE),
        Retired::Revoked => now,
    };
    let key = new_key(db, sealing, now, signs_from).await?;
    let rotation = Rotation { kid: key.id.to_string(), signs_from };
    let done: Result<bool, DbError> = db
        .transact(move |tx| {
            Box::pin(async move {
                if !keys::retire(tx, newest, signs_from).await? {
                    return Ok(false);
                }
                if retired == Retired::Revoked {
                    keys::revoke_retired(tx, now).await?;
                }
                keys::insert(tx, &key).await?;
                tx.audit(&Audit {
                    action: "key.rotate",
                    target: format!("key:{}", key.id),
                    before: Some(json!({"key": newest})),
                    after: Some(json!({"signs_from": signs_from,
                                       "revoked": retired == Retired::Revoked})),
                    context: &context,
                });
                Ok(true)
            })
        })
        .await;
    Ok(done?.then_some(rotation))
}

async fn new_key(
    db: &Database,
    sealing: &SealingKey,
    now: Timestamp,
    signs_from: Timestamp,
) -> Result<StoredKey, AuthError> {
    let crypto = |what: &str| AuthError::Crypto(what.to_owned());
    let pair = Ed25519KeyPair::generate().map_err(|_| crypto("no new key"))?;
    let private = pair.to_pkcs8v1().map_err(|_| crypto("the key can't be written"))?;
    let public_key = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
    let sealed = sealing
        .seal(public_key.as_bytes(), private.as_ref())
        .map_err(|error| AuthError::Crypto(error.to_string()))?;
    let id = db.next_id().await?;
    Ok(StoredKey { id, public_key, sealed, current: true, created_at: now, signs_from })
}
