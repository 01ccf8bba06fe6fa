//! What the edge shows to readers who are not signed in: what is kept while its service is there,
//! and while it is not.

use std::time::{Duration, Instant};

use panel_harness::{
    Answer, Backend, Client, Node, Postgres, Probe, Rig, RigBuilder, Session, TestDatabase, Thread,
    eventually,
};
use panel_kernel::role::Role;
use panel_kernel::time::{Clock, Timestamp};
use serde_json::json;

const WITHIN: Duration = Duration::from_secs(20);

/// Fresh for two seconds, and for a minute more if it must be.
const SHARED: &str = "/api/v2/probe/shared?control=public,s-maxage=2,stale-if-error=60";
/// Never fresh, and for a minute if it must be.
const COUNTED: &str = "/api/v2/probe/shared?control=public,max-age=0,stale-if-error=60";
const WRITE: &str = "/api/v2/probe/write";

async fn rig(clock: &Clock, probe: &Probe) -> Rig {
    let rig = RigBuilder::new(Backend::Sqlite.database().await).clock(clock.clone()).probe(probe);
    Box::pin(rig.start()).await
}

fn clock() -> Clock {
    Clock::manual(Timestamp::from_seconds(1_800_000_000))
}

/// How often the service had been asked when it gave this answer.
async fn count(client: &Client, path: &str) -> u64 {
    counted(&client.get(path).await.expect(200))
}

fn counted(answer: &Answer) -> u64 {
    answer.json()["count"].as_u64().unwrap()
}

fn is_stale(answer: &Answer) -> bool {
    let marks = ["x-panel-stale", "warning"].map(|name| answer.header(name).is_some());
    assert_eq!(marks[0], marks[1], "{answer:?}");
    marks[0]
}

#[tokio::test]
async fn what_is_public_is_asked_for_once_while_it_is_fresh() {
    let (clock, probe) = (clock(), Probe::new());
    let rig = rig(&clock, &probe).await;
    let client = rig.client();
    let first = client.get(SHARED).await.expect(200);
    clock.advance(Duration::from_millis(1_999));
    let again = client.get(SHARED).await.expect(200);
    assert_eq!((counted(&first), counted(&again)), (1, 1));
    assert_eq!((first.header("age"), again.header("age")), (Some("0"), Some("1")));
    assert!(
        again.headers.get_all("vary").iter().any(|on| on == "authorization, cookie, x-api-key")
    );
    assert!(again.header("etag").is_some() && again.header("etag") == first.header("etag"));
    assert!(!is_stale(&again));
    let tag = again.header("etag").unwrap();
    let same = client.get(SHARED).header("if-none-match", tag).await.expect(304);
    assert!(same.body.is_empty());
    let head = client.head(SHARED).await.expect(200);
    assert_eq!(head.header("content-length"), Some(first.body.len().to_string().as_str()));
    assert_eq!(probe.count("shared"), 1);
    clock.advance(Duration::from_millis(1));
    let new = client.get(SHARED).header("if-none-match", tag).await.expect(200);
    assert_eq!(counted(&new), 2);
    // What does not say that it is public is asked for each time.
    assert_eq!(count(&client, "/api/v2/probe/shared").await, 3);
    assert_eq!(count(&client, "/api/v2/probe/shared").await, 4);
    let private = "/api/v2/probe/shared?control=private,max-age=60";
    assert_eq!((count(&client, private).await, count(&client, private).await), (5, 6));
    let result = |result| {
        let labels = [("service", "probe"), ("result", result)];
        rig.metrics().count("panel_edge_cache_requests_total", &labels)
    };
    assert_eq!((result("hit"), result("stale"), result("shared")), (3, 0, 0));
    assert!(rig.metrics().count("panel_edge_cache_bytes", &[]) > 0);
    rig.shutdown().await;
}

#[tokio::test]
async fn who_sends_credentials_is_never_answered_from_it_and_never_fills_it() {
    let probe = Probe::new();
    let rig = rig(&clock(), &probe).await;
    let ada = rig.signed_in(Role::User);
    assert_eq!((count(&ada, SHARED).await, count(&ada, SHARED).await), (1, 2));
    let client = rig.client();
    assert_eq!((count(&client, SHARED).await, count(&client, SHARED).await), (3, 3));
    assert_eq!(count(&ada, SHARED).await, 4);
    let cookie = client.clone().with_header("cookie", "a=b");
    assert_eq!((count(&cookie, SHARED).await, count(&client, SHARED).await), (5, 3));
    // Also where what they send is good for nothing.
    client.get(SHARED).header("x-api-key", "k").await.refused(401, "unauthorized");
    assert_eq!(count(&ada, SHARED).await, 6);
    // And while the service fails, only what is for everybody stands in for everybody.
    probe.fail(true);
    ada.get(SHARED).await.refused(503, "unavailable");
    rig.shutdown().await;
}

