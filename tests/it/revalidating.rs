//! What the edge shows that is a little old, while it asks for it anew; and how it says what it did.

use std::time::{Duration, Instant};

use panel_harness::{Answer, Backend, Client, Probe, Rig, RigBuilder, eventually};
use panel_kernel::role::Role;
use panel_kernel::time::{Clock, Timestamp};
use serde_json::json;

const SOON: Duration = Duration::from_secs(10);

/// Fresh for two seconds, shown for ten more while it is asked for anew, and for a minute if it must be.
const SHARED: &str = "/api/v2/probe/shared?control=public,s-maxage=2,stale-while-revalidate=10,\
                      stale-if-error=60";

async fn rig() -> (Rig, Clock, Probe) {
    let (clock, probe) = (Clock::manual(Timestamp::from_seconds(1_800_000_000)), Probe::new());
    let rig = RigBuilder::new(Backend::Sqlite.database().await).clock(clock.clone()).probe(&probe);
    (Box::pin(rig.start()).await, clock, probe)
}

fn counted(answer: &Answer) -> u64 {
    answer.json()["count"].as_u64().unwrap()
}

fn status(answer: &Answer) -> &str {
    answer.header("cache-status").unwrap_or_default()
}

async fn asked(probe: &Probe, times: u64) {
    eventually("the service was asked", SOON, async || probe.count("shared") == times).await;
}

/// Waits until what was asked for behind a reader is there.
async fn shown(client: &Client, path: &str, count: u64) -> Answer {
    eventually("the new one is shown", SOON, async || {
        let answer = client.get(path).await.expect(200);
        if counted(&answer) == count { Ok(answer) } else { Err(answer) }
    })
    .await
}

#[tokio::test]
async fn an_answer_says_how_the_cache_had_to_do_with_it() {
    let (rig, clock, probe) = rig().await;
    let client = rig.client();
    let read = async |client: &Client, path: &str| {
        let answer = client.get(path).await;
        (answer.status.as_u16(), status(&answer).to_owned())
    };
    let said = |text: &str| (200, text.to_owned());
    assert_eq!(read(&client, SHARED).await, said("panel; fwd=miss; stored"));
    assert_eq!(read(&client, SHARED).await, said("panel; hit; ttl=2"));
    clock.advance(Duration::from_secs(1));
    assert_eq!(read(&client, SHARED).await, said("panel; hit; ttl=1"));
    let head = client.head(SHARED).await.expect(200);
    assert_eq!(status(&head), "panel; hit; ttl=1");
    let tag = head.header("etag").unwrap();
    let same = client.get(SHARED).header("if-none-match", tag).await.expect(304);
    assert_eq!(status(&same), "panel; hit; ttl=1");
    // What is not for everybody, and what nobody asked the cache for.
    assert_eq!(read(&client, "/api/v2/probe/shared?ms=0").await, said("panel; fwd=miss"));
    let ada = rig.signed_in(Role::User);
    assert_eq!(read(&ada, SHARED).await, said("panel; fwd=bypass"));
    assert_eq!(read(&ada, "/api/v2/probe/ok").await, said(""));
    let own = client.get("/api/v2/health").await;
    assert_eq!(status(&own), "");
    clock.advance(Duration::from_secs(31));
    probe.fail(true);
    let old = client.get(SHARED).await.expect(200);
    assert_eq!(status(&old), "panel; hit; ttl=-30; detail=stale-if-error");
    let lost = "/api/v2/probe/shared?control=public,s-maxage=1&ms=1";
    assert_eq!(read(&client, lost).await, (503, "panel; fwd=miss".to_owned()));
    probe.fail(false);
    assert_eq!(read(&client, SHARED).await, said("panel; fwd=stale; stored"));
    let counted = "/api/v2/probe/shared?control=public,max-age=0,stale-if-error=60";
    assert_eq!(read(&client, counted).await, said("panel; fwd=miss; stored"));
    assert_eq!(read(&client, counted).await, said("panel; fwd=stale; stored"));
    rig.shutdown().await;
}

