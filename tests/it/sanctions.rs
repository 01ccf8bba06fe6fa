//! What administrators do to accounts: on both databases.

use std::time::Duration;

use panel_harness::session::{PASSWORD, email};
use panel_harness::{
    Answer, Backend, Node, Session, Smtp, TestDatabase, eventually, on_both_databases,
};
use serde_json::{Value, json};

on_both_databases!(
    whoever_is_suspended_is_out_everywhere,
    a_suspension_ends_by_itself_or_by_somebody,
    another_rank_ends_what_was_begun_with_the_old_one,
    nobody_does_anything_to_their_equals,
    what_is_asked_for_twice_is_done_once,
    sessions_end_and_passwords_are_chosen_anew_on_demand,
    what_is_asked_for_is_checked,
);

const ME: &str = "/api/v2/auth/me";

async fn start(backend: Backend) -> (Node, TestDatabase, Smtp) {
    let (database, smtp) = (backend.database().await, Smtp::start());
    let node = Node::builder().mail(smtp.port()).database(&database).start().await;
    (node, database, smtp)
}

async fn act(actor: &Session, target: &Session, act: &str, body: &Value) -> Answer {
    actor.post(&format!("/api/v2/admin/users/{}/{act}", target.user_id)).json(body).await
}

async fn key(session: &Session) -> String {
    let asked = json!({"name": "robot", "scopes": ["auth:read", "forum:write"]});
    let made = session.post("/api/v2/auth/api-keys").json(&asked).await.expect(201).json();
    made["key"].as_str().unwrap().to_owned()
}

/// Within a second, its access token is refused.
async fn is_out(session: &Session) {
    eventually("its token is refused", Duration::from_secs(1), || async {
        session.get(ME).await.status == 401
    })
    .await;
    let refresh = json!({"refresh_token": session.refresh_token});
    let refused = session.client.post("/api/v2/auth/refresh").json(&refresh).await;
    refused.refused(401, "unauthorized");
}

/// How the list of people has somebody.
async fn listed(admin: &Session, query: &str, wanted: impl Fn(&Value) -> bool) {
    let path = format!("/api/v2/admin/users?{query}");
    eventually(&format!("the list has it: {query}"), Duration::from_secs(10), || async {
        let items = admin.get(&path).await.expect(200).json()["items"].clone();
        if wanted(&items) { Ok(()) } else { Err(items) }
    })
    .await;
}

async fn audited(database: &TestDatabase, action: &str) -> Vec<Value> {
    let statement = format!("SELECT record FROM audit WHERE action = '{action}' ORDER BY id");
    eventually(&format!("{action} is in the audit log"), Duration::from_secs(10), async || {
        let found = database.raw_sql("admin").await.texts(&statement, 0).await.unwrap_or_default();
        if found.is_empty() { Err(found) } else { Ok(found) }
    })
    .await
    .iter()
    .map(|record| serde_json::from_str(record).unwrap())
    .collect()
}

async fn whoever_is_suspended_is_out_everywhere(backend: Backend) {
    let (node, database, smtp) = start(backend).await;
    let client = node.client();
    let root = node.admin("root").await;
    let ada = Session::register(&client, "ada").await;
    let its_key = key(&ada).await;
    let with_key = async || client.get(ME).header("x-api-key", &its_key).await;
    let credentials = json!({"login": "ada", "password": PASSWORD, "cookie": true});
    let signed_in = client.post("/api/v2/auth/login").json(&credentials).await.expect(200);
    let cookie = signed_in.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let with_cookie = async || client.get(ME).header("cookie", &cookie).await;
    with_key().await.expect(200);
    with_cookie().await.expect(200);
    let why = json!({"reason": "spam, <b>again</b>"});
    let done = act(&root, &ada, "suspend", &why).await.expect(200).json();
    assert_eq!((&done["status"], &done["suspended_until"]), (&json!("suspended"), &Value::Null));
    is_out(&ada).await;
    eventually("so are its key and its cookie", Duration::from_secs(1), || async {
        with_key().await.status == 401 && with_cookie().await.status == 401
    })
    .await;
    // Who has the password hears why, and nobody else.
    let refused = Session::try_login(&client, "ada", PASSWORD).await.refused(403, "forbidden");
    assert_eq!(refused.code.as_deref(), Some("account_suspended"));
    let stranger = Session::try_login(&client, "ada", "not it, not at all").await;
    stranger.refused(401, "unauthorized");
    // No link would be good for it.
    act(&root, &ada, "reset-password", &json!({})).await.refused(409, "conflict");
    let mail = smtp.mail_to(&email("ada"), 1).await;
    assert!(mail.0["plain"].as_str().unwrap().contains("spam, <b>again</b>"), "{mail:?}");
    assert!(!mail.0["html"].as_str().unwrap().contains("<b>again"), "{mail:?}");
    // Nor is there a way in by mail.
    let forgot = json!({"email": email("ada")});
    client.post("/api/v2/auth/password/forgot").json(&forgot).await.expect(202);
    listed(&root, "status=suspended", |items| items[0]["username"] == "ada").await;
    listed(&root, "status=active", |items| items[1].is_null()).await;
    let record = &audited(&database, "user.suspend").await[0];
    assert_eq!(record["actor"], root.user_id.as_str());
    assert_eq!(record["target"], format!("user:{}", ada.user_id));
    assert_eq!(record["before"], json!({"status": "active"}));
    assert_eq!(record["after"]["sessions_ended"], 2);
    assert_eq!(smtp.mails().len(), 2);
    act(&root, &ada, "restore", &json!({})).await.expect(200);
    let again = Session::login(&client, "ada", PASSWORD).await;
    again.get(ME).await.expect(200);
    eventually("its key is good again", Duration::from_secs(5), || async {
        with_key().await.status == 200
    })
    .await;
    with_cookie().await.refused(401, "unauthorized");
    listed(&root, "status=suspended", |items| items[0].is_null()).await;
}

