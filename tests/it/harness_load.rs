//! The harness's load and its checks together, on the real program.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use panel_harness::load::{Kind, Marker};
use panel_harness::{Client, History, Load, Node, Proxy, Session, Thread, checks, eventually};
use parking_lot::Mutex;

/// For what has to come, on a machine that does much else.
const SOON: Duration = Duration::from_secs(60);

/// A proxy in front of wherever the node is, which each start changes.
struct Front {
    proxy: Proxy,
    place: Arc<Mutex<Option<SocketAddr>>>,
}

impl Front {
    fn of(node: &Node) -> Self {
        let place = Arc::new(Mutex::new(None));
        let asked = Arc::clone(&place);
        let front = Self { proxy: Proxy::resolving(move || *asked.lock()), place };
        front.is_at(node);
        front
    }

    fn is_at(&self, node: &Node) {
        *self.place.lock() = Some(node.http().parse().unwrap());
    }
}

/// So many people.
async fn people(client: &Client, count: usize) -> Vec<Session> {
    let mut people = Vec::new();
    for number in 0..count {
        people.push(Session::register(client, &format!("person{number}")).await);
    }
    people
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_who_asks_again_notices_a_kill() {
    let mut node = Node::start().await;
    let front = Front::of(&node);
    let thread = Thread::open(&node.admin("root").await).await;
    let people = people(&node.client(), 4).await;
    let load = Load::on(&thread).through(front.proxy.address()).signed_in(people);
    let load = load.anonymous(2).writes(30).resend(SOON).start();
    eventually("some is written", SOON, async || load.acknowledged() >= 50).await;

    let killed = Instant::now();
    node.kill9();
    node.restart().await;
    front.is_at(&node);

    let before = load.acknowledged();
    eventually("more is written", SOON, async || load.acknowledged() >= before + 50).await;
    let history = load.stop().await;
    let found = thread.bodies(&node.client()).await;
    checks::writes_are_exactly_once(&history, &found).unwrap();
    checks::reads_never_go_back(&history).unwrap();
    checks::reads_see_own_writes(&history).unwrap();
    checks::failures_at_most(&history, 0).unwrap();
    checks::longest_at_most(&history.during(killed, Instant::now()), SOON).unwrap();
    assert!(history.resent() > 0, "{history}");
}

/// The same history with another end would have failed.
fn what_is_wrong_is_noticed(history: &History, found: Vec<String>) {
    let is_ours = |text: &String| text.parse::<Marker>().is_ok();
    let place = found.iter().position(is_ours).unwrap();
    let mut lost = found.clone();
    lost.remove(place);
    checks::writes_are_exactly_once(history, &lost).unwrap_err();
    let mut doubled = found;
    doubled.push(doubled[place].clone());
    checks::writes_are_exactly_once(history, &doubled).unwrap_err();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_ask_again_notices_a_kill_and_no_more() {
    let mut node = Node::start().await;
    let front = Front::of(&node);
    let thread = Thread::open(&node.admin("root").await).await;
    let people = people(&node.client(), 4).await;
    let load = Load::on(&thread).through(front.proxy.address()).signed_in(people).writes(50);
    let load = load.start();
    eventually("some is written", SOON, async || load.acknowledged() >= 50).await;
    let killed = Instant::now();
    node.kill9();
    node.restart().await;
    front.is_at(&node);
    let restarted = Instant::now();
    let before = load.acknowledged();
    eventually("more is written", SOON, async || load.acknowledged() >= before + 50).await;
    let history = load.stop().await;
    let found = thread.bodies(&node.client()).await;
    checks::writes_are_exactly_once(&history, &found).unwrap();
    what_is_wrong_is_noticed(&history, found);
    checks::reads_never_go_back(&history).unwrap();
    checks::failures_at_most(&history.before(killed), 0).unwrap();
    checks::failures_at_most(&history.during(killed, restarted), 0).unwrap_err();
    // As the proxy resets connections before or after they are made.
    checks::only_fails_with(&history, &["connection lost", "not connected"]).unwrap();
    checks::recovers_within(&history, killed, SOON).unwrap();
    let recovery = history.recovery(killed).unwrap();
    assert!(recovery > Duration::ZERO, "{history}");
    checks::recovers_within(&history, killed, recovery / 2).unwrap_err();
    checks::failures_at_most(&history.after(killed + recovery), 0).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_is_gone_is_a_failover_and_no_failure() {
    let node = Node::start().await;
    let (one, other) = (Proxy::start(node.http()), Proxy::start(node.http()));
    let thread = Thread::open(&node.admin("root").await).await;
    let people = people(&node.client(), 2).await;
    // Nobody listens at the first: who begins there goes on, once, and stays.
    one.everybody().cut();
    let load = Load::on(&thread).through(one.address()).through(other.address());
    let load = load.signed_in(people).writes(50).start();
    eventually("some is written", SOON, async || load.acknowledged() >= 20).await;
    let history = load.history();
    checks::failures_at_most(&history, 0).unwrap();
    assert_eq!(history.failovers(), 1, "{history}");
    // Now everybody is at the other, and has to go back in the middle of requests.
    one.heal();
    other.everybody().cut();
    let before = load.acknowledged();
    eventually("more is written", SOON, async || load.acknowledged() >= before + 20).await;
    let history = load.stop().await;
    checks::writes_are_exactly_once(&history, &thread.bodies(&node.client()).await).unwrap();
    // A write that may have been done is not sent to another gateway. All else is.
    checks::failures_at_most(&history.only(|entry| entry.kind != Kind::Reply), 0).unwrap();
    checks::failures_at_most(&history, 2).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_is_bounded_mixed_as_asked_and_changes_its_tokens() {
    let node = Node::start().await;
    let thread = Thread::open(&node.admin("root").await).await;
    let sessions = people(&node.client(), 2).await;
    let old: Vec<String> = sessions.iter().map(|one| one.refresh_token.clone()).collect();
    let load = Load::on(&thread).through(node.http()).signed_in(sessions).anonymous(1);
    let load = load.limit(300).refresh_every(Duration::from_millis(20)).start();
    // By itself.
    eventually("the limit is reached", SOON, async || load.ended() >= 300).await;
    let history = load.stop().await;
    let count = history.entries().len();
    assert!((300..=302).contains(&count), "{count}");
    checks::failures_at_most(&history, 0).unwrap();
    for client in 0..3 {
        let own = history.only(|entry| entry.client == client);
        let all = own.entries().len();
        let writes = own.only(|entry| entry.kind == Kind::Reply).entries().len();
        // Ten in each hundred; the last hundred may not be whole.
        let expected = if client == 2 { 0..=0 } else { all / 100 * 10..=all / 100 * 10 + 10 };
        assert!(expected.contains(&writes), "client {client}: {writes} of {all}");
    }
    checks::writes_are_exactly_once(&history, &thread.bodies(&node.client()).await).unwrap();
    for token in old {
        let token = serde_json::json!({"refresh_token": token});
        let used = node.client().post("/api/v2/auth/refresh").json(&token).await;
        used.refused(401, "unauthorized");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_network_shows_in_the_latency_of_its_window() {
    let delay = Duration::from_millis(60);
    let node = Node::start().await;
    let front = Front::of(&node);
    let thread = Thread::open(&node.admin("root").await).await;
    let load = Load::on(&thread).through(front.proxy.address()).anonymous(2).start();
    let more = async || {
        let before = load.ended();
        eventually("more is read", SOON, async || load.ended() > before + 10).await;
        Instant::now()
    };
    more().await;
    front.proxy.everybody().delay(delay);
    // Whatever began before has ended by then.
    let from = more().await;
    let to = more().await;
    front.proxy.heal();
    more().await;
    let history = load.stop().await;
    let slow = history.after(from).before(to);
    assert!(slow.latency().percentile(1) >= delay * 2, "{slow}");
    checks::percentile_at_most(&slow, 1, delay).unwrap_err();
    checks::failures_at_most(&history, 0).unwrap();
    assert!(history.before(from).latency().percentile(1) < delay * 2, "{history}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_longer_than_told() {
    let node = Node::start().await;
    let front = Front::of(&node);
    let thread = Thread::open(&node.admin("root").await).await;
    let patience = Duration::from_millis(200);
    let load = Load::on(&thread).through(front.proxy.address()).anonymous(1).patience(patience);
    let load = load.start();
    eventually("something is read", SOON, async || load.ended() > 0).await;
    front.proxy.everybody().blackhole();
    eventually("a request is given up", SOON, async || !load.history().failures().is_empty()).await;
    front.proxy.heal();
    let history = load.stop().await;
    checks::only_fails_with(&history, &["no answer in time"]).unwrap();
    let given_up = history.only(|entry| !entry.outcome.is_done());
    assert!(given_up.latency().percentile(1) >= patience, "{history}");
}
