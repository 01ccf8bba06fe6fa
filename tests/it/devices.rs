//! Where one is signed in, ending that, and changing the password: on both databases.

use std::time::Duration;

use panel_harness::session::PASSWORD;
use panel_harness::{Answer, Backend, Node, Session, TestDatabase, eventually, on_both_databases};
use serde_json::{Value, json};

on_both_databases!(
    sessions_are_listed_and_ended_one_by_one,
    all_sessions_end_at_once,
    of_a_hundred_sessions_the_oldest_makes_way,
    a_changed_password_ends_the_other_sessions,
    a_change_needs_the_password_and_a_good_new_one,
    a_hash_of_weaker_parameters_is_made_anew_at_login,
    of_thousands_of_revocations_none_is_missed,
    what_was_ended_stays_ended_after_a_restart,
);

const SESSIONS: &str = "/api/v2/auth/sessions";
const CHANGE: &str = "/api/v2/auth/password/change";
const NEW: &str = "a lantern on the violet anchor";

async fn node(backend: Backend) -> (Node, TestDatabase) {
    let database = backend.database().await;
    (Node::builder().database(&database).start().await, database)
}

/// Its access token is refused, and so is its refresh token.
async fn has_ended(session: &Session) {
    eventually("the revocation is known", Duration::from_secs(2), || async {
        session.get("/api/v2/auth/me").await.status == 401
    })
    .await;
    let refresh = json!({"refresh_token": session.refresh_token});
    let refused = session.client.post("/api/v2/auth/refresh").json(&refresh).await;
    refused.refused(401, "unauthorized");
}

/// What was done, as the audit log has it.
async fn audited(database: &TestDatabase, action: &str) {
    eventually(&format!("{action} is in the audit log"), Duration::from_secs(10), async || {
        let mut sql = database.raw_sql("admin").await;
        let actions = sql.texts("SELECT action FROM audit", 0).await.unwrap_or_default();
        if actions.iter().any(|it| it == action) { Ok(()) } else { Err(actions) }
    })
    .await;
}

fn ids(listed: &Value) -> Vec<&str> {
    let items = listed["items"].as_array().unwrap();
    items.iter().map(|item| item["id"].as_str().unwrap()).collect()
}

async fn sessions_are_listed_and_ended_one_by_one(backend: Backend) {
    let (node, database) = node(backend).await;
    let client = node.client();
    let laptop = Session::register(&client, "ada").await;
    let phone = client.clone().with_header("user-agent", "A phone");
    let phone = Session::login(&phone, "ada", PASSWORD).await;
    let bob = Session::register(&client, "bob").await;
    let listed = laptop.get(SESSIONS).await.expect(200).json();
    assert_eq!(ids(&listed), [phone.session_id.as_str(), laptop.session_id.as_str()]);
    let flags: Vec<&Value> = (0..2).map(|number| &listed["items"][number]["current"]).collect();
    assert_eq!(flags, [false, true]);
    assert_eq!(listed["items"][0]["user_agent"], "A phone");
    assert_eq!(listed["items"][0]["ip"], "127.0.0.1");
    // In pages as well, whose cursors are nobody else's.
    let first = laptop.get(&format!("{SESSIONS}?limit=1")).await.expect(200).json();
    let cursor = first["next_cursor"].as_str().unwrap();
    let second =
        laptop.get(&format!("{SESSIONS}?limit=1&cursor={cursor}")).await.expect(200).json();
    assert_eq!(
        (ids(&first), ids(&second)),
        (ids(&listed)[..1].to_vec(), ids(&listed)[1..].to_vec())
    );
    assert_eq!(second["next_cursor"], Value::Null);
    bob.get(&format!("{SESSIONS}?cursor={cursor}")).await.refused(400, "bad_request");
    laptop.get(&format!("{SESSIONS}?limit=0")).await.refused(422, "validation");
    client.get(SESSIONS).await.refused(401, "unauthorized");
    // Nobody ends what is not theirs, or nothing.
    let one = |session: &Session| format!("{SESSIONS}/{}", session.session_id);
    bob.delete(&one(&phone)).await.refused(404, "not_found");
    laptop.delete(&format!("{SESSIONS}/nonsense")).await.refused(404, "not_found");
    client.delete(&one(&phone)).await.refused(401, "unauthorized");
    phone.get("/api/v2/auth/me").await.expect(200);
    laptop.delete(&one(&phone)).await.expect(204);
    has_ended(&phone).await;
    laptop.delete(&one(&phone)).await.refused(404, "not_found");
    let left = laptop.get(SESSIONS).await.expect(200).json();
    assert_eq!(ids(&left), [laptop.session_id.as_str()]);
    bob.get("/api/v2/auth/me").await.expect(200);
    audited(&database, "session.end").await;
}

