//! From a request to a member of the service that answers it.
//!
//! Every request is safe to send again: reads change nothing, and every write carries an
//! idempotency key. What differs is what was learnt:
//!
//! - a member that refused, or could not be reached, is not asked twice;
//! - one that lost a worker is, because the next worker is fine;
//! - one that has fallen silent may yet answer: it is left to, while another is asked, and the
//!   first answer wins.

mod ask;
mod balance;
mod budget;
mod judge;
mod metrics;
mod mirror;
mod plan;

use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};
use http::StatusCode;
use panel_kernel::directory::{CallError, Directory, Member};
use panel_kernel::message::{Envelope, Refusal, Reply};
use panel_kernel::problem::{Kind, Problem};
use panel_kernel::time::Clock;

use crate::traffic::Traffic;

pub use balance::Balance;
pub(crate) use balance::Balances;
pub(crate) use budget::Budgets;
pub(crate) use metrics::DispatchMetrics;
pub(crate) use mirror::Mirrors;
pub(crate) use plan::Plan;

/// The most members (or lives of one member) a request is tried on.
const ATTEMPTS: usize = 3;

/// Sends requests to members, and again to others where that helps. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Dispatcher {
    pub(crate) directory: Directory,
    pub(crate) clock: Clock,
    pub(crate) balances: Balances,
    pub(crate) traffic: Traffic,
    pub(crate) mirrors: Mirrors,
    pub(crate) budgets: Budgets,
    pub(crate) metrics: DispatchMetrics,
}

/// A reply, and who gave it.
pub(crate) struct Answered {
    pub(crate) reply: Reply,
    pub(crate) node: String,
    /// On how many members it was tried.
    pub(crate) attempts: usize,
}

/// Why an attempt brought no reply; the label of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The member is at capacity.
    Busy,
    /// Too much is in flight to it.
    Full,
    /// It drains, or does not know this release's messages.
    Leaving,
    /// The message did not leave.
    NotSent,
    /// The member was lost.
    Lost,
    /// Its worker died.
    Aborted,
    /// It answers that it can't do it now (503).
    Unwell,
    /// It has fallen silent: its node, or it does not answer probes.
    Silent,
    /// By its clock, which differs more than is known, the time is over.
    Ahead,
    /// The time is over.
    Late,
}

impl Dispatcher {
    /// Sends a request to a member, and to others as long as that helps.
    pub(crate) async fn call(
        &self,
        service: &str,
        envelope: Envelope,
        plan: &Plan,
    ) -> Result<Answered, Problem> {
        let original = Mirrors::original(plan, &envelope);
        let answered = self.race(service, envelope, plan).await?;
        if let Some(original) = original {
            self.mirrors.send(self, service, original, &answered.reply);
        }
        Ok(answered)
    }

    async fn race(
        &self,
        service: &str,
        envelope: Envelope,
        plan: &Plan,
    ) -> Result<Answered, Problem> {
        let mut race = Race {
            dispatcher: self,
            service,
            plan,
            envelope,
            tried: Vec::new(),
            started: 0,
            last: None,
            is_unknown: false,
            unwell: None,
        };
        let Some(member) = race.next() else { return Err(race.unavailable()) };
        self.budgets.deposit(service);
        if member.is_local() && self.directory.members(service).len() == 1 {
            // On a node by itself there is nobody else to ask, however this one is.
            match race.attempt(&member).await {
                Ok(reply) => return Ok(answered(&member, reply, race.started)),
                Err(miss) => race.failed(&member, miss),
            }
            return Box::pin(race.run(None)).await;
        }
        Box::pin(race.run(Some(member))).await
    }
}

impl Dispatcher {
    /// Notes how a member has done, where that is looked at.
    fn judge(
        &self,
        (service, plan): (&str, &Plan),
        member: &Arc<Member>,
        outcome: &Result<Reply, Miss>,
    ) {
        let Some(outliers) = plan.policy.as_ref().and_then(|policy| policy.outliers) else {
            return;
        };
        if plan.is_pinned() {
            return;
        }
        let members = self.directory.members(service);
        if let Some(ejected) = judge::note(outliers, &members, member, outcome) {
            let (node, seconds) = (&member.node, ejected.as_secs());
            tracing::warn!(
                service,
                node,
                seconds,
                "a member fails more than others, and is left alone"
            );
            self.metrics.ejected(service, node);
        }
    }
}

fn answered(member: &Member, reply: Reply, attempts: usize) -> Answered {
    Answered { reply, node: member.node.clone(), attempts }
}

/// One request, on as many members as it takes.
struct Race<'a> {
    dispatcher: &'a Dispatcher,
    service: &'a str,
    plan: &'a Plan,
    envelope: Envelope,
    tried: Vec<Arc<Member>>,
    started: usize,
    last: Option<Cause>,
    /// A write that may have been done by somebody whose answer did not come.
    is_unknown: bool,
    /// What a member that can't do it has said: the answer, if nobody else can either.
    unwell: Option<Answered>,
}

/// An attempt that brought no answer, or one that another member may better.
struct Miss {
    cause: Cause,
    reply: Option<Reply>,
}

impl From<Cause> for Miss {
    fn from(cause: Cause) -> Self {
        Self { cause, reply: None }
    }
}

type Attempt = (Arc<Member>, Result<Reply, Miss>);
type Attempts<'a> = FuturesUnordered<BoxFuture<'a, Attempt>>;

