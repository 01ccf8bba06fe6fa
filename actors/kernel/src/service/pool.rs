//! The worker pool: a ractor factory whose workers each run the service's router, one request
//! at a time.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use futures::FutureExt as _;
use ractor::factory::{
    DiscardHandler, DiscardMode, DiscardReason, DiscardSettings, Factory, FactoryArguments,
    FactoryMessage, Job as FactoryJob, JobOptions, Worker, WorkerBuilder, WorkerId, routing,
};
use ractor::{ActorProcessingErr, ActorRef};
use ractor_cluster::RactorMessage;
use tracing::Instrument as _;

use super::adapter;
use super::load::{Load, Place};
use super::rank::{self, Rank, Ranks};
use crate::config::PoolConfig;
use crate::faults;
use crate::message::{Envelope, Refusal, Reply, ReplyGuard};
use crate::metrics::Metrics;
use crate::problem::{Kind, Problem};
use crate::supervision::{Address, ChildSpec, Intensity, RestartWindow, Tree};
use crate::time::Clock;

/// Deaths of workers within [`WORKER_PERIOD`] that end the pool.
pub const WORKER_DEATHS: usize = 10;
/// The window in which deaths are counted.
pub const WORKER_PERIOD: Duration = Duration::from_secs(10);

/// A request on its way to a worker.
#[derive(Debug, RactorMessage)]
pub(super) struct Job {
    pub(super) envelope: Box<Envelope>,
    pub(super) reply: ReplyGuard,
    pub(super) place: Place,
}

type Message = FactoryMessage<u64, Job>;
type Queue = rank::Queue<Job>;
type Routing = routing::QueuerRouting<u64, Job>;
type Pool = Factory<u64, Job, bool, RouterWorker, Routing, Queue>;

/// Where jobs go.
#[derive(Clone, Debug, Default)]
pub(super) struct PoolAddress {
    address: Address<Message>,
    next: Arc<AtomicU64>,
}

impl PoolAddress {
    /// Hands a job to the pool; it comes back if there is no pool at the moment.
    pub(super) fn dispatch(&self, job: Job) -> Result<(), Job> {
        let rank = Rank::of(&job.envelope.principal);
        let job = FactoryJob {
            key: rank.key(self.next.fetch_add(1, Ordering::Relaxed)),
            msg: job,
            options: JobOptions::default(),
            accepted: None,
        };
        self.address.send(FactoryMessage::Dispatch(job)).map_err(|message| match message {
            FactoryMessage::Dispatch(job) => job.msg,
            _ => unreachable!("what comes back is what was sent"),
        })
    }
}

/// What the pool is made of.
#[derive(Clone)]
pub(super) struct PoolSpec {
    pub(super) service: &'static str,
    pub(super) path: String,
    pub(super) config: PoolConfig,
    pub(super) router: Router,
    pub(super) address: PoolAddress,
    pub(super) load: Arc<Load>,
    pub(super) clock: Clock,
    pub(super) metrics: Metrics,
    pub(super) tree: Tree,
}

impl PoolSpec {
    /// The pool as a child of a supervisor.
    pub(super) fn into_child(self) -> ChildSpec {
        ChildSpec::new("pool", move || (Pool::default(), self.arguments()))
    }

    fn arguments(&self) -> FactoryArguments<u64, Job, bool, RouterWorker, Routing, Queue> {
        let announce = Announce(self.address.address.clone());
        FactoryArguments::builder()
            .worker_builder(Box::new(Hiring::new(self.clone())))
            .num_initial_workers(self.config.workers)
            .queue(Queue::new(Ranks))
            .router(Routing::default())
            .discard_handler(Arc::new(Discard(Arc::clone(&self.load))))
            .discard_settings(DiscardSettings::Static {
                limit: self.config.queue,
                mode: DiscardMode::Newest,
            })
            .lifecycle_hooks(Box::new(announce))
            .build()
    }
}

/// Makes the pool known when it is ready for jobs.
struct Announce(Address<Message>);

impl ractor::factory::FactoryLifecycleHooks<u64, Job> for Announce {
    fn on_factory_started(
        &self,
        factory: ActorRef<Message>,
    ) -> futures::future::BoxFuture<'_, Result<(), ActorProcessingErr>> {
        self.0.announce(&factory);
        async { Ok(()) }.boxed()
    }
}

/// Answers what the factory will not do. (A factory drops such jobs in silence.)
struct Discard(Arc<Load>);

