//! What comes by mail: confirming an address, choosing another password, and being told; through a
//! real mail server, on both databases.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use panel_harness::session::{PASSWORD, email};
use panel_harness::{
    Answer, Backend, Client, Node, Proxy, RigBuilder, Session, Smtp, TestDatabase, eventually,
    on_both_databases,
};
use panel_kernel::config::Section;
use serde_json::json;

on_both_databases!(
    an_address_is_confirmed_before_anybody_signs_in,
    who_registers_what_is_taken_hears_of_it_by_mail_alone,
    a_forgotten_password_is_chosen_anew,
    a_link_ends_with_its_time_and_with_the_password,
    a_server_that_is_gone_is_asked_about_one_mail_at_a_time,
    what_happened_to_a_session_is_told_to_its_owner,
    mails_wait_for_their_server_and_outlive_the_node,
    what_a_server_refuses_is_tried_again_or_given_up,
);

const NEW: &str = "a lantern on the violet anchor";
const ARRIVES: Duration = Duration::from_secs(15);

async fn start(backend: Backend, verify: &str) -> (Node, TestDatabase, Smtp) {
    let (database, smtp) = (backend.database().await, Smtp::start());
    let node = Node::builder().mail(smtp.port()).database(&database);
    let node = node.env("PANEL_AUTH__VERIFY_EMAIL", verify).start().await;
    (node, database, smtp)
}

async fn post(client: &Client, path: &str, body: serde_json::Value) -> Answer {
    client.post(&format!("/api/v2/auth/{path}")).json(&body).await
}

async fn register(client: &Client, name: &str, address: &str) -> Answer {
    post(client, "register", json!({"username": name, "email": address, "password": PASSWORD}))
        .await
}

async fn forgot(client: &Client, address: &str) -> Answer {
    post(client, "password/forgot", json!({"email": address})).await
}

async fn reset(client: &Client, token: &str, password: &str) -> Answer {
    post(client, "password/reset", json!({"token": token, "new_password": password})).await
}

/// As if the last mail to everybody had been sent long ago.
async fn let_time_pass(database: &TestDatabase) {
    database
        .raw_sql("auth")
        .await
        .run("UPDATE users SET verify_mailed_at = 0, reset_mailed_at = 0, taken_mailed_at = 0")
        .await;
}

async fn an_address_is_confirmed_before_anybody_signs_in(backend: Backend) {
    let (node, _database, smtp) = start(backend, "true").await;
    let client = node.client();
    let made = register(&client, "ada", "Ada@example.org").await.expect(202);
    assert_eq!(made.json(), json!({"status": "verification_required"}));
    let early = Session::try_login(&client, "ada", PASSWORD).await;
    assert_eq!(early.refused(403, "forbidden").code.as_deref(), Some("email_unverified"));
    // Only who has the password hears that.
    Session::try_login(&client, "ada", NEW).await.refused(401, "unauthorized");
    let mail = smtp.mail(0).await;
    assert_eq!(mail.to(), "Ada@example.org");
    assert!(mail.subject().starts_with("Confirm your address for "), "{mail:?}");
    assert_eq!(mail.0["headers"]["Auto-Submitted"], "auto-generated");
    let page = client.get("/verify-email").await.expect(200);
    assert!(page.text().contains("Confirm your address"));
    assert!(page.header("content-security-policy").unwrap().contains("nonce-"));
    let token = mail.token("verify-email");
    let verify = |token: &str| post(&client, "email/verify", json!({"token": token}));
    let wrong = verify("made-up").await.refused(422, "validation");
    assert_eq!(wrong.fields(), [("token", "invalid")]);
    // Nor is it good for anything else.
    reset(&client, &token, NEW).await.refused(422, "validation");
    verify(&token).await.expect(204);
    verify(&token).await.refused(422, "validation");
    let ada = Session::login(&client, "ada", PASSWORD).await;
    assert_eq!(ada.get("/api/v2/auth/me").await.expect(200).json()["email_verified"], true);
    // Accounts that administrators make need no confirmation.
    node.admin("root").await;
}

