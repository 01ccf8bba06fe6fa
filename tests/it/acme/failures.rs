//! What goes wrong on the way to a certificate, and that it costs no more than it must.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use panel_harness::{Authority, AuthorityPlan, Backend, Node, Postgres, TestDatabase, eventually};

use super::{Doors, LONG, URL, WITHIN, count, issued, said, shown};

/// How many failures in a row the node has told of, one after the other.
fn failures(node: &Node) -> Vec<u64> {
    let lines = node.log_json();
    let told = lines.iter().filter(|line| line["message"] == "no certificate was issued");
    told.map(|line| line["failures"].as_u64().unwrap()).collect()
}

/// A node that asks for its certificate, and an authority that looks where nobody is yet.
struct Asking {
    node: Node,
    doors: Doors,
    authority: Authority,
    database: TestDatabase,
}

async fn asking(backend: Backend) -> Asking {
    let (database, doors) = (backend.database().await, Doors::new());
    let authority = doors.authority(LONG);
    let node = authority.configure(Node::builder().database(&database), URL).start().await;
    Asking { node, doors, authority, database }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_is_said_and_tried_again_later_and_later() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let Asking { mut node, doors, authority, database } = asking(backend).await;
        let config = authority.client_config(&[]).await;
        eventually("it has failed twice", WITHIN, async || {
            if failures(&node).len() >= 2 { Ok(()) } else { Err(node.log_lines()) }
        })
        .await;
        assert_eq!(failures(&node)[..2], [1, 2]);
        let lines = node.log_json();
        let told = lines.iter().find(|line| line["message"] == "no certificate was issued");
        let why = told.unwrap()["why"].as_str().unwrap();
        assert!(why.contains("panel.example") && why.contains("acme:error:"), "{why}");
        assert_eq!(said(&node).await["status"], "down");
        assert_eq!(said(&node).await["reason"], "none was issued yet");
        shown(&node, &config).await.unwrap_err();
        // A node that is started again does not begin anew.
        node.restart().await;
        eventually("it has failed again", WITHIN, async || {
            let now = failures(&node);
            // Those of the life before it may still be in the log.
            if now.iter().any(|count| *count >= 3) { Ok(()) } else { Err(now) }
        })
        .await;
        let told = failures(&node);
        assert_eq!(told.iter().filter(|count| **count == 1).count(), 1, "{told:?}");
        // And need not wait for its turn.
        doors.lead_to(&node);
        let wanted = node.cli(&["certs", "renew"]).await;
        assert!(wanted.status.success(), "{wanted:?}");
        issued(&node, &config).await;
        assert_eq!(said(&node).await["status"], "up");
        let counted = node.metrics().await;
        assert_eq!(count(&counted, "issued"), 1);
        let stored = database.raw_sql("gateway").await.dump().await;
        assert!(!stored.iter().any(|row| row.starts_with("acme_failures: ")), "{stored:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_one_way_is_barred_the_other_is_gone() {
    let doors = Doors::new();
    let authority = doors.authority(LONG);
    let node = authority.configure(Node::builder(), URL);
    let node = node.env("PANEL_GATEWAY__TLS__REDIRECT_LISTEN", "127.0.0.1:0").start().await;
    // In the clear nobody is there.
    doors.tls.leads_to(node.http());
    issued(&node, &authority.client_config(&[]).await).await;
    let counted = node.metrics().await;
    assert_eq!(count(&counted, "issued"), 1);
    assert!(count(&counted, "failed") >= 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_may_want_to_know_whose_the_account_is() {
    const KEY: &str = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
    let doors = Doors::new();
    let plan = AuthorityPlan { known: Some(("kid-1", KEY)), ..doors.plan(LONG) };
    let authority = Authority::start(&plan);
    let config = authority.client_config(&[]).await;
    let stranger = authority.configure(Node::builder(), URL).start().await;
    doors.lead_to(&stranger);
    eventually("it is refused", WITHIN, async || {
        stranger.log_contains("externalAccountRequired")
            || stranger.log_contains("external account")
    })
    .await;
    shown(&stranger, &config).await.unwrap_err();
    let known = authority
        .configure(Node::builder(), URL)
        .env("PANEL_GATEWAY__TLS__ACME__EAB_KEY_ID", "kid-1")
        .env("PANEL_GATEWAY__TLS__ACME__EAB_KEY", KEY)
        .start()
        .await;
    doors.lead_to(&known);
    issued(&known, &config).await;
    assert!(!known.log_contains(KEY));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_was_cut_off_is_begun_anew() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let Asking { mut node, doors, authority, database: _database } = asking(backend).await;
        // The authority asks, and waits for an answer.
        doors.tls.proxy.everybody().blackhole();
        doors.lead_to(&node);
        eventually("it waits", WITHIN, async || doors.tls.proxy.counted().connections > 0).await;
        node.kill9();
        doors.tls.proxy.heal();
        node.restart().await;
        doors.lead_to(&node);
        issued(&node, &authority.client_config(&[]).await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_database_a_gateway_starts_with_its_own_copy() {
    let mut postgres = Postgres::private();
    let database = TestDatabase::on(&postgres).await;
    let doors = Doors::new();
    let authority = doors.authority(LONG);
    let node = authority.configure(Node::builder().database(&database), URL);
    let mut node = node.start().await;
    doors.lead_to(&node);
    let config = authority.client_config(&[]).await;
    let first = issued(&node, &config).await;
    let copy = node.data_dir().join("keys/site-certificate.json");
    eventually("there is a copy", WITHIN, async || copy.exists()).await;
    assert_eq!(std::fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!std::fs::read_to_string(&copy).unwrap().contains("PRIVATE KEY"));
    postgres.stop();
    node.restart().await;
    assert_eq!(shown(&node, &config).await.unwrap(), first);
    assert_eq!(said(&node).await["status"], "up");
    postgres.start();
    eventually("the database is back", Duration::from_secs(20), async || {
        node.metrics().await.value("panel_database_up", &[("service", "gateway")]) > 0.0
    })
    .await;
    assert_eq!(shown(&node, &config).await.unwrap(), first);
    assert_eq!(count(&node.metrics().await, "issued"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_t_be_is_refused_at_the_start() {
    let letsencrypt = || {
        Node::builder()
            .env("PANEL_GATEWAY__TLS__ACME__DIRECTORY", "letsencrypt")
            .env("PANEL_GATEWAY__TLS__ACME__TERMS_AGREED", "true")
    };
    for (node, said) in [
        (letsencrypt(), "gateway.tls.acme.names"),
        (
            letsencrypt().env("PANEL_NODE__PUBLIC_URL", "https://127.0.0.1"),
            "gateway.tls.acme.names",
        ),
        (letsencrypt().env("PANEL_NODE__PUBLIC_URL", "http://a.example"), "node.public_url"),
        (
            letsencrypt()
                .env("PANEL_NODE__PUBLIC_URL", "https://a.example")
                .roles("gateway")
                .args(["--cluster-listen", "127.0.0.1:0", "--tls-dir", "/nowhere"]),
            "share the site's certificate in PostgreSQL",
        ),
        (
            letsencrypt()
                .env("PANEL_NODE__PUBLIC_URL", "https://a.example")
                .env("PANEL_GATEWAY__TLS__ACME__TERMS_AGREED", "false"),
            "gateway.tls.acme.terms_agreed",
        ),
        (
            letsencrypt()
                .env("PANEL_NODE__PUBLIC_URL", "https://a.example")
                .env("PANEL_GATEWAY__TLS__ACME__CA_FILE", "/nowhere/ca.pem"),
            "/nowhere/ca.pem",
        ),
    ] {
        let output = node.start_refused().await;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(said), "{said}: {text}");
    }
}
