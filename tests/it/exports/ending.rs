//! Until when a file is there, and what becomes of it when somebody dies meanwhile.

use std::time::Duration;

use panel_harness::session::{PASSWORD, email};
use panel_harness::{
    Backend, Cluster, Node, Rig, Session, Smtp, TestDatabase, eventually, on_both_databases,
};
use panel_kernel::time::Clock;
use serde_json::{Value, json};

use super::{EXPORT, SOON, asked, fetched, files, records, rig, texts, until};

on_both_databases!(
    a_file_is_there_for_a_week_and_no_longer_than_its_account,
    it_can_be_done_without,
    what_a_node_was_at_when_it_died_it_begins_anew,
);

/// What there is in the way of files, whoever's.
async fn kept(rig: &Rig) -> usize {
    match rig.backend() {
        Backend::Postgres => {
            let count = "SELECT upload FROM blobs UNION ALL SELECT upload FROM pieces";
            texts(rig, "blobs", count).await.len()
        }
        Backend::Sqlite => {
            let folder = rig.runtime.data_dir.join("blobs");
            let folders = [folder.join("exports"), folder.join(".partial")];
            folders.iter().flat_map(std::fs::read_dir).flatten().count()
        }
    }
}

async fn a_file_is_there_for_a_week_and_no_longer_than_its_account(backend: Backend) {
    let clock = Clock::manual(Clock::system().now());
    let rig = rig(backend, &clock).await;
    let client = rig.client();
    let ada = Session::register(&client, "ada").await;
    let export = until(&ada, &asked(&ada).await, "ready").await;
    assert!(kept(&rig).await > 0);
    clock.advance(Duration::from_secs(7 * 24 * 3_600 - 60));
    let ada = Session::login(&client, "ada", PASSWORD).await;
    fetched(&ada, &export).await;
    clock.advance(Duration::from_secs(61));
    // Whether it was removed yet or not.
    ada.get(export["url"].as_str().unwrap()).await.refused(404, "not_found");
    eventually("it was removed", SOON, async || {
        let listed = ada.get(EXPORT).await.expect(200).json();
        let left = kept(&rig).await;
        if left == 0 && listed["items"] == json!([]) { Ok(()) } else { Err((left, listed)) }
    })
    .await;
    // With the account it goes at once.
    until(&ada, &asked(&ada).await, "ready").await;
    assert!(kept(&rig).await > 0);
    ada.delete("/api/v2/auth/account").json(&json!({"password": PASSWORD})).await.expect(204);
    eventually("it went with the account", SOON, async || {
        let rows = texts(&rig, "auth", "SELECT status FROM exports").await;
        let left = kept(&rig).await;
        if left == 0 && rows.is_empty() { Ok(()) } else { Err((left, rows)) }
    })
    .await;
    rig.shutdown().await;
}

