//! What is measured, and how: many short rounds, node and bare by turns on the same
//! database, the median of the rounds' ratios.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use panel_harness::{Backend, Client, Metrics, Session, TestDatabase};
use tempfile::TempDir;

use crate::bare;
use crate::load::{self, Server, request};
use crate::report::{Rounds, head};
use crate::seed::Seeded;

pub(crate) const ROUND: Duration = Duration::from_millis(500);
pub(crate) const WARM_UP: Duration = Duration::from_millis(700);
pub(crate) const READERS: usize = 64;
pub(crate) const WRITERS: usize = 16;
const READ_GOAL: f64 = 0.9;
const WRITE_GOAL: f64 = 0.8;

/// A child that is killed at the end, and those it has started, where they are a group of their own.
pub(crate) struct Process {
    child: Child,
    has_group: bool,
}

impl Process {
    pub(crate) const fn of(child: Child) -> Self {
        Self { child, has_group: false }
    }

    pub(crate) const fn of_group(child: Child) -> Self {
        Self { child, has_group: true }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.has_group {
            // The shell's own `kill`: the one way that needs neither unsafe code nor a package.
            let script = format!("kill -TERM -{}", self.id());
            drop(Command::new("sh").args(["-c", &script]).status());
        } else {
            drop(self.child.kill());
        }
        drop(self.child.wait());
    }
}

/// Measures on each backend named, or on both.
pub(crate) async fn run(node: &str, rounds: usize, backends: &[&str]) {
    let all = [("sqlite", Backend::Sqlite), ("postgres", Backend::Postgres)];
    for (name, backend) in all {
        if backends.is_empty() || backends.contains(&name) {
            measure(node, rounds, name, backend).await;
        }
    }
}

async fn measure(node: &str, rounds: usize, name: &str, backend: Backend) {
    let dir = TempDir::with_prefix("panel-bench-").unwrap();
    let database = backend.database().await;
    let first = start_node(node, &dir, &database);
    let client = Client::new(&first.address);
    all_up(&client).await;
    let session = Session::register(&client, "bench").await;
    let seeded = bare::seeded(&database, dir.path()).await;
    drop(first);
    println!("\n### {name}\n");
    let mut starts: Vec<u128> = Vec::new();
    for _ in 0..5 {
        starts.push(start_node(node, &dir, &database).started_in.as_millis());
    }
    starts.sort_unstable();
    let subject = start_node(node, &dir, &database);
    let client = Client::new(&subject.address);
    all_up(&client).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let idle = resident_mib(&subject.process);
    indexed(&database).await;
    let session = session.at(&client);
    let token = Session::login(&client, &session.username, panel_harness::session::PASSWORD).await;
    let (bare_process, bare_address) = start_bare("forum", &database, &dir);
    let ops = Client::new(&subject.ops);
    let own = Server { address: &subject.address, pid: subject.process.id() };
    let bare = Server { address: &bare_address, pid: bare_process.id() };
    println!("{}", head("node", "bare"));
    for (scenario, goal, connections, requests) in scenarios(&seeded, &token.access_token) {
        let mut table = Rounds::new(scenario, goal);
        for server in [own, bare] {
            load::run(server, &requests, connections, WARM_UP).await;
        }
        let writes = connections == WRITERS;
        if writes {
            settled(&ops).await;
        }
        for _ in 0..rounds {
            table.subject.push(load::run(own, &requests, connections, ROUND).await);
            if writes {
                settled(&ops).await;
            }
            table.reference.push(load::run(bare, &requests, connections, ROUND).await);
            if writes {
                settled(&ops).await;
            }
        }
        println!("{}", table.line());
    }
    let loaded = resident_mib(&subject.process);
    drop(bare_process);
    println!("\n| | measured | goal |\n|---|---|---|");
    println!("| resident memory, idle, all roles | {idle:.0} MiB | ≤ 48 MiB |");
    println!("| resident memory after the load | {loaded:.0} MiB | ≤ 150 MiB |");
    println!(
        "| start to first 200, existing database (median of 5) | {} ms | ≤ 150 ms |",
        starts[2]
    );
}

/// Name, goal, connections, requests.
pub(crate) type Scenario = (String, f64, usize, Vec<Vec<u8>>);

pub(crate) fn scenarios(seeded: &Seeded, token: &str) -> Vec<Scenario> {
    let lists = |sort: &str| -> Vec<Vec<u8>> {
        let path = |category| format!("/api/v2/forum/threads?category={category}&sort={sort}");
        seeded.categories.iter().map(|id| request("GET", &path(id), None, "")).collect()
    };
    let views = seeded
        .threads
        .iter()
        .step_by(7)
        .map(|id| request("GET", &format!("/api/v2/forum/threads/{id}/posts"), None, ""));
    let signed_in =
        seeded.threads.iter().step_by(7).map(|id| {
            request("GET", &format!("/api/v2/forum/threads/{id}/posts"), Some(token), "")
        });
    let body = r#"{"body":"A reply with **some** Markdown in it, of ordinary length."}"#;
    let replies =
        seeded.threads.iter().step_by(3).map(|id| {
            request("POST", &format!("/api/v2/forum/threads/{id}/posts"), Some(token), body)
        });
    vec![
        ("thread list (20), 64 connections".to_owned(), READ_GOAL, READERS, lists("activity")),
        ("thread view (20 posts), 64 connections".to_owned(), READ_GOAL, READERS, views.collect()),
        ("thread view, signed in".to_owned(), READ_GOAL, READERS, signed_in.collect()),
        ("reply, 16 connections".to_owned(), WRITE_GOAL, WRITERS, replies.collect()),
    ]
}

