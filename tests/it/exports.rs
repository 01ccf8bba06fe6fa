//! Everything there is of an account, as a file: on both databases.

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _};
use std::time::Duration;

use panel_harness::session::{PASSWORD, email};
use panel_harness::{
    Answer, Backend, Cluster, Node, Rig, RigBuilder, Session, Smtp, Thread, eventually,
    on_both_databases,
};
use panel_kernel::time::Clock;
use serde_json::{Value, json};

on_both_databases!(
    everything_there_is_of_an_account_comes_as_a_file,
    it_is_asked_for_by_its_owner_and_not_all_the_time,
    a_file_is_there_for_a_week_and_no_longer_than_its_account,
    one_that_is_long_comes_whole_and_in_parts,
    what_a_node_was_at_when_it_died_it_begins_anew,
);

const EXPORT: &str = "/api/v2/auth/account/export";
const SOON: Duration = Duration::from_secs(20);

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
    let sessions = records(&files, "auth/sessions.jsonl");
    assert_eq!(sessions.len(), 2);
    assert_eq!(sessions[1]["user_agent"], "the-browser/1.0");
    assert_eq!(records(&files, "auth/api_keys.jsonl")[0]["name"], "robot");
    assert_eq!(records(&files, "auth/second_factor.jsonl").len(), 1);
    assert!(records(&files, "auth/second_factor.jsonl")[0].get("position").is_none());
    let posts = records(&files, "forum/posts.jsonl");
    assert_eq!(posts.len(), 1);
    assert_eq!((&posts[0]["body"], &posts[0]["number"]), (&json!("words of \"Ada\" ✓"), &json!(2)));
    let articles = records(&files, "cms/articles.jsonl");
    assert_eq!((&articles[0]["body"], &articles[0]["tags"]), (&json!("of mine"), &json!(["x"])));
    let acts = records(&files, "admin/acts.jsonl");
    assert!(
        acts.iter().any(|act| act["action"] == "post.create" && act["record"]["ip"] == "127.0.0.1"),
        "{acts:?}"
    );
    // That it was done, and not who did it.
    let others = &files["admin/acts_of_others.jsonl"];
    assert!(!others.is_empty() && !others.contains(&bob.user_id), "{others}");
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
    // It was fetched: once on record.
    fetched(&ada, &export).await;
    let path = format!("{EXPORT}/{}", export["id"].as_str().unwrap());
    assert!(ada.get(&path).await.expect(200).json()["downloaded_at"].is_string());
    eventually("both are on record", SOON, async || {
        let actions = texts(&rig, "admin", "SELECT action FROM audit ORDER BY id").await;
        let own: Vec<_> =
            actions.into_iter().filter(|action| action.starts_with("account.export")).collect();
        if own == ["account.export", "account.export_fetch"] { Ok(()) } else { Err(own) }
    })
    .await;
    rig.shutdown().await;
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

/// What there is in the way of files, whoever's.
async fn kept(rig: &Rig) -> usize {
    match rig.backend() {
        Backend::Postgres => {
            let count = "SELECT upload FROM blobs UNION ALL SELECT upload FROM pieces";
            texts(rig, "blobs", count).await.len()
        }
        Backend::Sqlite => {
            let folder = rig.runtime.data_dir.join("blobs");
            let folders = [folder.join("exports"), folder.join(".partial")];
            folders.iter().flat_map(std::fs::read_dir).flatten().count()
        }
    }
}

