//! Everything there is of an account, as a file: on both databases.
//!
//! | file | |
//! |---|---|
//! | here | what is in it, and who may ask for it |
//! | `sending` | how it is sent |
//! | `ending` | until when it is there, and what becomes of it when somebody dies |

mod ending;
mod sending;

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _};
use std::time::Duration;

use panel_harness::session::{PASSWORD, email};
use panel_harness::{
    Answer, Backend, Rig, RigBuilder, Session, Thread, eventually, on_both_databases,
};
use panel_kernel::time::Clock;
use serde_json::{Value, json};

on_both_databases!(
    everything_there_is_of_an_account_comes_as_a_file,
    it_is_asked_for_by_its_owner_and_not_all_the_time,
);

const EXPORT: &str = "/api/v2/auth/account/export";
const SOON: Duration = Duration::from_secs(60);

/// All services in this process, at a time of the test's own.
async fn rig(backend: Backend, clock: &Clock) -> Rig {
    let builder = RigBuilder::everything(backend.database().await).clock(clock.clone());
    let rig = Box::pin(builder.start()).await;
    rig.await_signing_key().await;
    rig
}

async fn texts(rig: &Rig, service: &str, query: &str) -> Vec<String> {
    rig.raw_sql(service).await.texts(query, 0).await.unwrap()
}

/// A text that can't be made much shorter.
fn noise(seed: u64, length: usize) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let letters = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(
            b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"
                [(state % 64) as usize],
        )
    });
    letters.take(length).collect()
}

/// Waits until one is as it should be.
async fn until(who: &Session, export: &Value, status: &str) -> Value {
    let path = format!("{EXPORT}/{}", export["id"].as_str().unwrap());
    eventually(&format!("the export is {status}"), SOON, async || {
        let answer = who.get(&path).await.expect(200).json();
        if answer["status"] == status { Ok(answer) } else { Err(answer) }
    })
    .await
}

async fn asked(who: &Session) -> Value {
    who.post(EXPORT).json(&json!({"password": PASSWORD})).await.expect(202).json()
}

async fn fetched(who: &Session, export: &Value) -> Answer {
    who.get(export["url"].as_str().unwrap()).await.expect(200)
}

/// The files of an archive, by name.
fn files(archive: &[u8]) -> BTreeMap<String, String> {
    let mut zip = zip::ZipArchive::new(Cursor::new(archive)).unwrap();
    let files = (0..zip.len()).map(|at| {
        let mut file = zip.by_index(at).unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        (file.name().unwrap().into_owned(), text)
    });
    files.collect()
}

