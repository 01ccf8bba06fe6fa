//! What pages of articles, and lists of them, cost: against the same handlers and statements behind a bare server.

use panel_harness::{Backend, Client, TestDatabase};
use tempfile::TempDir;

use crate::load::{self, Server, request};
use crate::report::{Rounds, head};
use crate::scenario::{READERS, ROUND, WARM_UP, all_up, start_bare, start_node};

/// Articles there are.
pub(crate) const ARTICLES: u32 = 2_000;
const GOAL: f64 = 0.85;
/// Articles about which something is said.
const DISCUSSED: u32 = 200;
/// A second question, to another service, and twenty texts.
const DISCUSSED_GOAL: f64 = 0.5;

/// Measures on both databases, and prints a table for each.
pub(crate) async fn run(node: &str, rounds: usize) {
    for (name, backend) in [("SQLite", Backend::Sqlite), ("PostgreSQL", Backend::Postgres)] {
        println!("\n### articles, {name}\n");
        measure(node, rounds, backend).await;
    }
}

async fn measure(node: &str, rounds: usize, backend: Backend) {
    let dir = TempDir::with_prefix("panel-bench-").unwrap();
    let database = backend.database().await;
    let subject = start_node(node, &dir, &database);
    all_up(&Client::new(&subject.address)).await;
    let mut db = database.raw_sql("cms").await;
    db.run(&seed()).await;
    if backend == Backend::Postgres {
        db.run("VACUUM (ANALYZE)").await;
    }
    let (bare_process, bare_address) = start_bare("cms", &database, &dir);
    let own = Server { address: &subject.address, pid: subject.process.id() };
    let bare = Server { address: &bare_address, pid: bare_process.id() };
    println!("{}", head("node", "bare"));
    let pages = |below: &'static str| -> Vec<Vec<u8>> {
        let of = |n: u32| request("GET", &format!("{below}/article-{n}"), None, "");
        (1..=ARTICLES).step_by(7).map(of).collect()
    };
    let one = |path: &str| vec![request("GET", path, None, "")];
    for (scenario, requests) in [
        ("page of an article, 64 connections", pages("/blog")),
        ("the same as JSON", pages("/api/v2/cms/posts")),
        ("page of a list (20)", one("/blog")),
        ("list (20) as JSON", one("/api/v2/cms/posts")),
    ] {
        let mut table = Rounds::new(scenario.to_owned(), GOAL);
        for server in [own, bare] {
            load::run(server, &requests, READERS, WARM_UP).await;
        }
        for _ in 0..rounds {
            table.subject.push(load::run(own, &requests, READERS, ROUND).await);
            table.reference.push(load::run(bare, &requests, READERS, ROUND).await);
        }
        println!("{}", table.line());
    }
    discussed(own, &database, rounds).await;
}

/// What the comments on an article cost those who read it: the same page of the same node, with twenty of them and without.
async fn discussed(own: Server<'_>, database: &TestDatabase, rounds: usize) {
    database.raw_sql("cms").await.run(&wanted()).await;
    let mut forum = database.raw_sql("forum").await;
    for statement in comments() {
        forum.run(&statement).await;
    }
    if database.backend() == Backend::Postgres {
        forum.run("VACUUM (ANALYZE)").await;
    }
    let of = |n: u32| request("GET", &format!("/blog/article-{n}"), None, "");
    let with: Vec<_> = (1..=DISCUSSED).map(of).collect();
    let without: Vec<_> = (DISCUSSED + 1..=2 * DISCUSSED).map(of).collect();
    println!("\n{}", head("with comments", "without"));
    let mut table = Rounds::new("page of an article with 20 comments".to_owned(), DISCUSSED_GOAL);
    for requests in [&with, &without] {
        load::run(own, requests, READERS, WARM_UP).await;
    }
    for _ in 0..rounds {
        table.subject.push(load::run(own, &with, READERS, ROUND).await);
        table.reference.push(load::run(own, &without, READERS, ROUND).await);
    }
    println!("{}", table.line());
}

fn wanted() -> String {
    format!("UPDATE articles SET comments = 1 WHERE id <= 1000 + {DISCUSSED}")
}

/// A thread for each article that is discussed, with twenty short replies.
fn comments() -> [String; 5] {
    let numbers = |most: u32| {
        format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {most})")
    };
    let (few, all) = (numbers(DISCUSSED), numbers(DISCUSSED * 21));
    [
        "INSERT INTO authors (id, name) VALUES (1, 'somebody')".to_owned(),
        "INSERT INTO categories (id, name, slug, position, own_read_level, read_level, post_level, \
         created_at) VALUES (1, 'Comments', 'comments', 1, 0, 0, 0, 0)"
            .to_owned(),
        format!(
            "INSERT INTO threads (id, category_id, author_id, title, slug, created_at, last_post_at, \
             last_number, reply_count) {few} SELECT 5000 + i, 1, 1, 'Article', 'article', i, i, 21, 20 FROM n"
        ),
        format!(
            "INSERT INTO posts (id, thread_id, number, author_id, body, body_html, created_at) {all} \
             SELECT 10000 + i, 5001 + (i - 1) / 21, 1 + (i - 1) % 21, 1, 'A few words about it.', \
             '<p>A few words about it.</p>', i FROM n"
        ),
        format!(
            "INSERT INTO discussions (article_id, thread_id, opening_id, title) {few} \
             SELECT 1000 + i, 5000 + i, 10001 + (i - 1) * 21, 'Article' FROM n"
        ),
    ]
}

/// Published articles of some pages' length.
pub(crate) fn seed() -> String {
    let text = "Words of an ordinary length, and some more of them. ".repeat(60);
    format!(
        "INSERT INTO articles (id, slug, title, excerpt, body, body_html, status, author_id, \
         author_name, tags, published_at, updated_at, version, edited_at, created_at) \
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ARTICLES}) \
         SELECT 1000 + i, 'article-' || i, 'Article ' || i, 'A few lines.', '{text}', \
         '<p>{text}</p>', 'published', 1, 'somebody', '[\"news\"]', i, i, 1, i, i FROM n"
    )
}
