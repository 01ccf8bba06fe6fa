//! More messages than a mailbox is made for.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use http::{HeaderMap, Method};
use panel_kernel::ids::random_hex;
use panel_kernel::message::{
    Envelope, Extensions, FrontDoorMessage, Parcel, Payload, Principal, Reply, TraceContext,
};
use ractor::ActorRef;
use ractor::rpc::CallResult;

use super::Rig;

/// For all of them to be answered.
const PATIENCE: Duration = Duration::from_secs(60);

impl Rig {
    /// Puts so many requests into the mailbox of a service's front door at once, past the gateway
    /// and its bounds: how many were answered with which status, and with which refusal (`Busy`).
    /// `lost`: without an answer, which no request may be.
    pub async fn flood(&self, service: &str, path: &str, count: usize) -> BTreeMap<String, usize> {
        let door: ActorRef<FrontDoorMessage> = self.front_door(service).into();
        let deadline = self.runtime.clock.now().plus(PATIENCE);
        let calls = (0..count).map(|_| {
            let envelope = Envelope {
                method: Method::GET,
                uri: path.parse().unwrap(),
                headers: HeaderMap::new(),
                body: Payload::EMPTY,
                principal: Principal::Anonymous,
                deadline,
                idempotency_key: None,
                trace: TraceContext::begin(),
                request_id: random_hex(),
                extensions: Extensions::default(),
            };
            door.call(|port| FrontDoorMessage::Call(Parcel::new(envelope), port), Some(PATIENCE))
        });
        let mut outcomes = BTreeMap::new();
        for outcome in join_all(calls).await {
            let outcome = match outcome {
                Ok(CallResult::Success(parcel)) => {
                    parcel.open().map_or("lost".to_owned(), |reply| told(&reply))
                }
                _ => "lost".to_owned(),
            };
            *outcomes.entry(outcome).or_default() += 1;
        }
        outcomes
    }
}

fn told(reply: &Reply) -> String {
    reply.refusal.map_or_else(|| reply.status.as_str().to_owned(), |why| format!("{why:?}"))
}
