//! Every write once, however often it is sent: on the real forum, by the real node.

use panel_harness::{Backend, Node, Rig, RigBuilder, Session, on_both_databases};
use panel_kernel::data::DbError;
use panel_kernel::role::Role;
use serde_json::{Value, json};

on_both_databases!(
    the_same_key_gives_the_same_answer,
    many_at_once_with_one_key_are_one,
    a_reused_key_is_told_whatever_else_is_wrong,
    a_write_that_finds_no_place_asks_for_nothing_more,
    auth_and_forum_on_two_databases,
);

async fn thread(session: &Session) -> Value {
    let category = session.post("/api/v2/forum/categories").json(&json!({"name": "C"}));
    let category = category.await.expect(201).json()["id"].clone();
    let thread = json!({"category_id": category, "title": "T", "body": "first"});
    session.post("/api/v2/forum/threads").json(&thread).await.expect(201).json()
}

fn posts_of(thread: &Value) -> String {
    format!("/api/v2/forum/threads/{}/posts", thread["id"].as_str().unwrap())
}

async fn the_same_key_gives_the_same_answer(backend: Backend) {
    let database = backend.database().await;
    let mut node = Node::builder().database(&database).start().await;
    let admin = node.admin("root").await;
    let posts = posts_of(&thread(&admin).await);
    let send = |session: &Session, key: &str, body: &str| {
        session.post(&posts).idempotency_key(key).json(&json!({"body": body}))
    };
    let first = send(&admin, "k", "one").await.expect(201);
    assert_eq!(first.header("idempotency-replayed"), None);
    let again = send(&admin, "k", "one").await.expect(201);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(first.body, again.body);
    assert_eq!(first.header("etag"), again.header("etag"));
    assert_eq!(first.header("location"), again.header("location"));
    send(&admin, "k", "two").await.refused(422, "idempotency_mismatch");
    // Also after the process that did it is gone.
    node.kill9();
    node.restart().await;
    let admin = admin.at(&node.client());
    let later = send(&admin, "k", "one").await.expect(201);
    assert_eq!(later.header("idempotency-replayed"), Some("true"));
    assert_eq!(first.body, later.body);
    // Another person's key of the same name is another key.
    let ada = Session::register(&node.client(), "ada").await;
    let other = send(&ada, "k", "one").await.expect(201);
    assert_eq!(other.header("idempotency-replayed"), None);
    let listing = admin.get(&posts).await.expect(200).json();
    assert_eq!(listing["items"].as_array().unwrap().len(), 3);
    // Without a key every request is a write of its own.
    for _ in 0..2 {
        admin.post(&posts).json(&json!({"body": "plain"})).await.expect(201);
    }
    let listing = admin.get(&posts).await.expect(200).json();
    assert_eq!(listing["items"].as_array().unwrap().len(), 5);
    for odd in ["", "with space", &"x".repeat(129)] {
        let refused = admin.post(&posts).header("idempotency-key", odd).json(&json!({"body": "x"}));
        refused.await.refused(400, "bad_request");
    }
}

async fn many_at_once_with_one_key_are_one(backend: Backend) {
    let database = backend.database().await;
    let node = Node::builder().database(&database).start().await;
    let admin = node.admin("root").await;
    let posts = posts_of(&thread(&admin).await);
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let (admin, posts) = (admin.clone(), posts.clone());
            tokio::spawn(async move {
                let body = json!({"body": "once"});
                admin.post(&posts).idempotency_key("race").json(&body).await.expect(201)
            })
        })
        .collect();
    let mut fresh = 0;
    let mut bodies = std::collections::BTreeSet::new();
    for task in tasks {
        let answer = task.await.unwrap();
        fresh += usize::from(answer.header("idempotency-replayed").is_none());
        bodies.insert(answer.text());
    }
    assert_eq!((fresh, bodies.len()), (1, 1));
    let listing = admin.get(&posts).await.expect(200).json();
    assert_eq!(listing["items"].as_array().unwrap().len(), 2);
}

async fn a_reused_key_is_told_whatever_else_is_wrong(backend: Backend) {
    let rig = Rig::start(backend).await;
    let client = rig.signed_in(Role::User);
    let send = |key: &str, body: Value| {
        client.post("/api/v2/probe/write").idempotency_key(key).json(&body)
    };
    send("k", json!({"value": "a"})).await.expect(201);
    let failing = json!({"value": "b", "fault": "refuse"});
    send("k", failing.clone()).await.refused(422, "idempotency_mismatch");
    // Its own reason is told where the key is its own, and it can be repaired under that key.
    send("other", failing).await.refused(409, "conflict");
    let repaired = send("other", json!({"value": "b"})).await.expect(201);
    assert_eq!(repaired.header("idempotency-replayed"), None);
    rig.shutdown().await;
}

/// A service that has too much to do is not asked for an earlier answer on top of it.
async fn a_write_that_finds_no_place_asks_for_nothing_more(backend: Backend) {
    let builder = RigBuilder::new(backend.database().await);
    let rig =
        Box::pin(builder.database_settings(|settings| settings.write_queue = 1).start()).await;
    let client = rig.signed_in(Role::User);
    let send = || {
        let body = json!({"value": "a"});
        client.post("/api/v2/probe/write").idempotency_key("k").json(&body)
    };
    send().await.expect(201);
    let db = rig.database("probe");
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let (release, released) = tokio::sync::oneshot::channel::<()>();
    let holding = db.transact(move |_| {
        Box::pin(async move {
            begun.send(()).unwrap();
            released.await.unwrap();
            Ok::<(), DbError>(())
        })
    });
    let sending = async {
        has_begun.await.unwrap();
        let busy = send().await;
        release.send(()).unwrap();
        busy
    };
    // PostgreSQL may have ended a session that does nothing; its place was held all the same.
    let (_, busy) = tokio::join!(holding, sending);
    busy.refused(503, "unavailable");
    let again = send().await.expect(201);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    rig.shutdown().await;
}

/// Two databases by configuration alone: nothing but facts and messages between the services.
async fn auth_and_forum_on_two_databases(backend: Backend) {
    let (accounts, rest) = (Backend::Sqlite.database().await, backend.database().await);
    let node = Node::builder()
        .database(&rest)
        .env("PANEL_DATABASE__PER_SERVICE__AUTH", accounts.url())
        .start()
        .await;
    let admin = {
        let (name, email) = ("root", "r@example.org");
        let arguments =
            ["admin", "create", "--username", name, "--email", email, "--password-stdin"];
        let password = panel_harness::session::PASSWORD;
        let made = node.cli_with_input(&arguments, password).await;
        assert!(made.status.success(), "{made:?}");
        Session::login(&node.client(), "root", password).await
    };
    let posts = posts_of(&thread(&admin).await);
    admin.post(&posts).json(&json!({"body": "across"})).await.expect(201);
    admin.patch("/api/v2/auth/profile").json(&json!({"display_name": "Boss"})).await.expect(200);
    panel_harness::eventually(
        "the forum knows the name",
        std::time::Duration::from_secs(5),
        async || {
            let listing = admin.get(&posts).await.expect(200).json();
            listing["items"][1]["author"]["name"] == "Boss"
        },
    )
    .await;
}
