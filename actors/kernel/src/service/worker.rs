//! A worker: runs the service's router, one request at a time.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use futures::FutureExt as _;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use ractor_cluster::RactorMessage;
use tracing::Instrument as _;

use super::adapter;
use super::desk::Desk;
use super::load::Place;
use super::purging;
use crate::faults;
use crate::message::{Envelope, Refusal, Reply, ReplyGuard};
use crate::metrics::Metrics;
use crate::problem::{Kind, Problem};
use crate::purge::{Begun, Purger};
use crate::time::Clock;

/// Why a worker has ended whose handler panicked.
pub(super) const PANICKED: &str = "a handler panicked";

/// A request on its way to a worker.
#[derive(Debug, RactorMessage)]
pub(super) struct Job {
    pub(super) envelope: Box<Envelope>,
    pub(super) reply: ReplyGuard,
    pub(super) place: Place,
}

/// Runs the router.
pub(super) struct RouterWorker {
    pub(super) service: &'static str,
    pub(super) router: Router,
    pub(super) desk: Arc<Desk>,
    pub(super) clock: Clock,
    pub(super) metrics: Metrics,
    /// Where it is said what is old; `None` where nothing is for everybody.
    pub(super) purger: Option<Purger>,
}

impl Actor for RouterWorker {
    type Msg = Job;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Job>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn post_start(
        &self,
        myself: ActorRef<Job>,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        self.look(&myself);
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<Job>,
        Job { envelope, reply, mut place }: Job,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        place.run();
        let left = self.clock.now().until(envelope.deadline);
        if left.is_zero() || reply.is_abandoned() {
            // It waited too long, or nobody wants the answer any more.
            place.count_refusal(Refusal::DeadlinePassed);
            drop(place);
            self.look(&myself);
            reply.refuse(Refusal::DeadlinePassed);
            return Ok(());
        }
        let is_write = envelope.is_clients_write();
        let (concern, begun) = (purging::Concern::of(&envelope), Begun::default());
        // Whatever is logged on the way carries these two (and need not name them itself).
        let span = tracing::error_span!(
            "request",
            service = self.service,
            request_id = envelope.request_id.as_str()
        );
        let answering = (self.service, &self.router);
        // Boxed first: what is wrapped around it, and what runs an actor, move it about.
        let serving = Box::pin(adapter::serve(answering, *envelope, &begun, self.clock.now()));
        let serving = AssertUnwindSafe(serving.instrument(span)).catch_unwind();
        let outcome = tokio::time::timeout(left, serving).await;
        // Who has the answer may ask again at once, and should find the place free, and the worker.
        drop(place);
        let mut answer = match outcome {
            Ok(Ok(answer)) => answer,
            // It was told of where it happened.
            Ok(Err(_)) => {
                self.metrics.panics.with_label_values(&[self.service]).inc();
                // What the panic left behind in this worker goes with it.
                myself.stop(Some(PANICKED.to_owned()));
                let mut answer = Reply::problem(&Problem::internal());
                concern.settle(&mut answer, &begun, self.purger.as_ref());
                reply.send(answer);
                return Ok(());
            }
            Err(_) => {
                let late = Problem::new(Kind::DeadlineExceeded, "the answer was not ready in time");
                Reply::problem(&late)
            }
        };
        concern.settle(&mut answer, &begun, self.purger.as_ref());
        self.look(&myself);
        reply.send(answer);
        if is_write {
            faults::pass(&faults::REPLY_SENT).await?;
        }
        Ok(())
    }
}

impl RouterWorker {
    /// Looks for what is to be done next. It comes as a message, so that a worker that is always busy is
    /// told to stop nevertheless.
    fn look(&self, myself: &ActorRef<Job>) {
        if let Some(job) = self.desk.next(myself) {
            // One that is about to end does not take it; then the request is answered `Aborted`.
            drop(myself.send_message(job));
        }
    }
}
