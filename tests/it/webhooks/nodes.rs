//! Webhooks on several nodes.

use std::collections::BTreeSet;

use panel_harness::{Backend, Cluster, Node, Receiver, eventually};
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
    // The node that is at it dies with something in its hands, and stays dead.
    receiver.holds();
    published(&root, "c").await;
    receiver.receives(3).await;
    let mut sql = cluster.database().raw_sql("cms").await;
    let holder = "SELECT node FROM leases WHERE name LIKE 'webhook:%' AND expires_at > 0";
    let holder = sql.texts(holder, 0).await.unwrap().remove(0);
    cluster.node_mut(&holder).kill9();
    receiver.releases();
    // As if the minute had passed that it has to show signs of life.
    sql.run("UPDATE leases SET expires_at = 1 WHERE name LIKE 'webhook:%'").await;
    eventually("another tells it", SOON * 3, async || {
        let path = format!("{}/deliveries?state=pending", super::at(&webhook));
        // The gateway may still ask the one that is dead.
        let pending = root.get(&path).await;
        let told = receiver.received();
        let is_told = told.len() >= 4 && told[3].json()["data"]["title"] == "c";
        let is_known = pending.status == 200 && pending.json()["items"] == json!([]);
        if is_told && is_known { Ok(()) } else { Err(pending) }
    })
    .await;
    let told = receiver.received();
    assert_eq!(told[2].header("webhook-id"), told[3].header("webhook-id"));
}

/// What a node is telling when it is told to stop, it tells to its end, and another need not wait for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_stops_finishes_what_it_is_telling() {
    let receiver = Receiver::start().await;
    let database = Backend::Sqlite.database().await;
    let builder = Node::builder().database(&database);
    let builder = builder.env("PANEL_CMS__WEBHOOKS__ALLOWED_NETWORKS", r#"["127.0.0.1"]"#);
    let mut node = builder.start().await;
    let session = node.admin("root").await;
    let root = session.client.clone();
    let root = root.with_header("authorization", &format!("Bearer {}", session.access_token));
    let webhook = made(&root, &receiver.url(), json!(["*"])).await;
    receiver.holds();
    root.post(&format!("{}/ping", super::at(&webhook))).await.expect(202);
    receiver.receives(1).await;
    node.signal("TERM");
    eventually("it stops", SOON, async || {
        node.client().get("/api/v2/health").send().await.is_err()
    })
    .await;
    receiver.releases();
    node.ended().await;
    let mut sql = database.raw_sql("cms").await;
    let states = sql.texts("SELECT state FROM webhook_deliveries", 0).await.unwrap();
    assert_eq!(states, ["delivered"]);
    let free = "SELECT name FROM leases WHERE name LIKE 'webhook:%' AND expires_at = 0";
    assert_eq!(sql.texts(free, 0).await.unwrap().len(), 1);
}
