//! What gateways keep in Redis, for while a service can't be asked.

use std::time::{Duration, Instant};

use panel_harness::{
    Answer, Backend, Client, Cluster, Probe, Redis, Rig, RigBuilder, Thread, eventually,
};
use panel_kernel::purge::stamps;
use panel_kernel::role::Role;
use panel_kernel::time::{Clock, Timestamp};
use serde_json::json;

const SOON: Duration = Duration::from_secs(10);
/// No two clocks differ more: what was asked for so soon after a stamp is not believed.
const SKEW: Duration = Duration::from_secs(6);

/// A gateway whose own memory holds nothing.
async fn rig(server: &Redis, redis_bytes: u64) -> (Rig, Clock, Probe) {
    let (clock, probe) = (Clock::manual(Timestamp::from_seconds(1_800_000_000)), Probe::new());
    let rig = RigBuilder::new(Backend::Sqlite.database().await).clock(clock.clone()).probe(&probe);
    let rig = rig.redis(&server.url(), |redis| redis.timeout = "500ms".parse().unwrap());
    let rig = rig.gateway(|gateway| {
        gateway.cache.bytes = 1;
        gateway.cache.redis_bytes = redis_bytes;
    });
    let rig = Box::pin(rig.start()).await;
    eventually("redis is up", SOON, async || rig.runtime.redis.is_up()).await;
    stamped(server, "panel:gone:probe").await;
    clock.advance(SKEW);
    (rig, clock, probe)
}

async fn stamped(server: &Redis, key: &str) {
    eventually("it is stamped", SOON, async || server.tell(&["EXISTS", key]) == "1").await;
}

fn page(tags: &str, n: usize) -> String {
    format!("/api/v2/probe/shared?control=public,s-maxage=1,stale-if-error=600&tags={tags}&ms={n}")
}

/// How many answers there are.
fn kept(server: &Redis) -> usize {
    server.tell(&["KEYS", "panel:cache:1:*"]).lines().filter(|line| !line.is_empty()).count()
}

async fn read(client: &Client, path: &str) -> Answer {
    client.get(path).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_read_stands_in_from_redis_until_it_is_gone() {
    let mut server = Redis::start();
    let (rig, clock, probe) = rig(&server, 1 << 20).await;
    let client = rig.client();
    for (at, tags) in [(1, "one"), (2, "two")] {
        read(&client, &page(tags, 0)).await.expect(200);
        eventually("it is there", SOON, async || kept(&server) == at).await;
    }
    // What is for somebody is not, nor what is not for everybody.
    rig.signed_in(Role::User).get(&page("three", 0)).await.expect(200);
    client.get("/api/v2/probe/shared?control=private,max-age=60").await.expect(200);
    client.get("/api/v2/probe/shared").await.expect(200);
    assert_eq!(kept(&server), 2);
    clock.advance(Duration::from_secs(30));
    probe.fail(true);
    let old = read(&client, &page("one", 0)).await.expect(200);
    assert_eq!((old.header("x-panel-stale"), old.header("age")), (Some("1"), Some("30")));
    assert_eq!(old.json()["count"], 1);
    assert_eq!(old.header("cache-control"), Some("public, s-maxage=1"));
    // A removal is written there, and believed by whoever looks; what is old stands in.
    let write =
        json!({"value": "v", "purge": {"gone": {"tags": ["one"]}, "old": {"tags": ["two"]}}});
    client.post("/api/v2/probe/write").json(&write).await.expect(201);
    read(&client, &page("one", 0)).await.refused(503, "unavailable");
    read(&client, &page("two", 0)).await.expect(200);
    stamped(&server, "panel:gone:probe:one").await;
    let redis = rig.runtime.redis.clone();
    let asked = clock.now().minus(Duration::from_secs(30));
    let is_gone = async |tag: &str, at| {
        stamps::is_gone(&redis, "probe", [tag].into_iter(), at).await.unwrap()
    };
    assert!(is_gone("one", asked).await && !is_gone("two", asked).await);
    assert!(!is_gone("one", clock.now().plus(SKEW)).await);
    // A Redis that has forgotten what was gone is not believed.
    assert_eq!(server.tell(&["DEL", "panel:gone:probe"]), "1");
    assert!(is_gone("two", asked).await);
    read(&client, &page("two", 0)).await.refused(503, "unavailable");
    // Without it everything is as it was.
    server.kill9();
    read(&client, &page("two", 0)).await.refused(503, "unavailable");
    probe.fail(false);
    read(&client, &page("two", 0)).await.expect(200);
    rig.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_takes_no_more_room_than_it_may() {
    let server = Redis::start();
    let (rig, clock, probe) = rig(&server, 6_000).await;
    let client = rig.client();
    for n in 0..60 {
        clock.advance(Duration::from_millis(1));
        read(&client, &format!("{}&n={n}", page("", 0))).await.expect(200);
    }
    let newest = format!("{}&n=59", page("", 0));
    let sum = || server.tell(&["GET", "panel:cached:sum"]).trim().parse::<i64>().unwrap_or(0);
    eventually("there are some", SOON, async || (2..=12).contains(&kept(&server))).await;
    eventually("they are counted", SOON, async || (1..=6_000).contains(&sum())).await;
    probe.fail(true);
    eventually("the newest is among them", SOON, async || {
        read(&client, &newest).await.status == 200
    })
    .await;
    read(&client, &format!("{}&n=0", page("", 0))).await.refused(503, "unavailable");
    rig.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_has_just_begun_shows_what_another_has_read() {
    let server = Redis::start();
    let mut cluster = Cluster::builder()
        .await
        .env("REDIS_URL", &server.url())
        .env("PANEL_REDIS__TIMEOUT", "500ms")
        .node("n1", "gateway,auth,admin,cms")
        .node("n2", "gateway")
        .node("n3", "forum")
        .start()
        .await;
    stamped(&server, "panel:gone:forum").await;
    let begun = Instant::now();
    let admin = cluster.node("n1").admin("root").await;
    let thread = Thread::open(&admin).await;
    // What was asked for just after the forum began may be from before: of clocks that differ nobody can tell.
    tokio::time::sleep(SKEW.saturating_sub(begun.elapsed())).await;
    let first = cluster.client("n1").get(&thread.posts).await.expect(200);
    eventually("it is in redis", SOON, async || kept(&server) >= 1).await;
    cluster.node_mut("n3").kill9();
    let other = cluster.client("n2");
    let old = eventually("it stands in where nobody had read it", SOON, async || {
        let old = other.get(&thread.posts).await;
        if old.status == 200 { Ok(old) } else { Err(old) }
    })
    .await;
    assert_eq!((old.header("x-panel-stale"), &old.body), (Some("1"), &first.body));
    other.get(&format!("{}?limit=7", thread.posts)).await.refused(503, "unavailable");
}
