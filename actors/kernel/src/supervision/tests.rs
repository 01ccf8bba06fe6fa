//! What relies on supervision: the one that fails comes back, its neighbours do not notice,
//! and what keeps failing is given up in order.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use ractor_cluster::RactorMessage;

use super::*;

#[allow(clippy::disallowed_methods, reason = "a test's root has nobody above it")]
async fn start(spec: SupervisorSpec) -> (ActorRef<SupervisorMessage>, tokio::task::JoinHandle<()>) {
    Actor::spawn(None, Supervisor, spec).await.unwrap()
}
use crate::metrics::Metrics;
use crate::time::Clock;

#[derive(RactorMessage)]
enum Order {
    Fail,
    Panic,
    Ping(RpcReplyPort<u32>),
}

/// Counts its lives, writes its starts and stops into a shared log.
struct Probe(&'static str, Address<Order>, Arc<AtomicU32>, Arc<Mutex<Vec<String>>>);

impl Actor for Probe {
    type Msg = Order;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, me: ActorRef<Order>, (): ()) -> Result<(), ActorProcessingErr> {
        self.2.fetch_add(1, Ordering::SeqCst);
        self.3.lock().unwrap().push(format!("+{}", self.0));
        self.1.announce(&me);
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<Order>,
        order: Order,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        match order {
            Order::Fail => Err("told to fail".into()),
            Order::Panic => panic!("told to panic"),
            Order::Ping(port) => Ok(port.send(self.2.load(Ordering::SeqCst))?),
        }
    }

    async fn post_stop(&self, _: ActorRef<Order>, (): &mut ()) -> Result<(), ActorProcessingErr> {
        self.3.lock().unwrap().push(format!("-{}", self.0));
        Ok(())
    }
}

#[derive(Clone, Default)]
struct Rig {
    log: Arc<Mutex<Vec<String>>>,
}

impl Rig {
    fn child(&self, id: &'static str) -> (Address<Order>, ChildSpec) {
        let (address, lives) = (Address::new(), Arc::new(AtomicU32::new(0)));
        let (announced, log) = (address.clone(), Arc::clone(&self.log));
        let spec = ChildSpec::new(id, move || {
            (Probe(id, announced.clone(), Arc::clone(&lives), Arc::clone(&log)), ())
        });
        (address, spec)
    }

    fn log(&self) -> Vec<String> {
        std::mem::take(&mut self.log.lock().unwrap())
    }
}

fn tree() -> Tree {
    Tree::new(Clock::system(), Metrics::new().unwrap())
}

fn quick(tree: &Tree) -> SupervisorSpec {
    SupervisorSpec::new("", tree)
        .backoff(Backoff { first: Duration::from_millis(1), most: Duration::from_millis(4) })
}