impl Race<'_> {
    /// `first`: who is to be asked first; `None` if somebody was already, in vain.
    async fn run(mut self, first: Option<Arc<Member>>) -> Result<Answered, Problem> {
        let mut attempts = Attempts::new();
        let mut newest = first.or_else(|| self.another());
        if let Some(member) = &newest {
            attempts.push(self.begin(member));
        }
        loop {
            let Some(member) = newest.clone() else {
                // Nobody else was to be asked: what is under way is all there is.
                match attempts.next().await {
                    Some((member, Ok(reply))) => return Ok(answered(&member, reply, self.started)),
                    Some((member, Err(miss))) => self.failed(&member, miss),
                    None => return self.given_up(),
                }
                // But there may be somebody by now.
                newest = self.another();
                if let Some(member) = &newest {
                    attempts.push(self.begin(member));
                }
                continue;
            };
            tokio::select! {
                biased;
                Some((other, outcome)) = attempts.next() => match outcome {
                    Ok(reply) => return Ok(answered(&other, reply, self.started)),
                    Err(miss) => {
                        self.failed(&other, miss);
                        if !Arc::ptr_eq(&other, &member) {
                            // One that was given up before; the newest is still under way.
                            continue;
                        }
                    }
                },
                () = member.troubled() => self.failed(&member, Cause::Silent.into()),
            }
            newest = self.another();
            if let Some(member) = &newest {
                attempts.push(self.begin(member));
            }
        }
    }

    fn begin<'b>(&mut self, member: &Arc<Member>) -> BoxFuture<'b, Attempt>
    where
        Self: 'b,
    {
        self.started += 1;
        let (dispatcher, service, plan) = (self.dispatcher, self.service, self.plan);
        let (member, envelope) = (Arc::clone(member), self.envelope.clone());
        Box::pin(async move {
            let outcome = ask(&member, envelope, &dispatcher.clock).await;
            dispatcher.judge((service, plan), &member, &outcome);
            (member, outcome)
        })
    }

    async fn attempt(&mut self, member: &Member) -> Result<Reply, Miss> {
        self.started += 1;
        ask(member, self.envelope.clone(), &self.dispatcher.clock).await
    }

    /// Read anew each time: a front door that was restarted meanwhile is another member.
    fn next(&self) -> Option<Arc<Member>> {
        let members = self.dispatcher.directory.members(self.service);
        let asking = (self.plan, &self.envelope.principal);
        self.dispatcher.balances.of(self.service).choose(&members, &self.tried, asking)
    }

    /// Whom to ask next, if the last failure and the budget allow it.
    fn another(&mut self) -> Option<Arc<Member>> {
        let cause = self.last?;
        if self.started >= ATTEMPTS || cause == Cause::Late {
            return None;
        }
        let member = self.next()?;
        // What overload has refused comes back as more load.
        let is_load = matches!(cause, Cause::Busy | Cause::Aborted | Cause::Unwell);
        if is_load && !self.dispatcher.budgets.withdraw(self.service) {
            self.dispatcher.metrics.given_up(self.service);
            return None;
        }
        self.dispatcher.metrics.retried(self.service, cause);
        Some(member)
    }

    fn failed(&mut self, member: &Arc<Member>, Miss { cause, reply }: Miss) {
        if let Some(reply) = reply {
            self.unwell = Some(answered(member, reply, self.started));
        }
        if cause != Cause::Aborted && cause != Cause::Late {
            self.tried.push(Arc::clone(member));
        }
        let unanswered = matches!(cause, Cause::Silent | Cause::Lost | Cause::Aborted);
        self.is_unknown |= unanswered && !self.envelope.method.is_safe();
        self.last = Some(cause);
    }

    /// Nobody has answered. What a member has said that can't do it is no answer to a write that
    /// another may have done.
    fn given_up(mut self) -> Result<Answered, Problem> {
        let unwell = self.unwell.take().filter(|_| !self.is_unknown);
        unwell.ok_or_else(|| self.problem())
    }

    fn problem(&self) -> Problem {
        let service = self.service;
        match self.last {
            Some(Cause::Late | Cause::Ahead) => {
                let detail = format!("{service} did not answer in time");
                Problem::new(Kind::DeadlineExceeded, detail)
            }
            _ if self.is_unknown => {
                Problem { service: Some(service.to_owned()), ..Problem::outcome_unknown() }
            }
            Some(Cause::Busy | Cause::Full) => {
                Problem::unavailable(service, format!("{service} is at capacity"))
            }
            _ => self.unavailable(),
        }
    }

    /// There is nobody to ask, or nobody who may be given more.
    fn unavailable(&self) -> Problem {
        let (service, asking) = (self.service, &self.envelope.principal);
        let members = self.dispatcher.directory.members(service);
        let is_full = members.iter().any(|member| member.is_full_for(asking));
        let how = if is_full { "at capacity" } else { "not available" };
        Problem::unavailable(service, format!("{service} is {how}"))
    }
}

async fn ask(member: &Member, envelope: Envelope, clock: &Clock) -> Result<Reply, Miss> {
    let deadline = envelope.deadline;
    let cause = match member.call(envelope, clock).await {
        Ok(reply) => match reply.refusal {
            None if reply.status != StatusCode::SERVICE_UNAVAILABLE => return Ok(reply),
            None => return Err(Miss { cause: Cause::Unwell, reply: Some(reply) }),
            Some(Refusal::DeadlinePassed) if clock.now() < deadline => Cause::Ahead,
            Some(Refusal::DeadlinePassed) => Cause::Late,
            Some(Refusal::Aborted) => Cause::Aborted,
            Some(Refusal::Busy) => Cause::Busy,
            Some(Refusal::Draining | Refusal::Unsupported) => Cause::Leaving,
        },
        Err(CallError::TimedOut) => Cause::Late,
        Err(CallError::Full) => Cause::Full,
        Err(CallError::NotSent) => Cause::NotSent,
        Err(CallError::Lost | CallError::Unreadable) => Cause::Lost,
    };
    Err(cause.into())
}
