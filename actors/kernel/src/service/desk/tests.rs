#![allow(clippy::disallowed_methods, reason = "workers of these tests have no supervisor")]

use std::time::Duration;

use http::{HeaderMap, Method, Uri};
use ractor::{Actor, ActorProcessingErr};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::*;
use crate::message::{
    Envelope, Extensions, Parcel, Payload, Principal, Reply, ReplyGuard, TraceContext,
};
use crate::metrics::Metrics;
use crate::service::load::Load;
use crate::time::Timestamp;

const SOON: Duration = Duration::from_secs(5);

/// A worker that tells which request it was given, and never looks for another.
struct Teller(mpsc::UnboundedSender<String>);

impl Actor for Teller {
    type Msg = Job;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Job>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<Job>,
        job: Job,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        self.0.send(job.envelope.request_id.clone()).unwrap();
        job.reply.send(Reply::refuse(Refusal::Busy));
        Ok(())
    }
}

async fn worker() -> (ActorRef<Job>, mpsc::UnboundedReceiver<String>) {
    let (told, tells) = mpsc::unbounded_channel();
    let (worker, _) = Actor::spawn(None, Teller(told), ()).await.unwrap();
    (worker, tells)
}

async fn told(by: &mut mpsc::UnboundedReceiver<String>) -> String {
    timeout(SOON, by.recv()).await.unwrap().unwrap()
}

/// A request by this name, and what its caller waits for.
fn job(name: &str, principal: Principal) -> (Job, oneshot::Receiver<Parcel<Reply>>) {
    let envelope = Envelope {
        method: Method::GET,
        uri: Uri::from_static("/"),
        headers: HeaderMap::new(),
        body: Payload::EMPTY,
        principal,
        deadline: Timestamp::from_micros(0),
        idempotency_key: None,
        trace: TraceContext::begin(),
        request_id: name.to_owned(),
        extensions: Extensions::default(),
    };
    let load = Load::new("test", 100, Metrics::new().unwrap());
    let (port, reply) = oneshot::channel();
    let place = load.enter(Rank::Client).unwrap();
    let job = Job { envelope: Box::new(envelope), reply: ReplyGuard::new(port.into()), place };
    (job, reply)
}

fn client(name: &str) -> Job {
    job(name, Principal::Anonymous).0
}

fn insider(name: &str) -> Job {
    job(name, Principal::Service("gateway".to_owned())).0
}

fn name(job: &Job) -> &str {
    &job.envelope.request_id
}

#[tokio::test]
async fn who_was_busy_last_is_given_the_next_request() {
    let desk = Desk::new(0);
    let (mut first, mut second) = (worker().await, worker().await);
    assert!(desk.next(&first.0).is_none() && desk.next(&second.0).is_none());
    desk.give(client("a")).unwrap();
    desk.give(client("b")).unwrap();
    assert_eq!((told(&mut second.1).await, told(&mut first.1).await), ("a".into(), "b".into()));
    // Both are busy as long as they have not looked for another.
    let (back, refusal) = desk.give(client("c")).unwrap_err();
    assert_eq!((name(&back), refusal), ("c", Refusal::Busy));
}

#[tokio::test]
async fn insiders_go_first_and_clients_are_bounded() {
    let desk = Desk::new(2);
    for request in [client("a"), client("b"), insider("c"), insider("d")] {
        desk.give(request).unwrap();
    }
    let (back, refusal) = desk.give(client("e")).unwrap_err();
    assert_eq!((name(&back), refusal), ("e", Refusal::Busy));
    desk.give(insider("f")).unwrap();
    let (worker, _tells) = worker().await;
    let order: Vec<String> =
        std::iter::from_fn(|| desk.next(&worker)).map(|job| name(&job).to_owned()).collect();
    assert_eq!(order, ["c", "d", "f", "a", "b"]);
    // Now it counts as free.
    desk.give(client("g")).unwrap();
}

#[tokio::test]
async fn one_that_has_ended_is_passed_over() {
    let desk = Desk::new(0);
    let (mut lives, ends, leaves) = (worker().await, worker().await, worker().await);
    for worker in [&lives.0, &leaves.0, &ends.0] {
        assert!(desk.next(worker).is_none());
    }
    desk.gone(leaves.0.get_id());
    ends.0.stop_and_wait(None, None).await.unwrap();
    desk.give(client("a")).unwrap();
    assert_eq!(told(&mut lives.1).await, "a");
    let (_, refusal) = desk.give(client("b")).unwrap_err();
    assert_eq!(refusal, Refusal::Busy);
}

#[tokio::test]
async fn a_request_that_dies_with_its_worker_is_answered() {
    let desk = Desk::new(0);
    let (worker, _tells) = worker().await;
    assert!(desk.next(&worker).is_none());
    let (job, reply) = job("a", Principal::Anonymous);
    // It is told to end before it looks into its mailbox: both happen in one turn of this thread.
    worker.kill();
    desk.give(job).unwrap();
    let reply = timeout(SOON, reply).await.unwrap().unwrap().open().unwrap();
    assert_eq!(reply.refusal, Some(Refusal::Aborted));
}

#[tokio::test]
async fn a_closed_desk_hands_back_what_waits_and_takes_nothing() {
    let (desks, desk) = (Desks::default(), Arc::new(Desk::new(4)));
    assert_eq!(desks.give(client("early")).unwrap_err().1, Refusal::Busy);
    desks.open(&desk);
    for request in [client("a"), insider("b")] {
        desks.give(request).unwrap();
    }
    let waiting = desk.close();
    assert_eq!(waiting.iter().map(name).collect::<Vec<_>>(), ["b", "a"]);
    assert!(desk.close().is_empty());
    for request in [client("c"), insider("d")] {
        assert_eq!(desks.give(request).unwrap_err().1, Refusal::Busy);
    }
    let (worker, _tells) = worker().await;
    assert!(desk.next(&worker).is_none());
    assert_eq!(desks.give(client("e")).unwrap_err().1, Refusal::Busy, "it does not count as free");
}
