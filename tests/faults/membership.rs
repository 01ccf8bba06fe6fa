//! Who is in the cluster, how they find each other, and which of them is asked.

use std::collections::{BTreeMap, BTreeSet};

use std::time::{Duration, Instant};

use panel_harness::{Cluster, Session, checks, eventually};

use super::scene::{SERVICES, SOON, Scene, three};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_knows_one_node_finds_all() {
    let mut cluster = Cluster::builder().await.node("n1", "gateway").start().await;
    // In this order neither of the two can have been told of the other at its start.
    for name in ["n3", "n2"] {
        let node = cluster.plan_seeded(name, SERVICES, &["n1"]).start().await;
        cluster.add(node);
    }
    cluster.await_linked().await;
    // Nobody has told n1 of anybody: it is found again by those who know it.
    cluster.node_mut("n1").kill9();
    cluster.node_mut("n1").restart().await;
    cluster.await_linked().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_start_at_once_on_an_empty_database_all_serve() {
    let mut cluster = Cluster::builder().await.node("n1", "gateway").start().await;
    let names = ["n2", "n3", "n4"].iter();
    let plans: Vec<_> =
        names.map(|name| tokio::spawn(cluster.plan(name, SERVICES).start())).collect();
    for plan in plans {
        cluster.add(plan.await.unwrap());
    }
    cluster.await_linked().await;
    let mut scene = Scene::on(cluster).await;
    scene.begin().await;
    checks::failures_at_most(&scene.end().await, 0).unwrap();
}

/// Who has answered each of these requests, by the gateway's log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_dial_each_other_at_once_make_one_link() {
    let mut cluster = Cluster::builder().await.start().await;
    let second = cluster.plan_seeded("n2", SERVICES, &[]);
    let first = cluster.plan_seeded("n1", "gateway", &["n2"]);
    let second = second.args(["--seed", &cluster.proxy("n1").address().to_string()]);
    let (first, second) = tokio::join!(tokio::spawn(first.start()), tokio::spawn(second.start()));
    cluster.add(first.unwrap());
    cluster.add(second.unwrap());
    for _ in 0..5 {
        cluster.await_linked().await;
        cluster.client("n1").get("/api/v2/forum/threads").await.expect(200);
        for name in ["n1", "n2"] {
            assert_eq!(cluster.node(name).metrics().await.count("panel_cluster_links", &[]), 1);
            // The one that was made first was not given up for the other.
            assert!(!cluster.node(name).log_contains("a new link replaces"), "{name}");
        }
        let (mut first, mut second) = (cluster.take("n1"), cluster.take("n2"));
        first.kill9();
        second.kill9();
        tokio::join!(first.restart(), second.restart());
        cluster.add(first);
        cluster.add(second);
    }
}

async fn members(scene: &Scene, requests: &[String]) -> Vec<String> {
    eventually("all are logged", SOON, async || {
        let logged: BTreeMap<String, String> = scene
            .cluster
            .node("n1")
            .log_json()
            .iter()
            .filter_map(|line| {
                let field = |name: &str| line[name].as_str().map(str::to_owned);
                Some((field("request_id")?, field("member")?))
            })
            .collect();
        let found = requests.iter().map(|id| logged.get(id).cloned());
        found.collect::<Option<Vec<String>>>()
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_are_chosen_as_the_configuration_says() {
    let cluster = three()
        .await
        .env("PANEL_GATEWAY__BALANCE__FORUM", "round_robin")
        .env("PANEL_GATEWAY__BALANCE__AUTH", "session")
        .env("PANEL_GATEWAY__BALANCE__CMS", "header:x-tenant")
        .start()
        .await;
    let scene = Scene::on(cluster).await;
    let client = scene.cluster.client("n1");
    let id = |answer: panel_harness::Answer| {
        answer.expect(200).header("x-request-id").unwrap().to_owned()
    };
    let mut forum = Vec::new();
    for _ in 0..20 {
        forum.push(id(scene.admin.get(&scene.thread.path).await));
    }
    let asked = members(&scene, &forum).await;
    // In turn, but for one that was asked again.
    let by_turns = asked.iter().filter(|member| *member == "n2").count();
    assert!((8..=12).contains(&by_turns), "{asked:?}");

    // Each session has its member, and each tenant; and they are not all the same.
    let mut by_session = BTreeSet::new();
    let mut by_tenant = BTreeSet::new();
    for number in 0..64 {
        if number >= 4 && by_session.len() + by_tenant.len() == 4 {
            break;
        }
        let person = Session::register(&client, &format!("person{number}")).await;
        let (mut profile, mut posts) = (Vec::new(), Vec::new());
        for _ in 0..5 {
            profile.push(id(person.get("/api/v2/auth/profile").await));
            // Signed in: nothing is answered from the edge's cache.
            let asked = scene.admin.get("/api/v2/cms/posts");
            posts.push(id(asked.header("x-tenant", &format!("tenant{number}")).await));
        }
        for (asked, all) in [(profile, &mut by_session), (posts, &mut by_tenant)] {
            let one: BTreeSet<String> = members(&scene, &asked).await.into_iter().collect();
            assert_eq!(one.len(), 1, "{one:?}");
            all.extend(one);
        }
    }
    assert_eq!((by_session.len(), by_tenant.len()), (2, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_fails_costs_no_link() {
    let cluster = three().await.env("PANEL_FAULTS__ENABLED", "true").start().await;
    let mut scene = Scene::on(cluster).await;
    scene.begin().await;
    let order = serde_json::json!({"request": "panic", "actor": "cluster/links/agent"});
    scene.cluster.node("n2").told(order).await;
    let restarted = async || {
        let counted = scene.cluster.node("n2").metrics().await;
        let restarts =
            counted.find("panel_actor_restarts_total", &[("actor", "cluster/links/agent")]);
        restarts.is_some_and(|count| count > 0.0)
    };
    eventually("it is restarted", SOON, restarted).await;
    // Longer than a link lasts whose beats do not come back.
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(5) {
        scene.more().await;
    }
    for node in ["n1", "n3"] {
        let lines = scene.cluster.node(node).log_json();
        let linked =
            |line: &&serde_json::Value| line["message"] == "linked" && line["peer"] == "n2";
        assert_eq!(lines.iter().filter(linked).count(), 1, "the link of {node} is the first one");
    }
    checks::failures_at_most(&scene.end().await, 0).unwrap();
}