#[tokio::test]
async fn what_is_a_little_old_is_shown_at_once_and_asked_for_behind_who_reads() {
    let (rig, clock, probe) = rig().await;
    let client = rig.client();
    let slow = format!("{SHARED}&ms=1500");
    let first = client.get(&slow).await.expect(200);
    // How it may be shown when it is old is the edge's alone: nobody else hears of purges.
    assert_eq!(first.header("cache-control"), Some("public, s-maxage=2"));
    clock.advance(Duration::from_secs(5));
    let began = Instant::now();
    let readers = (0..20).map(|_| async { client.get(&slow).await.expect(200) });
    for old in futures::future::join_all(readers).await {
        assert_eq!(counted(&old), 1);
        assert_eq!(status(&old), "panel; hit; ttl=-3; detail=stale-while-revalidate");
        assert!(old.header("x-panel-stale").is_none() && old.header("warning").is_none());
        assert_eq!(old.header("age"), Some("5"));
    }
    assert!(began.elapsed() < Duration::from_millis(1_200), "nobody waits: {:?}", began.elapsed());
    let new = shown(&client, &slow, 2).await;
    assert_eq!(status(&new), "panel; hit; ttl=2");
    assert_eq!(probe.count("shared"), 2, "it was asked for once");
    // What is older is waited for.
    clock.advance(Duration::from_secs(12));
    let new = client.get(&slow).await.expect(200);
    assert_eq!((counted(&new), status(&new)), (3, "panel; fwd=stale; stored"));
    let result =
        |result| rig.metrics().count("panel_edge_cache_requests_total", &[("result", result)]);
    assert!(result("revalidating") >= 20);
    assert_eq!((result("refreshed"), result("not_refreshed")), (1, 0));
    rig.shutdown().await;
}

#[tokio::test]
async fn if_asking_behind_fails_nothing_happens() {
    let (rig, clock, probe) = rig().await;
    let client = rig.client();
    client.get(SHARED).await.expect(200);
    clock.advance(Duration::from_secs(5));
    probe.fail(true);
    for times in 2..5 {
        let old = client.get(SHARED).await.expect(200);
        assert_eq!(counted(&old), 1);
        assert!(old.header("x-panel-stale").is_none());
        asked(&probe, times).await;
        eventually("it is over", SOON, async || {
            let labels = [("result", "not_refreshed")];
            rig.metrics().count("panel_edge_cache_requests_total", &labels) == times - 1
        })
        .await;
    }
    clock.advance(Duration::from_secs(10));
    let old = client.get(SHARED).await.expect(200);
    assert_eq!((counted(&old), old.header("x-panel-stale")), (1, Some("1")));
    probe.fail(false);
    assert_eq!(counted(&client.get(SHARED).await.expect(200)), 6);
    rig.shutdown().await;
}

#[tokio::test]
async fn what_a_write_made_old_is_not_shown_while_it_is_asked_for() {
    let (rig, clock, probe) = rig().await;
    let client = rig.client();
    for round in 1..=10 {
        let before = counted(&client.get(SHARED).await.expect(200));
        clock.advance(Duration::from_secs(5));
        let value = json!({"value": round.to_string()});
        client.post("/api/v2/probe/write").json(&value).await.expect(201);
        let after = client.get(SHARED).await.expect(200);
        assert_eq!(counted(&after), before + 1);
        assert_eq!(status(&after), "panel; fwd=stale; stored");
    }
    // Also not by what was asked for before the write, and comes after it.
    let slow = format!("{SHARED}&ms=300");
    client.get(&slow).await.expect(200);
    let times = probe.count("shared");
    clock.advance(Duration::from_secs(5));
    client.get(&slow).await.expect(200);
    asked(&probe, times + 1).await;
    client.post("/api/v2/probe/write").json(&json!({"value": "late"})).await.expect(201);
    assert_eq!(counted(&client.get(&slow).await.expect(200)), times + 2);
    rig.shutdown().await;
}

#[tokio::test]
async fn a_gateway_that_stops_waits_for_nothing_it_asks_for_anew() {
    let (rig, clock, probe) = rig().await;
    let slow = format!("{SHARED}&ms=4000");
    rig.client().get(&slow).await.expect(200);
    clock.advance(Duration::from_secs(5));
    rig.client().get(&slow).await.expect(200);
    asked(&probe, 2).await;
    let began = Instant::now();
    rig.gateway.drain().await;
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    rig.shutdown().await;
}
