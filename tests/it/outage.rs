//! Databases that are gone, full or taken, under a running node: what clients see meanwhile, and
//! that nothing acknowledged is lost and nobody has to restart anything.

use std::time::{Duration, Instant};

use panel_harness::session::PASSWORD;
use panel_harness::{
    Answer, Backend, Client, Node, Postgres, RigBuilder, Session, TestDatabase, Thread, eventually,
};
use panel_kernel::data::{DatabaseConfig, DatabaseHealth};
use serde_json::{Value, json};

/// Far below the ten seconds that a request may take.
const AT_ONCE: Duration = Duration::from_secs(3);
/// For a database to be found again.
const BACK: Duration = Duration::from_secs(15);

async fn health(client: &Client) -> Value {
    client.get("/api/v2/health").await.expect(200).json()
}

/// Waits until health says of the database that it is `status`; gives the services it names.
async fn degraded(client: &Client, status: &str) -> Vec<String> {
    eventually(&format!("health says {status}"), BACK, async || {
        let health = health(client).await;
        let database = &health["dependencies"]["database"];
        let told = health["status"] == "degraded" && database["status"] == status;
        if !told {
            return Err(health);
        }
        let services = database["services"].as_array().expect("services").iter();
        Ok(services.map(|name| name.as_str().expect("a name").to_owned()).collect::<Vec<_>>())
    })
    .await
}

async fn healthy(client: &Client) {
    eventually("health says that all is well", BACK, async || {
        let health = health(client).await;
        if health["status"] == "healthy" { Ok(()) } else { Err(health) }
    })
    .await;
}

async fn alive(node: &Node) {
    for path in ["/health/live", "/health/ready"] {
        node.ops_client().get(path).await.expect(200);
    }
}