pub(crate) struct Subject {
    pub(crate) process: Process,
    pub(crate) address: String,
    ops: String,
    started_in: Duration,
}

/// What is measured is the way to the services and back.
pub(crate) const UNCACHED: [(&str, &str); 2] =
    [("PANEL_LIMITS__ENABLED", "false"), ("PANEL_GATEWAY__CACHE__BYTES", "0")];

/// Starts the node and waits for its first 200.
pub(crate) fn start_node(binary: &str, dir: &TempDir, database: &TestDatabase) -> Subject {
    start_node_under(&[], binary, dir, database)
}

/// The same with settings in its environment, and its cache.
pub(crate) fn start_node_with(
    settings: &[(&str, &str)],
    binary: &str,
    dir: &TempDir,
    database: &TestDatabase,
) -> Subject {
    start((&[], settings), binary, dir, database)
}

/// What runs a program that is itself run by another one, if there is one, with its arguments.
fn command(under: &[String], program: &OsStr) -> Command {
    match under {
        [] => Command::new(program),
        [first, rest @ ..] => {
            let mut command = Command::new(first);
            command.args(rest).arg(program);
            command
        }
    }
}

/// The same, run by another program.
pub(crate) fn start_node_under(
    under: &[String],
    binary: &str,
    dir: &TempDir,
    database: &TestDatabase,
) -> Subject {
    start((under, &UNCACHED), binary, dir, database)
}

fn start(
    (under, settings): (&[String], &[(&str, &str)]),
    binary: &str,
    dir: &TempDir,
    database: &TestDatabase,
) -> Subject {
    let run_file = dir.path().join("run/n1.json");
    drop(std::fs::remove_file(&run_file));
    let log = std::fs::File::create(dir.path().join("node.log")).unwrap();
    let began = Instant::now();
    let child = command(under, OsStr::new(binary))
        .args(["run", "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"])
        .args(["--service-ports", "off", "--log-format", "json", "--data-dir"])
        .arg(dir.path())
        .args(["--database-url", database.url()])
        .envs(settings.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    let process = Process::of(child);
    loop {
        assert!(began.elapsed() < Duration::from_secs(120), "the node does not start");
        let run = std::fs::read(&run_file)
            .ok()
            .and_then(|text| serde_json::from_slice::<serde_json::Value>(&text).ok());
        if let Some(run) = run
            && let (Some(address), Some(ops)) = (run["http"].as_str(), run["ops"].as_str())
            && first_ok(address)
        {
            let started_in = began.elapsed();
            return Subject {
                process,
                address: address.to_owned(),
                ops: ops.to_owned(),
                started_in,
            };
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Waits until the node has told all facts, its own and bare's: what is left over from one round
/// must not cost the next.
async fn settled(ops: &Client) {
    // The node measures that once a second.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let waiting = [("service", "forum"), ("consumer", "admin")];
    let within = Duration::from_secs(60);
    panel_harness::eventually("every fact is told", within, async || {
        Metrics::fetch(ops).await.find("panel_outbox_lag_events", &waiting) == Some(0.0)
    })
    .await;
}

/// Waits until what was seeded can be searched: else that is done meanwhile.
pub(crate) async fn indexed(database: &TestDatabase) {
    let within = Duration::from_secs(600);
    panel_harness::eventually("every post is indexed", within, async || {
        let done = "SELECT CAST(is_done AS TEXT) FROM search_progress";
        database.raw_sql("forum").await.texts(done, 0).await.unwrap() == ["1"]
    })
    .await;
}

/// Waits until every service answers.
pub(crate) async fn all_up(client: &Client) {
    let within = Duration::from_secs(30);
    panel_harness::eventually("every service is up", within, async || {
        client.get("/api/v2/health").await.json()["status"] == "healthy"
    })
    .await;
}

/// Whether a real read is answered with 200.
fn first_ok(address: &str) -> bool {
    use std::io::{Read as _, Write as _};
    let Ok(mut stream) = std::net::TcpStream::connect(address) else { return false };
    let asked = request("GET", "/api/v2/forum/categories", None, "");
    let mut status = [0_u8; 12];
    stream.write_all(&asked).is_ok()
        && stream.read_exact(&mut status).is_ok()
        && &status[9..] == b"200"
}

pub(crate) fn start_bare(
    service: &str,
    database: &TestDatabase,
    dir: &TempDir,
) -> (Process, String) {
    start_bare_under(&[], service, database, dir)
}

/// The same, run by another program.
pub(crate) fn start_bare_under(
    under: &[String],
    service: &str,
    database: &TestDatabase,
    dir: &TempDir,
) -> (Process, String) {
    let mut bare = command(under, std::env::current_exe().unwrap().as_os_str());
    bare.args(["bare", service, database.url()]).arg(dir.path());
    announced(bare)
}

/// Starts a server that prints its address.
pub(crate) fn announced(mut command: Command) -> (Process, String) {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (Process::of(child), line.trim().to_owned())
}

fn resident_mib(process: &Process) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "it is shown without decimals")]
    let bytes = panel_harness::process::resident_bytes(process.id()) as f64;
    bytes / f64::from(1 << 20)
}
