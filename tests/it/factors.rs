//! A second factor, showing again who one is, and another address: on both databases.

use std::time::Duration;

use panel_harness::session::{PASSWORD, email};
use panel_harness::{
    Answer, Authenticator, Backend, Client, Node, Session, Smtp, TestDatabase, eventually,
    on_both_databases,
};
use serde_json::{Value, json};

on_both_databases!(
    signing_in_takes_the_code_once_it_is_on,
    a_code_works_once,
    a_recovery_code_stands_in_once,
    guessing_codes_is_slowed_down,
    what_turns_it_on_and_off_takes_the_password,
    who_has_the_factor_shows_again_who_they_are,
    an_address_is_changed_by_who_has_it,
    an_address_that_is_taken_is_not_told,
    an_address_that_is_wanted_ends_with_the_sessions,
);

const TOTP: &str = "/api/v2/auth/totp";
const LOGIN: &str = "/api/v2/auth/login";
const CHANGE: &str = "/api/v2/auth/email/change";

async fn start(backend: Backend) -> (Node, TestDatabase, Smtp) {
    let (database, smtp) = (backend.database().await, Smtp::start());
    let node = Node::builder().mail(smtp.port()).database(&database).start().await;
    (node, database, smtp)
}

/// As if the codes used so far were of long ago.
async fn let_time_pass(database: &TestDatabase) {
    database.raw_sql("auth").await.run("UPDATE totp SET last_step = 0").await;
}

async fn login(client: &Client, more: &Value) -> Answer {
    let mut credentials = json!({"login": "ada", "password": PASSWORD});
    let more = more.as_object().unwrap().clone();
    credentials.as_object_mut().unwrap().extend(more);
    client.post(LOGIN).json(&credentials).await
}

/// Refused with this word.
#[track_caller]
fn refused(answer: &Answer, code: &str) {
    let problem = answer.refused(401, "unauthorized");
    assert_eq!(problem.code.as_deref(), Some(code), "{answer:?}");
}

async fn signing_in_takes_the_code_once_it_is_on(backend: Backend) {
    let (node, database, smtp) = start(backend).await;
    let client = node.client();
    let ada = Session::register(&client, "ada").await;
    let off = json!({"enabled": false, "recovery_codes_left": 0});
    assert_eq!(ada.get(TOTP).await.expect(200).json(), off);
    // A secret that was not confirmed keeps nobody out, and makes way for another.
    let password = json!({"password": PASSWORD});
    let enroll = || ada.post(&format!("{TOTP}/enroll")).json(&password);
    let first = Authenticator::of(&enroll().await.expect(201).json());
    login(&client, &json!({})).await.expect(200);
    let (device, codes) = Authenticator::turn_on(&ada).await;
    assert_ne!(first.secret(), device.secret());
    assert_eq!(codes.len(), 10);
    let on = json!({"enabled": true, "recovery_codes_left": 10});
    assert_eq!(ada.get(TOTP).await.expect(200).json(), on);
    assert_eq!(smtp.mail(0).await.to(), email("ada"));
    enroll().await.refused(409, "conflict");
    ada.post(&format!("{TOTP}/confirm"))
        .json(&json!({"code": device.code()}))
        .await
        .refused(409, "conflict");
    let_time_pass(&database).await;
    refused(&login(&client, &json!({})).await, "totp_required");
    refused(&login(&client, &json!({"totp_code": device.wrong_code()})).await, "totp_invalid");
    // Only who has the password hears of it.
    let wrong =
        json!({"login": "ada", "password": "not it, not at all", "totp_code": device.code()});
    let answer = client.post(LOGIN).json(&wrong).await;
    assert_eq!(answer.refused(401, "unauthorized").code, None);
    login(&client, &json!({"totp_code": device.code()})).await.expect(200);
    let_time_pass(&database).await;
    let cookie = json!({"totp_code": device.code(), "cookie": true});
    assert!(login(&client, &cookie).await.expect(200).header("set-cookie").is_some());
}

