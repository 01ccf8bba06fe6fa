//! The database is gone for a while.

use std::time::{Duration, Instant};

use panel_harness::{Answer, Cluster, Postgres, Proxy, TestDatabase, checks, eventually};
use serde_json::{Value, json};

use super::scale::{figure, is_measured, millis};
use super::scene::{Goal, SERVICES, SOON, Scene, three_on};

/// Between two writes of somebody who would like to know.
const PAUSE: Duration = Duration::from_millis(50);

/// What the gateway knows of the forum on `n2`: whether it has its database.
async fn is_ready(scene: &Scene) -> bool {
    let answer = scene.cluster.client("n1").get("/api/v2/services").await.expect(200).json();
    let forum = |service: &&Value| service["name"] == "forum";
    let service = answer["items"].as_array().unwrap().iter().find(forum).unwrap().clone();
    let members = service["members"].as_array().unwrap();
    let member = members.iter().find(|member| member["node"] == "n2").unwrap();
    assert_eq!((&member["status"], &member["breaker"]), (&json!("up"), &json!("closed")));
    member["ready"].as_bool().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_without_its_database_is_passed_over() {
    let builder = Cluster::builder().await.env("PANEL_LIMITS__ENABLED", "false");
    let mut cluster = builder.node("n1", "gateway").node("n3", SERVICES).start().await;
    let url = cluster.database().url().to_owned();
    let (before, rest) = url.split_once('@').unwrap();
    let (address, name) = rest.split_once('/').unwrap();
    let way = Proxy::start(address);
    let through = format!("{before}@{}/{name}", way.address());
    let node = cluster.plan("n2", SERVICES).database_url(&through).start().await;
    cluster.add(node);
    cluster.await_linked().await;
    let mut scene = Scene::on(cluster).await;
    assert!(is_ready(&scene).await);
    way.everybody().cut();
    eventually("it is known to be without", SOON, async || !is_ready(&scene).await).await;
    scene.begin().await;
    let cut = Instant::now();
    scene.more().await;
    way.heal();
    eventually("it is known to be whole", SOON, async || is_ready(&scene).await).await;
    scene.more().await;
    scene.end_without_failure("one node without its database", Goal::None, cut).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_database_the_site_is_read_and_comes_back_by_itself() {
    let mut server = Postgres::private();
    let database = TestDatabase::on(&server).await;
    let mut scene = Scene::on(three_on(database).await.start().await).await;
    let reader = scene.cluster.client("n1");
    let posts = scene.thread.posts.clone();
    let shown = |answer: &Answer| answer.json()["items"].as_array().unwrap().len();
    let whole = shown(&reader.get(&posts).await.expect(200));
    let pids = ["n1", "n2", "n3"].map(|name| scene.cluster.node(name).pid());
    let load = scene.load().await.pause(PAUSE);
    scene.begin_with(load).await;

    tokio::task::block_in_place(|| server.stop());
    let gone = Instant::now();
    let time = Duration::from_secs(if is_measured() { 10 } else { 3 });
    let mut refusals = Vec::new();
    let mut stale = 0;
    while gone.elapsed() < time {
        let sent = Instant::now();
        let refused = scene.thread.reply(&scene.admin, "meanwhile").await;
        let took = sent.elapsed();
        refused.refused(503, "unavailable");
        refusals.push(took);
        // What is shown is old, and says so; it is never half of it.
        let read = reader.get(&posts).await.expect(200);
        assert!(shown(&read) >= whole, "{read:?}");
        stale += usize::from(read.header("x-panel-stale").is_some());
        tokio::time::sleep(PAUSE).await;
    }
    assert!(stale > refusals.len() / 2, "{stale} of {}", refusals.len());

    tokio::task::block_in_place(|| server.start());
    let back = Instant::now();
    eventually("writes are taken again", SOON, async || {
        let answer = scene.thread.reply(&scene.admin, "again").idempotency_key("again").await;
        if answer.status == 201 { Ok(()) } else { Err(answer) }
    })
    .await;
    let returned = back.elapsed();
    scene.more().await;
    let history = scene.end().await;
    checks::only_fails_with(&history, &["503 unavailable"]).unwrap();
    let recovered = history.recovery(back).unwrap();
    assert_eq!(pids, ["n1", "n2", "n3"].map(|name| scene.cluster.node(name).pid()));

    refusals.sort_unstable();
    let (median, longest) = (refusals[refusals.len() / 2], refusals[refusals.len() - 1]);
    let within = |time: Duration, limit| time <= Duration::from_millis(limit);
    let name = "database gone: refusal of a write, median";
    figure(name, &millis(median), "≤ 50 ms", within(median, 50));
    let name = "database gone: refusal of a write, longest";
    figure(name, &millis(longest), "≤ 50 ms", within(longest, 50));
    let name = "database back: first write taken after";
    figure(name, &millis(returned), "≤ 2000 ms", within(returned, 2_000));
    let name = "database back: last failure after";
    figure(name, &millis(recovered), "≤ 2000 ms", within(recovered, 2_000));
}
