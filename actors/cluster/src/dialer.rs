//! Dials whom the roster names, each in a task of its own, and tells it how that went.

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::task::JoinSet;

use crate::arrival::Dialed;
use crate::failed::Failed;
use crate::handshake::Greeter;
use crate::messages::{DialerMessage, RosterMessage};
use panel_kernel::supervision::Address;

/// Dials. The roster names an address again only when it has heard how the last attempt went,
/// so that there are never more tasks than addresses.
pub(crate) struct Dialer {
    pub(crate) greeter: Greeter,
    pub(crate) address: Address<DialerMessage>,
}

impl Actor for Dialer {
    type Msg = DialerMessage;
    type State = JoinSet<()>;
    type Arguments = ();

    async fn pre_start(
        &self,
        myself: ActorRef<DialerMessage>,
        (): (),
    ) -> Result<JoinSet<()>, ActorProcessingErr> {
        self.address.announce(&myself);
        Ok(JoinSet::new())
    }

    async fn handle(
        &self,
        _: ActorRef<DialerMessage>,
        DialerMessage::Dial(address): DialerMessage,
        dialling: &mut JoinSet<()>,
    ) -> Result<(), ActorProcessingErr> {
        while dialling.try_join_next().is_some() {}
        let greeter = self.greeter.clone();
        dialling.spawn(async move {
            let outcome: Result<Dialed, Failed> = greeter.dial(&address).await;
            let outcome = Box::new(outcome);
            drop(greeter.roster.send(RosterMessage::Dialed { address, outcome }));
        });
        Ok(())
    }
}