async fn a_code_works_once(backend: Backend) {
    let (node, database, _smtp) = start(backend).await;
    let client = node.client();
    let ada = Session::register(&client, "ada").await;
    let (device, _) = Authenticator::turn_on(&ada).await;
    let_time_pass(&database).await;
    let code = device.code();
    // At the same moment, too; and an answer that is given again is no second use.
    let same = json!({"totp_code": code});
    let both = futures::join!(login(&client, &same), login(&client, &same));
    let (good, bad) = if both.0.status == 200 { both } else { (both.1, both.0) };
    good.expect(200);
    refused(&bad, "totp_invalid");
    refused(&login(&client, &json!({"totp_code": code})).await, "totp_invalid");
    let_time_pass(&database).await;
    let credentials = json!({"login": "ada", "password": PASSWORD, "totp_code": device.code()});
    let same = || client.post(LOGIN).idempotency_key("once").json(&credentials);
    let (one, two) = (same().await.expect(200).json(), same().await.expect(200).json());
    assert_eq!(one["access_token"], two["access_token"]);
}

async fn a_recovery_code_stands_in_once(backend: Backend) {
    let (node, _database, smtp) = start(backend).await;
    let client = node.client();
    let ada = Session::register(&client, "ada").await;
    let (device, codes) = Authenticator::turn_on(&ada).await;
    let code = json!({"recovery_code": codes[3].to_uppercase().replace('-', " ")});
    login(&client, &code).await.expect(200);
    assert_eq!(ada.get(TOTP).await.expect(200).json()["recovery_codes_left"], 9);
    let told = smtp.mail(1).await;
    assert!(told.subject().starts_with("A recovery code"), "{told:?}");
    // Also where it only shows again who one is.
    let show = json!({"recovery_code": codes[5]});
    ada.post("/api/v2/auth/reauthenticate").json(&show).await.expect(204);
    let told = smtp.mail(2).await;
    assert!(told.subject().starts_with("A recovery code"), "{told:?}");
    refused(&login(&client, &code).await, "totp_invalid");
    // New ones end the old ones.
    let renew = ada.post(&format!("{TOTP}/recovery-codes")).json(&json!({"password": PASSWORD}));
    let new = renew.await.expect(200).json();
    refused(&login(&client, &json!({"recovery_code": codes[4]})).await, "totp_invalid");
    let code = new["recovery_codes"][0].as_str().unwrap();
    login(&client, &json!({"recovery_code": code})).await.expect(200);
    // Off is off, with all codes.
    let off = ada.delete(TOTP).json(&json!({"password": PASSWORD}));
    off.await.expect(204);
    ada.delete(TOTP).json(&json!({"password": PASSWORD})).await.refused(404, "not_found");
    login(&client, &json!({})).await.expect(200);
    let (again, _) = Authenticator::turn_on(&ada).await;
    assert_ne!(again.secret(), device.secret());
    refused(&login(&client, &json!({"recovery_code": code})).await, "totp_invalid");
}

/// Sends it until it has to wait: each wrong code makes that longer.
async fn until_slowed_down(mut send: impl AsyncFnMut() -> Answer) -> usize {
    for sent in 0..20 {
        let answer = send().await;
        if answer.status == 429 {
            answer.refused(429, "rate_limited");
            return sent;
        }
        assert!(matches!(answer.status.as_u16(), 401 | 422), "{answer:?}");
    }
    panic!("nobody slows this down");
}

