//! What a large forum costs: the same lists and views on ten times as many threads and posts, and searching.
//! What is in it is made up of 50,000 words, each as frequent as its rank says (Zipf), thirty to a post, ten
//! posts to a thread.

use std::path::Path;
use std::time::{Duration, Instant};

use panel_harness::{Backend, Client, RawSql, TestDatabase, new_id};
use panel_kernel::data::Database;
use panel_kernel::ids::Id;
use tempfile::TempDir;

use crate::bare;
use crate::load::{self, Server, request};
use crate::scenario::{all_up, start_node};
use crate::seed::insert;

/// Posts of the large forum, unless `PANEL_BENCH_POSTS` says otherwise; a tenth of them of the small one.
const POSTS: usize = 1_000_000;
const THREAD: usize = 10;
const WORDS: usize = 50_000;
const POST: usize = 30;
const AUTHORS: usize = 2_000;
/// Threads in one transaction.
const PIECE: usize = 200;
const LOOK: Duration = Duration::from_secs(3);

/// Measures on both databases.
pub(crate) async fn run(node: &str) {
    let posts = std::env::var("PANEL_BENCH_POSTS").map_or(POSTS, |posts| posts.parse().unwrap());
    for (name, backend) in [("sqlite", Backend::Sqlite), ("postgres", Backend::Postgres)] {
        measure(node, name, backend, posts).await;
    }
}

/// Numbers by lot, the same ones each time.
struct Lots(u64);

impl Lots {
    fn next(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        #[allow(clippy::cast_precision_loss, reason = "a number between 0 and 1")]
        let lot = (self.0 >> 11) as f64 / (1_u64 << 53) as f64;
        lot
    }

    /// A rank; the first is the most frequent.
    fn rank(&mut self, ranks: usize) -> usize {
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank"
        )]
        let rank = ((ranks as f64).ln() * self.next()).exp() as usize - 1;
        rank.min(ranks - 1)
    }
}

/// The word of this rank: letters only.
fn word(rank: usize) -> String {
    let mut word = String::from("w");
    let mut left = rank + 26;
    while left > 0 {
        word.push(char::from(b'a' + u8::try_from(left % 26).unwrap()));
        left /= 26;
    }
    word
}

/// A forum that grows.
struct Forum {
    db: Database,
    lots: Lots,
    category: Id,
    threads: Vec<Id>,
}

impl Forum {
    async fn begin(database: &TestDatabase, data_dir: &Path) -> Self {
        let context = bare::context("forum", database.url(), data_dir);
        let section = panel_kernel::config::Section {
            path: "forum".to_owned(),
            values: serde_json::json!({}),
        };
        let spec = (panel_forum::SERVICE.configure)(&section).unwrap();
        context.db.open_once(&spec.migrations).await.unwrap();
        let category = new_id();
        let row = vec![
            category.into(),
            "Category".into(),
            "category".into(),
            0_i64.into(),
            0_i64.into(),
            0_i64.into(),
            0_i64.into(),
            0_i64.into(),
        ];
        let columns = "categories (id, name, slug, position, own_read_level, read_level, post_level, \
                       created_at)";
        insert(&context.db, columns, vec![row]).await;
        let authors = (1..=AUTHORS)
            .map(|n| vec![i64::try_from(n).unwrap().into(), format!("author {n}").into()]);
        insert(&context.db, "authors (id, name)", authors.collect()).await;
        Self { db: context.db, lots: Lots(7), category, threads: Vec::new() }
    }

    fn text(&mut self) -> String {
        let words: Vec<String> = (0..POST).map(|_| word(self.lots.rank(WORDS))).collect();
        words.join(" ")
    }

    /// Until it has so many posts.
    async fn grow(&mut self, posts: usize) {
        let count = |n: usize| i64::try_from(n).unwrap();
        while self.threads.len() * THREAD < posts {
            let (mut threads, mut rows) = (Vec::new(), Vec::new());
            for _ in 0..PIECE {
                let (id, at) = (new_id(), self.db.clock().now().as_micros());
                let author = count(1 + self.lots.rank(AUTHORS));
                threads.push(vec![
                    id.into(),
                    self.category.into(),
                    author.into(),
                    self.text().into(),
                    "slug".into(),
                    at.into(),
                    at.into(),
                    count(THREAD).into(),
                    count(THREAD - 1).into(),
                ]);
                for number in 0..THREAD {
                    let (body, author) = (self.text(), count(1 + self.lots.rank(AUTHORS)));
                    rows.push(vec![
                        new_id().into(),
                        id.into(),
                        count(number + 1).into(),
                        author.into(),
                        body.as_str().into(),
                        format!("<p>{body}</p>\n").into(),
                        at.into(),
                    ]);
                }
                self.threads.push(id);
            }
            let columns = "threads (id, category_id, author_id, title, slug, created_at, \
                           last_post_at, last_number, reply_count)";
            insert(&self.db, columns, threads).await;
            let columns = "posts (id, thread_id, number, author_id, body, body_html, created_at)";
            insert(&self.db, columns, rows).await;
        }
    }
}

