//! Mail to addresses that are no account's, which anybody can give: on both databases.

use panel_harness::session::PASSWORD;
use panel_harness::{Backend, Client, Node, Smtp, TestDatabase, on_both_databases};
use serde_json::json;

on_both_databases!(a_stranger_is_not_mailed_again_and_again);

async fn start(backend: Backend) -> (Node, TestDatabase, Smtp) {
    let (database, smtp) = (backend.database().await, Smtp::start());
    let node = Node::builder().mail(smtp.port()).database(&database);
    let node = node.env("PANEL_AUTH__VERIFY_EMAIL", "true").start().await;
    (node, database, smtp)
}

/// Makes an account; what is answered.
async fn register(client: &Client, name: &str, address: &str) -> bytes::Bytes {
    let account = json!({
        "username": name, "email": address, "password": PASSWORD,
        "display_name": "Win at casino.example",
    });
    client.post("/api/v2/auth/register").json(&account).await.expect(202).body
}

/// Whoever is no account's is not at the mercy of who knows their address and a name that is taken.
async fn a_stranger_is_not_mailed_again_and_again(backend: Backend) {
    let (node, database, smtp) = start(backend).await;
    let client = node.client();
    register(&client, "ada", "ada@example.org").await;
    let stranger = "stranger@example.org";
    let bother = async || register(&client, "ada", stranger).await;
    let pause = "UPDATE mailed SET mailed_at = mailed_at - 120000000";
    let first = bother().await;
    for number in 1..=6 {
        assert_eq!(bother().await, first);
        database.raw_sql("auth").await.run(pause).await;
        assert_eq!(bother().await, first, "{number}");
    }
    // A mail that can only come after: five were sent before.
    database.raw_sql("auth").await.run("UPDATE mailed SET expires_at = 1").await;
    bother().await;
    for number in 0..6 {
        let mail = smtp.mail_to(stranger, number).await;
        assert!(mail.subject().starts_with("The name you chose at "), "{mail:?}");
        assert!(!format!("{mail:?}").contains("casino"), "{mail:?}");
    }
    let theirs = smtp.mails().iter().filter(|mail| mail.to() == stranger).count();
    assert_eq!(theirs, 6);
    // Nor does what asks to confirm an address say what somebody else wants.
    register(&client, "eve", "other@example.org").await;
    let mail = smtp.mail_to("other@example.org", 0).await;
    assert!(mail.subject().starts_with("Confirm your address"), "{mail:?}");
    assert!(!format!("{mail:?}").contains("casino"), "{mail:?}");
}
