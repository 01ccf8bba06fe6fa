//! What is done to accounts is on record: every act that has to do with who gets in, and in the transaction
//! of the act itself.

use std::collections::BTreeSet;
use std::time::Duration;

use panel_harness::session::PASSWORD;
use panel_harness::{
    Authenticator, Backend, Node, Session, Smtp, TestDatabase, eventually, on_both_databases,
};
use serde_json::{Value, json};

on_both_databases!(
    every_act_that_has_to_do_with_who_gets_in_is_recorded,
    a_record_is_there_exactly_if_the_act_is,
);

const AUTH: &str = "/api/v2/auth";
const SOON: Duration = Duration::from_secs(20);

/// Actions on record.
async fn recorded(database: &TestDatabase) -> BTreeSet<String> {
    let mut sql = database.raw_sql("admin").await;
    sql.texts("SELECT action FROM audit", 0).await.unwrap_or_default().into_iter().collect()
}

async fn post(by: &Session, path: &str, body: Value, status: u16) -> Value {
    let answer = by.post(&format!("{AUTH}/{path}")).json(&body).await.expect(status);
    if answer.body.is_empty() { Value::Null } else { answer.json() }
}

async fn every_act_that_has_to_do_with_who_gets_in_is_recorded(backend: Backend) {
    let (database, smtp) = (backend.database().await, Smtp::start());
    let node = Node::builder().mail(smtp.port()).database(&database).start().await;
    let (client, root) = (node.client(), node.admin("root").await);
    let ada = Session::register(&client, "ada").await;
    let password = json!({"password": PASSWORD});
    ada.patch(&format!("{AUTH}/profile"))
        .json(&json!({"display_name": "Ada L."}))
        .await
        .expect(200);
    post(&ada, "reauthenticate", password.clone(), 204).await;
    let key = post(&ada, "api-keys", json!({"name": "robot", "scopes": ["forum:read"]}), 201).await;
    ada.delete(&format!("{AUTH}/api-keys/{}", key["id"].as_str().unwrap())).await.expect(204);
    crate::passkeys::register(&ada).await;
    let passkeys = ada.get(&format!("{AUTH}/passkeys")).await.expect(200).json();
    let passkey = passkeys["items"][0]["id"].as_str().unwrap().to_owned();
    ada.delete(&format!("{AUTH}/passkeys/{passkey}")).await.expect(204);
    Authenticator::turn_on(&ada).await;
    post(&ada, "totp/recovery-codes", password.clone(), 200).await;
    ada.delete(&format!("{AUTH}/totp")).json(&password).await.expect(204);
    let address = json!({"email": "countess@example.org", "password": PASSWORD});
    post(&ada, "email/change", address, 202).await;
    let token = smtp.mail_to("countess@example.org", 0).await.token("verify-email");
    post(&ada, "email/verify", json!({"token": token}), 204).await;
    let other = "a lantern on the violet anchor";
    let change = json!({"current_password": PASSWORD, "new_password": other});
    post(&ada, "password/change", change, 204).await;
    // And chosen anew, by who has forgotten it.
    post(&ada, "password/forgot", json!({"email": "countess@example.org"}), 202).await;
    let token = eventually("a link is mailed", SOON, async || {
        let mut mails = smtp.mails().into_iter();
        let link = mails.find(|mail| mail.text().contains("/reset-password#"));
        link.map(|mail| mail.token("reset-password"))
    })
    .await;
    let reset = json!({"token": token, "new_password": PASSWORD});
    post(&ada, "password/reset", reset, 204).await;
    // Sessions, in each way they end.
    let phone = Session::login(&client, "ada", PASSWORD).await;
    let laptop = Session::login(&client, "ada", PASSWORD).await;
    laptop.delete(&format!("{AUTH}/sessions/{}", phone.session_id)).await.expect(204);
    let mut stolen = Session::login(&client, "ada", PASSWORD).await;
    let used = json!({"refresh_token": stolen.refresh_token});
    stolen.refresh().await;
    client.post(&format!("{AUTH}/refresh")).json(&used).await.refused(401, "unauthorized");
    post(&laptop, "logout-all", json!({}), 204).await;
    // What administrators do.
    let invitation = post(&root, "invitations", json!({}), 201).await;
    let invitation = format!("{AUTH}/invitations/{}", invitation["id"].as_str().unwrap());
    root.delete(&invitation).await.expect(204);
    for (action, body) in [
        ("role", json!({"role": "premium"})),
        ("suspend", json!({"reason": "x"})),
        ("restore", json!({})),
        ("force-logout", json!({})),
        ("reset-password", json!({})),
    ] {
        let path = format!("/api/v2/admin/users/{}/{action}", ada.user_id);
        let done = root.post(&path).json(&body).await;
        assert!(done.status.is_success(), "{action}: {done:?}");
    }
    // And the end of it.
    let bob = Session::register(&client, "bob").await;
    post(&bob, "account/export", password.clone(), 202).await;
    bob.delete(&format!("{AUTH}/account")).json(&password).await.expect(204);

    let wanted = [
        "account.export",
        "api_key.create",
        "api_key.revoke",
        "invitation.create",
        "invitation.remove",
        "passkey.register",
        "passkey.remove",
        "recovery_codes.renew",
        "session.begin",
        "session.end",
        "session.end_all",
        "session.reauthenticate",
        "session.refresh_reuse",
        "totp.disable",
        "totp.enable",
        "totp.enroll",
        "user.create",
        "user.email_change",
        "user.email_change_ask",
        "user.erase",
        "user.force_logout",
        "user.password_change",
        "user.password_reset",
        "user.rename",
        "user.reset_password",
        "user.restore",
        "user.role",
        "user.suspend",
    ];
    eventually("all of it is on record", SOON, async || {
        let found = recorded(&database).await;
        let missing: Vec<&str> =
            wanted.into_iter().filter(|action| !found.contains(*action)).collect();
        if missing.is_empty() { Ok(()) } else { Err(missing) }
    })
    .await;
}

/// A process that fails before the commit has done nothing and recorded nothing; one that dies after it has
/// done both.
async fn a_record_is_there_exactly_if_the_act_is(backend: Backend) {
    let database = backend.database().await;
    let mut node = Node::builder().faults().database(&database).start().await;
    let ada = Session::register(&node.client(), "ada").await;
    let change = json!({"display_name": "Ada L."});
    let rename = |by: &Session| by.patch(&format!("{AUTH}/profile")).json(&change);
    node.arm("write.before_commit=error").await;
    rename(&ada).await.refused(503, "unavailable");
    // What is told after that is on record: so would be what was told before it.
    let key = json!({"name": "robot", "scopes": ["forum:read"]});
    post(&ada, "api-keys", key, 201).await;
    eventually("the key is on record", SOON, async || {
        recorded(&database).await.contains("api_key.create")
    })
    .await;
    assert!(!recorded(&database).await.contains("user.rename"));
    let name = async |by: &Session| {
        by.get(&format!("{AUTH}/me")).await.expect(200).json()["display_name"].clone()
    };
    assert_eq!(name(&ada).await, "ada");

    node.arm("write.after_commit=exit").await;
    drop(rename(&ada).send().await);
    node.ended().await;
    node.restart().await;
    let ada = ada.at(&node.client());
    assert_eq!(name(&ada).await, "Ada L.");
    eventually("the name is on record", SOON, async || {
        recorded(&database).await.contains("user.rename")
    })
    .await;
}
