//! What passwords and sessions cost: logins against argon2 alone, reads while people sign in, and
//! refreshes against the same handler without actors.

use std::sync::Arc;
use std::time::{Duration, Instant};

use argon2::{
    Algorithm, Argon2, Params, PasswordHash, PasswordHasher as _, PasswordVerifier as _, Version,
};
use panel_harness::session::PASSWORD;
use panel_harness::{Backend, NodeBuilder, Session, TestDatabase};
use panel_kernel::blocking::half_of_the_processors;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::bare;
use crate::load::{self, Outcome, Server, request};
use crate::report::{Rounds, head};
use crate::scenario::{READERS, ROUND, WARM_UP, WRITERS, all_up, start_bare};

/// OWASP's, and the defaults.
const MEMORY_KIB: u32 = 19_456;
const ITERATIONS: u32 = 2;
/// Logins take long; a round must have enough of them.
const LOGINS: Duration = Duration::from_secs(2);
/// Who signs in at the same time: more than are hashed, fewer than may wait.
const PEOPLE: usize = 6;
const LOGIN_GOAL: f64 = 0.95;
const READ_GOAL: f64 = 0.7;
const REFRESH_GOAL: f64 = 0.8;

/// Measures on both databases.
pub(crate) async fn run(rounds: usize) {
    for (name, backend) in [("sqlite", Backend::Sqlite), ("postgres", Backend::Postgres)] {
        measure(name, backend, rounds).await;
    }
}

async fn measure(name: &str, backend: Backend, rounds: usize) {
    let database = backend.database().await;
    let home = Arc::new(TempDir::with_prefix("panel-bench-").unwrap());
    let node = NodeBuilder::new()
        .database(&database)
        .data_dir(&home)
        .env("PANEL_LIMITS__ENABLED", "false")
        .env("PANEL_GATEWAY__CACHE__BYTES", "0")
        .env("PANEL_AUTH__ARGON2_MEMORY_KIB", &MEMORY_KIB.to_string())
        .env("PANEL_AUTH__ARGON2_ITERATIONS", &ITERATIONS.to_string())
        .start()
        .await;
    let client = node.client();
    all_up(&client).await;
    let mut sessions = Vec::new();
    for number in 0..WRITERS {
        sessions.push(Session::register(&client, &format!("person{number}")).await);
    }
    let seeded = bare::seeded(&database, home.path()).await;
    let own = Server { address: node.http(), pid: node.pid() };
    println!("\n### accounts ({name})\n\n{}", head("that", "against"));
    let login = |session: &Session| {
        let body = json!({"login": session.username, "password": PASSWORD}).to_string();
        request("POST", "/api/v2/auth/login", None, &body)
    };
    let logins: Vec<Vec<u8>> = sessions.iter().map(login).collect();
    let rounds = rounds.min(9);
    let mut table =
        Rounds::new(format!("login, {PEOPLE} people: node against argon2 alone"), LOGIN_GOAL);
    load::run(own, &logins, PEOPLE, LOGINS).await;
    for _ in 0..rounds {
        table.subject.push(load::run(own, &logins, PEOPLE, LOGINS).await);
        table.reference.push(tokio::task::spawn_blocking(|| argon2_alone(LOGINS)).await.unwrap());
    }
    println!("{}", table.line());
    let views: Vec<Vec<u8>> = seeded
        .threads
        .iter()
        .step_by(7)
        .map(|id| request("GET", &format!("/api/v2/forum/threads/{id}/posts"), None, ""))
        .collect();
    let name = format!("thread view, 64 connections: while {PEOPLE} people sign in against alone");
    let mut table = Rounds::new(name, READ_GOAL);
    load::run(own, &views, READERS, WARM_UP).await;
    for _ in 0..rounds {
        let (reads, _) = tokio::join!(
            load::run(own, &views, READERS, LOGINS),
            load::run(own, &logins, PEOPLE, LOGINS),
        );
        table.subject.push(reads);
        table.reference.push(load::run(own, &views, READERS, LOGINS).await);
    }
    println!("{}", table.line());
    // An account has so many sessions and no more: those from the beginning have made room by now.
    for session in &mut sessions {
        *session = Session::login(&client, &session.username, PASSWORD).await;
    }
    refreshes(own, sessions, (&database, &home), rounds).await;
}

