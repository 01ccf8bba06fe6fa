//! How long after a write other gateways still show what they have kept.

use std::time::{Duration, Instant};

use panel_harness::{Client, Cluster, Thread};

/// Writes after which is looked.
const WRITES: usize = 500;
const GOAL_MS: f64 = 100.0;
/// Between two looks, of which each has the same answer from memory while that is shown.
const PAUSE: Duration = Duration::from_micros(500);

async fn posts(reader: &Client, path: &str) -> usize {
    let listing = reader.get(path).await.expect(200).json();
    listing["items"].as_array().unwrap().len()
}

/// Measures, and prints a table.
pub(crate) async fn run() {
    println!(
        "\n### what is kept\n\n| from the answer to who has written to another gateway showing it | p50 | p99 | longest | goal |\n\
         |---|---|---|---|---|"
    );
    let builder = Cluster::builder().await.env("PANEL_LIMITS__ENABLED", "false");
    let builder = builder.node("g1", "gateway").node("g2", "gateway");
    let cluster = builder.node("f1", "auth,forum").start().await;
    cluster.await_linked().await;
    let root = cluster.node("g1").admin("root").await;
    let (mut thread, reader) = (Thread::open(&root).await, cluster.client("g2"));
    let mut taken = Vec::with_capacity(WRITES);
    for n in 0..WRITES {
        if n % 50 == 0 {
            // A page has an end.
            thread = Thread::open(&root).await;
        }
        let path = format!("{}?limit=100", thread.posts);
        let before = posts(&reader, &path).await;
        thread.reply(&root, "new").await.expect(201);
        let answered = Instant::now();
        while posts(&reader, &path).await == before {
            assert!(answered.elapsed() < Duration::from_secs(30), "it is never shown");
            tokio::time::sleep(PAUSE).await;
        }
        taken.push(answered.elapsed().as_secs_f64() * 1e3);
    }
    taken.sort_by(f64::total_cmp);
    let at = |share: usize| taken[(WRITES * share / 100).min(WRITES - 1)];
    let verdict = if at(99) <= GOAL_MS { "reached" } else { "**short**" };
    println!(
        "| PostgreSQL, three nodes, a page of posts | {:.1} ms | {:.1} ms | {:.1} ms | ≤ {GOAL_MS:.0} ms {verdict} |",
        at(50),
        at(99),
        at(100)
    );
}