async fn a_suspension_ends_by_itself_or_by_somebody(backend: Backend) {
    let (node, database, _smtp) = start(backend).await;
    let client = node.client();
    let root = node.admin("root").await;
    let ada = Session::register(&client, "ada").await;
    let until = json!({"reason": "calm down", "until": "2999-01-01T00:00:00Z"});
    let done = act(&root, &ada, "suspend", &until).await.expect(200).json();
    assert!(done["suspended_until"].as_str().unwrap().starts_with("2999-01-01"), "{done}");
    let refused = Session::try_login(&client, "ada", PASSWORD).await.refused(403, "forbidden");
    assert!(refused.detail.contains("2999-01-01"), "{refused:?}");
    listed(&root, "status=suspended", |items| items[0]["username"] == "ada").await;
    // As if the time had come.
    let over = "UPDATE users SET suspended_until = 1 WHERE suspended_until IS NOT NULL";
    for service in ["auth", "admin"] {
        database.raw_sql(service).await.run(over).await;
    }
    Session::login(&client, "ada", PASSWORD).await.get(ME).await.expect(200);
    listed(&root, "status=suspended", |items| items[0].is_null()).await;
    listed(&root, "status=active&q=ada", |items| items[0]["suspended_until"].is_null()).await;
}

async fn another_rank_ends_what_was_begun_with_the_old_one(backend: Backend) {
    let (node, database, _smtp) = start(backend).await;
    let client = node.client();
    let root = node.admin("root").await;
    let ada = Session::register(&client, "ada").await;
    let its_key = key(&ada).await;
    let categories = "/api/v2/forum/categories";
    let by_key = async |name: &str| {
        client.post(categories).header("x-api-key", &its_key).json(&json!({"name": name})).await
    };
    by_key("One").await.refused(403, "forbidden");
    let moderator = json!({"role": "moderator"});
    let done = act(&root, &ada, "role", &moderator).await.expect(200).json();
    assert_eq!(done["role"], "moderator");
    is_out(&ada).await;
    let ada = Session::login(&client, "ada", PASSWORD).await;
    ada.post(categories).json(&json!({"name": "Two"})).await.expect(201);
    eventually("its key has the new rank", Duration::from_secs(1), || async {
        by_key("Three").await.status == 201
    })
    .await;
    listed(&root, "role=moderator", |items| items[0]["username"] == "ada").await;
    // The same rank again changes nothing.
    act(&root, &ada, "role", &moderator).await.expect(200);
    ada.get(ME).await.expect(200);
    act(&root, &ada, "role", &json!({"role": "user"})).await.expect(200);
    is_out(&ada).await;
    eventually("so does its key", Duration::from_secs(1), || async {
        by_key("Four").await.status == 403
    })
    .await;
    let records = audited(&database, "user.role").await;
    assert_eq!(records[0]["before"], json!({"role": "user"}));
    assert_eq!(records[0]["after"]["role"], "moderator");
}

async fn nobody_does_anything_to_their_equals(backend: Backend) {
    let (node, _database, _smtp) = start(backend).await;
    let client = node.client();
    let (root, other) = (node.admin("root").await, node.admin("other").await);
    let (admin, peer) = (node.account("admin", "admin").await, node.account("peer", "admin").await);
    let moderator = node.account("moderator", "moderator").await;
    let ada = Session::register(&client, "ada").await;
    let why = json!({"reason": "because"});
    for (actor, target) in [
        (&admin, &peer),
        (&admin, &admin),
        (&admin, &root),
        (&root, &root),
        (&root, &other),
        (&moderator, &ada),
    ] {
        for (name, body) in [
            ("suspend", &why),
            ("restore", &json!({})),
            ("role", &json!({"role": "user"})),
            ("force-logout", &json!({})),
            ("reset-password", &json!({})),
        ] {
            act(actor, target, name, body).await.refused(403, "forbidden");
        }
    }
    for role in ["admin", "system_admin"] {
        act(&admin, &ada, "role", &json!({"role": role})).await.refused(403, "forbidden");
    }
    act(&root, &ada, "role", &json!({"role": "system_admin"})).await.refused(403, "forbidden");
    act(&root, &peer, "role", &json!({"role": "moderator"})).await.expect(200);
    // Whoever has lost the rank a moment ago can't use it any more, whatever the token says.
    act(&root, &admin, "suspend", &why).await.expect(200);
    let late = act(&admin, &ada, "suspend", &why).await;
    late.refused(401, "unauthorized");
    ada.get(ME).await.expect(200);
}

