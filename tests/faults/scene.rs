//! A cluster, a thread in it, and a load on that.

use std::time::{Duration, Instant};

use panel_harness::load::Running;
use panel_harness::{Cluster, History, Load, Session, Thread, checks, eventually};

/// For what has to come, on a machine that does much else.
pub(crate) const SOON: Duration = Duration::from_secs(60);
/// What a service node runs.
pub(crate) const SERVICES: &str = "auth,forum,cms,admin";

/// The cluster, and what is asked of it.
pub(crate) struct Scene {
    pub(crate) cluster: Cluster,
    thread: Thread,
    load: Option<Running>,
}

impl Scene {
    /// A gateway that serves nothing itself, two nodes that serve everything, and people who read
    /// and write through the gateway.
    pub(crate) async fn three() -> Self {
        let cluster = Cluster::builder()
            .await
            .env("PANEL_LIMITS__ENABLED", "false")
            .node("n1", "gateway")
            .node("n2", SERVICES)
            .node("n3", SERVICES)
            .start()
            .await;
        Self::on(cluster).await
    }

    /// The same on any cluster whose node `n1` is a gateway.
    pub(crate) async fn on(cluster: Cluster) -> Self {
        let thread = Thread::open(&cluster.node("n1").admin("root").await).await;
        Self { cluster, thread, load: None }
    }

    /// Lets so many people begin, half of whose requests are writes, and waits until it is under
    /// way.
    pub(crate) async fn begin(&mut self, people: usize) {
        let client = self.cluster.client("n1");
        let mut sessions = Vec::new();
        for number in 0..people {
            sessions.push(Session::register(&client, &format!("person{number}")).await);
        }
        let load = Load::on(&self.thread)
            .through(self.cluster.node("n1").http())
            .signed_in(sessions)
            .anonymous(2)
            .writes(50)
            .start();
        self.load = Some(load);
        self.more().await;
    }

    /// Waits until it has gone on for a while.
    pub(crate) async fn more(&self) {
        let load = self.load.as_ref().unwrap();
        let (written, ended) = (load.acknowledged(), load.ended());
        eventually("the load goes on", SOON, async || {
            load.acknowledged() >= written + 30 && load.ended() >= ended + 60
        })
        .await;
    }

    /// Ends the load; what it has seen holds together with what is stored.
    pub(crate) async fn end(&mut self) -> History {
        let history = self.load.take().unwrap().stop().await;
        let found = self.thread.bodies(&self.cluster.client("n1")).await;
        checks::writes_are_exactly_once(&history, &found).unwrap();
        checks::reads_see_own_writes(&history).unwrap();
        history
    }
}

/// Says how long the longest request of a time was; for people who run this for the figures.
#[allow(clippy::print_stderr, reason = "figures go beside the test's outcome")]
pub(crate) fn report(what: &str, history: &History, from: Instant) {
    let before = history.before(from).latency();
    let after = history.after(from).latency();
    eprintln!(
        "{what}: {} requests, {} failed; median before {:?}, longest before {:?}, after {:?}",
        history.entries().len(),
        history.failures().values().sum::<usize>(),
        before.percentile(50),
        before.longest(),
        after.longest(),
    );
}