/// Sends `count` of these at the same time: the answers, and how long the slowest took.
async fn at_once<F>(count: usize, send: impl Fn(usize) -> F) -> (Vec<Answer>, Duration)
where
    F: IntoFuture<Output = Answer, IntoFuture: Send + 'static>,
{
    let began = Instant::now();
    let tasks: Vec<_> = (0..count).map(|n| tokio::spawn(send(n).into_future())).collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    (answers, began.elapsed())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_writes_alone_and_until_there_is_room() {
    let node = Node::start().await;
    let client = node.client();
    let admin = node.admin("root").await;
    let thread = Thread::open(&admin).await;
    thread.reply(&admin, "before").await.expect(201);
    node.limit_files(Some(4_096));
    let reply = |key: usize| {
        thread.reply(&admin, &format!("full {key}")).idempotency_key(&format!("full-{key}"))
    };
    let (refused, took) = at_once(20, reply).await;
    assert!(took < AT_ONCE, "{took:?}");
    for answer in refused {
        assert_eq!(answer.refused(503, "unavailable").service.as_deref(), Some("forum"));
    }
    let services = degraded(&client, "read_only").await;
    assert!(services.contains(&"forum".to_owned()), "{services:?}");
    assert!(node.log_contains("database can't be written"));
    let ops = node.ops_client().get("/health").await.expect(200).json();
    let forum = ops["services"].as_array().unwrap().iter().find(|one| one["name"] == "forum");
    assert_eq!(forum.unwrap()["database"]["status"], "read_only", "{ops}");
    alive(&node).await;
    // Reading goes on, and shows what was acknowledged and nothing else.
    for _ in 0..10 {
        assert_eq!(thread.bodies(&client).await, ["first", "before"]);
    }
    // Whatever waits to be written at the next look: a second round is refused as well.
    reply(0).await.refused(503, "unavailable");
    node.limit_files(None);
    // Each that was refused is sent again under its key, and is there once.
    for key in 0..20 {
        reply(key).await.expect(201);
    }
    healthy(&client).await;
    let mut bodies = thread.bodies(&client).await;
    assert_eq!(bodies[..2], ["first", "before"]);
    bodies.sort_unstable();
    bodies.dedup();
    assert_eq!(bodies.len(), 22, "{bodies:?}");
    assert_eq!(node.metrics().await.count("panel_actor_restarts_total", &[]), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_may_go_and_come_back() {
    let mut postgres = Postgres::private();
    let database = TestDatabase::on(&postgres).await;
    let node = Node::builder().database(&database).start().await;
    let client = node.client();
    let admin = node.admin("root").await;
    let thread = Thread::open(&admin).await;
    // Writers that note what was acknowledged, while the server goes.
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let (admin, thread) = (admin.clone(), thread.clone());
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                loop {
                    let body = format!("{writer}-{}", acknowledged.len());
                    let answer = thread.reply(&admin, &body).await;
                    if answer.status != 201 {
                        answer.refused(503, "unavailable");
                        return acknowledged;
                    }
                    acknowledged.push(body);
                }
            })
        })
        .collect();
    eventually("some posts are there", BACK, async || {
        thread.read(&client).await["reply_count"].as_u64() >= Some(20)
    })
    .await;
    postgres.stop();
    let mut acknowledged = vec!["first".to_owned()];
    for writer in writers {
        acknowledged.extend(writer.await.unwrap());
    }
    // Everybody is told at once, however many ask, and nothing piles up.
    for _ in 0..3 {
        let read = |_| client.get(&thread.posts);
        let write = |_| thread.reply(&admin, "lost");
        for (answers, took) in [at_once(50, read).await, at_once(50, write).await] {
            assert!(took < AT_ONCE, "{took:?}");
            for answer in answers {
                let problem = answer.refused(503, "unavailable");
                assert_eq!(problem.service.as_deref(), Some("forum"));
            }
        }
    }
    Session::try_login(&client, "root", "whatever it is").await.refused(503, "unavailable");
    degraded(&client, "down").await;
    alive(&node).await;
    postgres.start();
    healthy(&client).await;
    let found = thread.bodies(&client).await;
    for body in &acknowledged {
        let times = found.iter().filter(|other| *other == body).count();
        assert_eq!(times, 1, "{body} was acknowledged and is there {times} times");
    }
    assert!(!found.contains(&"lost".to_owned()));
    thread.reply(&admin, "after").await.expect(201);
    // Nobody had to be restarted for it.
    assert_eq!(node.metrics().await.count("panel_actor_restarts_total", &[]), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_starts_without_its_database_and_finds_it_later() {
    let mut postgres = Postgres::private();
    let database = TestDatabase::on(&postgres).await;
    postgres.stop();
    let node = Node::builder().database(&database).may_be_degraded().start().await;
    let client = node.client();
    alive(&node).await;
    assert_eq!(degraded(&client, "down").await, ["auth", "forum", "cms", "admin"]);
    let (answers, took) = at_once(20, |_| client.get("/api/v2/forum/threads")).await;
    assert!(took < AT_ONCE, "{took:?}");
    for answer in answers {
        answer.refused(503, "unavailable");
    }
    let account = json!({"username": "ada", "email": "a@example.org", "password": PASSWORD});
    client.post("/api/v2/auth/register").json(&account).await.refused(503, "unavailable");
    postgres.start();
    // The schemas are made then, and the first keys, and the link for the first administrator.
    healthy(&client).await;
    client.get("/api/v2/forum/threads").await.expect(200);
    let link = node.data_dir().join("setup-link");
    eventually("the setup link is written", BACK, async || link.exists()).await;
    let admin = node.admin("root").await;
    let thread = Thread::open(&admin).await;
    thread.reply(&admin, "at last").await.expect(201);
    assert_eq!(thread.bodies(&client).await, ["first", "at last"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_that_is_taken_refuses_soon_and_serves_again() {
    let settings = |settings: &mut DatabaseConfig| {
        settings.connections = 2;
        settings.acquire_timeout = "200ms".parse().unwrap();
    };
    let database = Backend::Postgres.database().await;
    let rig = Box::pin(RigBuilder::new(database).database_settings(settings).start()).await;
    let client = rig.client();
    let write = |_| client.post("/api/v2/probe/write").json(&json!({"value": "x"}));
    write(0).await.expect(201);
    // As two slow requests would.
    let db = rig.database("probe");
    let held = (db.reader().await.unwrap(), db.reader().await.unwrap());
    let read = |_| client.get("/api/v2/probe/effects");
    for (answers, took) in [at_once(20, read).await, at_once(20, write).await] {
        assert!(took < AT_ONCE, "{took:?}");
        for answer in answers {
            answer.refused(503, "unavailable");
        }
    }
    // What needs no connection is served, and nobody takes the database for gone.
    client.get("/api/v2/probe/ok").await.expect(200);
    assert_eq!(db.health(), DatabaseHealth::Up);
    drop(held);
    let effects = client.get("/api/v2/probe/effects").await.expect(200).json();
    assert_eq!(effects["count"], 1, "what was refused was not done");
    write(0).await.expect(201);
    rig.shutdown().await;
}

/// A server that takes no more sessions is not gone: the sessions there are go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_room_for_more_sessions_is_still_there() {
    use sqlx::Connection as _;
    let postgres = Postgres::private();
    let database = TestDatabase::on(&postgres).await;
    let name = database.url().rsplit_once('/').unwrap().1;
    let role = "CREATE ROLE few LOGIN CONNECTION LIMIT 8";
    let role = format!("{role}; ALTER DATABASE {name} OWNER TO few");
    database.raw_sql("public").await.run(&role).await;
    let database = database.for_role("few");
    let url = database.url().to_owned();
    let few = |settings: &mut DatabaseConfig| settings.connections = 2;
    let rig = Box::pin(RigBuilder::new(database).database_settings(few).start()).await;
    let client = rig.client();
    let read = || client.get("/api/v2/probe/effects");
    // Every session that this service may have, so that it asks for no other.
    let db = rig.database("probe");
    drop((db.reader().await.unwrap(), db.reader().await.unwrap()));
    let mut others = Vec::new();
    while let Ok(other) = sqlx::PgConnection::connect(&url).await {
        others.push(other);
        assert!(others.len() < 12, "the server has no end");
    }
    rig.kill("probe/keeper").await;
    for _ in 0..50 {
        read().await.expect(200);
        assert_eq!(db.health(), DatabaseHealth::Up);
    }
    drop(others);
    rig.shutdown().await;
}