async fn measure(node: &str, name: &str, backend: Backend, posts: usize) {
    let dir = TempDir::with_prefix("panel-bench-").unwrap();
    let database = backend.database().await;
    // Which makes its keys.
    drop(start_node(node, &dir, &database));
    let mut forum = Forum::begin(&database, dir.path()).await;
    println!("\n### large ({name}): {posts} posts\n");
    println!("| | p50 | p99 | of it | goal |\n|---|---|---|---|---|");
    let mut small = Vec::new();
    for (posts, is_large) in [(posts / 10, false), (posts, true)] {
        forum.grow(posts).await;
        let mut sql = database.raw_sql("forum").await;
        settle(&mut sql).await;
        let process = start_node(node, &dir, &database);
        all_up(&Client::new(&process.address)).await;
        let server = Server { address: &process.address, pid: process.process.id() };
        let took = indexed(&mut sql).await;
        settle(&mut sql).await;
        let views = forum.threads.iter().step_by(97);
        let views = views.map(|id| format!("/api/v2/forum/threads/{id}/posts"));
        let list = "/api/v2/forum/threads";
        let middle = cursor(&process.address, list).await;
        let scenarios = [
            ("list, by activity", vec![list.to_owned()]),
            ("list, fifty pages on", vec![format!("{list}?cursor={middle}")]),
            ("list, top", vec![format!("{list}?sort=top")]),
            ("thread view", views.collect()),
        ];
        let mut p50s = Vec::new();
        for (scenario, paths) in scenarios {
            let outcome = ask(server, &paths).await;
            let against = small.get(p50s.len()).copied();
            line(
                &format!("{scenario}, {posts} posts"),
                &outcome,
                against.map(|small| (small, 1.5)),
            );
            p50s.push(outcome.p50);
        }
        small = p50s;
        #[allow(clippy::cast_precision_loss, reason = "a rate")]
        let rate = posts as f64 / took.as_secs_f64();
        println!(
            "| all of {posts} posts indexed anew, in {:.0} s | {rate:.0}/s | | | |",
            took.as_secs_f64()
        );
        if is_large {
            searches(server, posts).await;
        }
    }
}

/// What is looked for, and how frequent that is.
async fn searches(server: Server<'_>, posts: usize) {
    let (rare, some, common) = (word(30_000), word(2_000), word(0));
    let also = word(1);
    for (what, queries) in [
        ("a rare word", vec![rare.clone(), word(31_000), word(32_000)]),
        ("a word in some thousand posts", vec![some.clone(), word(2_100), word(2_200)]),
        ("a word in most posts", vec![common.clone()]),
        ("two words of most posts", vec![format!("{common} {also}")]),
        ("a phrase of two of them", vec![format!("\"{common} {also}\"")]),
        ("a rare word and a common one", vec![format!("{rare} {common}")]),
        ("the beginning of words", vec![format!("{}*", &word(20_000)[..3])]),
        ("a common word, the latest first", vec![format!("{common}&sort=newest")]),
    ] {
        let encoded = |query: String| query.replace(' ', "%20").replace('"', "%22");
        let paths: Vec<String> = queries
            .into_iter()
            .map(|query| format!("/api/v2/forum/search?q={}", encoded(query)))
            .collect();
        let outcome = ask(server, &paths).await;
        line(&format!("search, {posts} posts: {what}"), &outcome, Some((30_000, 1.0)));
    }
}

async fn ask(server: Server<'_>, paths: &[String]) -> load::Outcome {
    let requests: Vec<Vec<u8>> = paths.iter().map(|path| request("GET", path, None, "")).collect();
    load::run(server, &requests, 1, LOOK / 3).await;
    load::run(server, &requests, 1, LOOK).await
}

#[allow(clippy::cast_precision_loss, reason = "microseconds")]
fn line(what: &str, outcome: &load::Outcome, against: Option<(u64, f64)>) {
    let ms = |micros: u64| micros as f64 / 1_000.0;
    let verdict = against.map_or_else(
        || "| |".to_owned(),
        |(reference, most)| {
            let ratio = outcome.p50 as f64 / reference as f64;
            let verdict = if ratio <= most { "reached" } else { "**short**" };
            format!("{ratio:.2} × {:.2} ms | ≤ {most} × {verdict} |", ms(reference))
        },
    );
    let failed =
        if outcome.failed > 0 { format!(" ({} failed)", outcome.failed) } else { String::new() };
    println!(
        "| {what}{failed} | {:.2} ms | {:.2} ms | {verdict}",
        ms(outcome.p50),
        ms(outcome.p99)
    );
}

/// The cursor fifty pages on.
async fn cursor(address: &str, list: &str) -> String {
    let client = Client::new(address);
    let mut path = format!("{list}?limit=20");
    let mut cursor = String::new();
    for _ in 0..50 {
        let page = client.get(&path).await.expect(200).json();
        page["next_cursor"].as_str().unwrap().clone_into(&mut cursor);
        path = format!("{list}?limit=20&cursor={cursor}");
    }
    cursor
}

/// Has everything indexed anew, and waits until it is.
async fn indexed(sql: &mut RawSql) -> Duration {
    sql.run("UPDATE search_progress SET version = 0, is_done = 0").await;
    let begun = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let done = "SELECT CAST(is_done AS TEXT) FROM search_progress";
        if sql.texts(done, 0).await.unwrap() == ["1"] {
            return begun.elapsed();
        }
    }
}

/// As a database is that has had the time to look at what is in it.
async fn settle(sql: &mut RawSql) {
    if matches!(sql, RawSql::Postgres(_)) {
        sql.run("VACUUM (ANALYZE)").await;
    }
}
