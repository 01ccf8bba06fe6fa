//! What the hot requests cost the database: on thousands of rows, every statement that a node
//! runs for them goes by an index, and touches no more rows than a page has.
//!
//! The statements are those the node runs, caught while it does: on SQLite out of its log, and
//! then explained; on PostgreSQL the server itself explains each as it was executed, with real
//! values and counted rows, and sends that to the node as a notice, which the node logs.

mod postgres;
mod seed;
mod sqlite;

use panel_harness::pictures::{noise, png};
use panel_harness::session::PASSWORD;
use panel_harness::{Backend, Node, Session, TestDatabase, Thread, eventually};
use serde_json::{Value, json};

/// Tables that grow without end.
const BIG: [&str; 34] = [
    "assets",
    "asset_sources",
    "media",
    "article_media",
    "articles",
    "article_tags",
    "co_authored",
    "people",
    "article_revisions",
    "article_slugs",
    "webhook_deliveries",
    "webhook_attempts",
    "terms",
    "threads",
    "discussions",
    "thread_tags",
    "thread_readers",
    "posts",
    "post_reactions",
    "post_mentions",
    "authors",
    "notifications",
    "notification_boxes",
    "digests",
    "moderation_queue",
    "moderation_log",
    "flags",
    "bans",
    "users",
    "sessions",
    "refresh_tokens",
    "idempotency",
    "outbox",
    "inbox",
];

/// Pieces of the statements that must have been seen, or the test looks at nothing.
const HOT: [&str; 55] = [
    "FROM assets s WHERE s.state = 'kept' AND s.sha256",
    "FROM assets s WHERE s.state = 'kept' AND s.id = (SELECT f.asset_id",
    "FROM media m WHERE m.owner_id",
    "FROM media m CROSS JOIN assets s",
    "AND m.owner_id = $2 ORDER BY",
    "AND m.alt IS NULL",
    "FROM article_media r JOIN",
    "FROM articles a JOIN article_tags t",
    "FROM articles a JOIN co_authored x",
    "FROM people p WHERE p.id IN",
    "OR a.translation_of = $1",
    "FROM menu_items i LEFT JOIN articles a",
    "ORDER BY a.published_at DESC",
    "ORDER BY a.updated_at DESC",
    "FROM articles a WHERE a.slug",
    "FROM article_slugs WHERE",
    "a.publish_at <= $1",
    "FROM terms t WHERE",
    "FROM article_revisions v WHERE v.article_id",
    "AND (SELECT d.next_at FROM webhook_deliveries d",
    "WHERE d.state = 'pending' AND d.give_up_at",
    "FROM webhook_deliveries d WHERE (d.webhook_id, d.id) <",
    "FROM webhook_deliveries d WHERE (d.webhook_id, d.state, d.id) <",
    "AND d.next_at <= $2 ORDER BY d.next_at",
    "FROM webhook_attempts a WHERE a.delivery_id",
    "FROM threads t CROSS JOIN categories c",
    "FROM discussions d",
    "FROM thread_tags k CROSS JOIN threads t",
    "ORDER BY t.activity DESC",
    "ORDER BY k.activity DESC",
    "ORDER BY t.created_at DESC",
    "ORDER BY t.reply_count DESC",
    "(t.activity, t.id) < (",
    "LEFT JOIN thread_readers r",
    "CROSS JOIN post_reactions e",
    "INSERT INTO thread_readers",
    "FROM threads t CROSS JOIN categories c CROSS JOIN posts p",
    "FROM categories c LEFT JOIN categories p",
    "INSERT INTO authors (id, name, level",
    "FROM notifications n LEFT JOIN posts p",
    "FROM (SELECT id FROM notifications",
    "UPDATE notifications SET is_read",
    "INSERT INTO notification_boxes",
    "FROM digests WHERE next_at",
    "JOIN thread_readers r ON r.thread_id = p.thread_id AND r.watching",
    "FROM moderation_queue q WHERE COALESCE",
    "FROM moderation_queue WHERE due",
    "FROM moderation_log l",
    "UPDATE threads SET last_number",
    "FROM refresh_tokens t JOIN sessions s",
    "FROM users WHERE (username_key",
    "FROM sessions WHERE revoked_at",
    "FROM api_keys WHERE changed_at",
    "FROM idempotency",
    "FROM outbox WHERE",
];

/// The same of what the sweeper of pictures looks for, every half minute.
const SWEEPING: [&str; 3] = ["s.state = 'coming'", "s.state = 'going'", "s.orphaned_at"];
const A_LOOK_LATER: std::time::Duration = std::time::Duration::from_secs(60);

const THREADS: &str = "/api/v2/forum/threads";
/// So often that PostgreSQL would change over to a plan for any values.
const TIMES: usize = 7;

/// Whether a statement has to do with a table that grows.
fn is_big(statement: &str) -> bool {
    let words: Vec<&str> = statement.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
    words
        .windows(2)
        .any(|two| ["FROM", "JOIN", "UPDATE", "INTO"].contains(&two[0]) && BIG.contains(&two[1]))
}

