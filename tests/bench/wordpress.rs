//! What pages of articles cost here, and in WordPress on the same machine, with as many articles of the same text.

use std::time::Duration;

use panel_harness::{Backend, Client, TestDatabase};
use tempfile::TempDir;

use crate::articles::{ARTICLES, seed};
use crate::load::{self, Outcome, Server, request};
use crate::report::median;
use crate::scenario::{Subject, UNCACHED, all_up, start_node_with};

/// Where a WordPress is, with those articles.
const PLACE: &str = "PANEL_BENCH_WORDPRESS";
/// It answers some dozens of requests in a second.
const ROUND: Duration = Duration::from_secs(4);
const CONNECTIONS: usize = 16;
const GOAL: f64 = 20.0;

/// Measures this program on both databases against it, if there is one.
pub(crate) async fn run(node: &str, rounds: usize) {
    let Ok(address) = std::env::var(PLACE) else {
        println!("\n### WordPress\n\nNot measured: there is none ({PLACE}).");
        return;
    };
    println!("\n### WordPress\n");
    println!(
        "| scenario | node/s | WordPress/s | times | goal | p50 ms node / WordPress | p99 ms node / WordPress | failed |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (name, backend) in [("SQLite", Backend::Sqlite), ("PostgreSQL", Backend::Postgres)] {
        measure((node, &address), rounds, (name, backend)).await;
    }
}

async fn measure((node, address): (&str, &str), rounds: usize, (name, backend): (&str, Backend)) {
    let dir = TempDir::with_prefix("panel-bench-").unwrap();
    let database = backend.database().await;
    let limits = [("PANEL_LIMITS__ENABLED", "false")];
    let subject = start_node_with(&UNCACHED, node, &dir, &database);
    fill(&subject, &database).await;
    // Its page of a list has ten.
    let scenarios = [("page of an article", "/blog/", "/"), ("page of a list", "/blog", "/")];
    let all = |below: &str, end: &str| -> Vec<Vec<u8>> {
        let of = |n: u32| request("GET", &format!("{below}article-{n}{end}"), None, "");
        (1..=ARTICLES).step_by(7).map(of).collect()
    };
    let one = |path: &str| vec![request("GET", path, None, "")];
    let asked = |place: usize| match place {
        0 => (all(scenarios[0].1, ""), all(scenarios[0].2, "/")),
        _ => (one(scenarios[1].1), one(scenarios[1].2)),
    };
    let mut kept = None;
    let mut uncached = Some(subject);
    for cache in ["each made anew", "with the edge's cache"] {
        if cache != "each made anew" {
            // One node at a time has these files.
            drop(uncached.take());
            kept = Some(start_node_with(&limits, node, &dir, &database));
        }
        let Some(own) = uncached.as_ref().or(kept.as_ref()) else { return };
        all_up(&Client::new(&own.address)).await;
        for (place, (scenario, ..)) in scenarios.iter().enumerate() {
            let (here, there) = asked(place);
            let own = Server { address: &own.address, pid: own.process.id() };
            // What its processes take is not looked at.
            let other = Server { address, pid: std::process::id() };
            for (server, requests) in [(own, &here), (other, &there)] {
                load::run(server, requests, CONNECTIONS, ROUND).await;
            }
            let mut sides = (Vec::new(), Vec::new());
            for _ in 0..rounds.clamp(1, 7) {
                sides.0.push(load::run(own, &here, CONNECTIONS, ROUND).await);
                sides.1.push(load::run(other, &there, CONNECTIONS, ROUND).await);
            }
            println!("{}", line(&format!("{scenario}, {name}, {cache}"), &sides));
        }
    }
}

async fn fill(subject: &Subject, database: &TestDatabase) {
    all_up(&Client::new(&subject.address)).await;
    let mut db = database.raw_sql("cms").await;
    db.run(&seed()).await;
    if database.backend() == Backend::Postgres {
        db.run("VACUUM (ANALYZE)").await;
    }
}

fn line(scenario: &str, (own, other): &(Vec<Outcome>, Vec<Outcome>)) -> String {
    let rate = |side: &[Outcome]| median(side.iter().map(|it| it.rate).collect());
    #[allow(clippy::cast_precision_loss, reason = "microseconds")]
    let millis = |side: &[Outcome], of: fn(&Outcome) -> u64| {
        median(side.iter().map(|it| of(it) as f64 / 1_000.0).collect())
    };
    let times = median(own.iter().zip(other).map(|(own, other)| own.rate / other.rate).collect());
    let failed: usize = own.iter().chain(other).map(|it| it.failed).sum();
    let verdict = if times >= GOAL { "reached" } else { "**short**" };
    let [p50, p99] = [(|it| it.p50) as fn(&Outcome) -> u64, |it| it.p99]
        .map(|of| format!("{:.1} / {:.0}", millis(own, of), millis(other, of)));
    format!(
        "| {scenario} | {:.0} | {:.1} | **{times:.0}** | {GOAL:.0} {verdict} | {p50} | {p99} | {failed} |",
        rate(own),
        rate(other),
    )
}
