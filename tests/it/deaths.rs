//! Deaths of single actors and of whole services, with requests in their hands: who was asked is
//! always answered, at most what was in those hands fails, and the next request is served.

use std::sync::Arc;
use std::time::Duration;

use panel_harness::{
    Answer, Backend, Client, PASSWORD, Probe, Rig, RigBuilder, Session, eventually,
    on_both_databases,
};
use panel_kernel::config::{PoolConfig, Section};
use panel_kernel::data::DbError;
use panel_kernel::role::Role;
use panel_kernel::service::{Registration, ServiceSpec};
use serde_json::json;
use tokio::sync::oneshot;

on_both_databases!(
    the_death_of_any_part_costs_at_most_what_it_held,
    a_forum_outlives_its_view_counter,
    a_forum_outlives_its_search_indexer,
    a_forum_outlives_its_moderation_automat,
    a_forum_outlives_its_notifier,
    a_forum_outlives_its_digester,
    auth_outlives_its_token_keeper,
    auth_outlives_its_mailer_and_its_exporter,
    a_whole_service_restarts_with_requests_inside,
);

const WITHIN: Duration = Duration::from_secs(10);

fn write(client: &Client, value: &str) -> panel_harness::http::RequestBuilder {
    client.post("/api/v2/probe/write").json(&json!({ "value": value }))
}

async fn effects(client: &Client) -> Vec<String> {
    let effects = client.get("/api/v2/probe/effects").await.expect(200).json();
    serde_json::from_value(effects["values"].clone()).unwrap()
}

/// Reads and writes, as fast as they are answered, until they are told to stop.
struct Traffic {
    stop: Arc<std::sync::atomic::AtomicBool>,
    tasks: Vec<tokio::task::JoinHandle<Vec<(String, Answer)>>>,
}

impl Traffic {
    fn start(rig: &Rig, name: &str) -> Self {
        let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let tasks = (0..4)
            .map(|task| {
                let (client, stop) = (rig.client(), Arc::clone(&stop));
                let name = name.to_owned();
                tokio::spawn(async move {
                    let mut written = Vec::new();
                    for number in 0.. {
                        if stop.load(std::sync::atomic::Ordering::SeqCst) {
                            break;
                        }
                        let value = format!("{name} {task}-{number}");
                        let answer = write(&client, &value).await;
                        written.push((value, answer));
                        let read = client.get("/api/v2/probe/ok").await;
                        assert!(matches!(read.status.as_u16(), 200 | 503), "{read:?}");
                    }
                    written
                })
            })
            .collect();
        Self { stop, tasks }
    }

    /// Stops, and gives what was acknowledged. Whatever else there was is 503.
    async fn stop(self) -> Vec<String> {
        self.stop.store(true, std::sync::atomic::Ordering::SeqCst);
        let mut acknowledged = Vec::new();
        for task in self.tasks {
            for (value, answer) in task.await.unwrap() {
                if answer.status == 201 {
                    acknowledged.push(value);
                } else {
                    answer.refused(503, "unavailable");
                }
            }
        }
        acknowledged
    }
}

async fn the_death_of_any_part_costs_at_most_what_it_held(backend: Backend) {
    let rig = Rig::start(backend).await;
    let client = rig.client();
    let mut parts = vec!["probe/keeper", "probe/janitor", "gateway/identity"];
    if backend == Backend::Sqlite {
        parts.push("probe/writer");
    }
    for part in parts {
        let traffic = Traffic::start(&rig, part);
        rig.kill(part).await;
        // As soon as it is back, all is well.
        write(&client, part).await.expect(201);
        let acknowledged = traffic.stop().await;
        assert!(!acknowledged.is_empty(), "{part}");
        let found = effects(&client).await;
        for value in &acknowledged {
            let times = found.iter().filter(|other| *other == value).count();
            assert_eq!(times, 1, "{part}: {value} was acknowledged and is there {times} times");
        }
        rig.await_up().await;
    }
    // None of this took anything else with it.
    for whole in ["probe", "gateway", "probe/serving", "probe/serving/pool"] {
        assert_eq!(rig.restarts(whole), 0, "{whole}");
    }
    rig.shutdown().await;
}

