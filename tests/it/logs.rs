//! What an operator finds in the log: lines for people on a terminal, for programs everywhere else,
//! and faults under the id that the client was told.

use std::process::Command;
use std::time::Duration;

use panel_harness::{Node, eventually};
use serde_json::{Value, json};
use sqlx::{ConnectOptions as _, Executor as _};

async fn lines(format: Option<&str>) -> (Node, Vec<String>) {
    let node = Node::builder().log_format(format).start().await;
    node.client().get("/api/v2/forum/threads").await.expect(200);
    eventually("the request is logged", Duration::from_secs(5), async || {
        node.log_contains("/api/v2/forum/threads")
    })
    .await;
    let lines = node.log_lines();
    (node, lines)
}

#[tokio::test]
async fn a_log_that_no_terminal_reads_is_json() {
    let (node, lines) = lines(None).await;
    let json = node.log_json();
    assert_eq!(json.len(), lines.len(), "{lines:#?}");
    let request = json.iter().find(|line| line["route"] == "/api/v2/forum/threads").unwrap();
    assert_eq!(request["status"], 200);
    for field in ["timestamp", "level", "message", "target", "request_id", "trace_id"] {
        assert!(request[field].is_string(), "{field}: {request}");
    }
}

#[tokio::test]
async fn a_pretty_log_is_for_people() {
    let (node, lines) = lines(Some("pretty")).await;
    assert!(node.log_json().is_empty(), "{lines:#?}");
    let request = lines.iter().find(|line| line.contains("/api/v2/forum/threads")).unwrap();
    assert!(request.contains(" INFO ") && request.contains("status=200"), "{request}");
    // Not into a file: nobody wants to read the colours of a terminal there.
    assert!(!lines.iter().any(|line| line.contains('\u{1b}')), "{lines:#?}");
}

#[tokio::test]
async fn a_log_on_a_terminal_is_for_people_by_itself() {
    let directory = tempfile::TempDir::new().unwrap();
    let program = panel_harness::node::program();
    // `script` runs a command on a terminal of its own and hands on what appears there.
    let line = format!(
        "{} run --data-dir {} --listen 127.0.0.1:0 --ops-listen 127.0.0.1:0 --service-ports off",
        program.display(),
        directory.path().display()
    );
    let seen = directory.path().join("seen");
    // The link for the first administrator comes when the database is there. The brackets keep
    // the pattern from finding itself: `script` begins what it writes with the command it runs.
    let shell = format!(
        "{line} & while kill -0 $! && ! grep -q '/[s]etup#' {}; do sleep 0.05; done; kill $!; wait",
        seen.display()
    );
    let mut script = Command::new("script");
    script.args(["-qefc", &shell]).arg(&seen).current_dir(directory.path());
    let ended = tokio::task::spawn_blocking(move || script.output().unwrap());
    let ended = tokio::time::timeout(Duration::from_secs(30), ended).await.unwrap().unwrap();
    let shown = String::from_utf8_lossy(&ended.stdout);
    assert!(
        shown.contains("/setup#") && shown.contains("There is no administrator yet"),
        "{shown}"
    );
    assert!(!directory.path().join("setup-link").exists(), "who reads the terminal needs no file");
    assert!(shown.contains("panel-node is running") && shown.contains("INFO"), "{shown}");
    assert!(!shown.contains("{\"timestamp\""), "{shown}");
}

/// Makes a table of the forum's vanish under a running node.
async fn lose_posts(node: &Node) {
    let file = node.data_dir().join("db/forum.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
    let mut conn = options.connect().await.unwrap();
    conn.execute("ALTER TABLE posts RENAME TO elsewhere").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_is_logged_under_the_id_its_answer_names() {
    let node = Node::start().await;
    let admin = node.admin("root").await;
    let category = admin.post("/api/v2/forum/categories").json(&json!({"name": "C"}));
    let category = category.await.expect(201).json()["id"].clone();
    let thread = json!({"category_id": category, "title": "T", "body": "first"});
    let thread = admin.post("/api/v2/forum/threads").json(&thread).await.expect(201).json();
    let posts = format!("/api/v2/forum/threads/{}/posts", thread["id"].as_str().unwrap());
    lose_posts(&node).await;
    let read = admin.get(&posts).header("x-request-id", "the-read").await;
    assert_eq!(read.refused(500, "internal").request_id, "the-read");
    let reply = json!({"body": "second"});
    let write = admin.post(&posts).header("x-request-id", "the-write").json(&reply).await;
    assert_eq!(write.refused(500, "internal").request_id, "the-write");
    for id in ["the-read", "the-write"] {
        let fault = |line: &Value| {
            line["request_id"] == id
                && line["level"] == "ERROR"
                && line["service"] == "forum"
                && line["why"].as_str().is_some_and(|why| why.contains("posts"))
        };
        eventually("the fault is in the log", Duration::from_secs(10), async || {
            node.log_json().iter().any(fault)
        })
        .await;
    }
}