async fn lives(address: &Address<Order>, expected: u32) {
    for _ in 0..500 {
        if address.call(Order::Ping, Duration::from_secs(1)).await == Ok(expected) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("never reached life {expected}");
}

async fn eventually(what: &str, mut check: impl FnMut() -> bool) {
    for _ in 0..500 {
        if check() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("never happened: {what}");
}

#[tokio::test]
async fn one_for_one_restarts_the_one_that_failed() {
    let (rig, tree) = (Rig::default(), tree());
    let ((a, a_spec), (b, b_spec)) = (rig.child("a"), rig.child("b"));
    let spec = quick(&tree).child(a_spec).child(b_spec);
    let (root, handle) = start(spec).await;
    assert!(a.send(Order::Panic).is_ok());
    lives(&a, 2).await;
    assert!(a.send(Order::Fail).is_ok());
    lives(&a, 3).await;
    lives(&b, 1).await;
    let status = tree.get("a").unwrap();
    assert_eq!((status.state, status.restarts), (ActorState::Up, 2));
    assert!(status.last_failure.unwrap().contains("told to fail"));
    root.stop(None);
    handle.await.unwrap();
    assert_eq!(rig.log(), ["+a", "+b", "+a", "+a", "-b", "-a"]);
}

#[tokio::test]
async fn rest_for_one_restarts_those_after_it_in_order() {
    let (rig, tree) = (Rig::default(), tree());
    let ((a, a_spec), (b, b_spec), (c, c_spec)) = (rig.child("a"), rig.child("b"), rig.child("c"));
    let spec =
        quick(&tree).strategy(Strategy::RestForOne).child(a_spec).child(b_spec).child(c_spec);
    let (root, handle) = start(spec).await;
    assert!(b.send(Order::Fail).is_ok());
    lives(&c, 2).await;
    lives(&a, 1).await;
    root.stop(None);
    handle.await.unwrap();
    assert_eq!(rig.log(), ["+a", "+b", "+c", "-c", "+b", "+c", "-c", "-b", "-a"]);
}

#[tokio::test]
async fn a_killed_child_comes_back() {
    let (rig, tree) = (Rig::default(), tree());
    let (a, spec) = rig.child("a");
    let (root, handle) = start(quick(&tree).child(spec)).await;
    a.current().unwrap().kill();
    lives(&a, 2).await;
    root.stop(None);
    handle.await.unwrap();
}

#[tokio::test]
async fn too_many_failures_escalate_and_the_root_starts_afresh() {
    let (rig, tree) = (Rig::default(), tree());
    let ((a, a_spec), (b, b_spec)) = (rig.child("a"), rig.child("b"));
    let group = SupervisorSpec { path: "g".to_owned(), ..quick(&tree) }
        .intensity(Intensity::new(2, Duration::from_secs(60)))
        .child(a_spec)
        .child(b_spec);
    let spec = quick(&tree)
        .intensity(Intensity::never_give_up(Duration::from_secs(60)))
        .child(group.into_child("g"));
    let (root, handle) = start(spec).await;
    for life in 1..=3 {
        lives(&a, life).await;
        assert!(a.send(Order::Fail).is_ok());
    }
    // The third failure was one too many: the group ended, with b stopped in order, and the
    // root started a new one.
    lives(&a, 4).await;
    lives(&b, 2).await;
    assert_eq!(tree.get("g").unwrap().restarts, 1);
    assert!(tree.get("g").unwrap().last_failure.unwrap().contains("too often"));
    root.stop(None);
    handle.await.unwrap();
    assert_eq!(rig.log(), ["+a", "+b", "+a", "+a", "-b", "+a", "+b", "-b", "-a"]);
}

#[tokio::test]
async fn an_operator_restarts_a_whole_group_live() {
    let (rig, tree) = (Rig::default(), tree());
    let (a, a_spec) = rig.child("a");
    let group = SupervisorSpec { path: "g".to_owned(), ..quick(&tree) }.child(a_spec);
    let spec = quick(&tree).child(group.into_child("g"));
    let (root, handle) = start(spec).await;
    assert!(tree.restart("g"));
    lives(&a, 2).await;
    assert!(tree.restart("g/a"));
    lives(&a, 3).await;
    assert!(!tree.restart("nowhere/a"));
    root.stop(None);
    handle.await.unwrap();
}

#[tokio::test]
async fn temporary_and_transient_children_rest() {
    let (rig, tree) = (Rig::default(), tree());
    let ((a, a_spec), (b, b_spec)) = (rig.child("a"), rig.child("b"));
    let spec = quick(&tree)
        .child(a_spec.restart(Restart::Temporary))
        .child(b_spec.restart(Restart::Transient));
    let (root, handle) = start(spec).await;
    assert!(a.send(Order::Fail).is_ok());
    b.current().unwrap().stop(None);
    let down = |path| tree.get(path).is_some_and(|status| status.state == ActorState::Down);
    eventually("both rest", || down("a") && down("b")).await;
    root.stop(None);
    handle.await.unwrap();
    assert_eq!(rig.log().iter().filter(|line| line.starts_with('+')).count(), 2);
}

/// Does not stop before it may.
struct Reluctant(Arc<tokio::sync::Semaphore>, Arc<AtomicU32>);

impl Actor for Reluctant {
    type Msg = Order;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Order>, (): ()) -> Result<(), ActorProcessingErr> {
        self.1.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    async fn post_stop(&self, _: ActorRef<Order>, (): &mut ()) -> Result<(), ActorProcessingErr> {
        self.0.acquire().await?.forget();
        Ok(())
    }
}

fn reluctant() -> (Arc<tokio::sync::Semaphore>, Arc<AtomicU32>, ChildSpec) {
    let may_stop = Arc::new(tokio::sync::Semaphore::new(0));
    let lives = Arc::new(AtomicU32::new(0));
    let (gate, counted) = (Arc::clone(&may_stop), Arc::clone(&lives));
    let spec = ChildSpec::new("reluctant", move || {
        (Reluctant(Arc::clone(&gate), Arc::clone(&counted)), ())
    });
    (may_stop, lives, spec.shutdown(Duration::from_secs(60)))
}

async fn answers(root: &ActorRef<SupervisorMessage>) -> bool {
    let answer = root.call(SupervisorMessage::Ping, Some(Duration::from_secs(1))).await;
    matches!(answer, Ok(ractor::rpc::CallResult::Success(())))
}

#[tokio::test]
async fn a_supervisor_answers_while_a_child_takes_its_time_to_stop() {
    let (rig, tree) = (Rig::default(), tree());
    let (may_stop, reluctant_lives, slow) = reluctant();
    let (a, a_spec) = rig.child("a");
    let (root, handle) = start(quick(&tree).child(a_spec).child(slow)).await;
    assert!(tree.restart("reluctant"));
    assert!(answers(&root).await && answers(&root).await);
    // What happens meanwhile is not forgotten, also not when it is asked for twice.
    assert!(a.send(Order::Fail).is_ok());
    assert!(tree.restart("reluctant"));
    assert!(answers(&root).await);
    assert_eq!(reluctant_lives.load(Ordering::SeqCst), 1, "it has not stopped yet");
    may_stop.add_permits(2);
    eventually("it was restarted twice", || reluctant_lives.load(Ordering::SeqCst) == 3).await;
    lives(&a, 2).await;
    may_stop.add_permits(1);
    root.stop(None);
    handle.await.unwrap();
    assert_eq!(tree.get("reluctant").unwrap().state, ActorState::Down);
}

#[tokio::test]
async fn a_supervisor_that_ends_while_a_child_stops_waits_for_it() {
    let (rig, tree) = (Rig::default(), tree());
    let (may_stop, reluctant_lives, slow) = reluctant();
    let (_, a_spec) = rig.child("a");
    let (root, handle) = start(quick(&tree).child(a_spec).child(slow)).await;
    assert!(tree.restart("reluctant"));
    assert!(answers(&root).await);
    root.stop(None);
    may_stop.add_permits(1);
    handle.await.unwrap();
    assert_eq!(reluctant_lives.load(Ordering::SeqCst), 1, "it is not started any more");
    for path in ["a", "reluctant"] {
        assert_eq!(tree.get(path).unwrap().state, ActorState::Down);
    }
    assert_eq!(rig.log(), ["+a", "-a"]);
}