/// A write that waits inside its transaction until it is let go.
struct Held {
    begun: oneshot::Receiver<()>,
    _go: oneshot::Sender<()>,
    done: tokio::task::JoinHandle<Result<(), DbError>>,
}

fn held(rig: &Rig) -> Held {
    let db = rig.database("probe");
    let (tell, begun) = oneshot::channel();
    let (go, gone) = oneshot::channel::<()>();
    let done = tokio::spawn(async move {
        db.transact(move |_| {
            Box::pin(async move {
                tell.send(()).unwrap();
                drop(gone.await);
                Ok(())
            })
        })
        .await
    });
    Held { begun, _go: go, done }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dying_writer_holds_is_answered() {
    let rig = Rig::start(Backend::Sqlite).await;
    let client = rig.client();
    let mut first = held(&rig);
    (&mut first.begun).await.unwrap();
    // One in its hands, and others in its mailbox.
    let waiting: Vec<_> = (0..10)
        .map(|n| {
            let send = write(&client, &format!("waiting {n}")).idempotency_key(&format!("k{n}"));
            tokio::spawn(send.into_future())
        })
        .collect();
    eventually("they wait for the writer", WITHIN, async || {
        rig.handle("probe").load.inside() == 10
    })
    .await;
    rig.kill("probe/writer").await;
    let lost = first.done.await.unwrap();
    assert!(matches!(lost, Err(DbError::OutcomeUnknown(_))), "{lost:?}");
    let mut answered = 0;
    for answer in waiting {
        let answer = answer.await.unwrap();
        assert!(matches!(answer.status.as_u16(), 201 | 503), "{answer:?}");
        answered += 1;
    }
    assert_eq!(answered, 10);
    // Sent again under their keys, all of them are there, and each of them once.
    for n in 0..10 {
        write(&client, &format!("waiting {n}")).idempotency_key(&format!("k{n}")).await.expect(201);
    }
    let mut found = effects(&client).await;
    found.sort_unstable();
    let expected: Vec<String> = (0..10).map(|n| format!("waiting {n}")).collect();
    assert_eq!(found, expected);
    rig.shutdown().await;
}

pub(crate) fn configured(service: &Registration, values: serde_json::Value) -> ServiceSpec {
    (service.configure)(&Section { path: service.name.to_owned(), values }).unwrap()
}

/// Where a new thread is.
async fn thread(moderator: &Client) -> String {
    let category = moderator.post("/api/v2/forum/categories").json(&json!({"name": "C"}));
    let category = category.await.expect(201).json()["id"].clone();
    let thread = json!({"category_id": category, "title": "t", "body": "first"});
    let thread = moderator.post("/api/v2/forum/threads").json(&thread).await.expect(201).json();
    format!("/api/v2/forum/threads/{}", thread["id"].as_str().unwrap())
}

async fn a_forum_outlives_its_view_counter(backend: Backend) {
    let forum = configured(&panel_forum::SERVICE, json!({}));
    let rig = Box::pin(RigBuilder::new(backend.database().await).service(forum).start()).await;
    let moderator = rig.signed_in(Role::Moderator);
    let path = thread(&moderator).await;
    let read = async || moderator.get(&path).await.expect(200).json();
    read().await;
    rig.kill("forum/view_counter").await;
    // What it held is lost, and readers do not notice; what comes after is counted.
    for _ in 0..3 {
        read().await;
    }
    assert!(rig.runtime.tree.restart("forum/view_counter"), "it writes when it stops");
    eventually("views are counted", WITHIN, async || {
        let views = read().await["view_count"].as_u64();
        if views >= Some(3) { Ok(()) } else { Err(views) }
    })
    .await;
    assert_eq!(rig.restarts("forum"), 0);
    rig.shutdown().await;
}

async fn a_forum_outlives_its_search_indexer(backend: Backend) {
    let forum = configured(&panel_forum::SERVICE, json!({}));
    let rig = Box::pin(RigBuilder::new(backend.database().await).service(forum).start()).await;
    let moderator = rig.signed_in(Role::Moderator);
    let category = moderator.post("/api/v2/forum/categories").json(&json!({"name": "C"}));
    let category = category.await.expect(201).json()["id"].clone();
    let open = async |title: &str| {
        let thread = json!({"category_id": category, "title": title, "body": "first"});
        moderator.post("/api/v2/forum/threads").json(&thread).await.expect(201)
    };
    let finds = async |word: &str, count: usize| {
        let path = format!("/api/v2/forum/search?q={word}");
        eventually(&format!("{count} with {word} are found"), WITHIN, async || {
            let found = moderator.get(&path).await.expect(200).json();
            let found = found["items"].as_array().unwrap().len();
            if found == count { Ok(()) } else { Err(found) }
        })
        .await;
    };
    open("before").await;
    finds("before", 1).await;
    rig.kill("forum/search_indexer").await;
    // Facts tell what is written, whether it is there or not.
    open("after").await;
    finds("after", 1).await;
    // And it goes on with what is to be indexed anew.
    let mut sql = rig.raw_sql("forum").await;
    for change in ["DELETE FROM post_search", "UPDATE search_progress SET version = 0"] {
        sql.run(change).await;
    }
    assert!(rig.runtime.tree.restart("forum/search_indexer"), "it looks when it starts");
    finds("first", 2).await;
    assert_eq!(rig.restarts("forum"), 0);
    rig.shutdown().await;
}

async fn a_forum_outlives_its_moderation_automat(backend: Backend) {
    let settings =
        json!({"moderation": {"hide_at": 1}, "trust": {"known_after": "0s", "known_posts": 0}});
    let forum = configured(&panel_forum::SERVICE, settings);
    let rig = Box::pin(RigBuilder::new(backend.database().await).service(forum).start()).await;
    let moderator = rig.signed_in(Role::Moderator);
    let (ada, bob) = (rig.signed_in(Role::User), rig.signed_in(Role::User));
    let posts = format!("{}/posts", thread(&moderator).await);
    for round in 0..3 {
        let post = ada.post(&posts).json(&json!({"body": "loud"})).await.expect(201).json();
        let flags = format!("/api/v2/forum/posts/{}/flags", post["id"].as_str().unwrap());
        rig.kill("forum/moderation_automat").await;
        // Taken, whether it is there or not; what that comes to is done when it is back.
        bob.post(&flags).json(&json!({"reason": "spam"})).await.expect(201);
        eventually("the post is hidden", WITHIN, async || {
            let shown = bob.get(&posts).await.expect(200).json();
            shown["items"][round + 1]["hidden"] == true
        })
        .await;
    }
    // Once each: nothing was counted twice.
    let shown = moderator.get(posts.trim_end_matches("/posts")).await.expect(200).json();
    assert_eq!(shown["reply_count"], 0);
    let statement = "SELECT action FROM moderation_log WHERE action = 'post.hide'";
    let done = rig.raw_sql("forum").await.texts(statement, 0).await.unwrap();
    assert_eq!(done.len(), 3);
    assert_eq!(rig.restarts("forum"), 0);
    rig.shutdown().await;
}

async fn a_forum_outlives_its_notifier(backend: Backend) {
    let forum = configured(&panel_forum::SERVICE, json!({"trust": {"posts_per_minute": 1000}}));
    let rig = Box::pin(RigBuilder::new(backend.database().await).service(forum).start()).await;
    let moderator = rig.signed_in(Role::Moderator);
    let (ada, bob) = (rig.signed_in(Role::User), rig.signed_in(Role::User));
    let posts = format!("{}/posts", thread(&moderator).await);
    let first = ada.post(&posts).json(&json!({"body": "first"})).await.expect(201).json();
    let mut written = Vec::new();
    for n in 0..30 {
        // Not more often than its supervisor puts up with.
        if n % 8 == 0 {
            rig.kill("forum/notifier").await;
        }
        // Whether it is there or not.
        let reply = json!({"body": n.to_string(), "reply_to": first["id"]});
        let reply = bob.post(&posts).json(&reply).await.expect(201).json();
        written.push(reply["id"].clone());
    }
    let heard = eventually("everything is told", WITHIN, async || {
        let told = ada.get("/api/v2/forum/notifications?limit=100").await.expect(200).json();
        let told = told["items"].as_array().unwrap().clone();
        if told.len() >= written.len() { Ok(told) } else { Err(told.len()) }
    })
    .await;
    // In the order in which it was written, each once.
    let heard: Vec<_> = heard.iter().rev().map(|it| it["post_id"].clone()).collect();
    assert_eq!(heard, written);
    assert_eq!(rig.restarts("forum"), 0);
    rig.shutdown().await;
}

async fn a_forum_outlives_its_digester(backend: Backend) {
    let forum = configured(&panel_forum::SERVICE, json!({}));
    let rig = Box::pin(RigBuilder::new(backend.database().await).service(forum).start()).await;
    let moderator = rig.signed_in(Role::Moderator);
    let (ada, bob) = (rig.signed_in(Role::User), rig.signed_in(Role::User));
    let posts = format!("{}/posts", thread(&moderator).await);
    let daily = json!({"digest": "daily"});
    ada.put("/api/v2/forum/notifications/preferences").json(&daily).await.expect(200);
    let hers = ada.post(&posts).json(&json!({"body": "hers"})).await.expect(201).json();
    for round in 1..=3 {
        let reply = json!({"body": round.to_string(), "reply_to": hers["id"]});
        bob.post(&posts).json(&reply).await.expect(201);
        eventually("she is told", WITHIN, async || {
            let unread = "/api/v2/forum/notifications/count";
            ada.get(unread).await.expect(200).json()["unread"] == round
        })
        .await;
        let mut sql = rig.raw_sql("forum").await;
        sql.run("UPDATE digests SET next_at = 1").await;
        rig.kill("forum/digester").await;
        eventually("a mail of it is asked for", WITHIN, async || {
            let asked = "SELECT topic FROM outbox WHERE topic = 'mail.requested'";
            let asked = rig.raw_sql("forum").await.texts(asked, 0).await.unwrap().len();
            if asked == round { Ok(()) } else { Err(asked) }
        })
        .await;
    }
    assert_eq!(rig.restarts("forum"), 0);
    rig.shutdown().await;
}

async fn auth_outlives_its_token_keeper(backend: Backend) {
    // Passwords that take a while, one at a time.
    let slow = json!({"hashing_threads": 1, "argon2_iterations": 8, "login_attempts": 100});
    let auth = configured(&panel_auth::SERVICE, slow);
    let rig = Box::pin(RigBuilder::new(backend.database().await).service(auth).start()).await;
    let client = rig.client();
    let login = || panel_harness::Session::try_login(&client, "nobody", "no such password");
    let logins: Vec<_> = (0..8)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move {
                panel_harness::Session::try_login(&client, "nobody", "no such password").await
            })
        })
        .collect();
    eventually("they are inside", WITHIN, async || rig.handle("auth").load.inside() > 4).await;
    rig.kill("auth/token_keeper").await;
    for answer in logins {
        let answer = answer.await.unwrap();
        match answer.status.as_u16() {
            401 => drop(answer.refused(401, "unauthorized")),
            _ => drop(answer.refused(503, "unavailable")),
        }
    }
    login().await.refused(401, "unauthorized");
    assert_eq!(rig.restarts("auth"), 0);
    rig.shutdown().await;
}