async fn guessing_codes_is_slowed_down(backend: Backend) {
    let (database, smtp) = (backend.database().await, Smtp::start());
    let node = Node::builder().env("PANEL_AUTH__LOGIN_ATTEMPTS", "3").mail(smtp.port());
    let node = node.database(&database).start().await;
    let client = node.client();
    let ada = Session::register(&client, "ada").await;
    let (device, _) = Authenticator::turn_on(&ada).await;
    // Whoever has the password, and signs in from where nobody is: by one name or the other, and a
    // right password in between forgives nothing.
    database.raw_sql("auth").await.run("UPDATE sessions SET ip = NULL").await;
    let mut names = ["ada", "ada@example.org"].into_iter().cycle();
    let sent = until_slowed_down(async || {
        let name = names.next().unwrap();
        let wrong = json!({"login": name, "password": PASSWORD, "totp_code": device.wrong_code()});
        client.post(LOGIN).json(&wrong).await
    });
    assert!((3..10).contains(&sent.await));
    let told = smtp.mail_to(&email("ada"), 1).await;
    assert!(told.subject().starts_with("Somebody guesses"), "{told:?}");
    eventually("it is in the audit log", Duration::from_secs(10), async || {
        let found = "SELECT record FROM audit WHERE action = 'factor.guessed'";
        let mut sql = database.raw_sql("admin").await;
        sql.texts(found, 0).await.unwrap_or_default().len() == 1
    })
    .await;
    // Another password, by who reads the mail, is no way around it; nor is a session.
    client
        .post("/api/v2/auth/password/forgot")
        .json(&json!({"email": email("ada")}))
        .await
        .expect(202);
    let token = smtp.mail_to(&email("ada"), 2).await.token("reset-password");
    let new = "a lantern on the violet anchor";
    let reset = json!({"token": token, "new_password": new});
    client.post("/api/v2/auth/password/reset").json(&reset).await.expect(204);
    let sent = until_slowed_down(async || {
        let wrong = json!({"login": "ada", "password": new, "totp_code": device.wrong_code()});
        client.post(LOGIN).json(&wrong).await
    });
    assert!(sent.await < 3);
    // Who only forgot the code hears that it takes one.
    let without = json!({"login": "ada", "password": new});
    refused(&client.post(LOGIN).json(&without).await, "totp_required");
}

async fn what_turns_it_on_and_off_takes_the_password(backend: Backend) {
    let (node, database, _smtp) = start(backend).await;
    let ada = Session::register(&node.client(), "ada").await;
    for path in ["enroll", "recovery-codes"] {
        let path = format!("{TOTP}/{path}");
        let wrong = ada.post(&path).json(&json!({"password": "not it, not at all"})).await;
        assert_eq!(wrong.refused(422, "validation").fields(), [("password", "wrong")], "{path}");
        let empty = ada.post(&path).json(&json!({})).await;
        assert_eq!(empty.refused(422, "validation").fields(), [("password", "required")], "{path}");
    }
    let wrong = ada.delete(TOTP).json(&json!({"password": "not it, not at all"})).await;
    assert_eq!(wrong.refused(422, "validation").fields(), [("password", "wrong")]);
    ada.delete(TOTP).await.refused(415, "unsupported_media_type");
    ada.delete(TOTP).json(&json!({"password": PASSWORD})).await.refused(404, "not_found");
    let confirm = format!("{TOTP}/confirm");
    ada.post(&confirm).json(&json!({"code": "000000"})).await.refused(409, "conflict");
    let password = json!({"password": PASSWORD});
    let enrolled = ada.post(&format!("{TOTP}/enroll")).json(&password).await.expect(201).json();
    let device = Authenticator::of(&enrolled);
    for bad in [device.wrong_code().as_str(), "", "12345", "1234567", "abcdef", "１２３４５６"]
    {
        let answer = ada.post(&confirm).json(&json!({"code": bad})).await;
        // Each of them counts; what is asked for at the end is patience.
        match answer.status.as_u16() {
            422 => assert_eq!(answer.problem().fields(), [("code", "wrong")], "{bad}"),
            _ => drop(answer.refused(429, "rate_limited")),
        }
    }
    let mut sql = database.raw_sql("auth").await;
    let on = "SELECT CAST(count(*) AS TEXT) FROM totp WHERE confirmed_at IS NOT NULL";
    assert_eq!(sql.texts(on, 0).await.unwrap(), ["0"]);
}

