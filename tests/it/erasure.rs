//! Erasing an account: on both databases.

use std::time::Duration;

use panel_harness::session::{PASSWORD, email};
use panel_harness::{
    Backend, Client, Node, Rig, RigBuilder, Session, Smtp, eventually, on_both_databases,
};
use panel_kernel::time::Clock;
use serde_json::json;

on_both_databases!(
    nothing_is_left_that_tells_who_it_was,
    it_takes_its_owner_and_ends_everything,
    somebody_administers_the_site,
);

const ACCOUNT: &str = "/api/v2/auth/account";
const ME: &str = "/api/v2/auth/me";
const SERVICES: [&str; 4] = ["auth", "forum", "cms", "admin"];
/// For what is told to other services.
const TOLD: Duration = Duration::from_secs(20);

/// All services in this process, at a time of the test's own.
async fn rig(backend: Backend, clock: &Clock) -> Rig {
    let builder = RigBuilder::everything(backend.database().await)
        .clock(clock.clone())
        .gateway(|gateway| gateway.proxies.trusted = vec!["127.0.0.1".parse().unwrap()]);
    let rig = Box::pin(builder.start()).await;
    rig.await_signing_key().await;
    rig
}

/// What there is of these words, in all databases.
async fn remains(rig: &Rig, words: &[&str]) -> Vec<String> {
    use std::fmt::Write as _;
    let mut found = Vec::new();
    for service in SERVICES {
        for line in rig.raw_sql(service).await.dump().await {
            let lower = line.to_lowercase();
            let is_in = |word: &&str| {
                let bytes = word.bytes().fold(String::new(), |mut hex, byte| {
                    write!(hex, "{byte:02x}").unwrap();
                    hex
                });
                lower.contains(&word.to_lowercase()) || lower.contains(&bytes)
            };
            if words.iter().any(is_in) {
                found.push(format!("{service} {line}"));
            }
        }
    }
    // What is in a file can't be searched for: of nobody, there is none.
    found.extend(files(rig).await);
    found
}

/// Every file that anybody has.
async fn files(rig: &Rig) -> Vec<String> {
    if rig.backend() == Backend::Postgres {
        return rig.raw_sql("blobs").await.texts("SELECT key FROM blobs", 0).await.unwrap();
    }
    let folder = rig.runtime.data_dir.join("blobs");
    let folders = [folder.join("exports"), folder.join(".partial")];
    let files = folders.iter().flat_map(std::fs::read_dir).flatten();
    files.map(|file| file.unwrap().path().display().to_string()).collect()
}

