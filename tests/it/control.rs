//! The control socket and the commands that use it: status, and who may ask.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use panel_harness::{Backend, Node, eventually};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

const WITHIN: Duration = Duration::from_secs(20);

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn refusal(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_shows_the_node_its_services_and_its_tree() {
    let node = Node::builder().roles("gateway,auth,forum").start().await;
    let status: Value =
        serde_json::from_str(&stdout(&node.cli(&["status", "--json"]).await)).unwrap();
    assert_eq!(status["node"]["name"], "n1");
    assert_eq!(status["node"]["process"], node.pid());
    assert_eq!(status["node"]["roles"], json!(["gateway", "auth", "forum"]));
    assert_eq!(status["node"]["draining"], false);
    assert!(status["node"]["boot"].as_str().is_some_and(|boot| boot.len() == 32), "{status}");
    let nodes = status["nodes"].as_array().unwrap();
    assert_eq!(nodes.len(), 1);
    assert_eq!((&nodes[0]["name"], &nodes[0]["here"]), (&json!("n1"), &json!(true)));
    let forum = &status["services"]["forum"];
    assert_eq!(forum["members"][0]["node"], "n1");
    assert_eq!(forum["members"][0]["status"], "up");
    assert_eq!(forum["here"]["database"]["status"], "up");
    assert_eq!(status["dependencies"]["database"]["status"], "up");
    assert_eq!(status["dependencies"]["redis"]["status"], "not_configured");
    assert_eq!(status["actors"]["forum/serving/front_door"]["state"], "up");
    assert_eq!(status["actors"]["forum/serving/front_door"]["restarts"], 0);
    let text = stdout(&node.cli(&["status"]).await);
    assert!(text.starts_with("n1, panel-node "), "{text}");
    for part in [
        "roles: gateway,auth,forum",
        "this node",
        "SERVICE",
        "DEPENDENCY",
        "forum/serving/front_door",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_there_is_said_so() {
    let mut node = Node::start().await;
    let text = refusal(&node.cli(&["status", "--name", "n7"]).await);
    assert!(text.contains("no panel-node named n7 runs on"), "{text}");
    let text = refusal(&node.cli(&["drain", "n7"]).await);
    assert!(text.contains("no node named n7 is known here"), "{text}");
    // A killed node leaves its files behind, and its place in them is not taken for a life.
    node.kill9();
    let socket = node.data_dir().join("run/n1.sock");
    assert!(socket.exists() && node.data_dir().join("run/n1.json").exists());
    for command in [&["status"][..], &["status", "--json"], &["drain", "n1"]] {
        let text = refusal(&node.cli(command).await);
        assert!(text.contains("no panel-node") && text.contains("--data-dir"), "{text}");
    }
    node.restart().await;
    stdout(&node.cli(&["status"]).await);
    assert!(node.sigterm_and_wait().await.success());
    assert!(!socket.exists());
    refusal(&node.cli(&["status"]).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_nodes_on_one_directory_are_told_apart() {
    let directory = Arc::new(tempfile::TempDir::new().unwrap());
    let database = Backend::Postgres.database().await;
    let start = |name| Node::builder().name(name).data_dir(&directory).database(&database);
    let one = start("n1").start().await;
    let mut two = start("n2").start().await;
    let text = refusal(&one.cli(&["status"]).await);
    assert!(text.contains("n1, n2"), "{text}");
    let text = stdout(&one.cli(&["status", "--name", "n2"]).await);
    assert!(text.starts_with("n2, "), "{text}");
    let text = stdout(&one.cli(&["drain", "n2"]).await);
    assert!(text.contains("n2 has ended"), "{text}");
    assert_eq!(two.ended().await.code(), Some(0));
    one.client().get("/api/v2/health").await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_socket_is_for_its_owner_alone() {
    let node = Node::start().await;
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&node.control_socket()), 0o600);
    assert_eq!(mode(&node.data_dir().join("run")), 0o700);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_goes_on_without_a_socket_where_none_can_be() {
    let place = tempfile::TempDir::new().unwrap();
    let deep = place.path().join("d".repeat(90));
    std::fs::create_dir(&deep).unwrap();
    let deep = Arc::new(tempfile::TempDir::new_in(&deep).unwrap());
    let node = Node::builder().data_dir(&deep).start().await;
    node.client().get("/api/v2/health").await.expect(200);
    assert!(!node.control_socket().exists());
    let line = node.log_json().into_iter().find(|line| line["message"] == "no control socket");
    assert_eq!(line.unwrap()["level"], "WARN");
    let text = refusal(&node.cli(&["status"]).await);
    assert!(text.contains("can't be reached over its control socket"), "{text}");
}

/// What comes back for these bytes until the other side closes.
async fn raw(node: &Node, bytes: &[u8], is_all: bool) -> String {
    let mut stream = UnixStream::connect(node.control_socket()).await.unwrap();
    // Who has read enough may close while we still write.
    drop(stream.write_all(bytes).await);
    if is_all {
        drop(stream.shutdown().await);
    }
    let mut answer = Vec::new();
    drop(tokio::time::timeout(WITHIN, stream.read_to_end(&mut answer)).await.unwrap());
    String::from_utf8(answer).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nonsense_is_answered_and_harms_nobody() {
    let node = Node::start().await;
    let odd: [&[u8]; 6] = [
        b"\n",
        b"hello\n",
        b"{}\n",
        b"\xff\x00\n",
        b"{\"request\":\"dance\"}\n",
        b"GET / HTTP/1.1\r\n\n",
    ];
    for bytes in odd {
        let answer = raw(&node, bytes, true).await;
        for line in answer.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            assert!(line["error"].as_str().unwrap().contains("this is no request"), "{line}");
        }
        assert!(!answer.is_empty(), "{bytes:?}");
    }
    // Several on one connection, the last without its line's end.
    let answer = raw(&node, b"nonsense\n{\"request\":\"status\"}", true).await;
    let kinds: Vec<&str> = answer.lines().map(|line| line.get(2..6).unwrap()).collect();
    assert_eq!(kinds, ["erro", "done"]);
    let long = vec![b'x'; 1024 * 1024];
    let answer = raw(&node, &long, false).await;
    assert!(answer.is_empty() || answer.contains("at most 65536 bytes"), "{answer}");
    assert_eq!(raw(&node, b"", true).await, "");
    let slow = raw(&node, b"{\"request\":", false).await;
    assert!(slow.contains("no request came within 5 s"), "{slow}");
    assert_eq!(node.told(json!({"request": "status"})).await["node"]["name"], "n1");
    assert_eq!(node.told(json!({"request": "status"})).await["actors"]["control"]["restarts"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_connections_are_refused_and_forgotten() {
    let node = Node::start().await;
    let mut open = Vec::new();
    for _ in 0..16 {
        let mut stream = UnixStream::connect(node.control_socket()).await.unwrap();
        // Who is answered has been let in, and stays.
        stream.write_all(b"{\"request\":\"status\"}\n").await.unwrap();
        assert_ne!(stream.read_u8().await.unwrap(), 0);
        open.push(stream);
    }
    let mut stream = UnixStream::connect(node.control_socket()).await.unwrap();
    let mut refused = String::new();
    stream.read_to_string(&mut refused).await.unwrap();
    assert!(refused.contains("too many connections"), "{refused}");
    drop(open);
    eventually("there is room again", WITHIN, async || {
        let answer = node.control(json!({"request": "status"})).await;
        answer[0].get("done").is_some()
    })
    .await;
}