async fn a_file_is_there_for_a_week_and_no_longer_than_its_account(backend: Backend) {
    let clock = Clock::manual(Clock::system().now());
    let rig = rig(backend, &clock).await;
    let client = rig.client();
    let ada = Session::register(&client, "ada").await;
    let export = until(&ada, &asked(&ada).await, "ready").await;
    assert!(kept(&rig).await > 0);
    clock.advance(Duration::from_secs(7 * 24 * 3_600 - 60));
    let ada = Session::login(&client, "ada", PASSWORD).await;
    fetched(&ada, &export).await;
    clock.advance(Duration::from_secs(61));
    // Whether it was removed yet or not.
    ada.get(export["url"].as_str().unwrap()).await.refused(404, "not_found");
    eventually("it was removed", SOON, async || {
        let listed = ada.get(EXPORT).await.expect(200).json();
        let left = kept(&rig).await;
        if left == 0 && listed["items"] == json!([]) { Ok(()) } else { Err((left, listed)) }
    })
    .await;
    // With the account it goes at once.
    until(&ada, &asked(&ada).await, "ready").await;
    assert!(kept(&rig).await > 0);
    ada.delete("/api/v2/auth/account").json(&json!({"password": PASSWORD})).await.expect(204);
    eventually("it went with the account", SOON, async || {
        let rows = texts(&rig, "auth", "SELECT status FROM exports").await;
        let left = kept(&rig).await;
        if left == 0 && rows.is_empty() { Ok(()) } else { Err((left, rows)) }
    })
    .await;
    rig.shutdown().await;
}

async fn one_that_is_long_comes_whole_and_in_parts(backend: Backend) {
    let clock = Clock::manual(Clock::system().now());
    let rig = rig(backend, &clock).await;
    let ada = Session::register(&rig.client(), "ada").await;
    // Several pages by number, several by length, and nothing that could be made shorter.
    let sessions = (0..250).map(|number| {
        let user: panel_kernel::ids::Id = ada.user_id.parse().unwrap();
        format!(
            "INSERT INTO sessions (id, user_id, created_at, last_used_at, expires_at, user_agent) \
             VALUES ({number}, {}, 1, 1, 9999999999999999, '{}');",
            user.raw(),
            noise(number, 6_000),
        )
    });
    rig.raw_sql("auth").await.run(&sessions.collect::<String>()).await;
    let export = until(&ada, &asked(&ada).await, "ready").await;
    assert_eq!(export["progress"]["records"]["auth"]["sessions"], 251);
    let (whole, url) = (fetched(&ada, &export).await, export["url"].as_str().unwrap());
    assert!(whole.body.len() > 700_000, "{}", whole.body.len());
    let sessions = records(&files(&whole.body), "auth/sessions.jsonl");
    let ids: std::collections::BTreeSet<_> =
        sessions.iter().map(|session| session["id"].to_string()).collect();
    assert_eq!((sessions.len(), ids.len()), (251, 251));
    // As programs that go on with a download ask for it.
    let tag = whole.header("etag").unwrap();
    assert_eq!(whole.header("accept-ranges"), Some("bytes"));
    let length = whole.body.len();
    let mut found = Vec::new();
    while found.len() < length {
        let to = (found.len() + 300_000).min(length) - 1;
        let range = format!("bytes={}-{to}", found.len());
        let part = ada.get(url).header("range", &range).header("if-range", tag).await.expect(206);
        let stands = format!("bytes {}-{to}/{length}", found.len());
        assert_eq!(part.header("content-range"), Some(stands.as_str()));
        found.extend_from_slice(&part.body);
    }
    assert_eq!(found, whole.body);
    let other = ada.get(url).header("range", "bytes=0-9").header("if-range", "\"x\"").await;
    assert_eq!(other.expect(200).body.len(), length);
    let behind = ada.get(url).header("range", &format!("bytes={length}-")).await;
    behind.refused(416, "range_not_satisfiable");
    assert_eq!(behind.header("content-range"), Some(format!("bytes */{length}").as_str()));
    let head = ada.request(http::Method::HEAD, url).await.expect(200);
    assert_eq!(head.header("content-length"), Some(length.to_string().as_str()));
    assert!(head.body.is_empty());
    ada.get(url).header("if-none-match", tag).await.expect(304);
    rig.shutdown().await;
}