#[tokio::test]
async fn what_was_written_here_is_seen_here_at_once() {
    let probe = Probe::new();
    let rig = rig(&clock(), &probe).await;
    let client = rig.client();
    for n in 1..=20 {
        assert_eq!((count(&client, SHARED).await, count(&client, SHARED).await), (n, n));
        client.post(WRITE).json(&json!({"value": n.to_string()})).await.expect(201);
    }
    rig.shutdown().await;
}

#[tokio::test]
async fn answers_are_kept_apart_by_what_they_depend_on() {
    let probe = Probe::new();
    let rig = rig(&clock(), &probe).await;
    let varies = format!("{SHARED}&vary=accept-language");
    let client = rig.client();
    let (german, french) = ("de", "fr");
    let reader = |language: &str| client.clone().with_header("accept-language", language);
    for _ in 0..3 {
        assert_eq!(count(&reader(german), &varies).await, 1);
        assert_eq!(count(&reader(french), &varies).await, 2);
    }
    // The order of parameters says nothing; their values do.
    let turned = "/api/v2/probe/shared?ms=1&control=public,s-maxage=2";
    let same = "/api/v2/probe/shared?control=public,s-maxage=2&ms=1";
    let other = "/api/v2/probe/shared?control=public,s-maxage=2&ms=2";
    assert_eq!((count(&client, turned).await, count(&client, same).await), (3, 3));
    assert_eq!(count(&client, other).await, 4);
    rig.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_ask_the_same_at_one_time_ask_once() {
    let probe = Probe::new();
    let clock = clock();
    let rig = rig(&clock, &probe).await;
    let client = rig.client();
    let slow = format!("{SHARED}&ms=500");
    assert_eq!(count(&client, &slow).await, 1);
    clock.advance(Duration::from_secs(3));
    // Of those who want to know whether it is still true, the first goes away before there is an
    // answer.
    let asked = eventually("it is asked", WITHIN, async || probe.count("shared") == 2);
    tokio::select! {
        biased;
        () = asked => {}
        answer = async { client.get(&slow).await } => panic!("too soon: {answer:?}"),
    }
    let asking = (0..50).map(|_| async { client.get(&slow).await });
    let asked = futures::future::join_all(asking).await;
    for answer in &asked {
        assert_eq!(counted(&answer.clone().expect(200)), 3);
    }
    assert_eq!(probe.count("shared"), 3);
    // What is for each by itself, each asks for, and at the same time.
    let own = "/api/v2/probe/shared?ms=300";
    let began = Instant::now();
    let asking = (0..20).map(|_| async { client.get(own).await.expect(200) });
    futures::future::join_all(asking).await;
    assert!(began.elapsed() < Duration::from_secs(3), "one after the other takes six");
    assert_eq!(probe.count("shared"), 23);
    rig.shutdown().await;
}

#[tokio::test]
async fn while_its_service_fails_what_is_kept_stands_in_and_says_so() {
    let (clock, probe) = (clock(), Probe::new());
    let rig = rig(&clock, &probe).await;
    let client = rig.client();
    for path in [SHARED, COUNTED] {
        let good = client.get(path).await.expect(200);
        let tag = good.header("etag").unwrap().to_owned();
        clock.advance(Duration::from_secs(30));
        probe.fail(true);
        let old = client.get(path).await.expect(200);
        assert!(is_stale(&old));
        assert_eq!((old.header("age"), old.header("etag")), (Some("30"), Some(tag.as_str())));
        assert_eq!(old.body, good.body);
        let same = client.get(path).header("if-none-match", &tag).await.expect(304);
        assert!(is_stale(&same));
        client.head(path).await.expect(200);
        // What was not read before can't be shown.
        let refused = client.get(&format!("{path}&ms=1")).await.refused(503, "unavailable");
        assert_eq!(refused.service.as_deref(), Some("probe"));
        probe.fail(false);
        assert!(!is_stale(&client.get(path).await.expect(200)));
        // Nor what is too old.
        clock.advance(Duration::from_secs(63));
        probe.fail(true);
        client.get(path).await.refused(503, "unavailable");
        probe.fail(false);
    }
    let stale = rig.metrics().count("panel_edge_cache_requests_total", &[("result", "stale")]);
    assert_eq!(stale, 6);
    rig.shutdown().await;
}

#[tokio::test]
async fn a_service_that_is_not_there_at_all_is_stood_in_for() {
    let (clock, probe) = (clock(), Probe::new());
    let rig = rig(&clock, &probe).await;
    let client = rig.client();
    let good = client.get(SHARED).await.expect(200);
    clock.advance(Duration::from_secs(5));
    rig.handle("probe").leave();
    eventually("it is gone", Duration::from_secs(5), async || {
        rig.runtime.directory.any("probe").is_none()
    })
    .await;
    let old = client.get(SHARED).await.expect(200);
    assert!(is_stale(&old));
    assert_eq!(old.body, good.body);
    client.get("/api/v2/probe/ok").await.refused(503, "unavailable");
    rig.shutdown().await;
}

#[tokio::test]
async fn a_cache_of_no_bytes_keeps_nothing() {
    let probe = Probe::new();
    let rig = RigBuilder::new(Backend::Sqlite.database().await).probe(&probe);
    let rig = Box::pin(rig.gateway(|gateway| gateway.cache.bytes = 0).start()).await;
    let client = rig.client();
    assert_eq!((count(&client, SHARED).await, count(&client, SHARED).await), (1, 2));
    probe.fail(true);
    client.get(SHARED).await.refused(503, "unavailable");
    rig.shutdown().await;
}

/// The public reads that are to survive an outage.
fn public(thread: &Thread) -> [String; 5] {
    let list = |path: &str| format!("/api/v2/{path}");
    let lists = [list("forum/categories"), list("forum/threads"), list("cms/posts")];
    let [categories, threads, articles] = lists;
    [categories, threads, articles, thread.path.clone(), thread.posts.clone()]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_database_the_site_is_read_from_what_is_kept() {
    let mut postgres = Postgres::private();
    let database = TestDatabase::on(&postgres).await;
    let node = Node::builder().database(&database).start().await;
    let (client, admin) = (node.client(), node.admin("root").await);
    let thread = Thread::open(&admin).await;
    let mut before = Vec::new();
    for path in public(&thread) {
        before.push(client.get(&path).await.expect(200));
    }
    postgres.stop();
    for (path, before) in public(&thread).iter().zip(&before) {
        // Fresh ones may still be fresh for a moment, and are shown for ten more while they are asked for anew.
        let old = eventually("it is marked stale", WITHIN, async || {
            let old = client.get(path).await.expect(200);
            if is_stale(&old) { Ok(old) } else { Err(old) }
        })
        .await;
        assert_eq!(old.header("etag"), before.header("etag"), "{path}");
        assert_eq!(old.body, before.body, "{path}");
        let tag = old.header("etag").unwrap();
        client.get(path).header("if-none-match", tag).await.expect(304);
    }
    client.get("/api/v2/forum/threads?limit=7").await.refused(503, "unavailable");
    admin.get("/api/v2/forum/threads").await.refused(503, "unavailable");
    let mut took = Vec::new();
    for _ in 0..51 {
        let began = Instant::now();
        thread.reply(&admin, "lost").await.refused(503, "unavailable");
        took.push(began.elapsed());
    }
    took.sort_unstable();
    assert!(took[25] < Duration::from_secs(1), "writes are refused in {:?}", took[25]);
    let logged = node.log_json();
    assert!(logged.iter().any(|line| line["cache"] == "stale" && line["status"] == 200));
    postgres.start();
    eventually("everything is as before", WITHIN, async || {
        for path in public(&thread) {
            let answer = client.get(&path).await.expect(200);
            if is_stale(&answer) {
                return Err(answer);
            }
        }
        let written = thread.reply(&admin, "after").idempotency_key("after").await;
        let session = Session::try_login(&client, "root", panel_harness::session::PASSWORD).await;
        match (written.status.as_u16(), session.status.as_u16()) {
            (201, 200) => Ok(()),
            _ => Err(written),
        }
    })
    .await;
    assert_eq!(thread.bodies(&client).await, ["first", "after"]);
}
