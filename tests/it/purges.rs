//! What writes make old of what gateways keep: no more than they say, at every gateway, and for good where something
//! is gone.

use std::time::{Duration, Instant};

use panel_harness::session::PASSWORD;
use panel_harness::{
    Answer, Backend, Client, Cluster, Probe, Rig, RigBuilder, Session, Thread, eventually,
};
use panel_kernel::time::{Clock, Timestamp};
use serde_json::{Value, json};

use crate::erasure::{administrator, category_made};
use crate::forum::Forum;

const SOON: Duration = Duration::from_secs(10);
const THREADS: &str = "/api/v2/forum/threads";

async fn rig() -> (Rig, Probe) {
    let (clock, probe) = (Clock::manual(Timestamp::from_seconds(1_800_000_000)), Probe::new());
    let rig = RigBuilder::new(Backend::Sqlite.database().await).clock(clock).probe(&probe);
    (Box::pin(rig.start()).await, probe)
}

/// An answer with these tags, fresh as long as the test lasts.
fn tagged(tags: &str) -> String {
    format!("/api/v2/probe/shared?control=public,s-maxage=60,stale-if-error=600&tags={tags}")
}

/// Which of these answers are still what they were, after a write that says so.
async fn kept(client: &Client, paths: &[String], write: Value) -> Vec<bool> {
    let read = async |path: &String| client.get(path).await.expect(200).json()["count"].clone();
    let mut before = Vec::new();
    for path in paths {
        before.push(read(path).await);
    }
    client.post("/api/v2/probe/write").json(&write).await.expect(201);
    let mut kept = Vec::new();
    for (path, before) in paths.iter().zip(before) {
        kept.push(read(path).await == before);
    }
    kept
}

#[tokio::test]
async fn a_write_makes_old_what_it_says_and_else_everything() {
    let (rig, _) = rig().await;
    let client = rig.client();
    let paths = [tagged("lists"), tagged("lists,one"), tagged("two"), tagged("")];
    let old = |tags: &[&str]| json!({"value": "v", "purge": {"old": {"tags": tags}}});
    let gone = |tags: &[&str]| json!({"value": "v", "purge": {"gone": {"tags": tags}}});
    let nothing = json!({"value": "v", "purge": {}});
    assert_eq!(kept(&client, &paths, nothing).await, [true, true, true, true]);
    assert_eq!(kept(&client, &paths, old(&["one"])).await, [true, false, true, true]);
    assert_eq!(kept(&client, &paths, gone(&["lists"])).await, [false, false, true, true]);
    assert_eq!(kept(&client, &paths, old(&["two", "three"])).await, [true, true, false, true]);
    let everything = json!({"value": "v"});
    assert_eq!(kept(&client, &paths, everything).await, [false, false, false, false]);
    // Nobody sees tags, or what is purged.
    let written = client.post("/api/v2/probe/write").json(&gone(&["lists"])).await.expect(201);
    let read = client.get(&tagged("lists")).await.expect(200);
    for answer in [written, read] {
        let names = answer.headers.keys().map(ToString::to_string);
        let told: Vec<String> =
            names.filter(|name| name.contains("tag") || name.contains("purge")).collect();
        assert!(told.is_empty() || told == ["etag"], "{told:?}");
    }
    let told = rig.metrics().count("panel_purges_total", &[("service", "probe"), ("kind", "gone")]);
    assert!(told >= 2);
    rig.shutdown().await;
}

