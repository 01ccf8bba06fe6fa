//! Passwords that are known from breaches of other sites.

use std::time::Duration;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use panel_harness::session::{PASSWORD, email};
use panel_harness::{Answer, Backend, FileServer, Node, Session, Smtp, on_both_databases};
use panel_kernel::ids::hex;
use serde_json::json;

on_both_databases!(a_password_that_is_known_is_nobodys);

const KNOWN: &str = "a lantern on the violet anchor";

/// The first five digits of its hash, and the others.
fn split(password: &str) -> (String, String) {
    let hash = hex(digest(&SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes()).as_ref());
    (hash[..5].to_uppercase(), hash[5..].to_uppercase())
}

#[track_caller]
fn breached(answer: &Answer, field: &str) {
    assert_eq!(answer.refused(422, "validation").fields(), [(field, "breached")], "{answer:?}");
}

async fn a_password_that_is_known_is_nobodys(backend: Backend) {
    let (database, service, smtp) = (backend.database().await, FileServer::start(), Smtp::start());
    let (prefix, rest) = split(KNOWN);
    service.has(&prefix, &format!("0018A45C4D1DEF81644B54AB7F969B88D65:1\r\n{rest}:42\r\n"));
    // Of this one, others are known that begin so.
    let (prefix, _) = split(PASSWORD);
    service.has(&prefix, "0018A45C4D1DEF81644B54AB7F969B88D65:1\r\n");
    let node = Node::builder().mail(smtp.port()).env("PANEL_AUTH__BREACH_URL", &service.url());
    let node = node.database(&database).start().await;
    let client = node.client();
    let account = json!({"username": "eve", "email": email("eve"), "password": KNOWN});
    breached(&client.post("/api/v2/auth/register").json(&account).await, "password");
    let ada = Session::register(&client, "ada").await;
    let change = json!({"current_password": PASSWORD, "new_password": KNOWN});
    breached(&ada.post("/api/v2/auth/password/change").json(&change).await, "new_password");
    let forgotten = json!({"email": email("ada")});
    client.post("/api/v2/auth/password/forgot").json(&forgotten).await.expect(202);
    let token = smtp.mail(0).await.token("reset-password");
    let again = json!({"token": token, "new_password": KNOWN});
    breached(&client.post("/api/v2/auth/password/reset").json(&again).await, "new_password");
    let count = async |outcome: &str| {
        let labels = [("target", "breach"), ("outcome", outcome)];
        node.metrics().await.count("panel_outbound_total", &labels)
    };
    assert_eq!((count("answered").await, count("unavailable").await), (4, 0));
    // The mistake was nothing to be counted: the token is good, for another password.
    let other = json!({"token": token, "new_password": "a violet on the lantern anchor"});
    client.post("/api/v2/auth/password/reset").json(&other).await.expect(204);
    assert_eq!(count("unavailable").await, 1, "the service has no such file");
    // One that hangs keeps nobody waiting for long, and out not at all.
    service.freeze();
    let account = json!({"username": "bob", "email": email("bob"), "password": KNOWN});
    let patient = client.post("/api/v2/auth/register").patience(Duration::from_secs(9));
    patient.json(&account).await.expect(201);
    assert_eq!(count("unavailable").await, 2);
}
