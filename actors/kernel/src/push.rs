//! What services push to gateways, for readers who keep a stream open there, and of what those keep.
//!
//! A push is a hint that arrives soon, nothing that must arrive: what is pushed was stored before, and a
//! gateway that may have missed something asks the service for what came after the last it has
//! ([`STREAMS_PATH`]). It travels as any other message does, to the front door of every gateway
//! ([`GATEWAY`]), which answers at once; so what is on its way to one is bounded, and one that does not answer
//! holds up the others for half a second at most.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, join_all};
use http::{HeaderMap, HeaderValue, Method, Uri, header};
use parking_lot::Mutex;
use ractor::ActorId;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::directory::{Directory, Member};
use crate::ids::{Id, random_hex};
use crate::message::{Envelope, Extensions, Payload, Principal, TraceContext};
use crate::problem::Problem;
use crate::purge::PurgeItem;
use crate::time::Clock;

/// The process group of gateways.
pub const GATEWAY: &str = "gateway";
/// Where gateways take what is pushed.
pub const PUSH_PATH: &str = "/.panel/push";
/// Where a service answers what came after an event: `?topic=…&after=…&limit=…`.
pub const STREAMS_PATH: &str = "/.panel/streams";
/// How long a gateway may take.
const PATIENCE: Duration = Duration::from_millis(500);
/// What is in one message, about. Below the 128 KiB a message may carry inline.
const BATCH_BYTES: usize = 64 * 1024;

/// Something new for whoever listens to a topic.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Pushed {
    /// For whom: `user:0c…`.
    pub topic: String,
    /// Its place: later ones of the same topic have greater ones. What has none is only of the moment: it is
    /// stored nowhere, and whoever misses it is told that they have missed something.
    pub id: Option<Id>,
    /// The one before it, where there is one: whoever has not had that has missed something.
    pub after: Option<Id>,
    /// What it is: `notification`.
    pub event: String,
    /// Itself.
    pub data: Box<RawValue>,
}

/// What is in one message.
#[derive(Debug, Serialize, Deserialize)]
pub struct PushBatch {
    /// Who pushes.
    pub service: String,
    /// What.
    pub events: Vec<Pushed>,
    /// Whether something may have been missed before this.
    pub look_again: bool,
    /// What of its public answers is old. Older gateways pass this over, older services have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub purges: Vec<PurgeItem>,
}

/// What came after an event.
#[derive(Debug, Serialize, Deserialize)]
pub struct Missed {
    /// In order.
    pub events: Vec<Pushed>,
    /// Whether there may be more.
    pub more: bool,
}

/// What a service answers who may have missed something.
pub trait StreamSource: Send + Sync + 'static {
    /// What came after `after` for a topic, in order, at most `limit`.
    fn since<'s>(
        &'s self,
        topic: &'s str,
        after: Id,
        limit: u32,
    ) -> BoxFuture<'s, Result<Vec<Pushed>, Problem>>;
}

/// Pushes to all gateways. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Pusher {
    service: &'static str,
    directory: Directory,
    clock: Clock,
    /// Gateways that may have missed something.
    behind: Arc<Mutex<HashSet<ActorId>>>,
}

impl Pusher {
    /// For what `service` has to tell.
    #[must_use]
    pub fn new(service: &'static str, directory: Directory, clock: Clock) -> Self {
        Self { service, directory, clock, behind: Arc::default() }
    }

    /// Pushes to every gateway there is, and waits until each has taken it, half a second at most.
    pub async fn push(&self, events: Vec<Pushed>) {
        for batch in batches(events) {
            self.send(&batch).await;
        }
    }

    /// Something may have been stored and not pushed: gateways are to look.
    pub async fn look_again(&self) {
        let members = self.directory.members(GATEWAY);
        self.behind.lock().extend(members.iter().map(|member| member.id()));
        self.send(&[]).await;
    }

    async fn send(&self, events: &[Pushed]) {
        let members = self.directory.members(GATEWAY);
        self.behind.lock().retain(|id| members.iter().any(|member| member.id() == *id));
        join_all(members.iter().map(|member| self.send_to(member, events))).await;
    }

    async fn send_to(&self, member: &Member, events: &[Pushed]) {
        let look_again = self.behind.lock().contains(&member.id());
        let batch = PushBatch { events: events.to_vec(), look_again, ..self.batch() };
        let is_taken = self.hand(member, &batch).await;
        let mut behind = self.behind.lock();
        if is_taken {
            behind.remove(&member.id());
        } else {
            behind.insert(member.id());
        }
    }

    /// Tells a gateway what is old; `false` if it has not taken it.
    pub(crate) async fn purge(&self, member: &Member, purges: &[PurgeItem]) -> bool {
        self.hand(member, &PushBatch { purges: purges.to_vec(), ..self.batch() }).await
    }

    fn batch(&self) -> PushBatch {
        let service = self.service.to_owned();
        PushBatch { service, events: Vec::new(), look_again: false, purges: Vec::new() }
    }

    async fn hand(&self, member: &Member, batch: &PushBatch) -> bool {
        let Ok(body) = serde_json::to_vec(batch) else { return false };
        member.takes_requests_of(&self.principal())
            && member
                .call(self.envelope(body), &self.clock)
                .await
                .is_ok_and(|reply| reply.refusal.is_none() && reply.status.is_success())
    }

    fn principal(&self) -> Principal {
        Principal::Service(self.service.to_owned())
    }

    fn envelope(&self, body: Vec<u8>) -> Envelope {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Envelope {
            method: Method::POST,
            uri: Uri::from_static(PUSH_PATH),
            headers,
            body: Payload::Inline(body.into()),
            principal: self.principal(),
            deadline: self.clock.now().plus(PATIENCE),
            idempotency_key: None,
            trace: TraceContext::begin(),
            request_id: random_hex(),
            extensions: Extensions::default(),
        }
    }
}

/// What fits into one message each.
fn batches(events: Vec<Pushed>) -> Vec<Vec<Pushed>> {
    let (mut batches, mut bytes) = (Vec::new(), usize::MAX);
    for event in events {
        let size = event.data.get().len() + event.topic.len() + 128;
        if bytes.saturating_add(size) > BATCH_BYTES {
            batches.push(Vec::new());
            bytes = 0;
        }
        bytes += size;
        if let Some(batch) = batches.last_mut() {
            batch.push(event);
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_releases_read_what_they_know() {
        let older = r#"{"service":"forum","events":[],"look_again":true}"#;
        let batch: PushBatch = serde_json::from_str(older).unwrap();
        assert!(batch.look_again && batch.purges.is_empty());
        // And what has nothing new in it looks as it always has.
        assert_eq!(serde_json::to_string(&batch).unwrap(), older);
    }

    #[test]
    fn messages_are_not_too_long() {
        let event = |id: i64, bytes: usize| Pushed {
            topic: "user:1".to_owned(),
            id: Some(Id::from_raw(id)),
            after: None,
            event: "notification".to_owned(),
            data: RawValue::from_string(format!("\"{}\"", "x".repeat(bytes))).unwrap(),
        };
        let many: Vec<Pushed> = (0..100).map(|id| event(id, 2_000)).collect();
        let made = batches(many);
        assert!(made.len() > 2);
        assert_eq!(made.iter().map(Vec::len).sum::<usize>(), 100);
        for batch in &made {
            assert!(serde_json::to_vec(batch).unwrap().len() < 100 * 1024);
        }
        assert_eq!(batches(vec![event(1, 200_000)]).len(), 1);
        assert!(batches(Vec::new()).is_empty());
    }
}
