//! Accounts and sessions, over HTTP, on both databases.

use std::time::Duration;

use panel_harness::session::{PASSWORD, email};
use panel_harness::{Backend, Node, Session, eventually, on_both_databases};
use serde_json::json;

on_both_databases!(
    somebody_registers_signs_in_and_out,
    registrations_are_checked,
    refresh_tokens_rotate_and_reuse_ends_the_session,
    a_refresh_sent_again_with_its_key_is_replayed,
    credentials_are_never_told_apart,
    bad_tokens_are_refused_everywhere,
    a_profile_is_changed_by_its_owner,
    the_setup_link_works_once,
    the_setup_link_outlives_ordinary_accounts,
    texts_that_no_database_takes_are_refused,
);

async fn node(backend: Backend) -> (Node, panel_harness::TestDatabase) {
    let database = backend.database().await;
    (Node::builder().database(&database).start().await, database)
}

async fn somebody_registers_signs_in_and_out(backend: Backend) {
    let (node, database) = node(backend).await;
    let client = node.client();
    let session = Session::register(&client, "ada").await;
    let kept = database.raw_sql("auth").await.texts("SELECT password_hash FROM users", 0).await;
    let kept = kept.unwrap();
    assert!(kept.len() == 1 && kept[0].starts_with("$argon2id$v=19$m="), "{kept:?}");
    let me = session.get("/api/v2/auth/me").await.expect(200).json();
    assert_eq!(me["username"], "ada");
    assert_eq!(me["role"], "user");
    assert!(me.get("password_hash").is_none());
    // By address as well, whatever the case.
    Session::login(&client, "ADA@Example.org", PASSWORD).await;
    let other = Session::login(&client, "Ada", PASSWORD).await;
    session.post("/api/v2/auth/logout").await.expect(204);
    eventually("the revocation is known", Duration::from_secs(2), || async {
        session.get("/api/v2/auth/me").await.status == 401
    })
    .await;
    // The other device stays signed in.
    other.get("/api/v2/auth/me").await.expect(200);
    let refresh = json!({"refresh_token": session.refresh_token});
    client.post("/api/v2/auth/refresh").json(&refresh).await.refused(401, "unauthorized");
}