async fn what_is_asked_for_twice_is_done_once(backend: Backend) {
    let (node, database, smtp) = start(backend).await;
    let root = node.admin("root").await;
    let ada = Session::register(&node.client(), "ada").await;
    let path = format!("/api/v2/admin/users/{}/suspend", ada.user_id);
    let suspend =
        |reason: &str| root.post(&path).idempotency_key("once").json(&json!({"reason": reason}));
    let first = suspend("spam").await.expect(200);
    let second = suspend("spam").await.expect(200);
    assert_eq!(second.header("idempotency-replayed"), Some("true"));
    assert_eq!(first.json(), second.json());
    suspend("other").await.refused(422, "idempotency_mismatch");
    act(&root, &ada, "restore", &json!({})).await.expect(200);
    audited(&database, "user.restore").await;
    assert_eq!(audited(&database, "user.suspend").await.len(), 1);
    smtp.mail(0).await;
    assert_eq!(smtp.mails().len(), 1);
}

async fn sessions_end_and_passwords_are_chosen_anew_on_demand(backend: Backend) {
    let (node, database, smtp) = start(backend).await;
    let client = node.client();
    let root = node.admin("root").await;
    let ada = Session::register(&client, "ada").await;
    act(&root, &ada, "force-logout", &json!({})).await.expect(204);
    is_out(&ada).await;
    let again = Session::login(&client, "ada", PASSWORD).await;
    // A thief has asked for another address, and for another password a moment ago.
    let stolen = json!({"email": "eve@example.org", "password": PASSWORD});
    again.post("/api/v2/auth/email/change").json(&stolen).await.expect(202);
    let stolen = smtp.mail_to("eve@example.org", 0).await.token("verify-email");
    let forgot = json!({"email": email("ada")});
    client.post("/api/v2/auth/password/forgot").json(&forgot).await.expect(202);
    let early = smtp.mail_to(&email("ada"), 1).await.token("reset-password");
    act(&root, &ada, "reset-password", &json!({})).await.expect(202);
    let token = smtp.mail_to(&email("ada"), 2).await.token("reset-password");
    let verify = json!({"token": stolen});
    client.post("/api/v2/auth/email/verify").json(&verify).await.refused(422, "validation");
    let reset = async |token: &str| {
        let reset = json!({"token": token, "new_password": "a lantern on the violet anchor"});
        client.post("/api/v2/auth/password/reset").json(&reset).await
    };
    reset(&early).await.refused(422, "validation");
    reset(&token).await.expect(204);
    is_out(&again).await;
    for action in ["user.force_logout", "user.reset_password"] {
        let record = &audited(&database, action).await[0];
        assert_eq!(record["actor"], root.user_id.as_str());
    }
}

async fn what_is_asked_for_is_checked(backend: Backend) {
    let (node, _database, _smtp) = start(backend).await;
    let client = node.client();
    let root = node.admin("root").await;
    let ada = Session::register(&client, "ada").await;
    for (name, body, field) in [
        ("suspend", json!({}), "reason"),
        ("suspend", json!({"reason": " "}), "reason"),
        ("suspend", json!({"reason": "x".repeat(1_001)}), "reason"),
        ("suspend", json!({"reason": "x", "until": "2020-01-01T00:00:00Z"}), "until"),
        ("suspend", json!({"reason": "x", "until": 5}), "until"),
        ("suspend", json!({"reason": "x", "for": "1d"}), "for"),
        ("role", json!({"role": "king"}), "role"),
        ("role", json!({}), "role"),
    ] {
        let refused = act(&root, &ada, name, &body).await.refused(422, "validation");
        assert_eq!(refused.fields()[0].0, field, "{name} {body}");
    }
    for name in ["restore", "force-logout", "reset-password"] {
        let path = format!("/api/v2/admin/users/0000000000000/{name}");
        root.post(&path).await.refused(404, "not_found");
    }
    // What services ask of each other is not for clients.
    let inside = format!("/.panel/accounts/{}/suspend", ada.user_id);
    root.post(&inside).json(&json!({"reason": "x"})).await.refused(404, "not_found");
    ada.get(ME).await.expect(200);
}