async fn of_a_hundred_sessions_the_oldest_makes_way(backend: Backend) {
    let (node, database) = node(backend).await;
    let client = node.client();
    let ada = Session::register(&client, "ada").await;
    let bob = Session::register(&client, "bob").await;
    // 104 of each that were begun before.
    let mut sql = database.raw_sql("auth").await;
    sql.run(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 104) \
         INSERT INTO sessions (id, user_id, created_at, last_used_at, expires_at) \
         SELECT i * 2 + u.is_ada, u.id, 0, 0, s.expires_at FROM n, sessions s, \
           (SELECT id, CASE WHEN username = 'ada' THEN 1 ELSE 0 END AS is_ada FROM users) u \
         WHERE s.user_id = u.id",
    )
    .await;
    let newest = Session::login(&client, "ada", PASSWORD).await;
    let live = "SELECT CAST(s.id AS TEXT) FROM sessions s JOIN users u ON u.id = s.user_id \
                WHERE u.username = 'NAME' AND s.revoked_at IS NULL ORDER BY s.id";
    let theirs = sql.texts(&live.replace("NAME", "ada"), 0).await.unwrap();
    // Seven of the old ones are gone: 98 are left, beside two that are real.
    assert_eq!((theirs.len(), theirs[0].as_str()), (100, "15"));
    assert_eq!(sql.texts(&live.replace("NAME", "bob"), 0).await.unwrap().len(), 105);
    for session in [&ada, &newest, &bob] {
        session.get("/api/v2/auth/me").await.expect(200);
    }
    audited(&database, "session.end_oldest").await;
}

async fn all_sessions_end_at_once(backend: Backend) {
    let (node, database) = node(backend).await;
    let client = node.client();
    let first = Session::register(&client, "ada").await;
    let second = Session::login(&client, "ada", PASSWORD).await;
    let bob = Session::register(&client, "bob").await;
    client.post("/api/v2/auth/logout-all").await.refused(401, "unauthorized");
    first.post("/api/v2/auth/logout-all").await.expect(204);
    has_ended(&first).await;
    has_ended(&second).await;
    bob.get("/api/v2/auth/me").await.expect(200);
    let again = Session::login(&client, "ada", PASSWORD).await;
    let listed = again.get(SESSIONS).await.expect(200).json();
    assert_eq!(ids(&listed), [again.session_id.as_str()]);
    audited(&database, "session.end_all").await;
}

async fn change(session: &Session, from: &str, to: &str) -> Answer {
    session.post(CHANGE).json(&json!({"current_password": from, "new_password": to})).await
}

async fn a_changed_password_ends_the_other_sessions(backend: Backend) {
    let (node, database) = node(backend).await;
    let client = node.client();
    let mut here = Session::register(&client, "ada").await;
    let elsewhere = Session::login(&client, "ada", PASSWORD).await;
    let body = json!({"current_password": PASSWORD, "new_password": NEW});
    let send = || here.post(CHANGE).idempotency_key("the-change").json(&body);
    send().await.expect(204);
    // Sent again, the password that it needs is no longer right; it is done all the same.
    assert_eq!(send().await.expect(204).header("idempotency-replayed"), Some("true"));
    has_ended(&elsewhere).await;
    here.get("/api/v2/auth/me").await.expect(200);
    here.refresh().await;
    Session::try_login(&client, "ada", PASSWORD).await.refused(401, "unauthorized");
    Session::login(&client, "ada", NEW).await;
    audited(&database, "user.password_change").await;
}

