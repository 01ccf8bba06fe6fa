//! Webhooks on several nodes.

use std::collections::BTreeSet;

use panel_harness::{Cluster, Receiver, eventually};
use serde_json::json;

use super::{SOON, made, published};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_to_be_told_is_told_although_the_node_dies_that_was_at_it() {
    let receiver = Receiver::start().await;
    let builder = Cluster::builder().await.node("n1", "gateway,auth").node("n2", "cms");
    let builder = builder.env("PANEL_CMS__WEBHOOKS__ALLOWED_NETWORKS", r#"["127.0.0.1"]"#);
    let mut cluster = builder.node("n3", "cms,admin,forum").start().await;
    let session = cluster.node("n1").admin("root").await;
    let root = session.client.clone();
    let root = root.with_header("authorization", &format!("Bearer {}", session.access_token));
    let webhook = made(&root, &receiver.url(), json!(["*"])).await;
    for title in ["a", "b"] {
        published(&root, title).await;
    }
    let told = receiver.receives(2).await;
    let ids: BTreeSet<&str> = told.iter().map(|it| it.header("webhook-id")).collect();
    assert_eq!((told.len(), ids.len()), (2, 2), "each is told once while nobody dies");
    // Whichever node is at it: both die in turn, each with something in its hands.
    for (name, title) in [("n2", "c"), ("n3", "d")] {
        receiver.holds();
        let before = receiver.received().len();
        published(&root, title).await;
        receiver.receives(before + 1).await;
        cluster.node_mut(name).kill9();
        receiver.releases();
        cluster.node_mut(name).restart().await;
        cluster.await_linked().await;
        let title = json!(title);
        eventually("it is told, and known to be", SOON * 6, async || {
            let path = format!("{}/deliveries?state=pending", super::at(&webhook));
            let pending = root.get(&path).await.expect(200).json();
            let is_told = receiver.received().iter().any(|it| it.json()["data"]["title"] == title);
            if is_told && pending["items"] == json!([]) { Ok(()) } else { Err(pending) }
        })
        .await;
    }
}
