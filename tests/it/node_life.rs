//! Starting, stopping, and being killed.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use panel_harness::session::PASSWORD;
use panel_harness::{Backend, Node, Session, eventually, on_both_databases};
use serde_json::json;

on_both_databases!(what_was_acknowledged_survives_a_kill, a_command_beside_a_running_node);

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

async fn what_was_acknowledged_survives_a_kill(backend: Backend) {
    let database = backend.database().await;
    let mut node = Node::builder().database(&database).start().await;
    let admin = node.admin("root").await;
    let category = admin.post("/api/v2/forum/categories").json(&json!({"name": "All"}));
    let category = category.await.expect(201).json()["id"].clone();
    let thread = json!({"category_id": category, "title": "T", "body": "first"});
    let thread = admin.post("/api/v2/forum/threads").json(&thread).await.expect(201).json();
    let posts = format!("/api/v2/forum/threads/{}/posts", thread["id"].as_str().unwrap());
    // Writers that note what was acknowledged, until the node is gone under them.
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let (admin, posts) = (admin.clone(), posts.clone());
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                for number in 0.. {
                    let body = format!("{writer}-{number}");
                    let sent = admin.post(&posts).json(&json!({"body": body})).send().await;
                    match sent {
                        Ok(answer) if answer.status == 201 => acknowledged.push(body),
                        _ => return acknowledged,
                    }
                }
                acknowledged
            })
        })
        .collect();
    eventually("some posts are there", Duration::from_secs(10), async || {
        let found = admin.get(&posts).await.expect(200).json();
        found["items"].as_array().is_some_and(|items| items.len() >= 20)
    })
    .await;
    node.kill9();
    let mut acknowledged = Vec::new();
    for writer in writers {
        acknowledged.extend(writer.await.unwrap());
    }
    assert!(!acknowledged.is_empty());
    node.restart().await;
    let admin = admin.at(&node.client());
    let mut found = Vec::new();
    let mut numbers = Vec::new();
    let mut page = format!("{posts}?limit=100");
    loop {
        let listing = admin.get(&page).await.expect(200).json();
        for post in listing["items"].as_array().unwrap() {
            found.push(post["body"].as_str().unwrap().to_owned());
            numbers.push(post["number"].as_u64().unwrap());
        }
        match listing["next_cursor"].as_str() {
            Some(cursor) => page = format!("{posts}?limit=100&cursor={cursor}"),
            None => break,
        }
    }
    for body in &acknowledged {
        let times = found.iter().filter(|other| *other == body).count();
        assert_eq!(times, 1, "{body} was acknowledged and is there {times} times");
    }
    let gapless: Vec<u64> = (1..=numbers.len() as u64).collect();
    assert_eq!(numbers, gapless);
}