impl DiscardHandler<u64, Job> for Discard {
    fn discard(&self, reason: DiscardReason, job: &mut FactoryJob<u64, Job>) {
        let refusal = match reason {
            DiscardReason::TtlExpired => Refusal::DeadlinePassed,
            DiscardReason::Shutdown => Refusal::Draining,
            DiscardReason::Loadshed | DiscardReason::RateLimited => Refusal::Busy,
        };
        self.0.count_refusal(refusal);
        job.msg.reply.refuse_in_place(refusal);
    }
}

/// Builds workers, and notices that a worker it is asked for is the replacement of a dead one.
struct Hiring {
    spec: PoolSpec,
    hired: HashSet<WorkerId>,
    /// Workers that ended on purpose, after a handler's panic: expected, and not counted.
    retired: Arc<AtomicU32>,
    deaths: RestartWindow,
}

impl Hiring {
    fn new(spec: PoolSpec) -> Self {
        let intensity = Intensity::new(WORKER_DEATHS, WORKER_PERIOD);
        Self {
            spec,
            hired: HashSet::new(),
            retired: Arc::new(AtomicU32::new(0)),
            deaths: RestartWindow::new(intensity),
        }
    }
}

impl WorkerBuilder<RouterWorker, bool> for Hiring {
    /// The start argument says whether the worker may start: `false` ends the pool.
    fn build(&mut self, worker: WorkerId) -> (RouterWorker, bool) {
        let mut may_start = true;
        if !self.hired.insert(worker) {
            let retired = self
                .retired
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
                .is_ok();
            let why = if retired { "a handler panicked" } else { "the worker died" };
            self.spec.tree.restarted(&format!("{}/worker", self.spec.path), why);
            may_start = retired || self.deaths.allows(Instant::now());
        }
        let worker = RouterWorker {
            service: self.spec.service,
            router: self.spec.router.clone(),
            clock: self.spec.clock.clone(),
            metrics: self.spec.metrics.clone(),
            retired: Arc::clone(&self.retired),
        };
        (worker, may_start)
    }
}

/// Runs the router.
pub(super) struct RouterWorker {
    service: &'static str,
    router: Router,
    clock: Clock,
    metrics: Metrics,
    retired: Arc<AtomicU32>,
}

impl Worker for RouterWorker {
    type Key = u64;
    type Message = Job;
    type Arguments = bool;
    type State = ();

    async fn pre_start(
        &self,
        _: WorkerId,
        _: &ActorRef<Message>,
        may_start: bool,
    ) -> Result<(), ActorProcessingErr> {
        if may_start {
            Ok(())
        } else {
            Err(format!("workers of {} die too often", self.service).into())
        }
    }

    async fn handle(
        &self,
        _: WorkerId,
        _: &ActorRef<Message>,
        FactoryJob { key, msg: Job { envelope, reply, mut place }, .. }: FactoryJob<u64, Job>,
        (): &mut (),
    ) -> Result<u64, ActorProcessingErr> {
        place.run();
        let left = self.clock.now().until(envelope.deadline);
        if left.is_zero() || reply.is_abandoned() {
            // It waited too long in the queue, or nobody wants the answer any more.
            place.count_refusal(Refusal::DeadlinePassed);
            drop(place);
            reply.refuse(Refusal::DeadlinePassed);
            return Ok(key);
        }
        let is_write = envelope.is_clients_write();
        // Whatever is logged on the way carries these two (and need not name them itself).
        let span = tracing::error_span!(
            "request",
            service = self.service,
            request_id = envelope.request_id.as_str()
        );
        let answering = (self.service, &self.router);
        let serving = adapter::serve(answering, *envelope, self.clock.now()).instrument(span);
        let outcome = tokio::time::timeout(left, AssertUnwindSafe(serving).catch_unwind()).await;
        // Who has the answer may ask again at once, and should find the place free.
        drop(place);
        match outcome {
            Ok(Ok(answer)) => {
                reply.send(answer);
                if is_write {
                    faults::pass(&faults::REPLY_SENT).await?;
                }
                Ok(key)
            }
            Ok(Err(panic)) => {
                let why = panic_message(panic.as_ref());
                self.metrics.panics.with_label_values(&[self.service]).inc();
                self.retired.fetch_add(1, Ordering::SeqCst);
                reply.send(Reply::problem(&Problem::internal()));
                // What the panic left behind in this worker goes with it.
                Err(format!("a handler panicked: {why}").into())
            }
            Err(_) => {
                let late = Problem::new(Kind::DeadlineExceeded, "the answer was not ready in time");
                reply.send(Reply::problem(&late));
                Ok(key)
            }
        }
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}