async fn a_change_needs_the_password_and_a_good_new_one(backend: Backend) {
    let (node, _database) = node(backend).await;
    let client = node.client();
    let ada = Session::register(&client, "ada.lovelace").await;
    for (to, code) in [
        ("short", "too_short"),
        ("password1234", "too_common"),
        ("Ada.Lovelace1", "guessable"),
        (PASSWORD, "unchanged"),
    ] {
        let problem = change(&ada, PASSWORD, to).await.refused(422, "validation");
        assert_eq!(problem.fields(), [("new_password", code)]);
    }
    let registering =
        json!({"username": "eve", "email": "e@example.org", "password": "qwertyuiop"});
    let common = client.post("/api/v2/auth/register").json(&registering).await;
    assert_eq!(common.refused(422, "validation").fields(), [("password", "too_common")]);
    // Whoever found a device signed in does not find out its owner's password there.
    for _ in 0..5 {
        let problem = change(&ada, "not the password", NEW).await.refused(422, "validation");
        assert_eq!(problem.fields(), [("current_password", "wrong")]);
    }
    change(&ada, PASSWORD, NEW).await.refused(429, "rate_limited");
    // And does not keep its owner from anything else.
    ada.get("/api/v2/auth/me").await.expect(200);
    Session::login(&client, "ada.lovelace", PASSWORD).await;
    let anonymous = json!({"current_password": PASSWORD, "new_password": NEW});
    client.post(CHANGE).json(&anonymous).await.refused(401, "unauthorized");
}

async fn a_hash_of_weaker_parameters_is_made_anew_at_login(backend: Backend) {
    /// Of the harness's password, with 64 KiB and one iteration.
    const WEAK: &str = "$argon2id$v=19$m=64,t=1,p=1$fD/L+gp/ERn+lMpghF62VA$TjrVu640vTTaV32uPEG2ffUBWqmHDjvFXowrickvsZU";
    let (node, database) = node(backend).await;
    let client = node.client();
    Session::register(&client, "ada").await;
    let mut sql = database.raw_sql("auth").await;
    let hash = "SELECT password_hash FROM users";
    let made = sql.texts(hash, 0).await.unwrap();
    sql.run(&format!("UPDATE users SET password_hash = '{WEAK}'")).await;
    Session::try_login(&client, "ada", "not the password").await.refused(401, "unauthorized");
    assert_eq!(sql.texts(hash, 0).await.unwrap(), [WEAK]);
    Session::login(&client, "ada", PASSWORD).await;
    let kept = sql.texts(hash, 0).await.unwrap();
    let parameters = |hash: &str| hash.split('$').take(4).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(parameters(&kept[0]), parameters(&made[0]));
    Session::login(&client, "ada", PASSWORD).await;
    assert_eq!(sql.texts(hash, 0).await.unwrap(), kept);
}

async fn of_thousands_of_revocations_none_is_missed(backend: Backend) {
    let (node, database) = node(backend).await;
    let client = node.client();
    let ada = Session::register(&client, "ada").await;
    let bob = Session::register(&client, "bob").await;
    let now = panel_kernel::time::Clock::system().now().as_micros();
    let mut sql = database.raw_sql("auth").await;
    // More than fit into two reports, a third of them in one moment; the real one is the last.
    sql.run(&format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9000) \
         INSERT INTO sessions (id, user_id, created_at, last_used_at, expires_at, revoked_at) \
         SELECT i, (SELECT MIN(id) FROM users), 0, 0, {now} + 1000000000, \
                CASE WHEN i < 3000 THEN {now} - 9000000 ELSE {now} - 9000 + i - 5000000 END FROM n"
    ))
    .await;
    let last = format!("UPDATE sessions SET revoked_at = {now} WHERE user_id = ");
    sql.run(&format!("{last} (SELECT id FROM users WHERE username = 'ada') AND id > 9000")).await;
    has_ended(&ada).await;
    bob.get("/api/v2/auth/me").await.expect(200);
}

/// Access tokens are good for minutes; what a node knew of those that are not must not go with it.
async fn what_was_ended_stays_ended_after_a_restart(backend: Backend) {
    let (mut node, _database) = node(backend).await;
    let ended = Session::register(&node.client(), "ada").await;
    let kept = Session::login(&node.client(), "ada", PASSWORD).await;
    ended.post("/api/v2/auth/logout").await.expect(204);
    has_ended(&ended).await;
    for kills in [false, true] {
        if kills {
            node.kill9();
        }
        node.restart().await;
        let client = node.client();
        let (ended, kept) = (ended.at(&client), kept.at(&client));
        // From its first answer on, not only once it has heard the news.
        eventually("tokens are looked at", Duration::from_secs(5), || async {
            let answer = ended.get("/api/v2/auth/me").await;
            assert!(matches!(answer.status.as_u16(), 401 | 503), "{answer:?}");
            kept.get("/api/v2/auth/me").await.status == 200
        })
        .await;
        ended.get("/api/v2/auth/me").await.refused(401, "unauthorized");
    }
}