async fn nothing_is_left_that_tells_who_it_was(backend: Backend) {
    let clock = Clock::manual(Clock::system().now());
    let rig = rig(backend, &clock).await;
    // What she is known by, and where from.
    let words = ["zelda", "fitzgerald", "198.51.100.77"];
    let client = rig.client().with_header("x-forwarded-for", "198.51.100.77");
    let client = client.with_header("user-agent", "zelda-agent/1.0");
    let account = json!({"username": "zelda", "email": "zelda@fitzgerald.example",
                         "password": PASSWORD, "display_name": "Zelda F."});
    client.post("/api/v2/auth/register").idempotency_key("r").json(&account).await.expect(201);
    let zelda = Session::login(&client, "zelda", PASSWORD).await;
    let renamed = json!({"display_name": "Mrs Fitzgerald"});
    zelda.patch("/api/v2/auth/profile").json(&renamed).await.expect(200);
    let key = json!({"name": "zelda's robot", "scopes": ["forum:read"]});
    zelda.post("/api/v2/auth/api-keys").json(&key).await.expect(201);
    let password = json!({"password": PASSWORD});
    zelda.post("/api/v2/auth/totp/enroll").json(&password).await.expect(201);
    let other = json!({"email": "zelda@elsewhere.example"});
    zelda.post("/api/v2/auth/email/change").json(&other).await.expect(202);
    let mut sql = rig.raw_sql("auth").await;
    let id: panel_kernel::ids::Id = zelda.user_id.parse().unwrap();
    let linked = format!(
        "INSERT INTO identities (id, user_id, issuer, subject, name, created_at) \
                          VALUES (1, {}, 'https://id.example', 'zelda-1', 'zelda', 1)",
        id.raw()
    );
    sql.run(&linked).await;
    // What she wrote, and what was done to her.
    let root = administrator(&rig).await;
    let category = category_made(&root).await;
    let thread = json!({"category_id": category, "title": "A night", "body": "It was tender."});
    let thread = zelda.post("/api/v2/forum/threads").json(&thread).await.expect(201).json();
    let thread = format!("/api/v2/forum/threads/{}", thread["id"].as_str().unwrap());
    let posts = zelda.get(&format!("{thread}/posts")).await.expect(200).json();
    let post = format!("/api/v2/forum/posts/{}", posts["items"][0]["id"].as_str().unwrap());
    zelda.patch(&post).json(&json!({"body": "It was very tender."})).await.expect(200);
    zelda.put(&format!("{post}/reactions/like")).await.expect(200);
    let draft = json!({"title": "More by Fitzgerald"});
    zelda.put("/api/v2/forum/drafts/more").json(&draft).await.expect(200);
    what_moderators_said(&root, &zelda, &post).await;
    let article = format!(
        "INSERT INTO articles (id, slug, title, excerpt, body, body_html, status, \
                           author_id, author_name, published_at, updated_at, version) VALUES \
                           (1, 'a', 'A', '', '', '', 'published', {}, 'Zelda F.', 1, 1, 1)",
        id.raw()
    );
    rig.raw_sql("cms").await.run(&article).await;
    let user = format!("/api/v2/admin/users/{}", zelda.user_id);
    let reason = json!({"reason": "zelda was rude"});
    root.post(&format!("{user}/suspend")).json(&reason).await.expect(200);
    root.post(&format!("{user}/restore")).await.expect(200);
    clock.advance(Duration::from_secs(2));
    let zelda = Session::login(&client, "zelda", PASSWORD).await;
    zelda.post(&format!("{ACCOUNT}/export")).await.expect(202);
    eventually("there is a file", TOLD, async || {
        let listed = zelda.get(&format!("{ACCOUNT}/export")).await.expect(200).json();
        if listed["items"][0]["status"] == "ready" { Ok(()) } else { Err(listed) }
    })
    .await;
    assert_eq!(files(&rig).await.len(), 1);
    assert!(remains(&rig, &words).await.len() > 10, "this looks where things are");
    zelda.delete(ACCOUNT).json(&password).await.expect(204);
    // All services hear of it, and what is kept for a while goes.
    eventually("everybody has heard of it", TOLD, async || {
        let read = root.get(&thread).await.expect(200).json();
        let articles = root.get("/api/v2/cms/posts").await.expect(200).json();
        let users = root.get("/api/v2/admin/users").await.expect(200).json();
        let names = json!([
            read["author"]["name"],
            articles["items"][0]["author"]["name"],
            users["items"].as_array().unwrap().len()
        ]);
        if names == json!(["deleted user", "deleted user", 1]) { Ok(()) } else { Err(names) }
    })
    .await;
    clock.advance(Duration::from_secs(8 * 24 * 3_600));
    eventually("nothing is left", TOLD, async || {
        for service in SERVICES {
            rig.sweep(service);
        }
        let left = remains(&rig, &words).await;
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
    what_she_did_beside_is_a_deleted_users(&rig, id, &post).await;
    let records = rig.raw_sql("admin").await.texts("SELECT action FROM audit", 0).await.unwrap();
    for action in ["user.create", "user.rename", "user.suspend", "user.erase", "thread.create"] {
        assert!(records.iter().any(|record| record == action), "{action}: {records:?}");
    }
    rig.shutdown().await;
}

pub(crate) async fn administrator(rig: &Rig) -> Session {
    Session::register(&rig.client(), "root").await;
    rig.raw_sql("auth").await.run("UPDATE users SET role = 5 WHERE username = 'root'").await;
    Session::login(&rig.client(), "root", PASSWORD).await
}

pub(crate) async fn category_made(root: &Session) -> serde_json::Value {
    let news = json!({"name": "News"});
    let made = root.post("/api/v2/forum/categories").json(&news).await.expect(201).json();
    made["id"].clone()
}

/// Who waits for a lock of this kind in this database.
fn waits_for(kind: &str) -> String {
    format!(
        "SELECT locktype FROM pg_locks JOIN pg_database ON pg_database.oid = database \
         WHERE NOT granted AND locktype = '{kind}' AND datname = current_database()"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_while_somebody_is_forgotten_is_forgotten_too() {
    let clock = Clock::manual(Clock::system().now());
    let rig = rig(Backend::Postgres, &clock).await;
    let client = rig.client().with_header("x-forwarded-for", "198.51.100.77");
    let (root, zelda) = (administrator(&rig).await, Session::register(&client, "zelda").await);
    let category = category_made(&root).await;
    // What the forum tells gets as far as into the table, and is held there.
    let mut holder = rig.raw_sql("admin").await;
    let found = async |text: &str| rig.raw_sql("admin").await.texts(text, 0).await.unwrap();
    let hold = "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                PERFORM set_config('lock_timeout', '0', true); \
                PERFORM pg_advisory_xact_lock_shared(7); RETURN NEW; END $$; \
                CREATE TRIGGER hold BEFORE INSERT ON audit FOR EACH ROW \
                WHEN (NEW.action = 'thread.create') EXECUTE FUNCTION hold(); \
                SELECT pg_advisory_lock(7)";
    holder.run(hold).await;
    let thread = json!({"category_id": category, "title": "A night", "body": "It was tender."});
    zelda.post("/api/v2/forum/threads").json(&thread).await.expect(201);
    eventually("the record is on its way", TOLD, async || {
        if found(&waits_for("advisory")).await.is_empty() { Err(()) } else { Ok(()) }
    })
    .await;
    zelda.delete(ACCOUNT).json(&json!({"password": PASSWORD})).await.expect(204);
    let erased = "SELECT status FROM users WHERE status = 'erased'";
    eventually("the account is forgotten, or that waits", TOLD, async || {
        let seen = [found(erased).await, found(&waits_for("relation")).await].concat();
        if seen.is_empty() { Err(()) } else { Ok(()) }
    })
    .await;
    holder.run("SELECT pg_advisory_unlock(7)").await;
    let told = "SELECT record FROM audit WHERE action IN ('thread.create', 'user.erase')";
    let records = eventually("all is told", TOLD, async || {
        let (records, erased) = (found(told).await, found(erased).await);
        if records.len() == 2 && erased.len() == 1 { Ok(records) } else { Err(records) }
    })
    .await;
    assert!(records.iter().all(|record| !record.contains("198.51.100.77")), "{records:?}");
    rig.shutdown().await;
}

/// What is said about her in moderation, and by her.
async fn what_moderators_said(root: &Session, zelda: &Session, post: &str) {
    const MODERATION: &str = "/api/v2/forum/moderation";
    let flag = json!({"reason": "other", "note": "Zelda again"});
    root.post(&format!("{post}/flags")).json(&flag).await.expect(201);
    let queue = root.get(&format!("{MODERATION}/queue")).await.expect(200).json();
    let item = format!("{MODERATION}/queue/{}", queue["items"][0]["id"].as_str().unwrap());
    let note = json!({"text": "Fitzgerald, of all people"});
    root.post(&format!("{item}/note")).json(&note).await.expect(201);
    let reason = json!({"reason": "it is only Zelda"});
    root.post(&format!("{item}/approve")).json(&reason).await.expect(200);
    let ban = json!({"user_id": zelda.user_id, "kind": "silence", "reason": "zelda was loud"});
    let ban = root.post(&format!("{MODERATION}/bans")).json(&ban).await.expect(201).json();
    let appeal = format!("{MODERATION}/bans/{}/appeal", ban["id"].as_str().unwrap());
    zelda.post(&appeal).json(&json!({"text": "Zelda is never loud"})).await.expect(200);
    let thread = json!({"category_id": root_category(root).await, "title": "Rules", "body": "b"});
    let thread = root.post("/api/v2/forum/threads").json(&thread).await.expect(201).json();
    let path = format!("/api/v2/forum/threads/{}/posts", thread["id"].as_str().unwrap());
    let rules = root.get(&path).await.expect(200).json()["items"][0].clone();
    let flags = format!("/api/v2/forum/posts/{}/flags", rules["id"].as_str().unwrap());
    let flag = json!({"reason": "other", "note": "says Mrs Fitzgerald"});
    zelda.post(&flags).json(&flag).await.expect(201);
}

async fn root_category(root: &Session) -> serde_json::Value {
    let categories = root.get("/api/v2/forum/categories").await.expect(200).json();
    categories["items"][0]["id"].clone()
}

/// Of what she did beside writing, what was hers alone is gone; what others see is a deleted user's.
async fn what_she_did_beside_is_a_deleted_users(rig: &Rig, id: panel_kernel::ids::Id, post: &str) {
    let mut forum = rig.raw_sql("forum").await;
    for table in ["drafts", "thread_readers", "post_mentions"] {
        let left = format!("SELECT '{table}' FROM {table} WHERE user_id = {}", id.raw());
        assert_eq!(forum.texts(&left, 0).await.unwrap(), [""; 0]);
    }
    let anybody = rig.client();
    let revisions = anybody.get(&format!("{post}/revisions")).await.expect(200).json();
    let editors: Vec<_> = (0..2).map(|at| &revisions["items"][at]["editor"]["name"]).collect();
    assert_eq!(editors, ["deleted user", "deleted user"]);
    let reactions = anybody.get(&format!("{post}/reactions")).await.expect(200).json();
    assert_eq!(reactions["items"][0]["user"]["name"], "deleted user");
}

async fn it_takes_its_owner_and_ends_everything(backend: Backend) {
    let (database, smtp) = (backend.database().await, Smtp::start());
    let node = Node::builder().mail(smtp.port()).database(&database).start().await;
    let client = node.client();
    let ada = Session::register(&client, "ada").await;
    let key = json!({"name": "robot", "scopes": ["auth:read", "auth:write"]});
    let key = ada.post("/api/v2/auth/api-keys").json(&key).await.expect(201).json();
    let by_key = |path: &str| client.get(path).header("x-api-key", key["key"].as_str().unwrap());
    by_key(ME).await.expect(200);
    // Not by a key, nor by who only has the session.
    let robot = client.delete(ACCOUNT).header("x-api-key", key["key"].as_str().unwrap());
    robot.await.refused(403, "forbidden");
    client.delete(ACCOUNT).await.refused(401, "unauthorized");
    database.raw_sql("auth").await.run("UPDATE sessions SET authenticated_at = 0").await;
    let stale = ada.delete(ACCOUNT).await.refused(403, "forbidden");
    assert_eq!(stale.code.as_deref(), Some("reauthentication_required"));
    let wrong = ada.delete(ACCOUNT).json(&json!({"password": "not hers, and long"})).await;
    assert_eq!(wrong.refused(422, "validation").fields(), [("password", "wrong")]);
    ada.get(ME).await.expect(200);
    // Of who has just signed in nothing more is asked.
    let again = Session::login(&client, "ada", PASSWORD).await;
    again.delete(ACCOUNT).await.expect(204);
    let told = smtp.mail_to(&email("ada"), 1).await;
    assert!(told.subject().ends_with("was erased"), "{told:?}");
    eventually("everything has ended", Duration::from_secs(2), async || {
        let answers = [ada.get(ME).await, again.get(ME).await, by_key(ME).await];
        let ended = answers.iter().all(|answer| answer.status == 401);
        if ended { Ok(()) } else { Err(answers) }
    })
    .await;
    let refresh = json!({"refresh_token": ada.refresh_token});
    client.post("/api/v2/auth/refresh").json(&refresh).await.refused(401, "unauthorized");
    for login in ["ada", "ada@example.org", "deleted user", ""] {
        let answer = Session::try_login(&client, login, PASSWORD).await;
        answer.refused(401, "unauthorized");
    }
    let forgot = json!({"email": email("ada")});
    client.post("/api/v2/auth/password/forgot").json(&forgot).await.expect(202);
    // Nobody has the name any more; who takes it is somebody else.
    let other = Session::register(&client, "ada").await;
    assert_ne!(other.user_id, ada.user_id);
    let admin = node.admin("root").await;
    for act in ["suspend", "restore", "reset-password"] {
        let act = format!("/api/v2/admin/users/{}/{act}", ada.user_id);
        let answer = admin.post(&act).json(&json!({"reason": "late"})).await;
        assert!(matches!(answer.status.as_u16(), 404 | 415 | 422), "{answer:?}");
    }
    // The one that was forgotten got no mail after the last.
    let mails = smtp.mails();
    let to_ada: Vec<_> = mails.iter().filter(|mail| mail.to() == email("ada")).collect();
    assert_eq!(to_ada.len(), 2, "{to_ada:?}");
}

async fn somebody_administers_the_site(backend: Backend) {
    let database = backend.database().await;
    let node = Node::builder().database(&database).start().await;
    let (one, client): (Session, Client) = (node.admin("one").await, node.client());
    let refused = one.delete(ACCOUNT).await.refused(409, "conflict");
    assert_eq!(refused.code.as_deref(), Some("last_administrator"));
    // Of two who go at the same moment, one stays.
    let two = node.admin("two").await;
    let (first, second) =
        futures::join!(async { one.delete(ACCOUNT).await.status.as_u16() }, async {
            two.delete(ACCOUNT).await.status.as_u16()
        });
    assert_eq!([first.min(second), first.max(second)], [204, 409]);
    let left = if first == 409 { "one" } else { "two" };
    Session::login(&client, left, PASSWORD).await;
}
