//! Passkeys: registering them, signing in with them, and all that can be wrong with one. On both
//! databases.

use std::time::Duration;

use panel_harness::passkey::{PRESENT, Passkey};
use panel_harness::session::PASSWORD;
use panel_harness::{
    Answer, Backend, Client, Cluster, Node, Session, Smtp, TestDatabase, eventually,
    on_both_databases,
};
use serde_json::{Value, json};

on_both_databases!(
    a_passkey_signs_in_by_itself,
    an_answer_works_once,
    an_answer_that_is_not_right_is_refused,
    a_device_that_counts_back_is_refused,
    new_passkeys_are_checked,
    an_account_with_many_passkeys_has_one_more,
    a_passkey_takes_somebody_who_has_just_shown_who_they_are,
    who_is_suspended_has_no_passkey,
);

const PASSKEYS: &str = "/api/v2/auth/passkeys";
const ORIGIN: &str = "http://localhost:5000";

async fn start(backend: Backend) -> (Node, TestDatabase, Smtp) {
    let (database, smtp) = (backend.database().await, Smtp::start());
    let node = Node::builder().mail(smtp.port()).database(&database).start().await;
    (node, database, smtp)
}

async fn ask_for_new(session: &Session) -> Value {
    session.post(&format!("{PASSKEYS}/register/start")).await.expect(200).json()
}

async fn finish(session: &Session, challenge: &Value, credential: &Value) -> Answer {
    let body =
        json!({"ceremony": challenge["ceremony"], "credential": credential, "name": "Phone"});
    session.post(&format!("{PASSKEYS}/register/finish")).json(&body).await
}

pub(crate) async fn register(session: &Session) -> Passkey {
    let challenge = ask_for_new(session).await;
    let (passkey, credential) = Passkey::create(&challenge, ORIGIN);
    finish(session, &challenge, &credential).await.expect(201);
    passkey
}

async fn ask(client: &Client) -> Value {
    client.post(&format!("{PASSKEYS}/login/start")).await.expect(200).json()
}

async fn answered(client: &Client, challenge: &Value, credential: &Value) -> Answer {
    let body = json!({"ceremony": challenge["ceremony"], "credential": credential});
    client.post(&format!("{PASSKEYS}/login/finish")).json(&body).await
}

async fn sign_in(client: &Client, passkey: &mut Passkey) -> Answer {
    let challenge = ask(client).await;
    answered(client, &challenge, &passkey.assertion(&challenge)).await
}

async fn a_passkey_signs_in_by_itself(backend: Backend) {
    let (node, database, smtp) = start(backend).await;
    let client = node.client();
    let ada = Session::register(&client, "ada").await;
    let mut passkey = register(&ada).await;
    assert!(smtp.mail(0).await.subject().starts_with("A passkey was added"));
    let listed = ada.get(PASSKEYS).await.expect(200).json();
    assert_eq!(listed["items"][0]["name"], "Phone");
    assert_eq!(listed["items"][0]["last_used_at"], Value::Null);
    // What is asked tells of nobody.
    let challenge = ask(&client).await;
    assert_eq!(challenge["publicKey"]["allowCredentials"], json!([]));
    assert_eq!(challenge["publicKey"]["userVerification"], "required");
    let session =
        Session::from_json(&client, &sign_in(&client, &mut passkey).await.expect(200).json());
    assert_eq!(session.user_id, ada.user_id);
    session.get("/api/v2/auth/me").await.expect(200);
    let listed = ada.get(PASSKEYS).await.expect(200).json();
    assert_ne!(listed["items"][0]["last_used_at"], Value::Null);
    // Both factors in one: with TOTP on, nothing more is asked for.
    let on = "INSERT INTO totp (user_id, sealed, created_at, confirmed_at, last_step) \
              SELECT user_id, credential_id, 0, 1, 0 FROM passkeys";
    database.raw_sql("auth").await.run(on).await;
    sign_in(&client, &mut passkey).await.expect(200);
    // In a browser, as a cookie.
    let challenge = ask(&client).await;
    let body = json!({
        "ceremony": challenge["ceremony"], "credential": passkey.assertion(&challenge),
        "cookie": true,
    });
    let answer = client.post(&format!("{PASSKEYS}/login/finish")).json(&body).await.expect(200);
    assert!(answer.header("set-cookie").is_some());
    // One that was removed signs in no more.
    let one = format!("{PASSKEYS}/{}", listed["items"][0]["id"].as_str().unwrap());
    let bob = Session::register(&client, "bob").await;
    bob.delete(&one).await.refused(404, "not_found");
    ada.delete(&one).await.expect(204);
    ada.delete(&one).await.refused(404, "not_found");
    sign_in(&client, &mut passkey).await.refused(401, "unauthorized");
}

