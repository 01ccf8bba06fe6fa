//! What is done again and again, as a supervised child: an actor that looks whether there is something to do, does it,
//! and looks again after a while.
//!
//! It owns nothing: what there is to do is in the database, and whoever ends in the middle of it is followed by
//! another who looks.

use std::future::Future;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef, Message};

use super::DbError;
use crate::supervision::ChildSpec;

/// After a look that failed, and while the database is down: as it is when a node starts.
const PAUSE: Duration = Duration::from_secs(1);

/// Something to be done again and again.
pub trait Chore: Clone + Send + Sync + 'static {
    /// Between two looks.
    const EVERY: Duration;
    /// What the log says where a look fails: what waits because of it.
    const WAITS: &'static str;

    /// Does what there is to do, or some of it; whether there may be more. The shorter a look, the sooner whoever
    /// does it stops when it is told to.
    fn look(&self) -> impl Future<Output = Result<bool, DbError>> + Send;
}

/// What whoever does it is told.
#[derive(Debug)]
pub enum ChoreMessage {
    /// Time to look. A tick.
    Look,
}

impl Message for ChoreMessage {}

/// The actor called `name` that does it.
pub fn chore<C: Chore>(name: &'static str, chore: C) -> ChildSpec {
    ChildSpec::new(name, move || (Worker(chore.clone()), ()))
}

struct Worker<C>(C);

impl<C: Chore> Actor for Worker<C> {
    type Msg = ChoreMessage;
    type State = ();
    type Arguments = ();

    async fn pre_start(
        &self,
        myself: ActorRef<ChoreMessage>,
        (): (),
    ) -> Result<(), ActorProcessingErr> {
        Ok(myself.send_message(ChoreMessage::Look)?)
    }

    async fn handle(
        &self,
        myself: ActorRef<ChoreMessage>,
        ChoreMessage::Look: ChoreMessage,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        let pause = match self.0.look().await {
            // What else it is told, also to stop, finds its turn in between.
            Ok(true) => return Ok(myself.send_message(ChoreMessage::Look)?),
            Ok(false) => C::EVERY,
            // The keeper reports it.
            Err(error) if error.is_outage() => PAUSE,
            Err(error) => {
                tracing::warn!(%error, "{}", C::WAITS);
                PAUSE.max(C::EVERY)
            }
        };
        drop(myself.send_after(pause, || ChoreMessage::Look));
        Ok(())
    }
}
