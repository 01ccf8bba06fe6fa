//! The gateway's own front door: where services push what is new.
//!
//! It owns nothing and waits for nothing. Its failure means that nothing is pushed here until the supervisor
//! has restarted it; then, as after the loss of any member of a service, streams ask what they may have missed.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};
use panel_kernel::directory::{Directory, SCOPE, group};
use panel_kernel::message::{
    Body, Envelope, Extensions, FrontDoorMessage, Payload, Principal, Refusal, Reply, ReplyGuard,
};
use panel_kernel::problem::{Kind, Problem};
use panel_kernel::push::{GATEWAY, PUSH_PATH};
use panel_kernel::service::internal::PING_PATH;
use panel_kernel::supervision::ChildSpec;
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, pg};

use super::Streams;

/// Between two looks for members that were lost.
const LOOK: Duration = Duration::from_millis(250);

/// Takes what services push.
pub(crate) struct PushDoor {
    pub(crate) streams: Streams,
}

impl PushDoor {
    /// The actor, as a child of the gateway.
    pub(crate) fn child(streams: &Streams) -> ChildSpec {
        let streams = streams.clone();
        ChildSpec::new("push", move || (Self { streams: streams.clone() }, ()))
    }
}

impl Actor for PushDoor {
    type Msg = FrontDoorMessage;
    type State = ();
    type Arguments = ();

    async fn pre_start(
        &self,
        myself: ActorRef<FrontDoorMessage>,
        (): (),
    ) -> Result<(), ActorProcessingErr> {
        pg::join_scoped(SCOPE.to_owned(), group(GATEWAY), vec![myself.get_cell()]);
        for service in self.streams.services() {
            self.streams.look_again(&service);
        }
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<FrontDoorMessage>,
        FrontDoorMessage::Call(parcel, port): FrontDoorMessage,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        let reply = ReplyGuard::new(port);
        let Ok(envelope) = parcel.open() else {
            reply.refuse(Refusal::Unsupported);
            return Ok(());
        };
        reply.send(self.answer(&envelope));
        Ok(())
    }
}

impl PushDoor {
    fn answer(&self, envelope: &Envelope) -> Reply {
        let is_known = matches!(envelope.principal, Principal::Service(_));
        match (&envelope.method, envelope.uri.path()) {
            (&Method::GET, PING_PATH) if is_known => done(),
            (&Method::POST, PUSH_PATH) if is_known => {
                let Payload::Inline(body) = &envelope.body else {
                    return Reply::refuse(Refusal::Unsupported);
                };
                match serde_json::from_slice(body) {
                    Ok(batch) => {
                        self.streams.take(batch);
                        done()
                    }
                    Err(error) => {
                        Reply::problem(&Problem::new(Kind::BadRequest, error.to_string()))
                    }
                }
            }
            _ => Reply::problem(&Problem::new(Kind::NotFound, "there is no such route")),
        }
    }
}

fn done() -> Reply {
    Reply {
        status: StatusCode::NO_CONTENT,
        headers: HeaderMap::new(),
        body: Body::Inline(bytes::Bytes::new()),
        refusal: None,
        extensions: Extensions::default(),
    }
}

/// Notices which members were lost: what they had stored, they may not have pushed.
async fn watch(streams: Streams, directory: Directory) -> Result<(), String> {
    let mut known: HashMap<String, HashSet<ActorId>> = HashMap::new();
    loop {
        for service in streams.services() {
            let members = directory.members(&service);
            let now: HashSet<ActorId> = members
                .iter()
                .filter(|member| member.takes_requests())
                .map(|member| member.id())
                .collect();
            let before = known.insert(service.clone(), now.clone());
            if before.is_some_and(|before| !before.is_subset(&now)) {
                streams.look_again(&service);
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The watch, as a child of the gateway.
pub(crate) fn watch_child(streams: &Streams, directory: &Directory) -> ChildSpec {
    let (streams, directory) = (streams.clone(), directory.clone());
    ChildSpec::task("stream_watch", move || watch(streams.clone(), directory.clone()))
}