async fn it_can_be_done_without(backend: Backend) {
    let database = backend.database().await;
    let node = Node::builder().faults().database(&database).start().await;
    let (ada, bob) = (
        Session::register(&node.client(), "ada").await,
        Session::register(&node.client(), "bob").await,
    );
    let path = |export: &Value| format!("{EXPORT}/{}", export["id"].as_str().unwrap());
    let export = until(&ada, &asked(&ada).await, "ready").await;
    bob.delete(&path(&export)).await.refused(404, "not_found");
    ada.delete(&path(&export)).await.expect(204);
    ada.get(export["url"].as_str().unwrap()).await.refused(404, "not_found");
    ada.delete(&path(&export)).await.refused(404, "not_found");
    // While it is put together, by its owner or with the account: nothing is left either way.
    node.arm("records.page=delay(500ms)*1000").await;
    let begun = asked(&ada).await;
    ada.delete(&path(&begun)).await.expect(204);
    let third = asked(&ada).await;
    let refused = ada.post(EXPORT).json(&json!({"password": PASSWORD})).await.expect(202).json();
    assert_eq!(refused["id"], third["id"], "one at a time");
    ada.delete(&path(&third)).await.expect(204);
    // They count all the same.
    let refused = ada.post(EXPORT).json(&json!({"password": PASSWORD})).await;
    refused.refused(429, "rate_limited");
    let of_bob = asked(&bob).await;
    eventually("it is begun", SOON, async || {
        let answer = bob.get(&path(&of_bob)).await.expect(200).json();
        if answer["progress"]["records"].is_object() || !left(&node, &database).await.is_empty() {
            Ok(())
        } else {
            Err(answer)
        }
    })
    .await;
    bob.delete("/api/v2/auth/account").json(&json!({"password": PASSWORD})).await.expect(204);
    eventually("nothing is left", SOON, async || {
        let left = left(&node, &database).await;
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
    let of_bob = "SELECT id::text FROM exports WHERE status <> 'ended'";
    let of_bob = if backend == Backend::Postgres {
        of_bob
    } else {
        "SELECT status FROM exports WHERE status <> 'ended'"
    };
    assert_eq!(database.raw_sql("auth").await.texts(of_bob, 0).await.unwrap(), [""; 0]);
}

/// What there is of files, finished or not.
async fn left(node: &Node, database: &TestDatabase) -> Vec<String> {
    if database.backend() == Backend::Postgres {
        let all = "SELECT upload FROM blobs UNION ALL SELECT upload FROM pieces";
        return database.raw_sql("blobs").await.texts(all, 0).await.unwrap();
    }
    let folder = node.data_dir().join("blobs");
    let folders = [folder.join("exports"), folder.join(".partial")];
    let files = folders.iter().flat_map(std::fs::read_dir).flatten();
    files.map(|file| file.unwrap().path().display().to_string()).collect()
}

async fn what_a_node_was_at_when_it_died_it_begins_anew(backend: Backend) {
    let (database, smtp) = (backend.database().await, Smtp::start());
    let mut node = Node::builder().mail(smtp.port()).faults().database(&database).start().await;
    let ada = Session::register(&node.client(), "ada").await;
    // In the middle of it.
    node.arm("records.page=exit@9").await;
    let export = ada.post(EXPORT).idempotency_key("k").json(&json!({"password": PASSWORD}));
    drop(export.send().await);
    node.ended().await;
    node.restart().await;
    let ada = Session::login(&node.client(), "ada", PASSWORD).await;
    let export = ada.get(EXPORT).await.expect(200).json()["items"][0].clone();
    let export = until(&ada, &export, "ready").await;
    let files = files(&fetched(&ada, &export).await.body);
    assert_eq!(records(&files, "auth/account.jsonl").len(), 1);
    // Its owner hears of it twice: that it was asked for, and that it is there.
    let told = [smtp.mail_to(&email("ada"), 0).await, smtp.mail_to(&email("ada"), 1).await];
    assert!(told[0].subject().ends_with("is being put together"), "{told:?}");
    assert!(told[1].subject().ends_with("is there"), "{told:?}");
    assert!(told[1].text().contains("/account-export"), "{told:?}");
}

/// Through whichever gateway, whoever has put it together; and what can't be asked is waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_puts_it_together_whoever_is_gone_meanwhile() {
    let mut cluster = Cluster::builder()
        .await
        .node("n1", "gateway")
        .node("n2", "gateway,auth,admin,cms")
        .node("n3", "forum")
        .start()
        .await;
    let ada = Session::register(&cluster.client("n1"), "ada").await;
    cluster.node_mut("n3").kill9();
    cluster.await_status("n3", "n2", Some("down")).await;
    let export = asked(&ada).await;
    let path = format!("{EXPORT}/{}", export["id"].as_str().unwrap());
    eventually("it waits for the forum", SOON, async || {
        let answer = ada.get(&path).await.expect(200).json();
        let waits = answer["progress"]["waits_for"] == "forum" && answer["status"] == "waiting";
        if waits { Ok(()) } else { Err(answer) }
    })
    .await;
    cluster.node_mut("n3").restart().await;
    cluster.await_linked().await;
    let export = until(&ada, &export, "ready").await;
    let [one, other] = ["n1", "n2"].map(|gateway| ada.at(&cluster.client(gateway)));
    let (one, other) = (fetched(&one, &export).await, fetched(&other, &export).await);
    assert_eq!(one.body, other.body);
    assert!(files(&one.body).contains_key("forum/posts.jsonl"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_node_takes_over_what_one_was_at() {
    let mut cluster = Cluster::builder()
        .await
        .env("PANEL_FAULTS__ENABLED", "true")
        .node("n1", "gateway,forum,admin,cms")
        .node("n2", "auth")
        .node("n3", "auth")
        .start()
        .await;
    let ada = Session::register(&cluster.client("n1"), "ada").await;
    // Nobody is through with it before the first is gone.
    cluster.node("n1").arm("records.page=delay(5s)*1000").await;
    let export = asked(&ada).await;
    let claimed = "SELECT node FROM exports WHERE node IS NOT NULL";
    let first = eventually("a node is at it", SOON, async || {
        cluster.database().raw_sql("auth").await.texts(claimed, 0).await.unwrap().pop()
    })
    .await;
    cluster.node_mut(&first).kill9();
    cluster.node("n1").disarm().await;
    cluster.await_status(&first, "n1", Some("down")).await;
    let path = format!("{EXPORT}/{}", export["id"].as_str().unwrap());
    let export = eventually("the other is through", Duration::from_secs(60), async || {
        let answer = ada.get(&path).await;
        let is_ready = answer.status == 200 && answer.json()["status"] == "ready";
        if is_ready { Ok(answer.json()) } else { Err(answer) }
    })
    .await;
    assert!(files(&fetched(&ada, &export).await.body).contains_key("index.json"));
}
