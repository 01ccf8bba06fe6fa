//! Several nodes: who serves what, and what users see of it when one goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use panel_harness::{Cluster, Session};
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// A gateway alone, everything else on two nodes.
async fn three() -> Cluster {
    Cluster::builder()
        .await
        .node("n1", "gateway")
        .node("n2", "auth,forum,cms,admin")
        .node("n3", "auth,forum,cms,admin")
        .start()
        .await
}

/// A thread to write into, and somebody who may.
async fn thread(cluster: &Cluster) -> (Session, String) {
    let admin = cluster.node("n1").admin("root").await;
    let category = admin.post("/api/v2/forum/categories").json(&json!({"name": "C"}));
    let category = category.await.expect(201).json()["id"].clone();
    let thread = json!({"category_id": category, "title": "T", "body": "first"});
    let thread = admin.post("/api/v2/forum/threads").json(&thread).await.expect(201).json();
    let posts = format!("/api/v2/forum/threads/{}/posts", thread["id"].as_str().unwrap());
    (admin, posts)
}

/// Writers, each with one reply after the other, until they are told to stop.
struct Writers {
    stop: Arc<AtomicBool>,
    tasks: JoinSet<OfOne>,
}

/// What one writer has seen: what was acknowledged, what failed, the slowest answer.
type OfOne = (Vec<String>, Vec<(u16, String)>, Duration);

/// What the writers have seen.
struct Seen {
    acknowledged: Vec<String>,
    failed: Vec<(u16, String)>,
    slowest: Duration,
}

impl Writers {
    fn start(session: &Session, posts: &str, count: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for writer in 0..count {
            let (session, posts, stop) = (session.clone(), posts.to_owned(), Arc::clone(&stop));
            tasks.spawn(async move {
                let (mut done, mut failed, mut slowest) = (Vec::new(), Vec::new(), Duration::ZERO);
                for number in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let marker = format!("marker-{writer}-{number}-");
                    let begun = Instant::now();
                    let answer = session.post(&posts).json(&json!({"body": marker})).await;
                    slowest = slowest.max(begun.elapsed());
                    if answer.status == 201 {
                        done.push(marker);
                    } else {
                        failed.push((answer.status.as_u16(), answer.text()));
                    }
                }
                (done, failed, slowest)
            });
        }
        Self { stop, tasks }
    }

    async fn stop(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        let mut seen =
            Seen { acknowledged: Vec::new(), failed: Vec::new(), slowest: Duration::ZERO };
        for (done, failed, slowest) in self.tasks.join_all().await {
            seen.acknowledged.extend(done);
            seen.failed.extend(failed);
            seen.slowest = seen.slowest.max(slowest);
        }
        seen
    }
}

/// Every acknowledged reply is there, and none twice.
async fn exactly_once(session: &Session, posts: &str, seen: &Seen) {
    let mut bodies: Vec<String> = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = session.get(&format!("{posts}?limit=100{cursor}")).await.expect(200).json();
        let items = page["items"].as_array().unwrap().iter();
        bodies.extend(items.map(|item| item["body"].as_str().unwrap().to_owned()));
        match &page["next_cursor"] {
            Value::String(next) => cursor = format!("&cursor={next}"),
            _ => break,
        }
    }
    let count = |marker: &String| bodies.iter().filter(|body| *body == marker).count();
    for marker in &seen.acknowledged {
        assert_eq!(count(marker), 1, "{marker}");
    }
    for body in &bodies {
        assert_eq!(count(body), 1, "{body}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_run_on_any_node() {
    let cluster = three().await;
    let (admin, posts) = thread(&cluster).await;
    for number in 0..20 {
        let reply = json!({"body": format!("reply {number}")});
        admin.post(&posts).json(&reply).await.expect(201);
    }
    let read = admin.get(&format!("{posts}?limit=100")).await.expect(200).json();
    assert_eq!(read["items"].as_array().unwrap().len(), 21);
    let nodes = cluster.nodes_seen_by("n1").await;
    assert_eq!(nodes.keys().collect::<Vec<_>>(), ["n1", "n2", "n3"]);
    assert!(nodes.values().all(|node| node["status"] == "up"), "{nodes:?}");
    assert!(nodes["n2"]["round_trip_micros"].as_u64().is_some(), "{nodes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_notices_a_node_that_is_killed() {
    let mut cluster = three().await;
    let (admin, posts) = thread(&cluster).await;
    let writers = Writers::start(&admin, &posts, 16);
    for victim in ["n2", "n3", "n2"] {
        tokio::time::sleep(Duration::from_millis(500)).await;
        cluster.node_mut(victim).kill9();
        cluster.await_status(victim, "n1", "down").await;
        cluster.node_mut(victim).restart().await;
        cluster.await_linked().await;
    }
    let seen = writers.stop().await;
    assert!(seen.failed.is_empty(), "{:?}", seen.failed);
    exactly_once(&admin, &posts, &seen).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_freezes_costs_a_second_once() {
    let cluster = three().await;
    let (admin, posts) = thread(&cluster).await;
    let writers = Writers::start(&admin, &posts, 16);
    tokio::time::sleep(Duration::from_millis(500)).await;
    cluster.node("n2").signal("STOP");
    cluster.await_status("n2", "n1", "suspect").await;
    cluster.await_status("n2", "n1", "down").await;
    cluster.node("n2").signal("CONT");
    cluster.await_linked().await;
    cluster.await_status("n2", "n1", "up").await;
    let seen = writers.stop().await;
    assert!(seen.failed.is_empty(), "{:?}", seen.failed);
    exactly_once(&admin, &posts, &seen).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_costs_no_request() {
    let mut cluster = three().await;
    let (admin, posts) = thread(&cluster).await;
    let writers = Writers::start(&admin, &posts, 16);
    for node in ["n2", "n3"] {
        tokio::time::sleep(Duration::from_millis(300)).await;
        cluster.node_mut(node).restart().await;
        cluster.await_linked().await;
    }
    let seen = writers.stop().await;
    assert!(seen.failed.is_empty(), "{:?}", seen.failed);
    exactly_once(&admin, &posts, &seen).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_comes_back_however_often_it_is_killed() {
    let mut cluster = three().await;
    for _ in 0..10 {
        cluster.node_mut("n3").kill9();
        cluster.node_mut("n3").restart().await;
    }
    cluster.await_linked().await;
    cluster.await_status("n3", "n1", "up").await;
    cluster.await_status("n2", "n1", "up").await;
}