async fn who_has_the_factor_shows_again_who_they_are(backend: Backend) {
    let (node, database, _smtp) = start(backend).await;
    let ada = Session::register(&node.client(), "ada").await;
    let show = "/api/v2/auth/reauthenticate";
    let empty = ada.post(show).json(&json!({})).await;
    assert_eq!(empty.refused(422, "validation").fields(), [("password", "required")]);
    let off = ada.post(show).json(&json!({"totp_code": "000000"})).await;
    assert_eq!(off.refused(422, "validation").fields(), [("totp_code", "wrong")]);
    let (device, codes) = Authenticator::turn_on(&ada).await;
    let long_ago = "UPDATE sessions SET authenticated_at = 0";
    let change = json!({"email": "new@example.org"});
    for shown in [json!({"totp_code": ""}), json!({"recovery_code": codes[0]})] {
        let_time_pass(&database).await;
        let shown =
            if shown["totp_code"].is_null() { shown } else { json!({"totp_code": device.code()}) };
        database.raw_sql("auth").await.run(long_ago).await;
        let asked = ada.post(CHANGE).json(&change).await.refused(403, "forbidden");
        assert_eq!(asked.code.as_deref(), Some("reauthentication_required"));
        ada.post(show).json(&shown).await.expect(204);
        database.raw_sql("auth").await.run("UPDATE users SET change_mailed_at = 0").await;
        ada.post(CHANGE).json(&change).await.expect(202);
    }
}

async fn an_address_is_changed_by_who_has_it(backend: Backend) {
    let (node, database, smtp) = start(backend).await;
    let client = node.client();
    let ada = Session::register(&client, "ada").await;
    let change = json!({"email": "New@example.org", "password": PASSWORD});
    let wrong = json!({"email": "new@example.org", "password": "not it, not at all"});
    let answer = ada.post(CHANGE).json(&wrong).await;
    assert_eq!(answer.refused(422, "validation").fields(), [("password", "wrong")]);
    for (bad, code) in [("nobody", "invalid"), ("", "required"), ("ADA@example.org", "unchanged")] {
        let answer = ada.post(CHANGE).json(&json!({"email": bad})).await;
        assert_eq!(answer.refused(422, "validation").fields(), [("email", code)]);
    }
    ada.post(CHANGE).json(&change).await.expect(202);
    let mail = smtp.mail_to("New@example.org", 0).await;
    let told = smtp.mail_to("ada@example.org", 0).await;
    assert!(told.subject().contains("is to have another address"), "{told:?}");
    ada.post(CHANGE).json(&change).await.refused(429, "rate_limited");
    // Until it is confirmed, nothing has changed.
    let me = ada.get("/api/v2/auth/me").await.expect(200).json();
    assert_eq!((&me["email"], &me["email_verified"]), (&json!("ada@example.org"), &json!(false)));
    let verify = async |token: &str| {
        client.post("/api/v2/auth/email/verify").json(&json!({"token": token})).await
    };
    let token = mail.token("verify-email");
    // It is good for this alone.
    let reset = json!({"token": token, "new_password": "a lantern on the violet anchor"});
    client.post("/api/v2/auth/password/reset").json(&reset).await.refused(422, "validation");
    verify(&token).await.expect(204);
    verify(&token).await.refused(422, "validation");
    let me = ada.get("/api/v2/auth/me").await.expect(200).json();
    assert_eq!((&me["email"], &me["email_verified"]), (&json!("New@example.org"), &json!(true)));
    let told = smtp.mail_to("ada@example.org", 1).await;
    assert!(told.subject().contains("has another address"), "{told:?}");
    Session::login(&client, "new@example.org", PASSWORD).await;
    Session::try_login(&client, "ada@example.org", PASSWORD).await.refused(401, "unauthorized");
    // Administrators find the account by it.
    let root = node.admin("root").await;
    eventually("admin has heard of it", Duration::from_secs(10), || async {
        let found = root.get("/api/v2/admin/users?q=new@example").await.expect(200).json();
        found["items"][0]["username"] == "ada"
    })
    .await;
    // An older link, to any address, is good for nothing any more.
    database.raw_sql("auth").await.run("UPDATE users SET change_mailed_at = 0").await;
    ada.post(CHANGE).json(&json!({"email": "third@example.org"})).await.expect(202);
    let third = smtp.mail_to("third@example.org", 0).await.token("verify-email");
    database.raw_sql("auth").await.run("UPDATE users SET change_mailed_at = 0").await;
    ada.post(CHANGE).json(&json!({"email": "fourth@example.org"})).await.expect(202);
    let fourth = smtp.mail_to("fourth@example.org", 0).await.token("verify-email");
    verify(&fourth).await.expect(204);
    verify(&third).await.refused(422, "validation");
}

