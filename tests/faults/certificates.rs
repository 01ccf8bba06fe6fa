//! Every node's certificate is renewed while they serve.

use std::time::Instant;

use panel_harness::eventually;

use super::scene::{Goal, SERVICES, SOON, Scene};
use panel_cluster::tls::Validity;
use panel_kernel::time::Clock;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_renewed_under_load() {
    let mut scene = Scene::three().await;
    scene.begin().await;
    let begun = Instant::now();
    for (name, roles) in [("n1", "gateway"), ("n2", SERVICES), ("n3", SERVICES)] {
        let node = scene.cluster.node(name);
        let expires =
            async || node.metrics().await.value("panel_cluster_certificate_expires_seconds", &[]);
        let before = expires().await;
        let longer = Validity::days(Clock::system().now(), 30);
        drop(scene.cluster.trust().issue_for(name, roles, node.data_dir(), longer));
        eventually("the new one is in use", SOON, async || expires().await > before).await;
    }
    // Links last; the next handshake is with the new ones.
    for other in ["n2", "n3"] {
        scene.cluster.between("n1", other).reset();
        scene.cluster.await_linked().await;
        scene.more().await;
    }
    scene.end_without_failure("certificates renewed, links made anew", Goal::SILENCE, begun).await;
}