async fn an_answer_works_once(backend: Backend) {
    let (node, _database, _smtp) = start(backend).await;
    let client = node.client();
    let ada = Session::register(&client, "ada").await;
    let mut passkey = register(&ada).await;
    let challenge = ask(&client).await;
    let answer = passkey.assertion(&challenge);
    // At the same moment, too.
    let both = futures::join!(
        answered(&client, &challenge, &answer),
        answered(&client, &challenge, &answer)
    );
    let mut statuses = [both.0.status.as_u16(), both.1.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401], "{both:?}");
    answered(&client, &challenge, &answer).await.refused(401, "unauthorized");
    let again = passkey.assertion(&challenge);
    answered(&client, &challenge, &again).await.refused(401, "unauthorized");
    // A request that is sent again is given its answer again.
    let challenge = ask(&client).await;
    let body = json!({
        "ceremony": challenge["ceremony"], "credential": passkey.assertion(&challenge),
    });
    let finish = format!("{PASSKEYS}/login/finish");
    let same = || client.post(&finish).idempotency_key("once").json(&body);
    let (first, second) = (same().await.expect(200).json(), same().await.expect(200).json());
    assert_eq!(first["session_id"], second["session_id"]);
    // So with a new one.
    let challenge = ask_for_new(&ada).await;
    let (_, credential) = Passkey::create(&challenge, ORIGIN);
    finish_twice(&ada, &challenge, &credential).await;
}

async fn finish_twice(ada: &Session, challenge: &Value, credential: &Value) {
    finish(ada, challenge, credential).await.expect(201);
    let again = finish(ada, challenge, credential).await;
    assert_eq!(again.refused(422, "validation").fields(), [("credential", "invalid")]);
}

async fn an_answer_that_is_not_right_is_refused(backend: Backend) {
    let (node, _database, _smtp) = start(backend).await;
    let client = node.client();
    let (ada, bob) =
        (Session::register(&client, "ada").await, Session::register(&client, "bob").await);
    let (mut passkey, bobs) = (register(&ada).await, register(&bob).await);
    let refused = async |passkey: &mut Passkey, why: &str| {
        let answer = sign_in(&client, passkey).await;
        assert_eq!(answer.status, 401, "{why}: {answer:?}");
    };
    for origin in ["http://localhost.evil.example", "https://evil.example", "http://evil:5000", ""]
    {
        origin.clone_into(&mut passkey.origin);
        refused(&mut passkey, origin).await;
    }
    ORIGIN.clone_into(&mut passkey.origin);
    "evil.example".clone_into(&mut passkey.rp_id);
    refused(&mut passkey, "another site").await;
    "localhost".clone_into(&mut passkey.rp_id);
    for flags in [0, PRESENT] {
        passkey.flags = flags;
        refused(&mut passkey, "nobody was verified").await;
    }
    passkey.flags = PRESENT | panel_harness::passkey::VERIFIED;
    let own = std::mem::replace(&mut passkey.user_handle, bobs.user_handle.clone());
    refused(&mut passkey, "somebody else's account").await;
    passkey.user_handle = own;
    let own = std::mem::replace(&mut passkey.credential_id, bobs.credential_id.clone());
    refused(&mut passkey, "somebody else's passkey").await;
    passkey.credential_id = own;
    // A signature over something else, and a challenge that nobody has given.
    let challenge = ask(&client).await;
    let mut answer = passkey.assertion(&challenge);
    answer["response"]["signature"] = json!("MEUCIQ");
    answered(&client, &challenge, &answer).await.refused(401, "unauthorized");
    let mut forged = challenge.clone();
    forged["publicKey"]["challenge"] = json!("A".repeat(43));
    let answer = passkey.assertion(&forged);
    answered(&client, &challenge, &answer).await.refused(401, "unauthorized");
    // Ceremonies of another kind, of another account, or that are none.
    let registration = ask_for_new(&ada).await;
    for ceremony in
        [registration["ceremony"].clone(), json!(""), json!("A"), json!("A".repeat(70_000))]
    {
        let mut other = challenge.clone();
        other["ceremony"] = ceremony;
        let answer = passkey.assertion(&other);
        answered(&client, &other, &answer).await.refused(401, "unauthorized");
    }
    for broken in
        [json!({}), json!("x"), json!({"id": "x", "rawId": "!", "type": "y", "response": {}})]
    {
        let answer = answered(&client, &challenge, &broken).await;
        answer.refused(422, "validation");
    }
    // After all that, what is right is right.
    sign_in(&client, &mut passkey).await.expect(200);
}

