//! What `docs/testing.md` teaches.

use std::time::Duration;

use panel_harness::{Cluster, Load, Network, Session, Thread, checks, eventually};

const SOON: Duration = Duration::from_secs(60);
const SERVICES: &str = "auth,forum,cms,admin";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_node_is_cut_off_and_another_killed() {
    let nodes = Cluster::builder().await.node("n1", "gateway");
    let mut cluster = nodes.node("n2", SERVICES).node("n3", SERVICES).start().await;
    let thread = Thread::open(&cluster.node("n1").admin("root").await).await;
    let ada = Session::register(&cluster.client("n1"), "ada").await;
    let load = Load::on(&thread).through(cluster.node("n1").http());
    let load = load.signed_in([ada]).anonymous(2).writes(50).start();
    let more = async || {
        let before = load.acknowledged();
        eventually("more is written", SOON, async || load.acknowledged() >= before + 20).await;
    };
    more().await;

    cluster.around("n2").into_iter().for_each(Network::partition);
    cluster.await_status("n2", "n1", Some("down")).await;
    more().await;
    cluster.around("n2").into_iter().for_each(Network::heal);
    cluster.await_linked().await;
    cluster.node_mut("n3").kill9();
    more().await;
    cluster.node_mut("n3").restart().await;

    let history = load.stop().await;
    let found = thread.bodies(&cluster.client("n1")).await;
    checks::writes_are_exactly_once(&history, &found).unwrap();
    checks::failures_at_most(&history, 0).unwrap();
}
