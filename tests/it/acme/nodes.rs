//! Several gateways, one certificate.

use panel_harness::{Client, Cluster, eventually};

use super::{Doors, HOST, LONG, URL, WITHIN, count, issued};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_gateway_shows_what_the_authority_wants_to_see_and_all_have_what_one_was_issued() {
    for (choice, redirect) in [("http-01", "127.0.0.1:0"), ("tls-alpn-01", "")] {
        let doors = Doors::new();
        let authority = doors.authority(LONG);
        let mut builder = Cluster::builder().await.node("n3", "auth,forum,cms,admin");
        for (name, value) in authority.settings(URL) {
            builder = builder.env(name, &value);
        }
        let builder = builder
            .env("PANEL_GATEWAY__TLS__ACME__CHALLENGE", choice)
            .env("PANEL_GATEWAY__TLS__REDIRECT_LISTEN", redirect);
        let mut cluster = builder.start().await;
        let first = cluster.plan("n1", "gateway").start().await;
        cluster.add(first);
        // The first asks for one, and fails: where the authority looks nobody is.
        let first = cluster.node("n1");
        eventually("it has failed", WITHIN, async || {
            first.log_contains("no certificate was issued")
        })
        .await;
        let second = cluster.plan("n2", "gateway").start().await;
        cluster.add(second);
        // The second is where it looks; the first still has the lease, and asks again.
        doors.lead_to(cluster.node("n2"));
        let config = authority.client_config(&[b"http/1.1"]).await;
        let shown = issued(cluster.node("n1"), &config).await;
        assert_eq!(issued(cluster.node("n2"), &config).await, shown);
        let orders = async |name: &str, result| count(&cluster.node(name).metrics().await, result);
        assert_eq!((orders("n1", "issued").await, orders("n2", "issued").await), (1, 0));
        assert_eq!(orders("n2", "failed").await, 0);
        // One that comes later has it too, and asks for none.
        let late = cluster.plan("n4", "gateway").start().await;
        assert_eq!(issued(&late, &config).await, shown);
        cluster.add(late);
        let orders = async |name: &str, result| count(&cluster.node(name).metrics().await, result);
        assert_eq!(orders("n4", "issued").await, 0);
        // And the site is there.
        let site = Client::new(cluster.node("n4").http()).under_tls_as(HOST, &config);
        eventually("its services are found", WITHIN, async || {
            site.get("/api/v2/forum/categories").await.status == 200
        })
        .await;
    }
}
