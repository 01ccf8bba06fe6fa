//! `panel-node drain`: what was accepted is answered, and the command returns when the process has
//! ended.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use panel_harness::{Backend, Node, Session, Thread, eventually, on_both_databases};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

on_both_databases!(
    a_drained_node_answers_what_it_has,
    nobody_on_a_kept_connection_is_cut_off,
    a_load_balancer_is_given_time,
    a_node_that_ends_refuses_connections_at_once,
    a_signal_to_a_node_that_drains_already_costs_nothing,
);

const WITHIN: Duration = Duration::from_secs(20);

async fn a_drained_node_answers_what_it_has(backend: Backend) {
    let database = backend.database().await;
    let mut node = Node::builder().database(&database).faults().start().await;
    let admin = node.admin("root").await;
    let thread = Thread::open(&admin).await;
    // Three writes that are inside for a while.
    node.arm("write.before_transaction=delay(800ms)*3").await;
    let writers: Vec<_> = ["a", "b", "c"]
        .map(|text| {
            let (admin, thread) = (admin.clone(), thread.clone());
            tokio::spawn(async move { thread.reply(&admin, text).await.expect(201) })
        })
        .into();
    eventually("all of them are inside", WITHIN, async || {
        node.acted("write.before_transaction").await == 3
    })
    .await;
    let said = node.cli(&["drain", "n1"]).await;
    let text = String::from_utf8(said.stdout).unwrap();
    assert!(said.status.success(), "{text}");
    // What services ask of each other is among them.
    let left = text.strip_prefix("requests left: ").and_then(|rest| rest.split(',').next());
    assert!(left.unwrap().parse::<usize>().unwrap() >= 3, "{text}");
    assert!(text.ends_with("n1 has ended.\n"), "{text}");
    for writer in writers {
        writer.await.unwrap();
    }
    assert!(!node.is_running(), "the command returns when the process has ended");
    assert_eq!(node.ended().await.code(), Some(0));
    assert!(!node.data_dir().join("run/n1.json").exists() && !node.control_socket().exists());
    assert!(!node.log_contains("\"level\":\"ERROR\""), "{:?}", node.log_lines());
    node.restart().await;
    assert_eq!(thread.all(&node.client()).await.len(), 4);
}

/// Writes and reads on a connection of its own until it is told that the connection closes: how
/// many were answered.
async fn busy(node: &Node, admin: &Session, thread: &Thread, done: Arc<AtomicUsize>) -> usize {
    // Clients share connections with their clones only.
    let (client, thread) = (node.client(), thread.clone());
    let admin = admin.at(&client);
    let mut count = 0;
    loop {
        let answer = match count % 3 {
            0 => thread.reply(&admin, "again").send().await,
            _ => client.get("/api/v2/forum/threads").send().await,
        };
        // One that gets no answer is the failure this test is about.
        let answer = answer.unwrap_or_else(|why| panic!("request {count}: {why:?}"));
        assert!(answer.status.is_success(), "{answer:?}");
        count += 1;
        done.fetch_add(1, Ordering::SeqCst);
        if answer.header("connection") == Some("close") {
            return count;
        }
    }
}

async fn nobody_on_a_kept_connection_is_cut_off(backend: Backend) {
    let database = backend.database().await;
    let mut node = Node::builder().database(&database).start().await;
    let admin = node.admin("root").await;
    let thread = Thread::open(&admin).await;
    let done = Arc::new(AtomicUsize::new(0));
    let load = async {
        let clients = (0..16).map(|_| busy(&node, &admin, &thread, Arc::clone(&done)));
        futures::future::join_all(clients).await
    };
    let drained = async {
        eventually("they are at it", WITHIN, async || done.load(Ordering::SeqCst) > 200).await;
        node.control(json!({"request": "drain"})).await
    };
    let (counts, lines) = tokio::join!(load, drained);
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    assert_eq!(lines.last().unwrap()["done"]["left"], json!({"requests": 0, "connections": 0}));
    assert_eq!(node.ended().await.code(), Some(0));
    // Each write that was answered is there: every third request of each client was one.
    node.restart().await;
    let written: usize = counts.iter().map(|count| count.div_ceil(3)).sum();
    assert_eq!(thread.all(&node.client()).await.len(), written + 1);
}

async fn a_load_balancer_is_given_time(backend: Backend) {
    let database = backend.database().await;
    let node = Node::builder().database(&database).env("PANEL_GATEWAY__DRAIN_DELAY", "6s");
    let mut node = node.start().await;
    let (client, ops) = (node.client(), node.ops_client());
    node.signal("TERM");
    eventually("it says that it is about to go", WITHIN, async || {
        ops.get("/health/ready").await.status == 503
    })
    .await;
    // New connections are taken all the same, and served.
    for _ in 0..10 {
        let another = node.client();
        another.get("/api/v2/forum/threads").await.expect(200);
    }
    client.get("/api/v2/forum/threads").await.expect(200);
    assert_eq!(node.ended().await.code(), Some(0));
}

/// A request that is under way as long as the test likes: the last byte of its body is missing.
async fn unfinished(node: &Node) -> TcpStream {
    let mut stream = TcpStream::connect(node.http()).await.unwrap();
    let head = "POST /api/v2/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                content-length: 2\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    // Whoever comes later is answered, so this one was accepted.
    node.client().get("/api/v2/health").await.expect(200);
    stream
}

async fn is_answered(mut stream: TcpStream) {
    stream.write_all(b"}").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 422 ") && answer.contains("connection: close"),
        "{answer}"
    );
}

async fn nobody_can_connect(node: &Node) {
    eventually("who connects is refused at once", WITHIN, async || {
        let connected = TcpStream::connect(node.http()).await;
        connected.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    })
    .await;
}

async fn a_node_that_ends_refuses_connections_at_once(backend: Backend) {
    let database = backend.database().await;
    let mut node = Node::builder().database(&database).start().await;
    let stream = unfinished(&node).await;
    node.signal("TERM");
    nobody_can_connect(&node).await;
    assert!(node.is_running());
    is_answered(stream).await;
    assert_eq!(node.ended().await.code(), Some(0));
}

async fn a_signal_to_a_node_that_drains_already_costs_nothing(backend: Backend) {
    let database = backend.database().await;
    let mut node = Node::builder().database(&database).start().await;
    let stream = unfinished(&node).await;
    tokio::join!(node.control(json!({"request": "drain"})), async {
        nobody_can_connect(&node).await;
        node.signal("TERM");
        is_answered(stream).await;
    });
    assert_eq!(node.ended().await.code(), Some(0));
}
