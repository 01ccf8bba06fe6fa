//! Several gateways, and one of them purges.

use panel_gateway::CdnKind;
use panel_harness::{Cdn, Cluster, Session, eventually};
use serde_json::json;

use super::{SITE, WITHIN};

const CATEGORIES: &str = "/api/v2/forum/categories";
const SENT: &str = "panel_cdn_purges_total";

/// Which of these gateways have sent something.
async fn senders(cluster: &Cluster, names: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for name in names {
        let counted = cluster.node(name).metrics().await;
        if counted.find(SENT, &[("result", "taken")]).unwrap_or_default() > 0.0 {
            found.push((*name).to_owned());
        }
    }
    found
}

async fn category(by: &Session, name: &str) {
    by.post(CATEGORIES).json(&json!({"name": name})).await.expect(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_gateway_purges_whichever_is_written_through_and_another_takes_over() {
    let cdn = Cdn::start(CdnKind::Fastly).await;
    let builder = Cluster::builder().await;
    let builder =
        builder.node("n1", "gateway").node("n2", "gateway").node("n3", "auth,forum,cms,admin");
    let settings = cdn.settings().into_iter();
    let builder = settings.fold(builder, |builder, (name, value)| builder.env(name, &value));
    let mut cluster = builder.start().await;
    cdn.await_purge(SITE, 0).await;
    let admin = cluster.node("n1").admin("root").await;
    let other = Session { client: cluster.client("n2"), ..admin.clone() };
    for (n, by) in [&admin, &other, &admin, &other].into_iter().enumerate() {
        let before = cdn.purged().len();
        category(by, &format!("c{n}")).await;
        cdn.await_purge(&format!("{SITE}/forum/categories"), before).await;
    }
    let first = senders(&cluster, &["n1", "n2"]).await;
    assert_eq!(first.len(), 1, "{first:?}");
    let (gone, left) = if first[0] == "n1" { ("n1", other) } else { ("n2", admin) };
    let stays = if gone == "n1" { "n2" } else { "n1" };
    let before = cdn.purged().len();
    cluster.node_mut(gone).kill9();
    // Nobody hears of this one but who does not send yet.
    category(&left, "while nobody purges").await;
    cdn.await_purge(SITE, before).await;
    assert_eq!(senders(&cluster, &[stays]).await, [stays]);
    let before = cdn.purged().len();
    category(&left, "after").await;
    cdn.await_purge(&format!("{SITE}/forum/categories"), before).await;
    // One that was there before is not the one who sends when it is back.
    cluster.node_mut(gone).restart().await;
    cluster.await_linked().await;
    let before = cdn.purged().len();
    category(&left, "later").await;
    cdn.await_purge(&format!("{SITE}/forum/categories"), before).await;
    assert_eq!(senders(&cluster, &[gone, stays]).await, [stays]);
    // A service that comes may have had something to tell before it knew of who sends.
    let before = cdn.purged().len();
    let more = cluster.plan("n4", "forum").start().await;
    cluster.add(more);
    cdn.await_purge(&format!("{SITE}/forum"), before).await;
    let frozen = cluster.node(stays);
    eventually("all is well", WITHIN, async || {
        frozen.metrics().await.count("panel_cdn_pending_tags", &[]) == 0
    })
    .await;
}
