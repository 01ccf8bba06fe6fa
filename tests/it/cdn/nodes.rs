//! Several gateways, and one of them purges.

use panel_gateway::CdnKind;
use panel_harness::{Backend, Cdn, Cluster, Node, Session, eventually};
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
    cluster.node_mut(gone).kill9();
    let before = cdn.purged().len();
    // Nobody hears of this one but who does not send yet.
    category(&left, "while nobody purges").await;
    cdn.await_purge(SITE, before).await;
    // It counts that when the CDN has answered.
    eventually("it has sent", WITHIN, async || !senders(&cluster, &[stays]).await.is_empty()).await;
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
    // Nor is one that was frozen, when it wakes up.
    cluster.node(stays).signal("STOP");
    let before = cdn.purged().len();
    let left = Session { client: cluster.client(gone), ..left };
    category(&left, "while it sleeps").await;
    cdn.await_purge(SITE, before).await;
    cluster.node(stays).signal("CONT");
    eventually("it has heard of that", WITHIN, async || {
        cluster.node(stays).log_contains("another gateway purges at the CDN")
    })
    .await;
    let taken =
        async |name: &str| cluster.node(name).metrics().await.count(SENT, &[("result", "taken")]);
    let (slept, before) = (taken(stays).await, cdn.purged().len());
    category(&left, "and after that").await;
    cdn.await_purge(&format!("{SITE}/forum/categories"), before).await;
    assert_eq!(taken(stays).await, slept);
    eventually("the other has sent", WITHIN, async || taken(gone).await > 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_ends_in_order_purges_what_it_has_to() {
    let cdn = Cdn::start(CdnKind::Fastly).await;
    let mut node = cdn.configure(Node::builder()).start().await;
    let admin = node.admin("root").await;
    cdn.await_purge(SITE, 0).await;
    let before = cdn.purged().len();
    // Six tenths of a second, and more.
    cdn.will_answer(&[(500, ""), (500, "")]);
    category(&admin, "at the end").await;
    assert!(node.sigterm_and_wait().await.success());
    let tags = cdn.tags_from(before);
    assert!(tags.contains(&format!("{SITE}/forum/categories")), "{:?}", cdn.purged());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_back_at_once_begins_with_everything() {
    for kind in [CdnKind::Webhook, CdnKind::Cloudflare] {
        let (cdn, database) = (Cdn::start(kind).await, Backend::Postgres.database().await);
        let mut node = cdn.configure(Node::builder().database(&database)).start().await;
        cdn.await_purge(SITE, 0).await;
        let before = cdn.purged().len();
        node.kill9();
        node.restart().await;
        cdn.await_purge(SITE, before).await;
    }
}
