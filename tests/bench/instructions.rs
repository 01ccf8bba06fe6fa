//! How many instructions an answer takes, in all threads of the process: of the node, and of the same handlers
//! behind a bare server. Time varies with the machine by more than what is to be seen; this does not.
//!
//! Both run under callgrind, a part of valgrind, which counts what the program executes and nothing of the
//! kernel's.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use panel_harness::{Backend, Client, Session};
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::bare;
use crate::load::exchange;
use crate::scenario::{
    Subject, all_up, indexed, scenarios, start_bare_under, start_node, start_node_under,
};

/// Answers that are counted, one after the other.
const ANSWERS: u32 = 1_000;
/// Answers before that: what is made once is made then.
const FIRST: u32 = 50;

/// Whether there is such a thing here.
fn is_installed() -> bool {
    Command::new("valgrind").arg("--version").output().is_ok_and(|output| output.status.success())
}

/// Measures reads on SQLite, where least is waited for.
pub(crate) async fn run(node: &str) {
    if !is_installed() {
        println!("\nInstructions were not counted: that needs valgrind.");
        return;
    }
    let dir = TempDir::with_prefix("panel-bench-").unwrap();
    let database = Backend::Sqlite.database().await;
    let first = start_node(node, &dir, &database);
    let client = Client::new(&first.address);
    all_up(&client).await;
    let session = Session::register(&client, "bench").await;
    let seeded = bare::seeded(&database, dir.path()).await;
    indexed(&database).await;
    drop(first);
    let counted = [dir.path().join("node"), dir.path().join("bare")];
    let [of_node, of_bare] = counted.each_ref().map(|file| under(file));
    let subject = start_node_under(&of_node, node, &dir, &database);
    all_up(&Client::new(&subject.address)).await;
    let client = Client::new(&subject.address);
    let token = Session::login(&client, &session.username, panel_harness::session::PASSWORD).await;
    let (process, address) = start_bare_under(&of_bare, "forum", &database, &dir);
    let Subject { address: own, process: node, .. } = &subject;
    println!("\n### instructions (sqlite)\n");
    println!("| scenario | node | bare | over bare |\n|---|---|---|---|");
    let mut dumps = 0;
    for (name, _, _, requests) in scenarios(&seeded, &token.access_token) {
        if requests[0].starts_with(b"POST") {
            continue;
        }
        dumps += 1;
        let mut per_answer = [0; 2];
        let sides = [(own, node.id(), &counted[0]), (&address, process.id(), &counted[1])];
        for ((address, pid, file), found) in sides.into_iter().zip(&mut per_answer) {
            ask(address, &requests, FIRST).await;
            control(&["-i", "on"], pid);
            ask(address, &requests, ANSWERS).await;
            control(&["-i", "off"], pid);
            control(&["-d"], pid);
            *found = total(file, dumps) / u64::from(ANSWERS);
        }
        let [node, bare] = per_answer;
        // One at a time, whatever the scenario says of connections.
        let name = name.replace(", 64 connections", "");
        println!("| {name} | {node} | {bare} | {} |", node.saturating_sub(bare));
    }
}

/// What the program is run by.
fn under(file: &Path) -> Vec<String> {
    let file = format!("--callgrind-out-file={}", file.display());
    ["valgrind", "-q", "--tool=callgrind", "--instr-atstart=no", &file].map(str::to_owned).into()
}

fn control(what: &[&str], pid: u32) {
    let output = Command::new("callgrind_control").args(what).arg(pid.to_string()).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// What this dump says was executed since the one before.
fn total(file: &Path, dump: u32) -> u64 {
    let file = format!("{}.{dump}", file.display());
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
    let totals = text.lines().find_map(|line| line.strip_prefix("totals: ")).unwrap();
    totals.trim().parse().unwrap()
}

/// Sends so many of the requests, one after the other.
async fn ask(address: &str, requests: &[Vec<u8>], count: u32) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut answer = Vec::new();
    for request in requests.iter().cycle().take(count as usize) {
        let asked = exchange(&mut stream, request, &mut answer);
        let answered = tokio::time::timeout(Duration::from_secs(60), asked).await;
        assert!(answered.unwrap().is_some(), "{}", String::from_utf8_lossy(&answer));
    }
}
