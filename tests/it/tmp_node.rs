use panel_harness::{Node, NodeBuilder, eventually};
use std::time::Duration;
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn life() {
    let mut node = NodeBuilder::new().env("PANEL_X__Y", "1").service_ports().start().await;
    let env = node.client().get("/x").await.expect(200).json();
    println!("{env}");
    let pid = node.pid();
    assert!(node.log_contains("listening"));
    assert_eq!(node.log_json().len(), 1);
    node.kill9();
    node.restart().await;
    assert_ne!(pid, node.pid());
    node.restart().await;
    assert_eq!(node.metrics().await.value("a_total", &[]) as u64, 3);
    let admin = node.admin("ada").await;
    println!("{admin:?} {} {}", node.url("/a"), node.service_port("auth"));
    println!("{:?}", node.cli(&["status", "--json"]).await);
    assert!(node.sigterm_and_wait().await.success());
    println!("{:?}", NodeBuilder::new().args(["bad"]).start_refused().await);
}
#[tokio::test]
#[should_panic(expected = "died by itself")]
async fn crash() {
    let node = Node::start().await;
    let _ = node.client().get("/crash").send().await;
    eventually("x", Duration::from_secs(1), async || node.client().get("/").send().await.is_err()).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
}
#[tokio::test]
#[should_panic(expected = "refused: bad argument")]
async fn early() {
    let _ = NodeBuilder::new().args(["bad"]).start().await;
}
#[tokio::test]
async fn failing_shows_log() {
    let _node = Node::start().await;
    panic!("x");
}
