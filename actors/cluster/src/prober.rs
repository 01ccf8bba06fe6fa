//! Asks every member now and then whether it answers: through its front door, by one of its
//! workers. A node whose beats come may still have a service that hangs.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method, StatusCode, Uri};
use panel_kernel::directory::{BreakerState, Member, MemberStatus};
use panel_kernel::ids::random_hex;
use panel_kernel::message::{Envelope, Extensions, Payload, Principal, TraceContext};
use panel_kernel::service::Runtime;
use panel_kernel::service::internal::PING_PATH;
use parking_lot::Mutex;
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef};
use ractor_cluster::RactorMessage;
use tokio::task::JoinSet;

/// Between probes of one member.
const EVERY: Duration = Duration::from_millis(500);
/// For an answer.
const LIMIT: Duration = Duration::from_millis(750);

/// What the prober is told.
#[derive(Debug, RactorMessage)]
pub(crate) enum ProberMessage {
    /// Time to probe. A tick.
    Probe,
}

/// Probes. If it fails, breakers stay as they are until it is back.
pub(crate) struct Prober {
    pub(crate) runtime: Runtime,
}

/// The probes under way, and whom they are of: never two of one member.
#[derive(Default)]
pub(crate) struct Probes {
    tasks: JoinSet<()>,
    asked: Arc<Mutex<HashSet<ActorId>>>,
}

impl Actor for Prober {
    type Msg = ProberMessage;
    type State = Probes;
    type Arguments = ();

    async fn pre_start(
        &self,
        myself: ActorRef<ProberMessage>,
        (): (),
    ) -> Result<Probes, ActorProcessingErr> {
        myself.send_message(ProberMessage::Probe)?;
        Ok(Probes::default())
    }

    async fn handle(
        &self,
        myself: ActorRef<ProberMessage>,
        ProberMessage::Probe: ProberMessage,
        probes: &mut Probes,
    ) -> Result<(), ActorProcessingErr> {
        while probes.tasks.try_join_next().is_some() {}
        for (service, members) in self.runtime.directory.snapshot().iter() {
            for member in members.iter() {
                self.probe(service, member, probes);
            }
        }
        drop(myself.send_after(EVERY, || ProberMessage::Probe));
        Ok(())
    }
}

impl Prober {
    fn probe(&self, service: &str, member: &Arc<Member>, probes: &mut Probes) {
        // A silent node is not the service's fault; its link is watched.
        if member.status() != MemberStatus::Up || !probes.asked.lock().insert(member.id()) {
            return;
        }
        let (member, asked) = (Arc::clone(member), Arc::clone(&probes.asked));
        let (runtime, service) = (self.runtime.clone(), service.to_owned());
        probes.tasks.spawn(async move {
            let before = member.breaker();
            let answer = ask(&runtime, &member).await;
            let answered = answer.is_some();
            if let Some(status) = answer {
                ready(&service, &member, status != StatusCode::SERVICE_UNAVAILABLE);
            }
            // What happened while the node was in trouble tells nothing.
            if answered || member.status() == MemberStatus::Up {
                tell(&service, &member, before, member.probed(answered));
            }
            asked.lock().remove(&member.id());
        });
    }
}

/// What a worker has answered. A refusal is no answer: insiders have places of their own.
async fn ask(runtime: &Runtime, member: &Member) -> Option<StatusCode> {
    let envelope = Envelope {
        method: Method::GET,
        uri: Uri::from_static(PING_PATH),
        headers: HeaderMap::new(),
        body: Payload::EMPTY,
        principal: Principal::Service("cluster".to_owned()),
        deadline: runtime.clock.now().plus(LIMIT),
        idempotency_key: None,
        trace: TraceContext::begin(),
        request_id: random_hex(),
        extensions: Extensions::default(),
    };
    let asked = tokio::time::timeout(LIMIT, member.call(envelope, &runtime.clock)).await;
    // Whatever its status: an earlier release does not know the path and says so.
    let reply = asked.ok()?.ok()?;
    reply.refusal.is_none().then_some(reply.status)
}

/// Notes whether it can do what it is asked.
fn ready(service: &str, member: &Member, is_ready: bool) {
    let was_ready = member.set_ready(is_ready);
    let node = member.node.as_str();
    match (was_ready, is_ready) {
        (true, false) => tracing::warn!(service, node, "a member is without its database"),
        (false, true) => tracing::info!(service, node, "a member has its database again"),
        _ => {}
    }
}

fn tell(service: &str, member: &Member, before: BreakerState, after: BreakerState) {
    let node = member.node.as_str();
    match (before, after) {
        (BreakerState::Closed, BreakerState::Open) => {
            tracing::warn!(service, node, "a member does not answer: it gets no requests");
        }
        (BreakerState::HalfOpen, BreakerState::Closed) => {
            tracing::info!(service, node, "a member answers again");
        }
        _ => {}
    }
}