async fn a_command_beside_a_running_node(backend: Backend) {
    let database = backend.database().await;
    let node = Node::builder().database(&database).start().await;
    let moderator = node.account("mod", "moderator").await;
    let me = moderator.get("/api/v2/auth/me").await.expect(200).json();
    assert_eq!(me["role"], "moderator");
    // The node hears of it as of any other fact.
    let admin = node.admin("root").await;
    eventually("both are listed", Duration::from_secs(5), async || {
        let users = admin.get("/api/v2/admin/users").await.expect(200).json();
        users["items"].as_array().is_some_and(|items| items.len() == 2)
    })
    .await;
    let create = |name: &'static str, email: &'static str| {
        ["admin", "create", "--username", name, "--email", email, "--password-stdin"]
    };
    let taken = node.cli_with_input(&create("MOD", "x@example.org"), PASSWORD).await;
    assert_eq!(taken.status.code(), Some(1));
    assert!(stderr(&taken).contains("--username is taken"), "{}", stderr(&taken));
    let short = node.cli_with_input(&create("x", "no address"), "short").await;
    assert_eq!(short.status.code(), Some(1));
    let text = stderr(&short);
    assert!(text.contains("--username") && text.contains("--email") && text.contains("--password"));
    let role = node.cli(&["admin", "create", "--role", "king", "--username", "a", "--email", "b"]);
    assert_eq!(role.await.status.code(), Some(2));
    let migrated = node.cli(&["migrate"]).await;
    assert!(migrated.status.success(), "{}", stderr(&migrated));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_start_makes_private_keys_and_says_where_things_are() {
    let node = Node::start().await;
    let key = node.data_dir().join("keys/cluster.key");
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&key), 0o600);
    let link = node.data_dir().join("setup-link");
    eventually("the link is written", Duration::from_secs(5), async || link.exists()).await;
    assert_eq!(mode(&link), 0o600);
    eventually("the log names the file", Duration::from_secs(5), async || {
        node.log_json().iter().any(|line| line["file"] == link.to_str().unwrap())
    })
    .await;
    let token = std::fs::read_to_string(&link).unwrap();
    let token = token.trim().split_once('#').unwrap().1.to_owned();
    assert!(!node.log_contains(&token), "the log must not have the token");
    let running =
        node.log_json().into_iter().find(|line| line["message"] == "panel-node is running");
    assert_eq!(running.unwrap()["http"], node.http());
    for service in ["auth", "forum", "cms", "admin"] {
        let file = node.data_dir().join(format!("db/{service}.db"));
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    assert_eq!(mode(&node.data_dir().join("db")), 0o700);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_node_on_the_same_data_is_told_why_not() {
    let directory = Arc::new(tempfile::TempDir::new().unwrap());
    let first = Node::builder().data_dir(&directory).start().await;
    for name in ["n1", "n2"] {
        let refused = Node::builder().data_dir(&directory).name(name).start_refused().await;
        assert_eq!(refused.status.code(), Some(1));
        let text = stderr(&refused);
        assert!(text.contains("in use by another panel-node"), "{text}");
        assert!(text.contains(&first.pid().to_string()) && text.contains(first.http()), "{text}");
        assert!(text.contains("--data-dir"), "{text}");
    }
    // Also by way of another data directory.
    let url = format!("sqlite://{}", directory.path().join("db").display());
    let refused = Node::builder().database_url(&url).start_refused().await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("in use by another panel-node"), "{}", stderr(&refused));
    let taken = Node::builder().listen(first.http()).start_refused().await;
    assert_eq!(taken.status.code(), Some(1));
    assert!(stderr(&taken).contains("--listen"), "{}", stderr(&taken));
    first.client().get("/api/v2/health").await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_drains_and_exits_cleanly() {
    for signal in ["TERM", "INT"] {
        let mut node = Node::start().await;
        let client = node.client();
        Session::register(&client, "ada").await;
        // Requests under way when the signal comes are answered.
        let begun = Arc::new(AtomicUsize::new(0));
        let busy: Vec<_> = (0..20)
            .map(|_| {
                let (client, begun) = (client.clone(), Arc::clone(&begun));
                tokio::spawn(async move {
                    let mut first = true;
                    while let Ok(answer) = client.get("/api/v2/forum/threads").send().await {
                        assert_eq!(answer.status, 200);
                        begun.fetch_add(usize::from(first), Ordering::SeqCst);
                        first = false;
                    }
                })
            })
            .collect();
        eventually("all of them are at it", Duration::from_secs(10), async || {
            begun.load(Ordering::SeqCst) == busy.len()
        })
        .await;
        let status = node.signal_and_wait(signal).await;
        assert_eq!(status.code(), Some(0), "{signal}");
        for task in busy {
            task.await.unwrap();
        }
        assert!(!node.data_dir().join("run/n1.json").exists());
        assert!(node.log_contains("draining") && node.log_contains("stopped"));
        assert!(!node.log_contains("\"level\":\"ERROR\""), "{:?}", node.log_lines());
        node.restart().await;
        Session::login(&node.client(), "ada", PASSWORD).await;
    }
}
