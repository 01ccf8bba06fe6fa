//! Removes what was made and nobody has: what nobody has since an hour and nothing shows, and what came to nothing. On
//! every node, without a lease: what one does again that another has done changes nothing.
//!
//! Failure: things stay a little longer; a restarted sweeper goes on.

use std::time::Duration;

use futures::FutureExt as _;
use panel_kernel::blobs::{BlobError, Blobs};
use panel_kernel::data::{Database, DbError, Tx};
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;
use ractor::{Actor, ActorProcessingErr, ActorRef, Message};

use super::{FILES, key, quietly};
use crate::store::media::{assets, sweeping};
use crate::tags;

/// Between two looks.
const LOOK: Duration = Duration::from_secs(30);
/// While the database is down, as it is when a node starts.
const PAUSE: Duration = Duration::from_secs(1);
/// How long what nobody has stays, and what was begun: whoever sent it may come again for it.
const GRACE: Duration = Duration::from_secs(3_600);

/// What the sweeper is told.
#[derive(Debug)]
pub(crate) enum SweeperMessage {
    /// Time to look. A tick.
    Look,
}

impl Message for SweeperMessage {}

/// Tidies up.
#[derive(Debug)]
pub(super) struct Sweeper {
    pub(super) db: Database,
    pub(super) blobs: Blobs,
}

impl Actor for Sweeper {
    type Msg = SweeperMessage;
    type State = ();
    type Arguments = ();

    async fn pre_start(
        &self,
        myself: ActorRef<SweeperMessage>,
        (): (),
    ) -> Result<(), ActorProcessingErr> {
        Ok(myself.send_message(SweeperMessage::Look)?)
    }

    async fn handle(
        &self,
        myself: ActorRef<SweeperMessage>,
        SweeperMessage::Look: SweeperMessage,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        let pause = match self.look().await {
            Ok(()) => LOOK,
            Err(error) if error.is_outage() => PAUSE,
            Err(error) => {
                tracing::warn!(%error, "pictures that nobody has stay");
                LOOK
            }
        };
        drop(myself.send_after(pause, || SweeperMessage::Look));
        Ok(())
    }
}

impl Sweeper {
    async fn look(&self) -> Result<(), DbError> {
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
        Ok(())
    }

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