#[tokio::test]
async fn what_is_gone_does_not_stand_in_and_what_is_old_does() {
    let (rig, probe) = rig().await;
    let client = rig.client();
    let write = async |purge: Value, fault: Option<&str>| {
        let write = json!({"value": "v", "purge": purge, "fault": fault});
        client.post("/api/v2/probe/write").json(&write).await
    };
    let is_shown = async |tags: &str| client.get(&tagged(tags)).await.status == 200;
    let fill = async || {
        probe.fail(false);
        for tags in ["one", "two", ""] {
            client.get(&tagged(tags)).await.expect(200);
        }
    };
    let gone = json!({"gone": {"tags": ["one"]}});
    // Also where nobody knew for a moment, or ever, whether it was done.
    for (fault, status) in [(None, 201), (Some("lose_first"), 201), (Some("panic_after"), 500)] {
        fill().await;
        write(gone.clone(), fault).await.expect(status);
        probe.fail(true);
        client.get(&tagged("one")).await.refused(503, "unavailable");
        assert!(is_shown("two").await && is_shown("").await, "{fault:?}");
    }
    fill().await;
    write(json!({"old": "everything"}), None).await.expect(201);
    probe.fail(true);
    for tags in ["one", "two", ""] {
        let old = client.get(&tagged(tags)).await.expect(200);
        assert_eq!(old.header("x-panel-stale"), Some("1"));
    }
    write(json!({"gone": "everything"}), None).await.expect(201);
    assert!(!is_shown("one").await && !is_shown("two").await && !is_shown("").await);
    // What did not happen removes nothing.
    fill().await;
    write(gone, Some("refuse")).await.expect(409);
    probe.fail(true);
    assert!(is_shown("one").await);
    rig.shutdown().await;
}

/// Two gateways, and a forum behind them both.
async fn cluster() -> (Cluster, Session) {
    let cluster = Cluster::builder()
        .await
        .node("n1", "gateway,auth,admin")
        .node("n2", "gateway,cms")
        .node("n3", "forum")
        .start()
        .await;
    let admin = cluster.node("n1").admin("root").await;
    (cluster, admin)
}