async fn a_device_that_counts_back_is_refused(backend: Backend) {
    let (node, database, smtp) = start(backend).await;
    let client = node.client();
    let ada = Session::register(&client, "ada").await;
    let mut passkey = register(&ada).await;
    passkey.count = 7;
    sign_in(&client, &mut passkey).await.expect(200);
    sign_in(&client, &mut passkey).await.expect(200);
    // An answer that comes again is no copy.
    let challenge = ask(&client).await;
    let answer = passkey.assertion(&challenge);
    answered(&client, &challenge, &answer).await.expect(200);
    answered(&client, &challenge, &answer).await.refused(401, "unauthorized");
    // There are two of it.
    for _ in 0..2 {
        passkey.count = 7;
        sign_in(&client, &mut passkey).await.refused(401, "unauthorized");
    }
    passkey.count = 20;
    sign_in(&client, &mut passkey).await.expect(200);
    let told = smtp.mail(1).await;
    assert!(told.subject().starts_with("There may be a copy"), "{told:?}");
    eventually("both are in the audit log", Duration::from_secs(10), async || {
        let found = "SELECT record FROM audit WHERE action = 'passkey.counts_back'";
        let mut sql = database.raw_sql("admin").await;
        let found = sql.texts(found, 0).await.unwrap_or_default();
        if found.len() == 2 { Ok(()) } else { Err(found) }
    })
    .await;
    // A mail that can only come after: the owner was told once.
    register(&ada).await;
    assert!(smtp.mail(2).await.subject().starts_with("A passkey was added"));
}

async fn new_passkeys_are_checked(backend: Backend) {
    let (node, _database, _smtp) = start(backend).await;
    let client = node.client();
    let (ada, bob) =
        (Session::register(&client, "ada").await, Session::register(&client, "bob").await);
    let challenge = ask_for_new(&ada).await;
    let (mut passkey, credential) = Passkey::create(&challenge, ORIGIN);
    // It was asked of somebody else, or in another session.
    let elsewhere = Session::login(&client, "ada", PASSWORD).await;
    for other in [&bob, &elsewhere] {
        let others = finish(other, &challenge, &credential).await;
        assert_eq!(others.refused(422, "validation").fields(), [("credential", "invalid")]);
    }
    "https://evil.example".clone_into(&mut passkey.origin);
    finish(&ada, &challenge, &passkey.attestation(&challenge)).await.refused(422, "validation");
    ORIGIN.clone_into(&mut passkey.origin);
    passkey.flags = PRESENT;
    finish(&ada, &challenge, &passkey.attestation(&challenge)).await.refused(422, "validation");
    for garbage in ["", "oA", "v2NmbXRkbm9uZf8", "gYGBgYGBgYGBgYGBgYGBgYGB", "n5-fn5-fn5-fn5-f"] {
        let mut broken = credential.clone();
        broken["response"]["attestationObject"] = json!(garbage);
        finish(&ada, &challenge, &broken).await.refused(422, "validation");
    }
    let body = json!({"ceremony": challenge["ceremony"], "credential": credential, "name": ""});
    let unnamed = ada.post(&format!("{PASSKEYS}/register/finish")).json(&body).await;
    assert_eq!(unnamed.refused(422, "validation").fields(), [("name", "required")]);
    finish(&ada, &challenge, &credential).await.expect(201);
    // The device is told what it has.
    let next = ask_for_new(&ada).await;
    assert_eq!(next["publicKey"]["excludeCredentials"][0]["id"], credential["id"]);
    // The same one for somebody else.
    let challenge = ask_for_new(&bob).await;
    passkey.flags = PRESENT | panel_harness::passkey::VERIFIED;
    finish(&bob, &challenge, &passkey.attestation(&challenge)).await.refused(409, "conflict");
}

