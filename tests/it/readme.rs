//! The README's commands do what it says.

use std::process::Stdio;

use panel_harness::Node;
use serde_json::json;

const README: &str = include_str!("../../README.md");

/// The shell block that comes after a heading.
fn block(heading: &str) -> &'static str {
    let section = README.split(heading).nth(1).unwrap();
    section.split("```sh\n").nth(1).unwrap().split("```").next().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_examples_work_as_they_stand() {
    let node = Node::builder().service_ports().start().await;
    let admin = node.admin("root").await;
    let category = admin.post("/api/v2/forum/categories").json(&json!({"name": "General"}));
    let category = category.await.expect(201).json()["id"].as_str().unwrap().to_owned();
    // What differs from the README: the ports, and the one id it can't know.
    let script = block("## Use it")
        .replace("localhost:5000", node.http())
        .replace("localhost:5002", node.service_port("forum"))
        .replace("localhost:5900", node.ops())
        .replace('…', &category);
    let ran = tokio::process::Command::new("bash")
        .args(["-euo", "pipefail", "-c", &script])
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{out}\n{err}");
    for part in [
        "\"grace\"",
        "\"slug\":\"hello\"",
        "\"healthy\"",
        "panel_http_requests_total",
        "\"openapi\":\"3.1",
    ] {
        assert!(out.contains(part), "no {part} in {out}");
    }
    assert!(!out.contains("\"type\":\"/problems/"), "{out}");
    let threads = node.client().get("/api/v2/forum/threads").await.expect(200).json();
    assert_eq!(threads["items"][0]["title"], "Hello");
}

#[test]
fn the_two_commands_are_there() {
    assert_eq!(block("## Run it").trim(), "cargo run --release");
    assert_eq!(block("## Test it").trim(), "make test");
}