async fn who_registers_what_is_taken_hears_of_it_by_mail_alone(backend: Backend) {
    let (node, database, smtp) = start(backend, "true").await;
    let client = node.client();
    let first = register(&client, "ada", "ada@example.org").await.expect(202);
    smtp.mail(0).await;
    // The same address: its owner is told, but not again and again.
    let_time_pass(&database).await;
    for name in ["eve", "ada", "eve"] {
        let answer = register(&client, name, "ADA@example.org").await.expect(202);
        assert_eq!(answer.body, first.body);
    }
    // The same name: whoever chose it is told.
    let answer = register(&client, "Ada", "other@example.org").await.expect(202);
    assert_eq!(answer.body, first.body);
    let (taken, name) = (smtp.mail(1).await, smtp.mail(2).await);
    assert_eq!((taken.to(), name.to()), ("ada@example.org", "other@example.org"));
    assert!(taken.subject().starts_with("You have an account at "), "{taken:?}");
    assert!(name.subject().starts_with("The name you chose at "), "{name:?}");
    // The link is sent again to who asks for it, if there is anything to confirm.
    let_time_pass(&database).await;
    let resend = |address: &str| post(&client, "email/resend", json!({"email": address}));
    for address in ["ada@example.org", "nobody@example.org", "no address", "ada@example.org"] {
        let answer = resend(address).await.expect(202);
        assert_eq!(answer.json(), json!({"status": "accepted"}));
    }
    let again = smtp.mail(3).await;
    assert_eq!(again.to(), "ada@example.org");
    let old = smtp.mail(0).await.token("verify-email");
    let fresh = again.token("verify-email");
    post(&client, "email/verify", json!({"token": fresh})).await.expect(204);
    // With one, all are used up.
    post(&client, "email/verify", json!({"token": old})).await.refused(422, "validation");
    let_time_pass(&database).await;
    resend("ada@example.org").await.expect(202);
    // A mail that can only come after: nothing was sent in between.
    forgot(&client, "ada@example.org").await.expect(202);
    assert!(smtp.mail(4).await.subject().starts_with("Choose another password"));
}

async fn a_forgotten_password_is_chosen_anew(backend: Backend) {
    let (node, database, smtp) = start(backend, "false").await;
    let client = node.client();
    let laptop = Session::register(&client, "ada").await;
    assert_eq!(laptop.get("/api/v2/auth/me").await.expect(200).json()["email_verified"], false);
    let known = forgot(&client, &email("ada")).await.expect(202);
    let unknown = forgot(&client, &email("nobody")).await.expect(202);
    assert_eq!(known.body, unknown.body);
    forgot(&client, &email("ada")).await.expect(202);
    let mail = smtp.mail(0).await;
    assert_eq!(mail.to(), email("ada"));
    let token = mail.token("reset-password");
    assert!(client.get("/reset-password").await.expect(200).text().contains("another password"));
    // Somebody else has been guessing meanwhile.
    for _ in 0..5 {
        let guess = client.clone().with_header("x-forwarded-for", "192.0.2.1");
        Session::try_login(&guess, &email("ada"), NEW).await.expect(401);
    }
    let weak = reset(&client, &token, "short").await.refused(422, "validation");
    assert_eq!(weak.fields(), [("new_password", "too_short")]);
    let wrong = reset(&client, "made-up", NEW).await.refused(422, "validation");
    assert_eq!(wrong.fields(), [("token", "invalid")]);
    let body = json!({"token": token, "new_password": NEW});
    let send =
        || client.post("/api/v2/auth/password/reset").idempotency_key("the-reset").json(&body);
    send().await.expect(204);
    assert_eq!(send().await.expect(204).header("idempotency-replayed"), Some("true"));
    reset(&client, &token, "yet another password").await.refused(422, "validation");
    eventually("the session has ended", Duration::from_secs(2), async || {
        laptop.get("/api/v2/auth/me").await.status == 401
    })
    .await;
    let ada = Session::login(&client, &email("ada"), NEW).await;
    assert_eq!(ada.get("/api/v2/auth/me").await.expect(200).json()["email_verified"], true);
    Session::try_login(&client, "ada", PASSWORD).await.refused(401, "unauthorized");
    // The owner is told; and of all that was asked for, that is the second mail.
    let told = smtp.mail(1).await;
    assert!(told.subject().starts_with("Your password for "), "{told:?}");
    eventually("it is in the audit log", Duration::from_secs(10), async || {
        let mut sql = database.raw_sql("admin").await;
        let actions = sql.texts("SELECT action FROM audit", 0).await.unwrap_or_default();
        actions.iter().any(|action| action == "user.password_reset")
    })
    .await;
}

