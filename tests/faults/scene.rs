//! A cluster, a thread in it, and a load on that.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use panel_harness::load::Running;
use panel_harness::{
    Backend, Cluster, ClusterBuilder, History, Load, Session, TestDatabase, Thread, checks,
    eventually,
};

use super::scale::{self, Scale};

/// For what has to come, on a machine that does much else.
pub(crate) const SOON: Duration = Duration::from_secs(60);
/// What a service node runs.
pub(crate) const SERVICES: &str = "auth,forum,cms,admin";

/// The cluster, and what is asked of it.
pub(crate) struct Scene {
    pub(crate) cluster: Cluster,
    pub(crate) thread: Thread,
    /// Who opened it: an administrator.
    pub(crate) admin: Session,
    /// Who has signed up so far.
    people: AtomicUsize,
    load: Option<Running>,
}

/// A gateway that serves nothing itself, and two nodes that serve everything.
pub(crate) async fn three() -> ClusterBuilder {
    three_on(Backend::Postgres.database().await).await
}

/// The same on this database.
pub(crate) async fn three_on(database: TestDatabase) -> ClusterBuilder {
    Cluster::builder()
        .await
        .database(database)
        .env("PANEL_LIMITS__ENABLED", "false")
        .node("n1", "gateway")
        .node("n2", SERVICES)
        .node("n3", SERVICES)
}

impl Scene {
    /// People who read and write through the gateway of [`three`].
    pub(crate) async fn three() -> Self {
        Self::on(three().await.start().await).await
    }

    /// The same on any cluster whose node `n1` is a gateway.
    pub(crate) async fn on(cluster: Cluster) -> Self {
        let admin = cluster.node("n1").admin("root").await;
        let thread = Thread::open(&admin).await;
        Self { cluster, thread, admin, people: AtomicUsize::new(0), load: None }
    }

    /// Lets people begin, and waits until it is under way.
    pub(crate) async fn begin(&mut self) {
        let load = self.load().await;
        self.begin_with(load).await;
    }

    /// The usual load, to be changed before it begins.
    pub(crate) async fn load(&self) -> Load {
        let Scale { people, readers, writes, pause } = scale::scale();
        let client = self.cluster.client("n1");
        let mut sessions = Vec::new();
        let first = self.people.fetch_add(people, Ordering::Relaxed);
        for number in first..first + people {
            sessions.push(Session::register(&client, &format!("person{number}")).await);
        }
        Load::on(&self.thread)
            .through(self.cluster.node("n1").http())
            .signed_in(sessions)
            .anonymous(readers)
            .writes(writes)
            .pause(pause)
    }

    /// Lets a load begin, and waits until it is under way.
    pub(crate) async fn begin_with(&mut self, load: Load) {
        self.load = Some(load.start());
        self.more().await;
    }

    /// Waits until it has gone on for a while.
    pub(crate) async fn more(&self) {
        let load = self.running();
        let (written, ended) = (load.acknowledged(), load.ended());
        let (writes, all) = scale::enough();
        eventually("the load goes on", SOON, async || {
            load.acknowledged() >= written + writes && load.ended() >= ended + all
        })
        .await;
    }

    /// The load under way.
    pub(crate) fn running(&self) -> &Running {
        self.load.as_ref().unwrap()
    }

    /// Ends the load; what it has seen holds together with what is stored.
    pub(crate) async fn end(&mut self) -> History {
        let history = self.load.take().unwrap().stop().await;
        self.holds_together(&history).await;
        history
    }

    /// Ends the load, in which nothing may have failed. `what` was done to the cluster at a
    /// moment; see [`scale::report`].
    pub(crate) async fn end_without_failure(&mut self, what: &str, goal: Goal, from: Instant) {
        let history = self.end().await;
        scale::report(what, goal, &history, from);
        checks::failures_at_most(&history, 0).unwrap();
    }

    async fn holds_together(&self, history: &History) {
        let found = self.thread.bodies(&self.cluster.client("n1")).await;
        checks::writes_are_exactly_once(history, &found).unwrap();
        checks::reads_see_own_writes(history).unwrap();
        checks::reads_never_go_back(history).unwrap();
    }
}

pub(crate) use scale::Goal;