/// A node on a seeded database, with a log of its statements and plans, and somebody signed in.
async fn seeded(database: &TestDatabase) -> (Node, Session, Thread) {
    let levels = "info,sqlx::query=debug,sqlx::postgres::notice=info";
    let node = Node::builder().database(database).env("PANEL_LOG__LEVEL", levels).start().await;
    let admin = node.admin("root").await;
    let thread = Thread::open(&admin).await;
    seed::forum(&mut database.raw_sql("forum").await).await;
    seed::auth(&mut database.raw_sql("auth").await).await;
    seed::admin(&mut database.raw_sql("admin").await).await;
    seed::cms(&mut database.raw_sql("cms").await).await;
    (node, admin, thread)
}

/// The hot requests, each some times.
async fn ask(node: &Node, admin: &mut Session, thread: &Thread) {
    let client = node.client();
    let categories = client.get("/api/v2/forum/categories").await.expect(200).json();
    let category = categories["items"].as_array().unwrap().last().unwrap()["id"].clone();
    let category = category.as_str().unwrap().to_owned();
    let reader = &Session::register(&client, "reader").await;
    for _ in 0..TIMES {
        let signed_in = client.clone().with_header("authorization", &bearer(admin));
        for reader in [client.clone(), client.clone().with_header("authorization", &bearer(admin))]
        {
            reader.get("/api/v2/forum/categories").await.expect(200);
            for list in ["", "&tag=rust", &format!("&category={category}")] {
                for sort in ["activity", "created", "top"] {
                    two_pages(&reader, &format!("{THREADS}?sort={sort}&limit=20{list}")).await;
                }
            }
            two_pages(&reader, &format!("{}?limit=20", thread.posts)).await;
            reader.get(&thread.path).await.expect(200);
        }
        let reply = || thread.reply(admin, "again").idempotency_key("the-same");
        reply().await.expect(201);
        assert_eq!(reply().await.expect(201).header("idempotency-replayed"), Some("true"));
        thread.reply(admin, "new").await.expect(201);
        // Somebody is told.
        let told = thread.reply(reader, "again").await.expect(201).json();
        let answer = json!({"body": "an answer", "reply_to": told["id"]});
        admin.post(&thread.posts).json(&answer).await.expect(201);
        client.get("/api/v2/cms/posts/seeded-7/comments").await.expect(200);
        reader.get("/api/v2/forum/notifications?limit=20").await.expect(200);
        reader.get("/api/v2/forum/notifications/count").await.expect(200);
        reader.post(&format!("{}/read", thread.path)).await.expect(200);
        let queue = "/api/v2/forum/moderation/queue?limit=20";
        two_pages(&signed_in, queue).await;
        two_pages(&signed_in, &format!("{queue}&status=resolved")).await;
        two_pages(&signed_in, "/api/v2/forum/moderation/log?limit=20").await;
        signed_in.get("/api/v2/forum/moderation/bans?active=true").await.expect(200);
        articles(&client, admin).await;
        pictures(&client, admin).await;
        webhooks(&client, admin).await;
        *admin = Session::login(&client, "root", PASSWORD).await;
        admin.refresh().await;
        admin.get("/api/v2/auth/me").await.expect(200);
        let tag = admin.get(&thread.path).await.expect(200);
        let edit = admin.patch(&thread.path).header("if-match", tag.header("etag").unwrap());
        edit.json(&json!({"title": "Another title"})).await.expect(200);
    }
}

/// What is asked for articles, and written.
async fn articles(client: &panel_harness::Client, admin: &Session) {
    let posts = "/api/v2/cms/posts";
    let signed_in = client.clone().with_header("authorization", &bearer(admin));
    for list in ["", "&tag=seeded", "&category=seeded-1"] {
        two_pages(client, &format!("{posts}?limit=20{list}")).await;
    }
    for list in ["", "&status=draft", "&status=draft&tag=other"] {
        two_pages(&signed_in, &format!("{posts}/all?limit=20{list}")).await;
    }
    let somebody = panel_kernel::ids::Id::from_raw(7);
    client.get(&format!("{posts}?limit=20&author={somebody}")).await.expect(200);
    signed_in.get(&format!("{posts}/all?limit=20&author={somebody}")).await.expect(200);
    client.get(&format!("{posts}/seeded-7")).await.expect(200);
    client.get(&format!("{posts}/seeded-8/translations")).await.expect(200);
    client.get("/blog/seeded-8").await.expect(200);
    client.get(&format!("{posts}/former-7")).await.expect(301);
    two_pages(client, "/api/v2/cms/tags?limit=20").await;
    client.get("/api/v2/cms/categories/seeded-1").await.expect(200);
    let new = json!({"title": "Seeded", "tags": ["seeded"], "category": "seeded-1"});
    let made = admin.post(posts).json(&new).await.expect(201).json();
    let path = format!("{posts}/{}", made["id"].as_str().unwrap());
    let publish = admin.post(&format!("{path}/publish")).header("if-match", "*");
    publish.await.expect(200);
    let edit = admin.patch(&path).header("if-match", "*").json(&json!({"body": "text"}));
    edit.await.expect(200);
    signed_in.get(&format!("{path}/revisions")).await.expect(200);
}