async fn what_a_node_was_at_when_it_died_it_begins_anew(backend: Backend) {
    let (database, smtp) = (backend.database().await, Smtp::start());
    let mut node = Node::builder().mail(smtp.port()).faults().database(&database).start().await;
    let ada = Session::register(&node.client(), "ada").await;
    // In the middle of it.
    node.arm("records.page=exit@9").await;
    let export = ada.post(EXPORT).idempotency_key("k").json(&json!({"password": PASSWORD}));
    drop(export.send().await);
    node.ended().await;
    node.restart().await;
    let ada = Session::login(&node.client(), "ada", PASSWORD).await;
    let export = ada.get(EXPORT).await.expect(200).json()["items"][0].clone();
    let export = until(&ada, &export, "ready").await;
    let files = files(&fetched(&ada, &export).await.body);
    assert_eq!(records(&files, "auth/account.jsonl").len(), 1);
    // Its owner hears of it twice: that it was asked for, and that it is there.
    let told = [smtp.mail_to(&email("ada"), 0).await, smtp.mail_to(&email("ada"), 1).await];
    assert!(told[0].subject().ends_with("is being put together"), "{told:?}");
    assert!(told[1].subject().ends_with("is there"), "{told:?}");
    assert!(told[1].text().contains("/account-export"), "{told:?}");
}

/// Through whichever gateway, whoever has put it together; and what can't be asked is waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_puts_it_together_whoever_is_gone_meanwhile() {
    let mut cluster = Cluster::builder()
        .await
        .node("n1", "gateway,admin,cms")
        .node("n2", "gateway,auth")
        .node("n3", "forum")
        .start()
        .await;
    let ada = Session::register(&cluster.client("n1"), "ada").await;
    cluster.node_mut("n3").kill9();
    cluster.await_status("n3", "n2", Some("down")).await;
    let export = asked(&ada).await;
    let path = format!("{EXPORT}/{}", export["id"].as_str().unwrap());
    eventually("it waits for the forum", SOON, async || {
        let answer = ada.get(&path).await.expect(200).json();
        let waits = answer["progress"]["waits_for"] == "forum" && answer["status"] == "waiting";
        if waits { Ok(()) } else { Err(answer) }
    })
    .await;
    cluster.node_mut("n3").restart().await;
    cluster.await_linked().await;
    let export = until(&ada, &export, "ready").await;
    let [one, other] = ["n1", "n2"].map(|gateway| ada.at(&cluster.client(gateway)));
    let (one, other) = (fetched(&one, &export).await, fetched(&other, &export).await);
    assert_eq!(one.body, other.body);
    assert!(files(&one.body).contains_key("forum/posts.jsonl"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_node_takes_over_what_one_was_at() {
    let mut cluster = Cluster::builder()
        .await
        .env("PANEL_FAULTS__ENABLED", "true")
        .node("n1", "gateway,forum,admin,cms")
        .node("n2", "auth")
        .node("n3", "auth")
        .start()
        .await;
    let ada = Session::register(&cluster.client("n1"), "ada").await;
    // Nobody is through with it before the first is gone.
    cluster.node("n1").arm("records.page=delay(5s)*1000").await;
    let export = asked(&ada).await;
    let claimed = "SELECT node FROM exports WHERE node IS NOT NULL";
    let first = eventually("a node is at it", SOON, async || {
        cluster.database().raw_sql("auth").await.texts(claimed, 0).await.unwrap().pop()
    })
    .await;
    cluster.node_mut(&first).kill9();
    cluster.node("n1").disarm().await;
    cluster.await_status(&first, "n1", Some("down")).await;
    let path = format!("{EXPORT}/{}", export["id"].as_str().unwrap());
    let export = eventually("the other is through", Duration::from_secs(60), async || {
        let answer = ada.get(&path).await;
        let is_ready = answer.status == 200 && answer.json()["status"] == "ready";
        if is_ready { Ok(answer.json()) } else { Err(answer) }
    })
    .await;
    assert!(files(&fetched(&ada, &export).await.body).contains_key("index.json"));
}
