//! A peer that takes nothing any more must not fill anybody's memory.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use panel_harness::Metrics;
use parking_lot::Mutex;

use super::scale::figure;
use super::scene::{Scene, three};

/// What may be on its way to one node.
const BUDGET: u32 = 4 << 20;
/// The largest body there may be, about.
const LARGE: usize = 120_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_peer_grows_nobody() {
    // On a slow machine a client of four hundred connections takes its time to say what it wants.
    let cluster = three().await.env("PANEL_GATEWAY__HEAD_TIMEOUT", "60s");
    let cluster = cluster.env("PANEL_CLUSTER__LINK_BYTES", &BUDGET.to_string()).start().await;
    let mut scene = Scene::on(cluster).await;
    scene.begin().await;
    let before = scene.cluster.node("n1").resident_bytes();
    let ops = scene.cluster.node("n1").ops_client();
    let outstanding = Arc::new(Mutex::new(0.0_f64));
    let seen = Arc::clone(&outstanding);
    let looking = tokio::spawn(async move {
        loop {
            let counted = Metrics::fetch(&ops).await;
            let now = counted.value("panel_cluster_outstanding_bytes", &[("peer", "n2")]);
            {
                let mut most = seen.lock();
                *most = most.max(now);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    // Half of everything goes there until it is suspect; each of these is large. It stops when some
    // have been there and back, so others are on their way.
    let body = serde_json::json!({"body": "x".repeat(LARGE)});
    let mut sending: FuturesUnordered<_> = (0..400)
        .map(|_| async {
            scene.admin.post(&scene.thread.posts).json(&body).send().await.map(|it| it.status)
        })
        .collect();
    let mut sent = Vec::new();
    while let Some(one) = sending.next().await {
        sent.push(one);
        if sent.len() == 20 {
            scene.cluster.node("n2").signal("STOP");
        }
    }
    drop(sending);
    looking.abort();
    let outstanding = *outstanding.lock();
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
