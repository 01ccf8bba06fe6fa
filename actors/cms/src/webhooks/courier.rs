//! Sees to it that each webhook with something to be told has a messenger, and gives up what is too late. On every
//! node that runs the service; which node's messenger sends is decided by a lease.
//!
//! Failure: its messengers end with it, and are made again by the next.

use std::collections::HashMap;
use std::time::Duration;

use futures::FutureExt as _;
use panel_kernel::data::DbError;
use panel_kernel::ids::Id;
use panel_kernel::supervision::{Bell, OnDemand};
use ractor::{Actor, ActorProcessingErr, ActorRef, Message, SupervisionEvent};

use super::messenger::{Messenger, MessengerMessage};
use super::settling::Counted;
use super::{Webhooks, settling};
use crate::store::webhooks::{deliveries, hooks};

/// Between two looks, where nobody has said that there is something to do here.
const LOOK: Duration = Duration::from_secs(1);

/// Messengers: of more webhooks than there can be.
const MESSENGERS: usize = 100;
/// How long what is being told is waited for when a node stops.
const FAREWELL: Duration = Duration::from_secs(3);
const FAILED: &str = Counted::Failed.name();

/// What the courier is told.
#[derive(Debug)]
pub(super) enum CourierMessage {
    /// There may be something to send.
    Rung,
    /// Time to look. A tick.
    Look,
}

impl Message for CourierMessage {}

/// Has the messengers.
pub(super) struct Courier(pub(super) Webhooks);

/// The messengers there are, and how they hear that there is something to do.
#[derive(Debug)]
pub(super) struct Messengers {
    there: OnDemand<Id, MessengerMessage>,
    bells: HashMap<Id, Bell<MessengerMessage>>,
}

impl Actor for Courier {
    type Msg = CourierMessage;
    type State = Messengers;
    type Arguments = ();

    async fn pre_start(
        &self,
        myself: ActorRef<CourierMessage>,
        (): (),
    ) -> Result<Messengers, ActorProcessingErr> {
        self.0.0.bell.answered_by(&myself);
        myself.send_message(CourierMessage::Look)?;
        Ok(Messengers { there: OnDemand::new(MESSENGERS), bells: HashMap::new() })
    }

    async fn handle(
        &self,
        myself: ActorRef<CourierMessage>,
        message: CourierMessage,
        messengers: &mut Messengers,
    ) -> Result<(), ActorProcessingErr> {
        self.0.0.bell.heard();
        match self.look().await {
            Ok(due) => {
                for webhook in due {
                    self.wake(&myself, webhook, messengers).await;
                }
            }
            Err(error) if error.is_outage() => {}
            Err(error) => tracing::warn!(%error, "webhooks wait"),
        }
        if matches!(message, CourierMessage::Look) {
            drop(myself.send_after(LOOK, || CourierMessage::Look));
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<CourierMessage>,
        event: SupervisionEvent,
        messengers: &mut Messengers,
    ) -> Result<(), ActorProcessingErr> {
        let ended = match event {
            SupervisionEvent::ActorTerminated(messenger, ..) => {
                messengers.there.ended(messenger.get_id())
            }
            SupervisionEvent::ActorFailed(messenger, error) => {
                let webhook = messengers.there.ended(messenger.get_id());
                tracing::error!(?webhook, %error, "a messenger has failed");
                webhook
            }
            _ => None,
        };
        if let Some(bell) = ended.and_then(|webhook| messengers.bells.remove(&webhook))
            && bell.is_rung()
        {
            // While it was ending.
            self.0.ring();
        }
        Ok(())
    }

    async fn post_stop(
        &self,
        myself: ActorRef<CourierMessage>,
        _: &mut Messengers,
    ) -> Result<(), ActorProcessingErr> {
        // What is being told is told to its end, if that is soon.
        myself.stop_children_and_wait(None, Some(FAREWELL)).await;
        Ok(())
    }
}

impl Courier {
    /// Gives up what is too late; for which webhooks there is something to send.
    async fn look(&self) -> Result<Vec<Id>, DbError> {
        let room = &self.0.0;
        let now = room.db.clock().now();
        let mut conn = room.db.reader().await?;
        let due = hooks::due(&mut conn, now).await?;
        let late = deliveries::late(&mut conn, now).await?;
        drop(conn);
        for delivery in late {
            let giving_up = room.db.transact(move |tx| {
                async move { settling::give_up(tx, delivery, now).await }.boxed()
            });
            match giving_up.await {
                Ok(false) => {}
                Ok(true) => room.outcomes().with_label_values(&["cms", FAILED]).inc(),
                Err(error) if error.is_outage() => return Err(error),
                // The others don't wait for this one.
                Err(error) => {
                    tracing::warn!(%delivery, %error, "what is too late is given up later");
                }
            }
        }
        Ok(due)
    }

    async fn wake(
        &self,
        myself: &ActorRef<CourierMessage>,
        webhook: Id,
        messengers: &mut Messengers,
    ) {
        let Messengers { there, bells } = messengers;
        let bell = bells.entry(webhook).or_insert_with(|| Bell::new(|| MessengerMessage::Go));
        let made = Messenger { room: self.0.clone(), webhook, bell: bell.clone() };
        match there.ensure(webhook, myself, || (made, ())).await {
            Ok(Some(_)) => bell.ring(),
            Ok(None) => tracing::warn!(%webhook, "there are as many messengers as there may be"),
            Err(error) => tracing::warn!(%webhook, %error, "a messenger can't begin"),
        }
    }
}