async fn a_link_ends_with_its_time_and_with_the_password(backend: Backend) {
    let (node, database, smtp) = start(backend, "false").await;
    let client = node.client();
    let ada = Session::register(&client, "ada").await;
    let mut tokens = Vec::new();
    for number in 0..3 {
        forgot(&client, &email("ada")).await.expect(202);
        tokens.push(smtp.mail(number).await.token("reset-password"));
        let_time_pass(&database).await;
    }
    let refused = |answer: Answer| assert_eq!(answer.refused(422, "validation").fields().len(), 1);
    // What its owner has changed by other means, an older link does not change back.
    let change = json!({"current_password": PASSWORD, "new_password": "a quite other password"});
    ada.post("/api/v2/auth/password/change").json(&change).await.expect(204);
    for token in &tokens {
        refused(reset(&client, token, NEW).await);
    }
    assert!(smtp.mail(3).await.subject().starts_with("Your password for "));
    // And one that is half an hour old is worth nothing.
    forgot(&client, &email("ada")).await.expect(202);
    let late = smtp.mail(4).await.token("reset-password");
    let mut sql = database.raw_sql("auth").await;
    sql.run("UPDATE one_time_tokens SET expires_at = expires_at - 1801000000").await;
    refused(reset(&client, &late, NEW).await);
    sql.run("UPDATE one_time_tokens SET expires_at = expires_at + 60000000").await;
    // Another that somebody asks for does not end it; and with one, all are used up.
    let_time_pass(&database).await;
    forgot(&client, &email("ada")).await.expect(202);
    let other = smtp.mail(5).await.token("reset-password");
    reset(&client, &late, NEW).await.expect(204);
    refused(reset(&client, &other, NEW).await);
}

async fn a_server_that_is_gone_is_asked_about_one_mail_at_a_time(backend: Backend) {
    let (database, smtp) = (backend.database().await, Smtp::start());
    let proxy = Proxy::start(("127.0.0.1", smtp.port()));
    proxy.everybody().refuse();
    let node = Node::builder().mail(proxy.address().port()).database(&database).start().await;
    let client = node.client();
    for name in ["ada", "bob", "eve"] {
        Session::register(&client, name).await;
        forgot(&client, &email(name)).await.expect(202);
    }
    let labels = [("service", "auth"), ("outcome", "deferred")];
    eventually("each was tried", 2 * ARRIVES, async || {
        node.metrics().await.count("panel_mails_total", &labels) >= 3
    })
    .await;
    // From the beginning. The mailer looks by itself now, every five seconds.
    database.raw_sql("auth").await.run("UPDATE mails SET attempts = 0, next_at = 0").await;
    let tried = async || {
        let mut sql = database.raw_sql("auth").await;
        sql.texts("SELECT kind FROM mails WHERE attempts > 0", 0).await.unwrap().len()
    };
    eventually("one is tried", ARRIVES, async || tried().await > 0).await;
    assert_eq!(tried().await, 1);
    // The others go as soon as the server is back, and need not wait for their turn.
    proxy.heal();
    eventually("they have come", ARRIVES, async || smtp.mails().len() == 2).await;
}

async fn what_happened_to_a_session_is_told_to_its_owner(backend: Backend) {
    let (node, _database, smtp) = start(backend, "false").await;
    let client = node.client();
    let mut ada = Session::register(&client, "ada").await;
    let stolen = json!({"refresh_token": ada.refresh_token});
    ada.refresh().await;
    for _ in 0..2 {
        post(&client, "refresh", stolen.clone()).await.refused(401, "unauthorized");
    }
    let told = smtp.mail(0).await;
    assert_eq!(told.to(), email("ada"));
    assert!(told.subject().starts_with("A session at "), "{told:?}");
    // Once.
    forgot(&client, &email("ada")).await.expect(202);
    assert!(smtp.mail(1).await.subject().starts_with("Choose another password"));
}

async fn mails_wait_for_their_server_and_outlive_the_node(backend: Backend) {
    let (database, smtp) = (backend.database().await, Smtp::start());
    let proxy = Proxy::start(("127.0.0.1", smtp.port()));
    proxy.everybody().refuse();
    let mut node = Node::builder().mail(proxy.address().port()).database(&database).start().await;
    let client = node.client();
    Session::register(&client, "ada").await;
    forgot(&client, &email("ada")).await.expect(202);
    let counted = async |node: &Node, outcome: &str| {
        let labels = [("service", "auth"), ("outcome", outcome)];
        node.metrics().await.count("panel_mails_total", &labels)
    };
    eventually("the mailer has tried", ARRIVES, async || counted(&node, "deferred").await > 0)
        .await;
    assert!(!node.log_lines().iter().any(|line| line.contains(&email("ada"))));
    node.kill9();
    node.restart().await;
    proxy.heal();
    assert!(smtp.mails().is_empty());
    // It would be tried again in a minute.
    database.raw_sql("auth").await.run("UPDATE mails SET next_at = 0").await;
    assert_eq!(smtp.mail(0).await.to(), email("ada"));
    eventually("nothing waits any more", ARRIVES, async || {
        let mut sql = database.raw_sql("auth").await;
        sql.texts("SELECT kind FROM mails", 0).await.unwrap().is_empty()
    })
    .await;
    eventually("it is counted", ARRIVES, async || counted(&node, "delivered").await == 1).await;
    assert_eq!(smtp.mails().len(), 1);
}

