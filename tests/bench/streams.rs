//! What event streams cost: how long after a commit readers have an event, and what ten thousand idle
//! streams take of a gateway's memory.

use std::time::{Duration, Instant};

use panel_harness::{Backend, Cluster, Events, Node, Session, Socket};
use serde_json::{Value, json};

const STREAM: &str = "/api/v2/forum/notifications/stream";
/// Events whose way is measured.
const EVENTS: usize = 300;
/// Streams that are idle.
const IDLE: usize = 10_000;
/// Longer than it takes.
const FOR_EVER: Duration = Duration::from_secs(3_600);
/// Streams of one account.
const OF_ONE: usize = 8;
const PATIENCE: Duration = Duration::from_secs(10);
const SOON_MS: f64 = 100.0;
const MOST_KIB: f64 = 20.0;

/// A thread, and a post in it by somebody who is told when it is answered.
struct Scene {
    posts: String,
    first: Value,
    reader: Session,
    writer: Session,
}

impl Scene {
    async fn set(root: &Session, reader: Session, writer: Session) -> Self {
        let category = root.post("/api/v2/forum/categories").json(&json!({"name": "Streams"}));
        let category = category.await.expect(201).json()["id"].clone();
        let thread = json!({"category_id": category, "title": "t", "body": "b"});
        let thread = root.post("/api/v2/forum/threads").json(&thread).await.expect(201).json();
        let posts = format!("/api/v2/forum/threads/{}/posts", thread["id"].as_str().unwrap());
        let first = reader.post(&posts).json(&json!({"body": "hers"})).await.expect(201).json();
        Self { posts, first, reader, writer }
    }

    /// Milliseconds from the answer to who wrote, which comes after the commit, to the event.
    async fn measure(&self, address: &str) -> Vec<f64> {
        let mut stream = Events::open(address, STREAM, &self.reader.access_token, None).await;
        let mut taken = Vec::with_capacity(EVENTS);
        for _ in 0..EVENTS {
            let body = json!({"body": "an answer", "reply_to": self.first["id"]});
            let answered = self.writer.post(&self.posts).json(&body).await.expect(201);
            let at = Instant::now();
            let event = stream.next(PATIENCE).await.unwrap();
            assert_eq!(event.data["post_id"], answered.json()["id"]);
            taken.push(event.at.saturating_duration_since(at).as_secs_f64() * 1e3);
            tokio::time::sleep(Duration::from_millis(7)).await;
        }
        taken.sort_by(f64::total_cmp);
        taken
    }
}

fn line(what: &str, taken: &[f64]) {
    let at = |share: usize| taken[(taken.len() * share / 100).min(taken.len() - 1)];
    let verdict = if at(99) <= SOON_MS { "reached" } else { "**short**" };
    println!("| {what} | {:.1} ms | {:.1} ms | ≤ {SOON_MS:.0} ms {verdict} |", at(50), at(99));
}

/// Measures, and prints tables.
pub(crate) async fn run() {
    println!(
        "\n### event streams\n\n| from commit to reader | p50 | p99 | goal |\n|---|---|---|---|"
    );
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let database = backend.database().await;
        let node = Node::builder().database(&database).start().await;
        let client = node.client();
        let (ada, bob) =
            (Session::register(&client, "ada").await, Session::register(&client, "bob").await);
        let scene = Scene::set(&node.admin("root").await, ada, bob).await;
        let name = if backend == Backend::Sqlite { "SQLite" } else { "PostgreSQL" };
        line(&format!("{name}, one node"), &scene.measure(node.http()).await);
    }
    let builder = Cluster::builder().await.env("PANEL_LIMITS__ENABLED", "false");
    let builder = builder.node("g1", "gateway").node("g2", "gateway");
    let cluster = builder.node("f1", "auth,forum").start().await;
    cluster.await_linked().await;
    let (ada, bob) = (
        Session::register(&cluster.client("g1"), "ada").await,
        Session::register(&cluster.client("g2"), "bob").await,
    );
    let scene = Scene::set(&cluster.node("g1").admin("root").await, ada, bob).await;
    let taken = scene.measure(cluster.node("g1").http()).await;
    line("PostgreSQL, three nodes, written through another gateway", &taken);
    drop(cluster);
    println!("\n| {IDLE} idle streams on one gateway | memory of each | goal |\n|---|---|---|");
    memory("server-sent events", async |address, token| {
        let mut stream = Events::open(&address, STREAM, &token, None).await;
        assert_eq!(stream.status(), 200);
        tokio::spawn(async move { while stream.next(FOR_EVER).await.is_some() {} });
    })
    .await;
    memory("WebSockets", async |address, token| {
        let shown = format!("Bearer {token}");
        let opened = Socket::open(&address, STREAM, &[("authorization", &shown)]).await;
        let (mut socket, _) = opened.unwrap();
        tokio::spawn(async move { while socket.next(FOR_EVER).await.is_ok() {} });
    })
    .await;
}

/// What streams take that are opened by this, with an address and an access token.
async fn memory(what: &str, open: impl AsyncFn(String, String)) {
    let database = Backend::Sqlite.database().await;
    let most = (IDLE + 1_000).to_string();
    let node = Node::builder()
        .database(&database)
        .env("PANEL_GATEWAY__MAX_CONNECTIONS", &most)
        .env("PANEL_GATEWAY__STREAMS__MAX", &most)
        .start()
        .await;
    let mut people = Vec::with_capacity(IDLE / OF_ONE);
    for number in 0..IDLE / OF_ONE {
        people.push(Session::register(&node.client(), &format!("reader{number}")).await);
    }
    // What one costs the first time is not what each costs.
    let first = Session::register(&node.client(), "first").await;
    open(node.http().to_owned(), first.access_token.clone()).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = node.resident_bytes();
    for person in &people {
        for _ in 0..OF_ONE {
            open(node.http().to_owned(), person.access_token.clone()).await;
        }
    }
    tokio::time::sleep(Duration::from_secs(25)).await;
    let streams = node.metrics().await.count("panel_streams_open", &[]);
    assert_eq!(streams, IDLE as u64 + 1, "all of them are still open");
    #[allow(clippy::cast_precision_loss, reason = "a size")]
    let each = node.resident_bytes().saturating_sub(before) as f64 / IDLE as f64 / 1024.0;
    let verdict = if each <= MOST_KIB { "reached" } else { "**short**" };
    println!("| {what} | {each:.1} KiB | ≤ {MOST_KIB:.0} KiB {verdict} |");
}
