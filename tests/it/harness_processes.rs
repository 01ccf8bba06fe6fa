//! The harness's processes: Redis does as it is told, and nothing is left of anything.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::panic::AssertUnwindSafe;
use std::process::{Command, Stdio};
use std::time::Duration;

use panel_harness::process::running;
use panel_harness::{NoLeaks, Node, Postgres, Proxy, Redis, TestDatabase, eventually};

const SOON: Duration = Duration::from_secs(20);
/// For an answer that must not come.
const A_WHILE: Duration = Duration::from_millis(300);

/// Set for the process that [`what_a_killed_test_has_started_ends_with_it`] starts and kills.
const VICTIM: &str = "HARNESS_TEST_VICTIM";

#[test]
fn redis_keeps_what_it_is_told_until_it_is_flushed_or_dies() {
    let mut redis = Redis::start();
    let address = redis.address();
    assert_eq!(redis.ask("SET a 1"), "+OK");
    assert_eq!(redis.ask("INCR a"), ":2");
    redis.flush();
    assert_eq!(redis.ask("GET a"), "$-1");
    for _ in 0..3 {
        assert_eq!(redis.ask("SET a 1"), "+OK");
        redis.kill9();
        let refused = redis.try_ask("PING").unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        redis.start_again();
        assert_eq!(redis.address(), address);
        assert_eq!(redis.ask("GET a"), "$-1");
    }
}

#[test]
fn a_frozen_redis_is_silent_and_goes_on_where_it_was() {
    let mut redis = Redis::start();
    assert_eq!(redis.ask("SET a 1"), "+OK");
    for _ in 0..2 {
        redis.freeze();
        let silence = redis.try_ask_within("PING", A_WHILE).unwrap_err();
        let silent = [std::io::ErrorKind::WouldBlock, std::io::ErrorKind::TimedOut];
        assert!(silent.contains(&silence.kind()), "{silence}");
        redis.thaw();
        assert_eq!(redis.ask("GET a"), "$1");
    }
    redis.freeze();
    redis.kill9();
    redis.start_again();
    assert_eq!(redis.ask("PING"), "+PONG");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_says_how_redis_is() {
    let mut redis = Redis::start();
    let proxy = Proxy::start(redis.address());
    let url = format!("redis://{}", proxy.address());
    let node = Node::builder().env("REDIS_URL", &url).start().await;
    let client = node.client();
    let is = async |wanted: &str| {
        eventually(&format!("redis is {wanted}"), SOON, async || {
            let health = client.get("/api/v2/health").await.expect(200).json();
            let redis = &health["dependencies"]["redis"];
            if redis["status"] == wanted { Ok(()) } else { Err(redis.clone()) }
        })
        .await;
    };
    is("up").await;
    redis.kill9();
    is("down").await;
    redis.start_again();
    is("up").await;
    redis.freeze();
    is("down").await;
    redis.thaw();
    is("up").await;
    proxy.everybody().cut();
    is("down").await;
    proxy.heal();
    is("up").await;
}

/// What is running of the harness, without what it was before.
fn commands() -> Vec<String> {
    running().into_iter().map(|process| process.command).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_of_a_node_a_redis_and_a_postgres() {
    let _leaks = NoLeaks::watch();
    let postgres = Postgres::private();
    let database = TestDatabase::on(&postgres).await;
    let redis = Redis::start();
    let node = Node::builder().database(&database).env("REDIS_URL", &redis.url()).start().await;
    let found = commands();
    for part in ["postgres -D", "redis-server", "panel-node run"] {
        assert!(found.iter().any(|command| command.contains(part)), "no {part}: {found:?}");
    }
    drop((node, redis, database, postgres));
    assert_eq!(commands(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_is_given_up_leaves_nothing() {
    let starting = tokio::spawn(Node::start());
    eventually("the process is there", SOON, async || !running().is_empty()).await;
    starting.abort();
    assert!(starting.await.unwrap_err().is_cancelled());
    assert_eq!(commands(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_left_fails_the_test_and_is_ended() {
    let leaks = NoLeaks::watch();
    // Nobody drops this one.
    let node = std::mem::ManuallyDrop::new(Node::start().await);
    let failed = std::panic::catch_unwind(AssertUnwindSafe(|| drop(leaks))).unwrap_err();
    let message = failed.downcast_ref::<String>().unwrap();
    assert!(
        message.contains("the test has left") && message.contains("panel-node run"),
        "{message}"
    );
    assert_eq!(commands(), Vec::<String>::new());
    // To the node itself that is a death that nobody asked for.
    let node = std::mem::ManuallyDrop::into_inner(node);
    std::panic::catch_unwind(AssertUnwindSafe(|| drop(node))).unwrap_err();
}

/// A test that was killed could not clean up: its guards do.
#[test]
fn what_a_killed_test_has_started_ends_with_it() {
    if std::env::var_os(VICTIM).is_some() {
        let redis = Redis::start();
        writeln!(std::io::stdout(), "port {}", redis.address().port()).unwrap();
        std::thread::sleep(SOON * 10);
        return;
    }
    let this = "harness_processes::what_a_killed_test_has_started_ends_with_it";
    let mut victim = Command::new(std::env::current_exe().unwrap());
    victim.args(["--exact", this, "--nocapture"]).env(VICTIM, "1").process_group(0);
    let mut victim = victim.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    let port = lines.find_map(|line| line.unwrap().split_once("port ")?.1.parse::<u16>().ok());
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], port.expect("a port")));
    std::net::TcpStream::connect(address).unwrap();
    victim.kill().unwrap();
    victim.wait().unwrap();
    let deadline = std::time::Instant::now() + SOON;
    while std::net::TcpStream::connect(address).is_ok() {
        assert!(std::time::Instant::now() < deadline, "Redis outlives its test");
        std::thread::sleep(Duration::from_millis(10));
    }
}