async fn auth_outlives_its_mailer_and_its_exporter(backend: Backend) {
    let cheap = json!({"argon2_memory_kib": 64, "argon2_iterations": 1});
    let auth = configured(&panel_auth::SERVICE, cheap);
    let builder = RigBuilder::new(backend.database().await).identity("auth").service(auth);
    let rig = Box::pin(builder.start()).await;
    rig.await_signing_key().await;
    let ada = Session::register(&rig.client(), "ada").await;
    let mails = || {
        let directory = std::fs::read_dir(rig.runtime.data_dir.join("mail"));
        let files = directory.into_iter().flatten().map(|file| file.unwrap().path());
        files.filter(|file| file.extension().is_some_and(|it| it == "eml")).count()
    };
    // What was asked for while they were dead, or in their hands, comes all the same.
    let export = "/api/v2/auth/account/export";
    let before = mails();
    for part in ["auth/exporter", "auth/mailer"] {
        let asked = ada.post(export).json(&json!({"password": PASSWORD})).await.expect(202).json();
        rig.kill(part).await;
        let path = format!("{export}/{}", asked["id"].as_str().unwrap());
        eventually("it is there", WITHIN, async || {
            let answer = ada.get(&path).await.expect(200).json();
            if answer["status"] == "ready" { Ok(()) } else { Err(answer) }
        })
        .await;
    }
    eventually("both are told of", WITHIN, async || {
        let told = mails() - before;
        // Of the four, the one that was in the mailer's hands is tried again a minute later.
        if told >= 3 { Ok(()) } else { Err(told) }
    })
    .await;
    assert_eq!(rig.restarts("auth"), 0);
    rig.shutdown().await;
}

