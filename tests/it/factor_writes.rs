//! Codes that are right, and can't be noted: those who give them need not wait as if they guessed. On
//! both databases, and with Redis.

use std::time::Duration;

use panel_harness::session::PASSWORD;
use panel_harness::{
    Answer, Backend, Node, Redis, Session, TestDatabase, eventually, on_both_databases,
};
use panel_kernel::time::Clock;
use serde_json::json;

on_both_databases!(a_code_whose_write_fails_is_no_guess);

const TOTP: &str = "/api/v2/auth/totp";
/// As if the codes used so far were.
const LONG_AGO: &str = "UPDATE totp SET last_step = 0";

/// Sends it four times while nothing can be written, of which three would be free as guesses; and once
/// when it can.
async fn written_at_last(node: &Node, send: impl AsyncFn() -> Answer) -> Answer {
    for _ in 0..4 {
        node.arm("write.before_commit=error").await;
        send().await.refused(503, "unavailable");
    }
    send().await
}

async fn a_code_whose_write_fails_is_no_guess(backend: Backend) {
    let database = backend.database().await;
    let node = Node::builder().env("PANEL_AUTH__LOGIN_ATTEMPTS", "3").faults();
    failed_writes_are_no_guesses(node.database(&database).start().await, database).await;
}

#[tokio::test]
async fn with_redis_a_code_whose_write_fails_is_no_guess() {
    let (database, redis) = (Backend::Sqlite.database().await, Redis::start());
    let node = Node::builder().env("PANEL_AUTH__LOGIN_ATTEMPTS", "3").faults();
    let node = node.env("REDIS_URL", &redis.url()).env("PANEL_REDIS__TIMEOUT", "500ms");
    let node = node.database(&database).start().await;
    eventually("redis is up", Duration::from_secs(10), async || {
        node.metrics().await.find("panel_redis_up", &[]) == Some(1.0)
    })
    .await;
    failed_writes_are_no_guesses(node, database).await;
}

async fn failed_writes_are_no_guesses(node: Node, database: TestDatabase) {
    let client = node.client();
    let ada = Session::register(&client, "ada").await;
    let enroll = ada.post(&format!("{TOTP}/enroll")).json(&json!({"password": PASSWORD}));
    let enrolled = enroll.await.expect(201).json();
    let device = totp_rs::Totp::from_url(enrolled["otpauth_uri"].as_str().unwrap()).unwrap();
    let code = || {
        let now = u64::try_from(Clock::system().now().as_seconds()).unwrap();
        device.generate(now).to_string()
    };
    let confirm =
        async || ada.post(&format!("{TOTP}/confirm")).json(&json!({"code": code()})).await;
    written_at_last(&node, confirm).await.expect(200);
    database.raw_sql("auth").await.run(LONG_AGO).await;
    let sign_in = async || {
        let login = json!({"login": "ada", "password": PASSWORD, "totp_code": code()});
        client.post("/api/v2/auth/login").json(&login).await
    };
    written_at_last(&node, sign_in).await.expect(200);
    database.raw_sql("auth").await.run(LONG_AGO).await;
    let show = async || {
        let code = json!({"totp_code": code()});
        ada.post("/api/v2/auth/reauthenticate").json(&code).await
    };
    written_at_last(&node, show).await.expect(204);
}