/// The same tokens by turns at the node and at the bare handler: each goes on where the other ended.
async fn refreshes(
    own: Server<'_>,
    sessions: Vec<Session>,
    (database, home): (&TestDatabase, &TempDir),
    rounds: usize,
) {
    let (process, address) = start_bare("auth", database, home);
    let bare = Server { address: &address, pid: process.id() };
    let mut tokens: Vec<String> = sessions.into_iter().map(|one| one.refresh_token).collect();
    let mut table =
        Rounds::new(format!("refresh, {WRITERS} connections: node against bare"), REFRESH_GOAL);
    for server in [own, bare] {
        chains(server, &mut tokens, WARM_UP).await;
    }
    for _ in 0..rounds {
        table.subject.push(chains(own, &mut tokens, ROUND).await);
        table.reference.push(chains(bare, &mut tokens, ROUND).await);
    }
    println!("{}", table.line());
}

/// Refreshes each token over and over, each on a connection of its own.
async fn chains(server: Server<'_>, tokens: &mut Vec<String>, time: Duration) -> Outcome {
    let (end, started, cpu) = (Instant::now() + time, Instant::now(), server.cpu());
    let tasks = std::mem::take(tokens).into_iter().map(|token| {
        let address = server.address.to_owned();
        tokio::spawn(async move { chain(&address, token, end).await })
    });
    let (mut latencies, mut failed) = (Vec::new(), 0);
    for task in tasks.collect::<Vec<_>>() {
        let (next, taken, bad) = task.await.unwrap();
        tokens.push(next);
        latencies.extend(taken);
        failed += bad;
    }
    Outcome::of(latencies, failed, started.elapsed(), server.cpu() - cpu)
}

async fn chain(address: &str, mut token: String, end: Instant) -> (String, Vec<u64>, usize) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut latencies, mut failed, mut buffer) = (Vec::new(), 0, Vec::new());
    while Instant::now() < end {
        let began = Instant::now();
        let body = json!({"refresh_token": token}).to_string();
        let asked = request("POST", "/api/v2/auth/refresh", None, &body);
        let good = load::exchange(&mut stream, &asked, &mut buffer).await;
        latencies.push(u64::try_from(began.elapsed().as_micros()).unwrap());
        let answer = good.and_then(|body| serde_json::from_slice::<Value>(body).ok());
        match answer.as_ref().and_then(|answer| answer["refresh_token"].as_str()) {
            Some(next) => next.clone_into(&mut token),
            None => failed += 1,
        }
    }
    (token, latencies, failed)
}

/// Verifies a password over and over, on as many threads as a node hashes with.
fn argon2_alone(time: Duration) -> Outcome {
    let params = Params::new(MEMORY_KIB, ITERATIONS, 1, None).unwrap();
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let kept = argon2.hash_password(PASSWORD.as_bytes()).unwrap().to_string();
    let started = Instant::now();
    let threads: Vec<_> = (0..half_of_the_processors())
        .map(|_| {
            let (argon2, kept) = (argon2.clone(), kept.clone());
            std::thread::spawn(move || {
                let mut latencies = Vec::new();
                while started.elapsed() < time {
                    let began = Instant::now();
                    let kept = PasswordHash::new(&kept).unwrap();
                    argon2.verify_password(PASSWORD.as_bytes(), &kept).unwrap();
                    latencies.push(u64::try_from(began.elapsed().as_micros()).unwrap());
                }
                latencies
            })
        })
        .collect();
    let latencies: Vec<u64> =
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    #[allow(clippy::cast_precision_loss, reason = "microseconds")]
    let cpu = latencies.iter().sum::<u64>() as f64;
    Outcome::of(latencies, 0, started.elapsed(), cpu)
}
