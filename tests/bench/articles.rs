//! What pages of articles, and lists of them, cost: against the same handlers and statements behind a bare server.

use panel_harness::{Backend, Client};
use tempfile::TempDir;

use crate::load::{self, Server, request};
use crate::report::{Rounds, head};
use crate::scenario::{READERS, ROUND, WARM_UP, all_up, start_bare, start_node};

/// Articles there are.
const ARTICLES: u32 = 2_000;
const GOAL: f64 = 0.85;

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
}

/// Published articles of some pages' length.
fn seed() -> String {
    let text = "Words of an ordinary length, and some more of them. ".repeat(60);
    format!(
        "INSERT INTO articles (id, slug, title, excerpt, body, body_html, status, author_id, \
         author_name, tags, published_at, updated_at, version, edited_at, created_at) \
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ARTICLES}) \
         SELECT 1000 + i, 'article-' || i, 'Article ' || i, 'A few lines.', '{text}', \
         '<p>{text}</p>', 'published', 1, 'somebody', '[\"news\"]', i, i, 1, i, i FROM n"
    )
}