/// The same for pictures.
async fn pictures(client: &panel_harness::Client, admin: &Session) {
    let media = "/api/v2/cms/media";
    let signed_in = client.clone().with_header("authorization", &bearer(admin));
    let owner = panel_kernel::ids::Id::from_raw(7);
    for list in [String::new(), "&alt=missing".to_owned(), format!("&owner={owner}")] {
        two_pages(&signed_in, &format!("{media}?limit=20{list}")).await;
    }
    let file = png(&noise(9, 9, 1).into());
    let made = admin.post(media).body("image/png", file).await;
    assert!(made.status.is_success(), "{made:?}");
    let made = made.json();
    let path = format!("{media}/{}", made["id"].as_str().unwrap());
    let url = made["url"].as_str().unwrap();
    signed_in.get(&path).await.expect(200);
    client.get(url).await.expect(200);
    let edit = admin.patch(&path).header("if-match", "*").json(&json!({"alt": "noise"}));
    edit.await.expect(200);
    let article = json!({"title": "Seeded", "body": format!("![noise]({url})")});
    admin.post("/api/v2/cms/posts").json(&article).await.expect(201);
    admin.delete(&path).await.refused(409, "conflict");
}

/// The same for webhooks. There is nobody where they are.
async fn webhooks(client: &panel_harness::Client, admin: &Session) {
    let signed_in = client.clone().with_header("authorization", &bearer(admin));
    let webhook = panel_kernel::ids::Id::from_raw(7);
    let path = format!("/api/v2/cms/webhooks/{webhook}");
    for state in ["", "&state=pending", "&state=delivered"] {
        two_pages(&signed_in, &format!("{path}/deliveries?limit=20{state}")).await;
    }
    let ping = admin.post(&format!("{path}/ping")).await.expect(202).json();
    let delivery = format!("{path}/deliveries/{}", ping["id"].as_str().unwrap());
    signed_in.get(&delivery).await.expect(200);
}

fn bearer(session: &Session) -> String {
    format!("Bearer {}", session.access_token)
}

async fn two_pages(reader: &panel_harness::Client, path: &str) {
    let page = reader.get(path).await.expect(200).json();
    assert_eq!(page["items"].as_array().unwrap().len(), 20, "{path}");
    let cursor = page["next_cursor"].as_str().unwrap();
    let page = reader.get(&format!("{path}&cursor={cursor}")).await.expect(200).json();
    assert_eq!(page["items"].as_array().unwrap().len(), 20, "{path}");
}

/// The lines of the log from line `from` on.
fn log_since(node: &Node, from: usize) -> Vec<Value> {
    node.log_json().split_off(from)
}

/// Waits until the hot statements are in what `caught` gives, and gives it.
async fn all_of<T>(caught: impl Fn() -> Vec<T>, text: impl Fn(&T) -> &str) -> Vec<T> {
    eventually("every hot statement is seen", std::time::Duration::from_secs(10), async || {
        let found = caught();
        let missing = |hot: &&&str| !found.iter().any(|one| text(one).contains(**hot));
        let missing: Vec<&&str> = HOT.iter().filter(missing).collect();
        if missing.is_empty() { Ok(found) } else { Err(missing) }
    })
    .await
}

#[test]
fn what_is_big_is_recognised() {
    assert!(is_big("SELECT id FROM posts WHERE id = $1"));
    assert!(is_big("UPDATE threads SET locked = 1"));
    assert!(!is_big("SELECT c.id FROM categories c"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hot_statements_go_by_index_on_sqlite() {
    let database = Backend::Sqlite.database().await;
    let (node, mut admin, thread) = Box::pin(seeded(&database)).await;
    // What is asked again and again, whoever comes; the log forgets its beginning.
    let regular = eventually("the sweeper of pictures is seen", A_LOOK_LATER, async || {
        let mut found = sqlite::statements(&log_since(&node, 0));
        found.retain(|text| SWEEPING.iter().any(|it| text.contains(it)));
        if found.len() >= SWEEPING.len() { Ok(found) } else { Err(found) }
    });
    let regular = regular.await;
    let from = node.log_json().len();
    ask(&node, &mut admin, &thread).await;
    let mut statements = all_of(|| sqlite::statements(&log_since(&node, from)), |text| text).await;
    statements.extend(regular);
    sqlite::check(&database, &statements).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hot_statements_go_by_index_on_postgres() {
    let database = Backend::Postgres.database().await;
    postgres::explain_all(&database).await;
    let (node, mut admin, thread) = Box::pin(seeded(&database)).await;
    let from = node.log_json().len();
    ask(&node, &mut admin, &thread).await;
    let plans = all_of(|| postgres::plans(&log_since(&node, from)), |plan| &plan.statement).await;
    let dear: std::collections::BTreeSet<String> =
        plans.iter().filter_map(postgres::Plan::fault).collect();
    let dear: Vec<String> = dear.into_iter().collect();
    assert!(dear.is_empty(), "{}", dear.join("\n\n"));
}
