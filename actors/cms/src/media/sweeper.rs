//! Removes what was made and nobody has: what nobody has since an hour and nothing shows, and what came to nothing. On
//! every node, without a lease: what one does again that another has done changes nothing.
//!
//! Failure: things stay a little longer; a restarted sweeper goes on.

use std::time::Duration;

use futures::FutureExt as _;
use panel_kernel::blobs::{BlobError, Blobs};
use panel_kernel::data::{Chore, Database, DbError, Tx};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;

use super::{FILES, key, quietly};
use crate::store::media::{assets, sweeping};
use crate::tags;

/// Between two looks.
const LOOK: Duration = Duration::from_secs(30);
/// How long what nobody has stays, and what was begun: whoever sent it may come again for it.
const GRACE: Duration = Duration::from_secs(3_600);

/// Tidies up.
#[derive(Clone, Debug)]
pub(super) struct Sweeper {
    pub(super) db: Database,
    pub(super) blobs: Blobs,
}

impl Chore for Sweeper {
    const EVERY: Duration = LOOK;
    const WAITS: &'static str = "pictures that nobody has stay";

    async fn look(&self) -> Result<bool, DbError> {
        let now = self.db.clock().now();
        let before = now.minus(GRACE);
        for id in sweeping::forsaken(&mut self.db.reader().await?, before).await? {
            quietly(&self.db, move |tx| assets::leave(tx, id, now).boxed()).await?;
        }
        for id in sweeping::orphans(&mut self.db.reader().await?, before).await? {
            self.db.transact(move |tx| give_up(tx, id, now).boxed()).await?;
        }
        for id in sweeping::going(&mut self.db.reader().await?).await? {
            if let Err(error) = self.remove(id).await {
                // The others don't wait for this one.
                tracing::warn!(asset = %id, %error, "a picture's files stay for now");
                continue;
            }
            quietly(&self.db, move |tx| sweeping::forget(tx, id).boxed()).await?;
        }
        Ok(false)
    }
}

impl Sweeper {
    /// All files that there can be.
    async fn remove(&self, id: Id) -> Result<(), BlobError> {
        for number in 0..FILES {
            self.blobs.remove(&key(id, number)).await?;
        }
        Ok(())
    }
}

async fn give_up(tx: &mut Tx, id: Id, now: Timestamp) -> Result<(), DbError> {
    match sweeping::give_up(tx, id, now).await? {
        Some(sha256) => tx.removes([tags::picture(&sha256)]),
        None => tx.makes_nothing_old(),
    }
    Ok(())
}
