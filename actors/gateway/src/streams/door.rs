//! The gateway's own front door: where services push what is new, and what is old of what is kept here.
//!
//! It owns nothing and waits for nothing. Its failure means that nothing is pushed here until the supervisor
//! has restarted it; then, as after the loss of any member of a service, streams ask what they may have missed,
//! and what is kept is asked for anew.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};
use panel_kernel::directory::{Directory, SCOPE, group};
use panel_kernel::message::{
    Body, Envelope, Extensions, FrontDoorMessage, Payload, Principal, Refusal, Reply, ReplyGuard,
};
use panel_kernel::problem::{Kind, Problem};
use panel_kernel::purge::Purge;
use panel_kernel::push::{GATEWAY, PUSH_PATH, PushBatch};
use panel_kernel::service::internal::PING_PATH;
use panel_kernel::supervision::ChildSpec;
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, pg};

use super::Streams;
use crate::cache::Cache;

/// Between two looks for members that were lost, while the table of them stays as it is.
const LOOK: Duration = Duration::from_millis(250);

/// Takes what services push.
pub(crate) struct PushDoor {
    streams: Streams,
    cache: Cache,
    /// Whether there was one before.
    has_begun: Arc<AtomicBool>,
}

impl PushDoor {
    /// The actor, as a child of the gateway.
    pub(crate) fn child((streams, cache): (&Streams, &Cache)) -> ChildSpec {
        let (streams, cache) = (streams.clone(), cache.clone());
        let has_begun = Arc::new(AtomicBool::new(false));
        ChildSpec::new("push", move || {
            let (streams, cache) = (streams.clone(), cache.clone());
            (Self { streams, cache, has_begun: Arc::clone(&has_begun) }, ())
        })
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
        if self.has_begun.swap(true, Ordering::AcqRel) {
            // Nobody has told the one before this what was purged since it ended.
            for service in self.cache.services() {
                self.cache.purge(service, &Purge::everything_gone());
            }
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
                match serde_json::from_slice::<PushBatch>(body) {
                    Ok(batch) => {
                        self.cache.told(&batch.service, &batch.purges);
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

/// Notices which members were lost: what they had stored, they may not have pushed. And when one of another node is
/// back after such a loss: what was purged meanwhile, nobody could tell.
async fn watch((streams, cache): (Streams, Cache), directory: Directory) -> Result<(), String> {
    let mut known: HashMap<String, Members> = HashMap::new();
    let mut changes = directory.changes();
    loop {
        let mut services = streams.services();
        services.extend(cache.services().map(str::to_owned));
        for service in services {
            let now = Members::of(&directory, &service);
            match known.entry(service.clone()).or_default().follow(now) {
                Change::Lost => {
                    tracing::info!(service, "a member was lost: what is kept of it is old");
                    streams.look_again(&service);
                    cache.purge(&service, &Purge::everything());
                }
                Change::Back => {
                    tracing::info!(service, "a member is back: what is kept of it is gone");
                    streams.look_again(&service);
                    cache.purge(&service, &Purge::everything_gone());
                }
                Change::Come => {
                    tracing::info!(service, "a member has come");
                    cache.has_come(&service);
                }
                Change::None => {}
            }
        }
        // Who comes and goes between two looks would not be missed. Whether a member takes requests changes without
        // a word.
        let _told = tokio::time::timeout(LOOK, changes.changed()).await;
    }
}

/// Who answers for a service.
#[derive(Debug, Default)]
struct Members {
    here: HashSet<ActorId>,
    /// On other nodes.
    there: HashSet<ActorId>,
    /// Whether one on another node was lost, and none has come since.
    misses: bool,
}

/// What has become of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    None,
    /// One was lost.
    Lost,
    /// One has come, and before that one was lost.
    Back,
    /// One more has come, on another node.
    Come,
}

impl Members {
    fn of(directory: &Directory, service: &str) -> Self {
        let members = directory.members(service);
        let ids = members.iter().filter(|member| member.takes_requests());
        let (here, there) = ids.map(|member| member.id()).partition(ActorId::is_local);
        Self { here, there, misses: false }
    }

    /// Those there are now.
    fn follow(&mut self, now: Self) -> Change {
        let is_lost_there = !self.there.is_subset(&now.there);
        let is_lost = is_lost_there || !self.here.is_subset(&now.here);
        let has_come = !now.there.is_subset(&self.there);
        let misses = self.misses || is_lost_there;
        let is_back = misses && has_come;
        *self = Self { misses: misses && !is_back, ..now };
        if is_back {
            Change::Back
        } else if is_lost {
            Change::Lost
        } else if has_come {
            Change::Come
        } else {
            Change::None
        }
    }
}

/// The watch, as a child of the gateway.
pub(crate) fn watch_child(
    (streams, cache): (&Streams, &Cache),
    directory: &Directory,
) -> ChildSpec {
    let (told, directory) = ((streams.clone(), cache.clone()), directory.clone());
    ChildSpec::task("stream_watch", move || watch(told.clone(), directory.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(here: &[u64], there: &[u64]) -> Members {
        let here = here.iter().map(|pid| ActorId::Local(*pid)).collect();
        let there = there.iter().map(|pid| ActorId::Remote { node_id: 1, pid: *pid }).collect();
        Members { here, there, misses: false }
    }

    #[test]
    fn who_is_lost_and_who_is_back_is_noticed() {
        let mut known = members(&[1], &[1, 2]);
        assert_eq!(known.follow(members(&[1], &[1, 2])), Change::None);
        assert_eq!(known.follow(members(&[1], &[2])), Change::Lost);
        assert_eq!(known.follow(members(&[1], &[2])), Change::None);
        assert_eq!(known.follow(members(&[1], &[2, 3])), Change::Back);
        // One more is nobody who was missed.
        assert_eq!(known.follow(members(&[1], &[2, 3, 4])), Change::Come);
        assert_eq!(Members::default().follow(members(&[1], &[])), Change::None);
        // Of its own node nothing is missed: what it had to tell it has told.
        assert_eq!(known.follow(members(&[], &[2, 3, 4])), Change::Lost);
        assert_eq!(known.follow(members(&[2], &[2, 3, 4])), Change::None);
        // One for another, at once.
        assert_eq!(known.follow(members(&[2], &[2, 3, 5])), Change::Back);
    }
}
