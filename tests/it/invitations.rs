//! Registration by invitation: on both databases.

use std::time::Duration;

use panel_harness::session::{PASSWORD, email};
use panel_harness::{
    Answer, Backend, Client, Node, Session, Smtp, TestDatabase, eventually, on_both_databases,
};
use serde_json::{Value, json};

on_both_databases!(
    an_account_takes_an_invitation,
    of_two_who_use_the_last_one_has_an_account,
    an_invitation_ends,
    what_is_asked_for_is_checked,
    an_invitation_comes_by_mail,
    an_invitation_does_not_tell_what_is_taken,
    where_registration_is_closed_only_administrators_make_accounts,
);

const INVITATIONS: &str = "/api/v2/auth/invitations";

async fn start(backend: Backend, verify: &str) -> (Node, TestDatabase, Smtp) {
    let (database, smtp) = (backend.database().await, Smtp::start());
    let node = Node::builder()
        .env("PANEL_AUTH__REGISTRATION", "invitation")
        .env("PANEL_AUTH__VERIFY_EMAIL", verify)
        .mail(smtp.port())
        .database(&database);
    (node.start().await, database, smtp)
}

async fn invite(host: &Session, more: Value) -> Value {
    host.post(INVITATIONS).json(&more).await.expect(201).json()
}

async fn register(client: &Client, name: &str, token: &Value) -> Answer {
    let account = json!({
        "username": name, "email": email(name), "password": PASSWORD, "invitation": token,
    });
    client.post("/api/v2/auth/register").json(&account).await
}

#[track_caller]
fn is_bad(answer: &Answer) {
    let problem = answer.refused(422, "validation");
    assert_eq!(problem.fields(), [("invitation", "invalid")], "{answer:?}");
}

async fn an_account_takes_an_invitation(backend: Backend) {
    let (node, _database, _smtp) = start(backend, "false").await;
    let client = node.client();
    let without = register(&client, "ada", &Value::Null).await.refused(403, "forbidden");
    assert_eq!(without.code.as_deref(), Some("invitation_required"));
    for bad in ["", "x", &"A".repeat(43), &"x".repeat(10_000)] {
        is_bad(&register(&client, "ada", &json!(bad)).await);
    }
    let host = node.account("host", "moderator").await;
    let invitation = invite(&host, json!({"note": "for the club", "uses": 2})).await;
    let link = invitation["link"].as_str().unwrap();
    assert!(link.ends_with(&format!("/join#{}", invitation["token"].as_str().unwrap())), "{link}");
    register(&client, "ada", &invitation["token"]).await.expect(201);
    // A name that is taken costs nothing.
    register(&client, "ada", &invitation["token"]).await.refused(409, "conflict");
    let listed = host.get(INVITATIONS).await.expect(200);
    assert!(!listed.text().contains(invitation["token"].as_str().unwrap()));
    let listed = listed.json();
    assert_eq!(
        (&listed["items"][0]["uses_left"], &listed["items"][0]["note"]),
        (&json!(1), &json!("for the club"))
    );
    register(&client, "bob", &invitation["token"]).await.expect(201);
    is_bad(&register(&client, "eve", &invitation["token"]).await);
    // Who is invited does not invite.
    let ada = Session::login(&client, "ada", PASSWORD).await;
    ada.post(INVITATIONS).json(&json!({})).await.refused(403, "forbidden");
    ada.get(INVITATIONS).await.refused(403, "forbidden");
    let page = client.get("/join").await.expect(200);
    assert!(page.text().contains("fields.invitation = location.hash"), "{page:?}");
}

async fn of_two_who_use_the_last_one_has_an_account(backend: Backend) {
    let (node, _database, _smtp) = start(backend, "false").await;
    let client = node.client();
    let host = node.account("host", "moderator").await;
    let token = invite(&host, json!({})).await["token"].clone();
    let both = futures::join!(register(&client, "ada", &token), register(&client, "bob", &token));
    let mut statuses = [both.0.status.as_u16(), both.1.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 422], "{both:?}");
    // The same request again is the same account.
    let token = invite(&host, json!({})).await["token"].clone();
    let account = json!({
        "username": "eve", "email": email("eve"), "password": PASSWORD, "invitation": token,
    });
    let same = || client.post("/api/v2/auth/register").idempotency_key("once").json(&account);
    let (one, two) = (same().await.expect(201).json(), same().await.expect(201).json());
    assert_eq!(one["user"]["id"], two["user"]["id"]);
}

async fn an_invitation_ends(backend: Backend) {
    let (node, database, _smtp) = start(backend, "false").await;
    let client = node.client();
    let host = node.account("host", "moderator").await;
    let removed = invite(&host, json!({})).await;
    let one = format!("{INVITATIONS}/{}", removed["id"].as_str().unwrap());
    host.delete(&one).await.expect(204);
    host.delete(&one).await.refused(404, "not_found");
    is_bad(&register(&client, "ada", &removed["token"]).await);
    let old = invite(&host, json!({})).await;
    database.raw_sql("auth").await.run("UPDATE invitations SET expires_at = 1").await;
    is_bad(&register(&client, "ada", &old["token"]).await);
}