async fn registrations_are_checked(backend: Backend) {
    let (node, _database) = node(backend).await;
    let client = node.client();
    let register = |body: serde_json::Value| client.post("/api/v2/auth/register").json(&body);
    let problem = register(json!({"username": "a b", "email": "x", "password": "short"}))
        .await
        .refused(422, "validation");
    assert_eq!(
        problem.fields(),
        [("username", "characters"), ("email", "invalid"), ("password", "too_short")]
    );
    let problem = register(json!({"username": "ada", "role": "system_admin"}))
        .await
        .refused(422, "validation");
    assert_eq!(problem.fields(), [("role", "unknown")]);
    Session::register(&client, "ada").await;
    for (username, address) in [("ADA", "other@example.org"), ("other", "ADA@EXAMPLE.ORG")] {
        register(json!({"username": username, "email": address, "password": PASSWORD}))
            .await
            .refused(409, "conflict");
    }
    // Two at once: one wins.
    let body = json!({"username": "bob", "email": email("bob"), "password": PASSWORD});
    let (first, second) = tokio::join!(register(body.clone()), async {
        let body = json!({"username": "bob", "email": "b2@example.org", "password": PASSWORD});
        client.post("/api/v2/auth/register").json(&body).await
    });
    let mut statuses = [first.status.as_u16(), second.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
}

async fn refresh_tokens_rotate_and_reuse_ends_the_session(backend: Backend) {
    let (node, _database) = node(backend).await;
    let client = node.client();
    let mut session = Session::register(&client, "ada").await;
    let stolen = session.refresh_token.clone();
    session.refresh().await;
    session.get("/api/v2/auth/me").await.expect(200);
    assert_ne!(session.refresh_token, stolen);
    let reuse = json!({"refresh_token": stolen});
    client.post("/api/v2/auth/refresh").json(&reuse).await.refused(401, "unauthorized");
    // The thief's attempt ends the session for both: nobody can tell who is who.
    let owner = json!({"refresh_token": session.refresh_token});
    client.post("/api/v2/auth/refresh").json(&owner).await.refused(401, "unauthorized");
    eventually("the access token is refused", Duration::from_secs(2), || async {
        session.get("/api/v2/auth/me").await.status == 401
    })
    .await;
    let unknown = json!({"refresh_token": "made-up"});
    client.post("/api/v2/auth/refresh").json(&unknown).await.refused(401, "unauthorized");
}

async fn a_refresh_sent_again_with_its_key_is_replayed(backend: Backend) {
    let (node, _database) = node(backend).await;
    let client = node.client();
    let session = Session::register(&client, "ada").await;
    let send = || {
        let body = json!({"refresh_token": session.refresh_token});
        client.post("/api/v2/auth/refresh").idempotency_key("my-refresh").json(&body)
    };
    let first = send().await.expect(200);
    assert_eq!(first.header("cache-control"), Some("no-store"));
    let second = send().await.expect(200);
    assert_eq!(second.header("idempotency-replayed"), Some("true"));
    assert_eq!(first.body, second.body);
    let replayed = Session::from_json(&client, &second.json());
    replayed.get("/api/v2/auth/me").await.expect(200);
}

async fn credentials_are_never_told_apart(backend: Backend) {
    let (node, _database) = node(backend).await;
    let client = node.client();
    Session::register(&client, "ada").await;
    let wrong = Session::try_login(&client, "ada", "not her password").await;
    let nobody = Session::try_login(&client, "nobody", "not her password").await;
    let endless = Session::try_login(&client, "ada", &"x".repeat(20_000)).await;
    let details: Vec<String> = [&wrong, &nobody, &endless]
        .into_iter()
        .map(|answer| answer.refused(401, "unauthorized").detail)
        .collect();
    assert!(details.iter().all(|detail| *detail == details[0]), "{details:?}");
}

async fn bad_tokens_are_refused_everywhere(backend: Backend) {
    let (node, _database) = node(backend).await;
    let client = node.client();
    let session = Session::register(&client, "ada").await;
    let good = &session.access_token;
    let parts: Vec<&str> = good.split('.').collect();
    let unsigned = "eyJhbGciOiJub25lIn0";
    for bad in [
        "x".to_owned(),
        "a.b.c".to_owned(),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{unsigned}.{}.", parts[1]),
        format!("{unsigned}.{}.{}", parts[1], parts[2]),
        format!("{}.{}.{}", parts[0], parts[1], "A".repeat(86)),
        format!("{good}A"),
        "x".repeat(10_000),
    ] {
        for path in ["/api/v2/auth/me", "/api/v2/forum/threads", "/api/v2/admin/users"] {
            client.get(path).bearer(&bad).await.refused(401, "unauthorized");
        }
    }
    let basic = client.get("/api/v2/forum/threads").header("authorization", "Basic eDp5");
    basic.await.refused(401, "unauthorized");
    client.get("/api/v2/auth/me").await.refused(401, "unauthorized");
    let keys = client.get("/api/v2/auth/.well-known/jwks.json").await.expect(200).json();
    assert_eq!(keys["keys"][0]["crv"], "Ed25519");
    assert!(keys["keys"][0].get("d").is_none(), "the private part must not be there");
}

async fn a_profile_is_changed_by_its_owner(backend: Backend) {
    let (node, _database) = node(backend).await;
    let session = Session::register(&node.client(), "ada").await;
    let before = session.get("/api/v2/auth/profile").await.expect(200);
    let tag = before.header("etag").unwrap().to_owned();
    let change = json!({"display_name": "Ada L."});
    let changed = session.patch("/api/v2/auth/profile").header("if-match", &tag).json(&change);
    let changed = changed.await.expect(200);
    assert_eq!(changed.json()["display_name"], "Ada L.");
    assert_ne!(changed.header("etag"), Some(tag.as_str()));
    let again = json!({"display_name": "Ada B."});
    let stale = session.patch("/api/v2/auth/profile").header("if-match", &tag).json(&again);
    stale.await.refused(412, "precondition_failed");
    let empty = session.patch("/api/v2/auth/profile").json(&json!({"display_name": " "})).await;
    assert_eq!(empty.refused(422, "validation").fields(), [("display_name", "required")]);
    // Other services hear of it.
    let admin = node.admin("root").await;
    eventually("admin knows the new name", Duration::from_secs(5), || async {
        let users = admin.get("/api/v2/admin/users?q=ada%20l").await.expect(200).json();
        users["items"].as_array().is_some_and(|items| items.len() == 1)
    })
    .await;
}

async fn the_setup_link_works_once(backend: Backend) {
    let (node, _database) = node(backend).await;
    let client = node.client();
    let file = node.data_dir().join("setup-link");
    let link = eventually("the link is written", Duration::from_secs(5), || async {
        std::fs::read_to_string(&file).ok().filter(|text| text.ends_with('\n'))
    })
    .await;
    let token = link.trim().split_once('#').unwrap().1.to_owned();
    let page = client.get("/setup").await.expect(200);
    assert!(page.text().contains("First administrator"));
    assert!(page.header("content-security-policy").unwrap().contains("nonce-"));
    let setup = |token: &str, name: &str| {
        client.post("/api/v2/auth/setup").json(&json!({
            "token": token, "username": name, "email": email(name), "password": PASSWORD,
        }))
    };
    setup("wrong", "root").await.refused(403, "forbidden");
    let made = setup(&token, "root").await.expect(201);
    assert_eq!(made.json()["user"]["role"], "system_admin");
    setup(&token, "second").await.refused(403, "forbidden");
    let root = Session::login(&client, "root", PASSWORD).await;
    eventually("root may list accounts", Duration::from_secs(5), || async {
        let users = root.get("/api/v2/admin/users").await.expect(200).json();
        users["items"].as_array().is_some_and(|items| items.len() == 1)
    })
    .await;
}

async fn the_setup_link_outlives_ordinary_accounts(backend: Backend) {
    let (mut node, _database) = node(backend).await;
    Session::register(&node.client(), "early").await;
    node.restart().await;
    let file = node.data_dir().join("setup-link");
    let link = eventually("a link is there", Duration::from_secs(5), async || {
        std::fs::read_to_string(&file).ok().filter(|text| text.ends_with('\n'))
    })
    .await;
    let token = link.trim().split_once('#').unwrap().1.to_owned();
    // An administrator who comes by another way ends it.
    node.admin("root").await;
    let late = json!({
        "token": token, "username": "late", "email": email("late"), "password": PASSWORD,
    });
    node.client().post("/api/v2/auth/setup").json(&late).await.refused(403, "forbidden");
}

async fn texts_that_no_database_takes_are_refused(backend: Backend) {
    let (node, _database) = node(backend).await;
    let client = node.client();
    let login = Session::try_login(&client, "a\u{0}b", PASSWORD).await;
    assert!(matches!(login.status.as_u16(), 401 | 422), "{login:?}");
    let filtered = client.get("/api/v2/cms/posts?category=%00").await;
    assert!(matches!(filtered.status.as_u16(), 200 | 400 | 422), "{filtered:?}");
    let admin = node.admin("root").await;
    let searched = admin.get("/api/v2/admin/users?q=%00").await;
    assert!(matches!(searched.status.as_u16(), 200 | 400 | 422), "{searched:?}");
}
