//! From a request to a member of the service that answers it.

use std::sync::Arc;

use panel_kernel::directory::{CallError, Directory, Member, MemberStatus};
use panel_kernel::message::{Envelope, Refusal, Reply};
use panel_kernel::problem::{Kind, Problem};
use panel_kernel::time::Clock;

/// The most members (or lives of one member) a request is tried on.
const ATTEMPTS: usize = 3;

/// Sends requests to members, and again to others where that is safe.
///
/// Every request is safe to send again: reads change nothing, and every write carries an
/// idempotency key. What differs is only what was learnt: a member that refused or could not
/// be reached is not asked twice; one that lost a worker is, because the next worker is fine.
#[derive(Clone, Debug)]
pub(crate) struct Dispatcher {
    pub(crate) directory: Directory,
    pub(crate) clock: Clock,
}

/// A reply, and who gave it.
pub(crate) struct Answered {
    pub(crate) reply: Reply,
    pub(crate) node: String,
}

/// What a failed attempt means for the next one.
enum Failed {
    /// This member can't take it; another may.
    Elsewhere(Problem),
    /// The worker died; this member may be asked again.
    Again(Problem),
    /// The time is over.
    Late,
}

impl Dispatcher {
    pub(crate) async fn call(
        &self,
        service: &str,
        envelope: Envelope,
    ) -> Result<Answered, Problem> {
        let mut tried: Vec<Arc<Member>> = Vec::new();
        let mut last = Problem::unavailable(service, format!("{service} is not available"));
        for _ in 0..ATTEMPTS {
            // Read anew: a front door that was restarted meanwhile is another member.
            let Some(member) = pick(&self.directory.members(service), &tried) else { break };
            match attempt(&member, envelope.clone(), &self.clock, service).await {
                Ok(reply) => return Ok(Answered { reply, node: member.node.clone() }),
                Err(Failed::Late) => {
                    let detail = format!("{service} did not answer in time");
                    return Err(Problem::new(Kind::DeadlineExceeded, detail));
                }
                Err(Failed::Elsewhere(problem)) => {
                    last = problem;
                    tried.push(member);
                }
                Err(Failed::Again(problem)) => last = problem,
            }
        }
        Err(last)
    }
}

async fn attempt(
    member: &Member,
    envelope: Envelope,
    clock: &Clock,
    service: &str,
) -> Result<Reply, Failed> {
    let unavailable = |detail: String| Problem::unavailable(service, detail);
    match member.call(envelope, clock).await {
        Ok(reply) => match reply.refusal {
            None => Ok(reply),
            Some(Refusal::DeadlinePassed) => Err(Failed::Late),
            Some(Refusal::Aborted) => Err(Failed::Again(Problem {
                service: Some(service.to_owned()),
                ..Problem::outcome_unknown()
            })),
            Some(Refusal::Busy) => {
                Err(Failed::Elsewhere(unavailable(format!("{service} is at capacity"))))
            }
            Some(Refusal::Draining | Refusal::Unsupported) => {
                Err(Failed::Elsewhere(unavailable(format!("{service} is not available"))))
            }
        },
        Err(CallError::TimedOut) => Err(Failed::Late),
        Err(CallError::NotSent | CallError::Lost | CallError::Unreadable) => {
            Err(Failed::Elsewhere(unavailable(format!("{service} is not available"))))
        }
    }
}

/// The next member to try: here if possible, else the one with the least in flight.
fn pick(members: &[Arc<Member>], tried: &[Arc<Member>]) -> Option<Arc<Member>> {
    members
        .iter()
        .filter(|member| member.status() == MemberStatus::Up)
        .filter(|member| !tried.iter().any(|other| Arc::ptr_eq(other, member)))
        .min_by_key(|member| (!member.is_local(), member.in_flight()))
        .cloned()
}