async fn what_is_asked_for_is_checked(backend: Backend) {
    let (node, _database, _smtp) = start(backend, "false").await;
    let host = node.account("host", "moderator").await;
    for (asked, field) in [
        (json!({"uses": 0}), "uses"),
        (json!({"uses": 1_001}), "uses"),
        (json!({"expires_at": "2020-01-01T00:00:00Z"}), "expires_at"),
        (json!({"expires_at": "2999-01-01T00:00:00Z"}), "expires_at"),
        (json!({"email": "nobody"}), "email"),
        (json!({"note": "x".repeat(201)}), "note"),
        (json!({"role": "admin"}), "role"),
    ] {
        let refused = host.post(INVITATIONS).json(&asked).await.refused(422, "validation");
        assert_eq!(refused.fields()[0].0, field, "{asked}");
    }
    assert_eq!(host.get(INVITATIONS).await.expect(200).json()["items"], json!([]));
}

async fn an_invitation_comes_by_mail(backend: Backend) {
    let (node, _database, smtp) = start(backend, "true").await;
    let client = node.client();
    let host = node.account("host", "moderator").await;
    invite(&host, json!({"email": email("ada")})).await;
    let token = json!(smtp.mail_to(&email("ada"), 0).await.token("join"));
    // Its address is confirmed all the same.
    register(&client, "ada", &token).await.expect(202);
    let early = Session::try_login(&client, "ada", PASSWORD).await.refused(403, "forbidden");
    assert_eq!(early.code.as_deref(), Some("email_unverified"));
    is_bad(&register(&client, "bob", &token).await);
    let confirm = smtp.mail_to(&email("ada"), 1).await.token("verify-email");
    let confirm = json!({"token": confirm});
    client.post("/api/v2/auth/email/verify").json(&confirm).await.expect(204);
    Session::login(&client, "ada", PASSWORD).await;
}

async fn an_invitation_does_not_tell_what_is_taken(backend: Backend) {
    let (node, database, smtp) = start(backend, "true").await;
    let client = node.client();
    let host = node.account("host", "moderator").await;
    let invitation = invite(&host, json!({"uses": 4})).await;
    let token = &invitation["token"];
    let ask = async |name: &str, address: &str| {
        let account = json!({
            "username": name, "email": address, "password": PASSWORD, "invitation": token,
        });
        client.post("/api/v2/auth/register").json(&account).await.expect(202).body
    };
    let answer = ask("ada", "ada@example.org").await;
    for (left, name, address) in [
        (2, "eve", "ada@example.org"),
        (1, "ada", "eve@example.org"),
        (0, "ada", "ada@example.org"),
    ] {
        assert_eq!(ask(name, address).await, answer);
        let listed = host.get(INVITATIONS).await.expect(200).json();
        assert_eq!(listed["items"][0]["uses_left"], left, "{name} {address}");
    }
    is_bad(&register(&client, "joe", token).await);
    assert!(smtp.mail_to("eve@example.org", 0).await.subject().starts_with("The name you chose"));
    // Which account was made with it is on record.
    let made = "SELECT record FROM audit WHERE action = 'user.create'";
    eventually("the audit log names the invitation", Duration::from_secs(10), async || {
        let mut sql = database.raw_sql("admin").await;
        let records = sql.texts(made, 0).await.unwrap_or_default();
        let records: Vec<Value> =
            records.iter().map(|record| serde_json::from_str(record).unwrap()).collect();
        let ada = records.iter().find(|record| record["after"]["username"] == "ada");
        let named = ada.is_some_and(|record| record["after"]["invitation"] == invitation["id"]);
        let hosts = records.iter().find(|record| record["after"]["username"] == "host");
        let unnamed = hosts.is_some_and(|record| record["after"]["invitation"].is_null());
        if named && unnamed { Ok(()) } else { Err(records) }
    })
    .await;
}

async fn where_registration_is_closed_only_administrators_make_accounts(backend: Backend) {
    let database = backend.database().await;
    let node = Node::builder().env("PANEL_AUTH__REGISTRATION", "closed").database(&database);
    let node = node.start().await;
    let client = node.client();
    let closed = register(&client, "ada", &Value::Null).await.refused(403, "forbidden");
    assert_eq!(closed.detail, "registration is closed");
    // Nor does an invitation open it.
    let host = node.account("host", "moderator").await;
    let invited = host.post(INVITATIONS).json(&json!({})).await;
    let token = if invited.status == 201 { invited.json()["token"].clone() } else { json!("none") };
    register(&client, "ada", &token).await.refused(403, "forbidden");
    let mut sql = database.raw_sql("auth").await;
    assert_eq!(sql.texts("SELECT username FROM users", 0).await.unwrap(), ["host"]);
    Session::login(&client, "host", PASSWORD).await;
}