fn titles(answer: &Answer) -> Vec<String> {
    let listing = answer.json();
    let items = listing["items"].as_array().unwrap().iter();
    items.map(|item| item["title"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_through_one_gateway_is_soon_seen_through_another() {
    let (cluster, admin) = cluster().await;
    let other = cluster.client("n2");
    let thread = Thread::open(&admin).await;
    let category = thread.read(&cluster.client("n1")).await["category_id"].clone();
    let mut took = Vec::new();
    for n in 0..100 {
        // It is kept there, and fresh.
        other.get(THREADS).await.expect(200);
        let title = format!("title {n}");
        let new = json!({"category_id": category, "title": title, "body": "b"});
        admin.post(THREADS).json(&new).await.expect(201);
        let began = Instant::now();
        eventually("it is seen", SOON, async || {
            let listed = other.get(THREADS).await.expect(200);
            if titles(&listed).contains(&title) { Ok(()) } else { Err(listed) }
        })
        .await;
        took.push(began.elapsed());
    }
    took.sort_unstable();
    // Without being told it takes a second, and one reader more.
    let (half, most) = (took[took.len() / 2], took[took.len() * 99 / 100]);
    assert!(half < Duration::from_millis(100) && most < Duration::from_millis(900), "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_deleted_does_not_come_back_anywhere_while_the_forum_is_gone() {
    let (mut cluster, admin) = cluster().await;
    let other = cluster.client("n2");
    let (deleted, kept) = (Thread::open(&admin).await, Thread::open(&admin).await);
    let ada = Session::register(&cluster.client("n1"), "ada").await;
    let category = kept.read(&cluster.client("n1")).await["category_id"].clone();
    let new = json!({"category_id": category, "title": "hers", "body": "b"});
    let made = ada.post(THREADS).json(&new).await.expect(201).json();
    let hidden = format!("{THREADS}/{}/posts", made["id"].as_str().unwrap());
    let lists = [deleted.posts.as_str(), hidden.as_str(), THREADS];
    for path in lists.into_iter().chain([kept.posts.as_str(), deleted.path.as_str()]) {
        other.get(path).await.expect(200);
    }
    admin.delete(&deleted.path).await.expect(204);
    let posts = other.get(&hidden).await.expect(200).json();
    let post = posts["items"][0]["id"].as_str().unwrap().to_owned();
    let flag = json!({"reason": "spam"});
    let flags = format!("/api/v2/forum/posts/{post}/flags");
    admin.post(&flags).json(&flag).await.expect(201);
    let queue = admin.get("/api/v2/forum/moderation/queue").await.expect(200).json();
    let item = queue["items"][0]["id"].as_str().unwrap();
    admin.post(&format!("/api/v2/forum/moderation/queue/{item}/hide")).await.expect(200);
    let told = async |kind: &str| cluster.node("n2").metrics().await.count(kind, &[]);
    eventually("both are told", SOON, async || told("panel_edge_purges_total").await >= 2).await;
    eventually("they are gone", SOON, async || {
        let answers = [other.get(&deleted.posts).await, other.get(&hidden).await];
        answers.iter().all(|answer| answer.status == 404)
    })
    .await;
    cluster.node_mut("n3").kill9();
    let old = eventually("the others stand in", SOON, async || {
        let old = other.get(&kept.posts).await;
        if old.header("x-panel-stale").is_some() { Ok(old) } else { Err(old) }
    })
    .await;
    old.expect(200);
    for path in lists.into_iter().chain([deleted.path.as_str()]) {
        other.get(path).await.refused(503, "unavailable");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_heard_nothing_for_a_while_shows_nothing_of_before() {
    let (mut cluster, admin) = cluster().await;
    let other = cluster.client("n2");
    let thread = Thread::open(&admin).await;
    // It looks for members from time to time, and misses whom it has seen.
    let looked = async |cluster: &Cluster, message: &str| {
        eventually(message, SOON, async || {
            let log = cluster.node("n2").log_json();
            log.iter().any(|line| line["message"] == message && line["service"] == "forum")
        })
        .await;
    };
    looked(&cluster, "a member has come").await;
    let first = other.get(&thread.posts).await.expect(200);
    assert_eq!(first.json()["items"].as_array().unwrap().len(), 1);
    cluster.between("n2", "n3").cut();
    looked(&cluster, "a member was lost: what is kept of it is old").await;
    let old = eventually("it is on its own", SOON, async || {
        let old = other.get(&thread.posts).await;
        if old.header("x-panel-stale").is_some() { Ok(old) } else { Err(old) }
    })
    .await;
    assert_eq!(old.body, first.body);
    // What happens now, nobody can tell it.
    admin.delete(&thread.path).await.expect(204);
    cluster.between("n2", "n3").heal();
    eventually("it hears again", Duration::from_secs(30), async || {
        cluster.node("n2").log_contains("what is kept of it is gone")
    })
    .await;
    other.get("/api/v2/forum/categories").await.expect(200);
    cluster.node_mut("n3").kill9();
    eventually("the forum is gone", SOON, async || {
        other.get("/api/v2/forum/categories").await.header("x-panel-stale").is_some()
    })
    .await;
    other.get(&thread.posts).await.refused(503, "unavailable");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_service_changes_by_itself_is_seen_without_waiting() {
    // Nothing that is kept grows old while this clock stands still.
    let clock = Clock::manual(Clock::system().now());
    let rig = RigBuilder::everything(Backend::Sqlite.database().await).clock(clock);
    let rig = Box::pin(rig.start()).await;
    rig.await_signing_key().await;
    let root = administrator(&rig).await;
    let category = category_made(&root).await;
    let ada = Session::register(&rig.client(), "ada").await;
    let thread = json!({"category_id": category, "title": "t", "body": "b"});
    let thread = ada.post(THREADS).json(&thread).await.expect(201).json();
    let client = rig.client();
    let listed = async || client.get(THREADS).await.expect(200).json()["items"].clone();
    let name = async || listed().await[0]["author"]["name"].clone();
    assert_eq!(name().await, "ada");
    let renamed = json!({"display_name": "Ada L."});
    ada.patch("/api/v2/auth/profile").json(&renamed).await.expect(200);
    eventually("the new name is shown", SOON, async || name().await == "Ada L.").await;
    // What enough people find wrong is hidden by the forum itself.
    let posts = format!("{THREADS}/{}/posts", thread["id"].as_str().unwrap());
    let posts = client.get(&posts).await.expect(200).json();
    let flags = format!("/api/v2/forum/posts/{}/flags", posts["items"][0]["id"].as_str().unwrap());
    assert_eq!(listed().await.as_array().unwrap().len(), 1);
    for moderator in 0..3 {
        let name = format!("moderator{moderator}");
        Session::register(&rig.client(), &name).await;
        let role = format!("UPDATE users SET role = 4 WHERE username = '{name}'");
        rig.raw_sql("auth").await.run(&role).await;
        let moderator = Session::login(&rig.client(), &name, PASSWORD).await;
        moderator.post(&flags).json(&json!({"reason": "spam"})).await.expect(201);
    }
    eventually("it is hidden", SOON, async || listed().await.as_array().unwrap().is_empty()).await;
    let root_thread = json!({"category_id": category, "title": "u", "body": "b"});
    let bob = Session::register(&rig.client(), "bob").await;
    bob.post(THREADS).json(&root_thread).await.expect(201);
    assert_eq!(name().await, "bob");
    bob.delete("/api/v2/auth/account").json(&json!({"password": PASSWORD})).await.expect(204);
    eventually("the name is gone", SOON, async || name().await == "deleted user").await;
    rig.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_write_of_the_forum_makes_everything_old_without_need() {
    let forum = Forum::start(Backend::Sqlite).await;
    let (admin, ada) = (&forum.admin, forum.member("ada").await);
    let count = async |kind: &str| {
        let labels = [("service", "forum"), ("kind", kind)];
        forum.node.metrics().await.count("panel_purges_total", &labels)
    };
    let before = count("everything_old").await;
    let thread = forum.thread(&ada, "t").await;
    let at = |rest: &str| format!("{THREADS}/{}{rest}", thread["id"].as_str().unwrap());
    let reply = ada.post(&at("/posts")).json(&json!({"body": "b"})).await.expect(201).json();
    let post = format!("/api/v2/forum/posts/{}", reply["id"].as_str().unwrap());
    ada.patch(&post).json(&json!({"body": "c"})).await.expect(200);
    let reaction = forum_reaction(&ada, &post).await;
    ada.delete(&reaction).await.expect(200);
    for rest in ["/read", "/watch", "/unwatch"] {
        ada.post(&at(rest)).await.expect(200);
    }
    ada.post(&at("/typing")).await.expect(204);
    ada.delete("/api/v2/forum/unread").await.expect(204);
    ada.put("/api/v2/forum/drafts/d").json(&json!({"body": "x"})).await.expect(200);
    ada.delete("/api/v2/forum/drafts/d").await.expect(204);
    let blocked = format!("/api/v2/forum/blocks/{}", admin.user_id);
    ada.put(&blocked).await.expect(200);
    ada.delete(&blocked).await.expect(204);
    ada.post("/api/v2/forum/notifications/read").await.expect(200);
    admin.post(&format!("{post}/flags")).json(&json!({"reason": "spam"})).await.expect(201);
    let queue = admin.get("/api/v2/forum/moderation/queue").await.expect(200).json();
    let item =
        format!("/api/v2/forum/moderation/queue/{}", queue["items"][0]["id"].as_str().unwrap());
    admin.post(&format!("{item}/assign")).await.expect(200);
    admin.post(&format!("{item}/note")).json(&json!({"text": "n"})).await.expect(201);
    admin.post(&format!("{item}/approve")).await.expect(200);
    let rule = json!({"kind": "word", "pattern": "zzz", "action": "flag"});
    let rule = admin.post("/api/v2/forum/moderation/rules").json(&rule).await.expect(201).json();
    let rule = format!("/api/v2/forum/moderation/rules/{}", rule["id"].as_str().unwrap());
    admin.delete(&rule).await.expect(204);
    for rest in ["/pin", "/pin", "/unpin", "/lock", "/unlock"] {
        admin.post(&at(rest)).await.expect(200);
    }
    ada.delete(&post).await.expect(204);
    admin.post(&format!("{post}/restore")).await.expect(200);
    let gone = count("gone").await;
    assert!(gone >= 1 && count("old").await >= 8);
    admin.delete(&at("")).await.expect(204);
    assert!(count("gone").await > gone);
    admin.post(&at("/restore")).await.expect(200);
    assert_eq!(count("everything_old").await, before);
    assert_eq!(count("everything_gone").await, 0);
}

/// Reacts to a post in the first of the ways there are.
async fn forum_reaction(by: &Session, post: &str) -> String {
    let unknown = by.put(&format!("{post}/reactions/nothing")).await;
    let detail = unknown.json()["errors"][0]["message"].as_str().unwrap().to_owned();
    let names = detail.trim_start_matches("must be one of ").to_owned();
    let name = names.split(", ").next().unwrap();
    let reaction = format!("{post}/reactions/{name}");
    by.put(&reaction).await.expect(200);
    reaction
}