async fn an_account_with_many_passkeys_has_one_more(backend: Backend) {
    let (node, database, _smtp) = start(backend).await;
    let ada = Session::register(&node.client(), "ada").await;
    // Nineteen, of ids as long as they may be.
    let id = match backend {
        Backend::Sqlite => "CAST(printf('%01023d', i) AS BLOB)",
        Backend::Postgres => "convert_to(lpad(CAST(i AS TEXT), 1023, '0'), 'UTF8')",
    };
    let many = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 19) \
         INSERT INTO passkeys (id, user_id, credential_id, name, passkey, created_at) \
         SELECT i, (SELECT id FROM users), {id}, 'Old', '', 0 FROM n"
    );
    database.raw_sql("auth").await.run(&many).await;
    let challenge = ask_for_new(&ada).await;
    assert_eq!(challenge["publicKey"]["excludeCredentials"].as_array().unwrap().len(), 19);
    let (_, credential) = Passkey::create(&challenge, ORIGIN);
    finish(&ada, &challenge, &credential).await.expect(201);
    let challenge = ask_for_new(&ada).await;
    let (_, credential) = Passkey::create(&challenge, ORIGIN);
    finish(&ada, &challenge, &credential).await.refused(409, "conflict");
}

async fn a_passkey_takes_somebody_who_has_just_shown_who_they_are(backend: Backend) {
    let (node, database, _smtp) = start(backend).await;
    let client = node.client();
    let ada = Session::register(&client, "ada").await;
    let mut passkey = register(&ada).await;
    let listed = ada.get(PASSKEYS).await.expect(200).json();
    let one = format!("{PASSKEYS}/{}", listed["items"][0]["id"].as_str().unwrap());
    database.raw_sql("auth").await.run("UPDATE sessions SET authenticated_at = 0").await;
    let refused = ada.post(&format!("{PASSKEYS}/register/start")).await.refused(403, "forbidden");
    assert_eq!(refused.code.as_deref(), Some("reauthentication_required"));
    ada.delete(&one).await.refused(403, "forbidden");
    // Which a passkey does as well: one's own.
    let show = async |session: &Session, passkey: &mut Passkey| {
        let challenge = ask(&client).await;
        let answer = json!({
            "ceremony": challenge["ceremony"], "credential": passkey.assertion(&challenge),
        });
        session.post("/api/v2/auth/reauthenticate").json(&json!({"passkey": answer})).await
    };
    let bob = Session::register(&client, "bob").await;
    let wrong = show(&bob, &mut passkey).await;
    assert_eq!(wrong.refused(422, "validation").fields(), [("passkey", "wrong")]);
    show(&ada, &mut passkey).await.expect(204);
    ask_for_new(&ada).await;
    ada.delete(&one).await.expect(204);
    let wrong = show(&ada, &mut passkey).await;
    assert_eq!(wrong.refused(422, "validation").fields(), [("passkey", "wrong")]);
}

async fn who_is_suspended_has_no_passkey(backend: Backend) {
    let (node, _database, _smtp) = start(backend).await;
    let client = node.client();
    let root = node.admin("root").await;
    let ada = Session::register(&client, "ada").await;
    let mut passkey = register(&ada).await;
    let path = format!("/api/v2/admin/users/{}/suspend", ada.user_id);
    root.post(&path).json(&json!({"reason": "enough"})).await.expect(200);
    let refused = sign_in(&client, &mut passkey).await.refused(403, "forbidden");
    assert_eq!(refused.code.as_deref(), Some("account_suspended"));
}

#[tokio::test]
async fn a_ceremony_is_finished_by_another_node_than_has_begun_it() {
    let cluster = Cluster::builder()
        .await
        .env("PANEL_NODE__PUBLIC_URL", "https://panel.example")
        .node("n1", "gateway,auth")
        .node("n2", "gateway,auth")
        .start()
        .await;
    let (one, two) = (cluster.client("n1"), cluster.client("n2"));
    let ada = Session::register(&one, "ada").await;
    let challenge = ask_for_new(&ada).await;
    let (mut passkey, credential) = Passkey::create(&challenge, "https://panel.example");
    finish(&ada.at(&two), &challenge, &credential).await.expect(201);
    let challenge = ask(&one).await;
    let answer = passkey.assertion(&challenge);
    answered(&two, &challenge, &answer).await.expect(200);
    answered(&one, &challenge, &answer).await.refused(401, "unauthorized");
}

#[tokio::test]
async fn passkeys_need_a_site_with_a_name() {
    let node = Node::builder().env("PANEL_NODE__PUBLIC_URL", "http://10.0.0.1:5000").start().await;
    let client = node.client();
    client.post(&format!("{PASSKEYS}/login/start")).await.refused(409, "conflict");
    let ada = Session::register(&client, "ada").await;
    assert_eq!(ada.get(PASSKEYS).await.expect(200).json()["items"], json!([]));
    Session::login(&client, "ada", PASSWORD).await;
}