fn records(files: &BTreeMap<String, String>, name: &str) -> Vec<Value> {
    files[name].lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn everything_there_is_of_an_account_comes_as_a_file(backend: Backend) {
    let clock = Clock::manual(Clock::system().now());
    let rig = rig(backend, &clock).await;
    let client = rig.client().with_header("user-agent", "the-browser/1.0");
    let (ada, bob) =
        (Session::register(&client, "ada").await, Session::register(&client, "bob").await);
    let key = json!({"name": "robot", "scopes": ["forum:read"]});
    let key = ada.post("/api/v2/auth/api-keys").json(&key).await.expect(201).json();
    let secret = ada.post("/api/v2/auth/totp/enroll").json(&json!({"password": PASSWORD})).await;
    let secret = secret.expect(201).json();
    rig.raw_sql("auth").await.run("UPDATE users SET role = 5 WHERE username = 'bob'").await;
    let bob = Session::login(&bob.client, "bob", PASSWORD).await;
    let thread = Thread::open(&bob).await;
    ada.post(&thread.posts).json(&json!({"body": "words of \"Ada\" ✓"})).await.expect(201);
    bob.post(&thread.posts).json(&json!({"body": "words of Bob"})).await.expect(201);
    let of = |session: &Session| session.user_id.parse::<panel_kernel::ids::Id>().unwrap().raw();
    let article = format!(
        "INSERT INTO articles (id, slug, title, excerpt, body, body_html, status, author_id, \
         author_name, tags, published_at, updated_at, version) VALUES \
         (7, 'a', 'A draft', '', 'of mine', '', 'draft', {}, 'ada', '[\"x\"]', NULL, 1, 1)",
        of(&ada)
    );
    rig.raw_sql("cms").await.run(&article).await;
    let user = format!("/api/v2/admin/users/{}", ada.user_id);
    bob.post(&format!("{user}/force-logout")).await.expect(204);
    clock.advance(Duration::from_secs(2));
    let ada = Session::login(&client, "ada", PASSWORD).await;
    // What others tell of her has to be known there first.
    eventually("the audit log has it", SOON, async || {
        let actions = texts(&rig, "admin", "SELECT action FROM audit").await;
        let there =
            actions.iter().any(|action| action == "session.end_all" || action.contains("logout"));
        if there { Ok(()) } else { Err(actions) }
    })
    .await;
    let export = asked(&ada).await;
    assert_eq!((&export["status"], &export["url"]), (&json!("waiting"), &Value::Null));
    let export = until(&ada, &export, "ready").await;
    assert_eq!(export["progress"]["left"], json!([]));
    assert_eq!(export["progress"]["records"]["forum"]["posts"], 1);
    let answer = fetched(&ada, &export).await;
    assert_eq!(answer.header("content-type"), Some("application/zip"));
    assert_eq!(answer.header("cache-control"), Some("private, no-store"));
    let disposition = answer.header("content-disposition").unwrap();
    assert!(disposition.starts_with("attachment; filename=\"panel-account-2"), "{disposition}");
    assert_eq!(answer.body.len() as u64, export["bytes"].as_u64().unwrap());
    let files = files(&answer.body);
    let account = &records(&files, "auth/account.jsonl")[0];
    assert_eq!(
        (&account["id"], &account["email"], &account["role"], &account["status"]),
        (&json!(ada.user_id), &json!(email("ada")), &json!("user"), &json!("active"))
    );
    is_all_of_ada(&files, &bob.user_id);
    let index: Value = serde_json::from_str(&files["index.json"]).unwrap();
    assert_eq!(
        (&index["account"], &index["records"]),
        (&json!(ada.user_id), &export["progress"]["records"])
    );
    assert!(files["README.txt"].contains("index.json"));
    // Nobody else's, and nothing that would be a way in.
    let whole: String = files.values().cloned().collect();
    let secrets = [
        "words of Bob",
        "bob@example.org",
        "argon2",
        key["key"].as_str().unwrap(),
        secret["secret"].as_str().unwrap(),
        &ada.refresh_token,
    ];
    for secret in secrets {
        assert!(!whole.contains(secret), "{secret} is in it");
    }
    // It was fetched, as often as it was; looking whether it is there is no fetching.
    fetched(&ada, &export).await;
    ada.request(http::Method::HEAD, export["url"].as_str().unwrap()).await.expect(200);
    let path = format!("{EXPORT}/{}", export["id"].as_str().unwrap());
    assert!(ada.get(&path).await.expect(200).json()["downloaded_at"].is_string());
    eventually("both are on record", SOON, async || {
        let actions = texts(&rig, "admin", "SELECT action FROM audit ORDER BY id").await;
        let own: Vec<_> =
            actions.into_iter().filter(|action| action.starts_with("account.export")).collect();
        if own == ["account.export", "account.export_fetch", "account.export_fetch"] {
            Ok(())
        } else {
            Err(own)
        }
    })
    .await;
    rig.shutdown().await;
}

/// What every service has of her, and no more.
fn is_all_of_ada(files: &BTreeMap<String, String>, bob: &str) {
    let sessions = records(files, "auth/sessions.jsonl");
    assert_eq!(sessions.len(), 2);
    assert_eq!(sessions[1]["user_agent"], "the-browser/1.0");
    assert_eq!(records(files, "auth/api_keys.jsonl")[0]["name"], "robot");
    assert_eq!(records(files, "auth/second_factor.jsonl").len(), 1);
    assert!(records(files, "auth/second_factor.jsonl")[0].get("position").is_none());
    let posts = records(files, "forum/posts.jsonl");
    assert_eq!(posts.len(), 1);
    assert_eq!((&posts[0]["body"], &posts[0]["number"]), (&json!("words of \"Ada\" ✓"), &json!(2)));
    let articles = records(files, "cms/articles.jsonl");
    assert_eq!((&articles[0]["body"], &articles[0]["tags"]), (&json!("of mine"), &json!(["x"])));
    let acts = records(files, "admin/acts.jsonl");
    assert!(acts.iter().all(|act| act["record"].get("after").is_none()), "{acts:?}");
    // Nobody is signed in who signs in; it is her account's all the same.
    let own = records(files, "admin/acts_on_the_account.jsonl");
    let signed_in = |act: &&Value| act["action"] == "session.begin";
    assert!(
        own.iter().find(signed_in).is_some_and(|act| act["record"]["ip"] == "127.0.0.1"),
        "{own:?}"
    );
    assert!(
        acts.iter().any(|act| act["action"] == "post.create" && act["record"]["ip"] == "127.0.0.1"),
        "{acts:?}"
    );
    // That it was done, and not who did it.
    let others = &files["admin/acts_of_others.jsonl"];
    assert!(!others.is_empty() && !others.contains(bob), "{others}");
}

async fn it_is_asked_for_by_its_owner_and_not_all_the_time(backend: Backend) {
    let clock = Clock::manual(Clock::system().now());
    let rig = rig(backend, &clock).await;
    let client = rig.client();
    let (ada, bob) =
        (Session::register(&client, "ada").await, Session::register(&client, "bob").await);
    client.post(EXPORT).await.refused(401, "unauthorized");
    let key = json!({"name": "robot", "scopes": ["auth:read", "auth:write"]});
    let key = ada.post("/api/v2/auth/api-keys").json(&key).await.expect(201).json();
    let robot = client.post(EXPORT).header("x-api-key", key["key"].as_str().unwrap());
    robot.await.refused(403, "forbidden");
    let wrong = ada.post(EXPORT).json(&json!({"password": "not hers, and long"})).await;
    assert_eq!(wrong.refused(422, "validation").fields(), [("password", "wrong")]);
    let more = ada.post(EXPORT).json(&json!({"passwort": PASSWORD})).await;
    more.refused(422, "validation");
    // Of who has just signed in nothing more is asked; later, it is.
    let first = ada.post(EXPORT).await.expect(202).json();
    clock.advance(Duration::from_secs(301));
    let stale = ada.post(EXPORT).await.refused(403, "forbidden");
    assert_eq!(stale.code.as_deref(), Some("reauthentication_required"));
    until(&ada, &first, "ready").await;
    // The same request again is the same one.
    let again =
        |key: &str| ada.post(EXPORT).idempotency_key(key).json(&json!({"password": PASSWORD}));
    let second = again("k").await.expect(202);
    let replayed = again("k").await.expect(202);
    assert_eq!(second.json()["id"], replayed.json()["id"]);
    assert_eq!(replayed.header("idempotency-replayed"), Some("true"));
    until(&ada, &second.json(), "ready").await;
    let third = asked(&ada).await;
    until(&ada, &third, "ready").await;
    let refused = ada.post(EXPORT).json(&json!({"password": PASSWORD})).await;
    refused.refused(429, "rate_limited");
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((86_000..=86_100).contains(&wait), "{wait}");
    // Others may, and see none of hers.
    let of_bob = asked(&bob).await;
    until(&bob, &of_bob, "ready").await;
    let id = third["id"].as_str().unwrap();
    for path in [format!("{EXPORT}/{id}"), format!("{EXPORT}/{id}/file")] {
        bob.get(&path).await.refused(404, "not_found");
        client.get(&path).await.refused(401, "unauthorized");
    }
    let listed = ada.get(&format!("{EXPORT}?limit=2")).await.expect(200).json();
    let ids: Vec<_> = listed["items"].as_array().unwrap().iter().map(|item| &item["id"]).collect();
    assert_eq!(ids, [&third["id"], &second.json()["id"]]);
    let next = format!("{EXPORT}?limit=2&cursor={}", listed["next_cursor"].as_str().unwrap());
    let rest = ada.get(&next).await.expect(200).json();
    assert_eq!((&rest["items"][0]["id"], &rest["next_cursor"]), (&first["id"], &Value::Null));
    clock.advance(Duration::from_secs(24 * 3_600));
    let ada = Session::login(&client, "ada", PASSWORD).await;
    until(&ada, &asked(&ada).await, "ready").await;
    rig.shutdown().await;
}
