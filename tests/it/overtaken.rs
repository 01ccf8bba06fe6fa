//! What is decided while a request is on its way: a transaction that waits for an account sees what
//! was done to it meanwhile. On PostgreSQL: on SQLite nobody else writes in between.

use std::time::Duration;

use panel_harness::http::RequestBuilder;
use panel_harness::passkey::Passkey;
use panel_harness::session::PASSWORD;
use panel_harness::{Answer, Backend, Node, Session, TestDatabase, eventually};
use serde_json::{Value, json};

const PASSKEYS: &str = "/api/v2/auth/passkeys";

async fn start() -> (Node, TestDatabase) {
    let database = Backend::Postgres.database().await;
    (Node::builder().database(&database).start().await, database)
}

/// Sends a request while somebody holds the account and does that to it, which is committed when the
/// request waits for it.
async fn overtaken(database: &TestDatabase, done: &str, request: RequestBuilder) -> Answer {
    let mut faster = database.raw_sql("auth").await;
    faster.run(&format!("BEGIN; UPDATE users SET version = version; {done}")).await;
    let transaction = "SELECT pg_current_xact_id()::xid::text";
    let transaction = faster.texts(transaction, 0).await.unwrap().remove(0);
    let slower = tokio::spawn(request.into_future());
    eventually("it waits for the account", Duration::from_secs(10), async || {
        let waiting = format!(
            "SELECT mode FROM pg_locks WHERE NOT granted AND transactionid::text = '{transaction}'"
        );
        let waiting = database.raw_sql("auth").await.texts(&waiting, 0).await.unwrap();
        if waiting.is_empty() && !slower.is_finished() { Err("nobody waits") } else { Ok(()) }
    })
    .await;
    faster.run("COMMIT").await;
    slower.await.unwrap()
}

async fn register(session: &Session) -> Passkey {
    let challenge = session.post(&format!("{PASSKEYS}/register/start")).await.expect(200).json();
    let (passkey, credential) = Passkey::create(&challenge, "http://localhost:5000");
    let answer = json!({"ceremony": challenge["ceremony"], "credential": credential});
    session.post(&format!("{PASSKEYS}/register/finish")).json(&answer).await.expect(201);
    passkey
}

#[tokio::test]
async fn a_suspension_comes_before_the_session_of_a_passkey() {
    let (node, database) = start().await;
    let client = node.client();
    let ada = Session::register(&client, "ada").await;
    let mut passkey = register(&ada).await;
    let challenge: Value = client.post(&format!("{PASSKEYS}/login/start")).await.expect(200).json();
    let answer = json!({
        "ceremony": challenge["ceremony"], "credential": passkey.assertion(&challenge),
    });
    let finish = client.post(&format!("{PASSKEYS}/login/finish")).json(&answer);
    let suspend = "UPDATE users SET status = 'suspended'";
    let refused = overtaken(&database, suspend, finish).await.refused(403, "forbidden");
    assert_eq!(refused.code.as_deref(), Some("account_suspended"));
}

#[tokio::test]
async fn whoever_was_signed_out_changes_no_factor() {
    let (node, database) = start().await;
    let client = node.client();
    let thief = Session::register(&client, "ada").await;
    register(&thief).await;
    let listed = thief.get(PASSKEYS).await.expect(200).json();
    let passkey = format!("{PASSKEYS}/{}", listed["items"][0]["id"].as_str().unwrap());
    let (password, code) = (json!({"password": PASSWORD}), json!({"code": "000000"}));
    let totp = "/api/v2/auth/totp";
    thief.post(&format!("{totp}/enroll")).json(&password).await.expect(201);
    for confirmed in ["NULL", "1"] {
        let on = format!("UPDATE totp SET confirmed_at = {confirmed}");
        database.raw_sql("auth").await.run(&on).await;
        let requests = match confirmed {
            "NULL" => [
                thief.post(&format!("{totp}/enroll")).json(&password),
                thief.post(&format!("{totp}/confirm")).json(&code),
                thief.delete(&passkey),
            ],
            _ => [
                thief.delete(totp).json(&password),
                thief.post(&format!("{totp}/recovery-codes")).json(&password),
                thief.post("/api/v2/auth/reauthenticate").json(&json!({"totp_code": "000000"})),
            ],
        };
        for request in requests {
            let refused = overtaken(&database, "UPDATE sessions SET revoked_at = 1", request).await;
            assert_eq!(refused.refused(401, "unauthorized").detail, "the session was ended");
            // Too long ago for gateways to hear of it.
            let again = "UPDATE sessions SET revoked_at = NULL";
            database.raw_sql("auth").await.run(again).await;
        }
    }
    // The session may stay, but what it has shown is the password no more.
    let changed = "UPDATE users SET password_changed_at = password_changed_at + 1";
    let request = thief.delete(totp).json(&password);
    overtaken(&database, changed, request).await.refused(409, "conflict");
}

#[tokio::test]
async fn an_account_is_made_by_a_command_whose_transaction_was_ended() {
    let (node, database) = start().await;
    let mut holding = database.raw_sql("auth").await;
    holding.run("BEGIN; LOCK TABLE users IN SHARE MODE").await;
    let ending = async {
        eventually("it waits, and is ended", Duration::from_secs(10), async || {
            let end = "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity \
                       WHERE application_name = 'panel-auth-admin' AND wait_event_type = 'Lock' \
                       AND datname = current_database()";
            let ended = database.raw_sql("auth").await.texts(end, 0).await.unwrap();
            if ended.is_empty() { Err("nobody waits") } else { Ok(()) }
        })
        .await;
        holding.run("COMMIT").await;
    };
    let (root, ()) = futures::join!(node.admin("root"), ending);
    root.get("/api/v2/auth/me").await.expect(200);
}
