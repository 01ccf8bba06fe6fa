//! A member of a service beside the real one, which does with each write what the test says.
//!
//! While it has acts left, the real member counts as suspect and is not asked; with the last act
//! it is up again.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use panel_kernel::directory::{Member, MemberStatus, SCOPE, group};
use panel_kernel::message::{Envelope, FrontDoorMessage, Parcel, Refusal, Reply};
use parking_lot::Mutex;
use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, RpcReplyPort, pg};

use crate::eventually::eventually;
use crate::service::Rig;

/// What it does with one write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Refuses it for this reason, and does nothing.
    Refuse(Refusal),
    /// Has it done by the real member, throws the answer away and says `Aborted`.
    DoAndAbort,
    /// Has it done by the real member, and is lost before it answers.
    DoAndVanish,
    /// Is lost without doing anything.
    Vanish,
}

/// The member. Whatever is not a write, and every write after the last act, it refuses as one
/// that is draining.
#[derive(Clone, Debug)]
pub struct Scripted {
    acts: Arc<Mutex<VecDeque<Act>>>,
    done: Arc<Mutex<Vec<Act>>>,
    real: ActorRef<FrontDoorMessage>,
    real_member: Arc<Member>,
    cell: Arc<Mutex<Option<ActorCell>>>,
}

impl Scripted {
    /// Joins the real front door of a service, and waits until it is known.
    pub async fn join(rig: &Rig, service: &str) -> Self {
        let members = || rig.runtime.directory.members(service);
        let scripted = Self {
            acts: Arc::default(),
            done: Arc::default(),
            real: rig.front_door(service).into(),
            real_member: Arc::clone(&members()[0]),
            cell: Arc::default(),
        };
        let (actor, _) = Actor::spawn(None, scripted.clone(), ()).await.unwrap();
        pg::join_scoped(SCOPE.to_owned(), group(service), vec![actor.get_cell()]);
        *scripted.cell.lock() = Some(actor.get_cell());
        let known = async || members().iter().any(|member| member.id() == actor.get_id());
        eventually("the scripted member is known", Duration::from_secs(10), known).await;
        scripted
    }

    /// What it will do with the next writes.
    pub fn will(&self, acts: &[Act]) {
        self.done.lock().clear();
        *self.acts.lock() = acts.iter().copied().collect();
        let status = if acts.is_empty() { MemberStatus::Up } else { MemberStatus::Suspect };
        self.real_member.standing().set_status(status);
    }

    fn next(&self) -> Option<Act> {
        let mut acts = self.acts.lock();
        let act = acts.pop_front();
        if acts.is_empty() {
            self.real_member.standing().set_status(MemberStatus::Up);
        }
        act
    }

    /// What it has done since it was told.
    #[must_use]
    pub fn done(&self) -> Vec<Act> {
        self.done.lock().clone()
    }

    /// Goes.
    pub async fn leave(self) {
        let cell = self.cell.lock().take();
        cell.unwrap().stop_and_wait(None, None).await.unwrap();
    }

    async fn ask_the_real_one(&self, envelope: Envelope) {
        let parcel = Parcel::new(envelope);
        let called = self.real.call(|port| FrontDoorMessage::Call(parcel, port), None).await;
        let reply = called.unwrap().unwrap().open().unwrap();
        assert!(reply.status.is_success(), "{reply:?}");
    }

    async fn act(&self, act: Option<Act>, envelope: Envelope, port: RpcReplyPort<Parcel<Reply>>) {
        self.done.lock().extend(act);
        let refusal = match act {
            Some(Act::Refuse(refusal)) => refusal,
            Some(Act::DoAndAbort) => {
                self.ask_the_real_one(envelope).await;
                Refusal::Aborted
            }
            Some(Act::DoAndVanish) => return self.ask_the_real_one(envelope).await,
            Some(Act::Vanish) => return,
            None => Refusal::Draining,
        };
        drop(port.send(Parcel::new(Reply::refuse(refusal))));
    }
}

impl Actor for Scripted {
    type Msg = FrontDoorMessage;
    type State = ();
    type Arguments = ();

    async fn pre_start(
        &self,
        _: ActorRef<FrontDoorMessage>,
        (): (),
    ) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<FrontDoorMessage>,
        FrontDoorMessage::Call(parcel, port): FrontDoorMessage,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        let envelope = *parcel.open().unwrap();
        let is_write = envelope.method == Method::POST;
        let act = if is_write { self.next() } else { None };
        self.act(act, envelope, port).await;
        Ok(())
    }
}