async fn what_a_server_refuses_is_tried_again_or_given_up(backend: Backend) {
    let (node, database, smtp) = start(backend, "false").await;
    let client = node.client();
    for name in ["busy", "gone"] {
        Session::register(&client, name).await;
        forgot(&client, &email(name)).await.expect(202);
    }
    let kinds = async |condition: &str| {
        let mut sql = database.raw_sql("auth").await;
        sql.texts(&format!("SELECT kind FROM mails WHERE {condition}"), 0).await.unwrap().len()
    };
    eventually("both were tried", ARRIVES, async || {
        let found = (kinds("failed_at IS NOT NULL").await, kinds("attempts = 1").await);
        if found == (1, 2) { Ok(()) } else { Err(found) }
    })
    .await;
    database.raw_sql("auth").await.run("UPDATE mails SET next_at = 0").await;
    assert_eq!(smtp.mail(0).await.to(), email("busy"));
    // What was given up stays to be looked at, and is not tried again.
    eventually("only that is left", ARRIVES, async || kinds("attempts > 0").await == 1).await;
    assert_eq!(kinds("failed_at IS NOT NULL AND attempts = 1").await, 1);
    eventually("the log says why", ARRIVES, async || {
        node.log_contains("the mail server answered 550")
    })
    .await;
    assert!(!node.log_lines().iter().any(|line| line.contains("@example.org")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_spoken_to_under_tls_alone_and_only_if_it_is_the_right_one() {
    // Certificates as any authority makes them: the cluster's will do.
    let desk = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let certs = async |arguments: &[&str]| {
        let made = Node::builder().data_dir(&desk).cli(arguments).await;
        assert!(made.status.success(), "{made:?}");
    };
    certs(&["certs", "init"]).await;
    let (tls, roles) = (desk.path().join("tls"), ["--roles", "auth"]);
    let out = tls.to_str().unwrap();
    certs(&[&["certs", "issue", "--name", "localhost", "--out", out][..], &roles].concat()).await;
    let smtp = Smtp::secured(&tls.join("node.pem"), &tls.join("node.key"), "panel:s3cret");
    let started = async |user: &str, authority: &str| {
        let url = format!("smtp://{user}@localhost:{}", smtp.port());
        Node::builder()
            .env("PANEL_AUTH__MAIL__URL", &url)
            .env("PANEL_AUTH__MAIL__CA_FILE", authority)
            .start()
            .await
    };
    let authority = tls.join("ca.pem");
    let authority = authority.to_str().unwrap();
    for (user, authority, why) in [
        ("panel:s3cret", "", "the mail server's TLS or certificate is not as it should be"),
        ("panel:wrong", authority, "the mail server answered 535"),
    ] {
        let node = started(user, authority).await;
        Session::register(&node.client(), "ada").await;
        forgot(&node.client(), &email("ada")).await.expect(202);
        eventually("the mailer has tried", ARRIVES, async || {
            if node.log_contains(why) { Ok(()) } else { Err(node.log_lines()) }
        })
        .await;
        assert!(!node.log_lines().iter().any(|line| line.contains("s3cret")));
    }
    let node = started("panel:s3cret", authority).await;
    Session::register(&node.client(), "ada").await;
    forgot(&node.client(), &email("ada")).await.expect(202);
    let mail = smtp.mail(0).await;
    assert_eq!((mail.to(), &mail.0["tls"]), ("ada@example.org", &json!(true)));
    let shown = node.cli(&["config", "show"]).await;
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("[redacted]@localhost") || !shown.contains("s3cret"), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_server_mails_are_files_for_the_operator_alone() {
    let section = Section {
        path: "auth".to_owned(),
        values: json!({"argon2_memory_kib": 64, "argon2_iterations": 1}),
    };
    let rig = RigBuilder::new(Backend::Sqlite.database().await)
        .service((panel_auth::SERVICE.configure)(&section).unwrap());
    let rig = Box::pin(rig.start()).await;
    let client = rig.client();
    register(&client, "ada", &email("ada")).await.expect(201);
    // Whatever becomes of the mailer.
    rig.kill("auth/mailer").await;
    forgot(&client, &email("ada")).await.expect(202);
    let directory = rig.runtime.data_dir.join("mail");
    let file = eventually("the file is written", ARRIVES, async || {
        let mut files = std::fs::read_dir(&directory).ok()?;
        files.next().map(|file| file.unwrap().path())
    })
    .await;
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let text = eventually("it is whole", ARRIVES, async || {
        let text = std::fs::read_to_string(&file).ok()?;
        text.contains("</html>").then_some(text)
    })
    .await;
    assert!(text.contains("To: ada@example.org") && text.contains("reset-password#"), "{text}");
    assert_eq!(file.extension().unwrap(), "eml");
    rig.shutdown().await;
}
