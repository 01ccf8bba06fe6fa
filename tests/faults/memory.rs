//! A peer that takes nothing any more must not fill anybody's memory.

use std::time::Duration;

use super::scale::figure;
use super::scene::{Scene, three};

/// What may be on its way to one node.
const BUDGET: u32 = 4 << 20;
/// The largest body there may be, about.
const LARGE: usize = 120_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_peer_grows_nobody() {
    let cluster = three().await.env("PANEL_CLUSTER__LINK_BYTES", &BUDGET.to_string()).start().await;
    let mut scene = Scene::on(cluster).await;
    scene.begin().await;
    let before = scene.cluster.node("n1").resident_bytes();
    scene.cluster.node("n2").signal("STOP");
    // Until it is suspect, half of everything goes there; each of these is large.
    let body = serde_json::json!({"body": "x".repeat(LARGE)});
    let sending = futures::future::join_all((0..400).map(|_| async {
        scene.admin.post(&scene.thread.posts).json(&body).send().await.map(|answer| answer.status)
    }));
    let mut sending = Box::pin(sending);
    let mut outstanding = 0.0_f64;
    let sent = loop {
        tokio::select! {
            sent = &mut sending => break sent,
            counted = scene.cluster.node("n1").metrics() => {
                let now = counted.find("panel_cluster_outstanding_bytes", &[("peer", "n2")]);
                outstanding = outstanding.max(now.unwrap_or(0.0));
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    };
    drop(sending);
    assert!(sent.iter().all(Result::is_ok), "{sent:?}");
    scene.more().await;
    let after = scene.cluster.node("n1").resident_bytes();
    scene.cluster.node("n2").signal("CONT");
    scene.cluster.await_linked().await;
    scene.end().await;
    let grown = after.saturating_sub(before);
    let most = 16 * u64::from(BUDGET);
    // Most of it are the clients' own bodies, which are here until they are answered.
    assert!(grown <= 2 * most, "{grown} bytes");
    assert!((1.0..=f64::from(BUDGET)).contains(&outstanding), "{outstanding}");
    let text = format!("{} MiB", grown >> 20);
    figure("frozen peer: memory of the node that asks it", &text, "≤ 64 MiB", grown <= most);
}