async fn a_whole_service_restarts_with_requests_inside(backend: Backend) {
    let probe = Probe::new();
    let pool = PoolConfig { workers: 4, queue: 64 };
    let builder = RigBuilder::new(backend.database().await)
        .service(probe.spec_with(pool))
        .probe(&probe)
        .request_timeout(Duration::from_secs(6));
    let rig = Box::pin(builder.start()).await;
    let client = rig.client();
    // Four that would not end in the time a pool is given to stop, and many that wait.
    let stalled: Vec<_> =
        (0..4).map(|_| tokio::spawn(client.get("/api/v2/probe/stall").into_future())).collect();
    eventually("all workers are busy", WITHIN, async || probe.count("stall") == 4).await;
    let waiting: Vec<_> =
        (0..20).map(|n| tokio::spawn(write(&client, &n.to_string()).into_future())).collect();
    eventually("all are inside", WITHIN, async || rig.handle("probe").load.inside() == 24).await;
    assert!(rig.runtime.tree.restart("probe"));
    let mut acknowledged = Vec::new();
    for (number, answer) in waiting.into_iter().enumerate() {
        let answer = answer.await.unwrap();
        match answer.status.as_u16() {
            201 => acknowledged.push(number.to_string()),
            _ => drop(answer.refused(503, "unavailable")),
        }
    }
    for answer in stalled {
        let answer = answer.await.unwrap();
        assert!(matches!(answer.status.as_u16(), 503 | 504), "{answer:?}");
    }
    eventually("it was restarted", WITHIN, async || rig.restarts("probe") == 1).await;
    rig.await_up().await;
    let mut found = effects(&client).await;
    found.sort_unstable();
    acknowledged.sort_unstable();
    for value in &acknowledged {
        assert!(found.contains(value), "{value} was acknowledged and is gone");
    }
    let before = found.len();
    found.dedup();
    assert_eq!(found.len(), before, "each at most once: {found:?}");
    write(&client, "after").await.expect(201);
    assert_eq!(rig.handle("probe").load.inside(), 0, "every place was given back");
    rig.shutdown().await;
}
