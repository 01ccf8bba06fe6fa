//! A node dies or stops at a named point of a write that another node has sent it: the other
//! sends it elsewhere, and the client, who knows nothing of it, has one answer and one post.

use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

use panel_harness::{Cluster, Session};

use super::scale::{figure, millis};
use super::scene::{Scene, three};

/// Every point of a write.
const POINTS: [&str; 6] = [
    "door.admit",
    "write.before_transaction",
    "write.in_transaction",
    "write.before_commit",
    "write.after_commit",
    "reply.sent",
];
/// Writes until one of two nodes has surely been asked.
const TRIES: usize = 200;

async fn scene() -> Scene {
    Scene::on(three().await.env("PANEL_FAULTS__ENABLED", "true").start().await).await
}

impl Scene {
    /// Writes one post after the other until `is_over`; each is answered. How long the longest
    /// took.
    async fn write_until(
        &mut self,
        text: &str,
        written: &mut Vec<String>,
        is_over: impl Fn(&mut Self) -> bool,
    ) -> Duration {
        let mut longest = Duration::ZERO;
        for number in 0..TRIES {
            let body = format!("{text} {number}");
            let sent = Instant::now();
            self.thread.reply(&self.admin, &body).await.expect(201);
            longest = longest.max(sent.elapsed());
            written.push(body);
            if is_over(self) {
                return longest;
            }
        }
        panic!("{TRIES} writes, and none reached it: {text}")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_death_at_any_point_of_a_write_costs_no_answer_and_no_row() {
    let mut scene = scene().await;
    let mut written = vec!["first".to_owned()];
    let mut longest = Duration::ZERO;
    for point in POINTS {
        scene.cluster.node("n2").arm(&format!("{point}=exit")).await;
        let died = |scene: &mut Scene| !scene.cluster.node_mut("n2").is_running();
        longest = longest.max(scene.write_until(point, &mut written, died).await);
        assert_eq!(scene.cluster.node_mut("n2").ended().await.signal(), Some(9), "{point}");
        scene.cluster.node_mut("n2").restart().await;
        scene.cluster.await_linked().await;
    }
    assert_eq!(scene.thread.bodies(&scene.cluster.client("n1")).await, written);
    let reached = longest <= Duration::from_millis(250);
    figure(
        "kill -9 at each point of a write: longest write",
        &millis(longest),
        "≤ 250 ms",
        reached,
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_freeze_inside_a_transaction_holds_nobody_up() {
    let mut scene = scene().await;
    let mut written = vec!["first".to_owned()];
    let mut longest = Duration::ZERO;
    for point in ["write.in_transaction", "write.before_commit", "write.after_commit"] {
        scene.cluster.node("n2").arm(&format!("{point}=freeze")).await;
        let stopped = |scene: &mut Scene| scene.cluster.node("n2").is_frozen();
        longest = longest.max(scene.write_until(point, &mut written, stopped).await);
        // It still stands still, with whatever it holds.
        let after = scene.write_until("after", &mut written, |_| true).await;
        longest = longest.max(after);
        scene.cluster.node("n2").signal("CONT");
        scene.cluster.await_linked().await;
    }
    assert_eq!(scene.thread.bodies(&scene.cluster.client("n1")).await, written);
    let reached = longest <= Duration::from_millis(1_500);
    figure("freeze inside a transaction: longest write", &millis(longest), "≤ 1500 ms", reached);
}

/// What one service has another do: the gateway asks for it again when the other has fallen silent, and
/// not only when the time is over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_freeze_of_who_does_it_in_anothers_name_is_not_waited_for() {
    let builder = Cluster::builder().await.env("PANEL_FAULTS__ENABLED", "true");
    let builder = builder.node("n1", "gateway,admin").node("n2", "auth").node("n3", "auth");
    let cluster = builder.start().await;
    let root = cluster.node("n1").admin("root").await;
    let ada = Session::register(&cluster.client("n1"), "ada").await;
    let path = format!("/api/v2/admin/users/{}/force-logout", ada.user_id);
    cluster.node("n2").arm("write.before_transaction=freeze").await;
    let mut longest = Duration::ZERO;
    for _ in 0..TRIES {
        let sent = Instant::now();
        root.post(&path).await.expect(204);
        longest = longest.max(sent.elapsed());
        if cluster.node("n2").is_frozen() {
            break;
        }
    }
    assert!(cluster.node("n2").is_frozen(), "{TRIES} writes, and none reached it");
    // Silent for a while, and not yet given up: then, whatever is on its way there is lost.
    let n2 = cluster.nodes_seen_by("n1").await["n2"].clone();
    assert_eq!(n2["status"], "suspect", "{n2}");
    let reached = longest <= Duration::from_millis(1_500);
    figure("freeze of who acts in another's name", &millis(longest), "≤ 1500 ms", reached);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_may_have_been_done_is_not_called_refused() {
    let mut scene = scene().await;
    // Nobody is left who could be asked again.
    scene.cluster.node_mut("n3").kill9();
    scene.cluster.await_status("n3", "n1", Some("down")).await;
    scene.cluster.node("n2").arm("write.after_commit=exit").await;
    let answer = scene.thread.reply(&scene.admin, "perhaps").await;
    let problem = answer.refused(503, "unavailable");
    assert!(problem.detail.starts_with("it is not known"), "{}", problem.detail);
    assert_eq!(problem.service.as_deref(), Some("forum"));
    scene.cluster.node_mut("n2").ended().await;
    scene.cluster.node_mut("n2").restart().await;
    scene.cluster.await_linked().await;
    let found = scene.thread.bodies(&scene.cluster.client("n1")).await;
    assert_eq!(found, ["first", "perhaps"]);
}