async fn an_address_that_is_taken_is_not_told(backend: Backend) {
    let (node, database, smtp) = start(backend).await;
    let client = node.client();
    let (ada, bob) =
        (Session::register(&client, "ada").await, Session::register(&client, "bob").await);
    ada.post(CHANGE).json(&json!({"email": email("bob")})).await.expect(202);
    let mail = smtp.mail_to(&email("bob"), 0).await;
    assert!(mail.subject().starts_with("You have an account"), "{mail:?}");
    // Of two who want the same address, the first to confirm it has it.
    database.raw_sql("auth").await.run("UPDATE users SET change_mailed_at = 0").await;
    let wanted = json!({"email": "wanted@example.org"});
    ada.post(CHANGE).json(&wanted).await.expect(202);
    bob.post(CHANGE).json(&wanted).await.expect(202);
    let wanted = "wanted@example.org";
    let tokens = [smtp.mail_to(wanted, 0).await, smtp.mail_to(wanted, 1).await];
    let tokens = tokens.map(|mail| mail.token("verify-email"));
    let verify =
        |token: &String| client.post("/api/v2/auth/email/verify").json(&json!({"token": token}));
    let both = futures::join!(verify(&tokens[0]).into_future(), verify(&tokens[1]).into_future());
    let mut statuses = [both.0.status.as_u16(), both.1.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 409], "{both:?}");
}

/// Whoever had a session for a moment, and has an address confirmed for it, must not come back with
/// that.
async fn an_address_that_is_wanted_ends_with_the_sessions(backend: Backend) {
    let (node, database, smtp) = start(backend).await;
    let client = node.client();
    let root = node.admin("root").await;
    for (name, end) in
        [("ada", "change"), ("bob", "reset"), ("eve", "logout-all"), ("joe", "force")]
    {
        let owner = Session::register(&client, name).await;
        let thief = Session::login(&client, name, PASSWORD).await;
        let stolen = format!("{name}@evil.example");
        thief.post(CHANGE).json(&json!({"email": stolen})).await.expect(202);
        let token = smtp.mail_to(&stolen, 0).await.token("verify-email");
        let new = "a lantern on the violet anchor";
        match end {
            "change" => {
                let change = json!({"current_password": PASSWORD, "new_password": new});
                owner.post("/api/v2/auth/password/change").json(&change).await.expect(204);
            }
            "reset" => {
                let forgot = json!({"email": email(name)});
                client.post("/api/v2/auth/password/forgot").json(&forgot).await.expect(202);
                let token = smtp.mail_to(&email(name), 1).await.token("reset-password");
                let reset = json!({"token": token, "new_password": new});
                client.post("/api/v2/auth/password/reset").json(&reset).await.expect(204);
            }
            "logout-all" => {
                owner.post("/api/v2/auth/logout-all").await.expect(204);
            }
            _ => {
                let path = format!("/api/v2/admin/users/{}/force-logout", owner.user_id);
                root.post(&path).await.expect(204);
            }
        }
        let verify = json!({"token": token});
        let late = client.post("/api/v2/auth/email/verify").json(&verify).await;
        assert_eq!(late.status, 422, "{end}: {late:?}");
        // Nor does a session that is over ask for another.
        database.raw_sql("auth").await.run("UPDATE users SET change_mailed_at = 0").await;
        let again = thief.post(CHANGE).json(&json!({"email": stolen})).await;
        assert!(matches!(again.status.as_u16(), 401 | 403), "{end}: {again:?}");
    }
}
