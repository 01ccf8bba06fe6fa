//! Facts on their way: none is stepped over, and how many wait is counted.

use std::time::Duration;

use panel_harness::{Backend, Postgres, TestDatabase, eventually, on_both_databases};
use panel_kernel::data::DbError;

use crate::telling::{Happened, pair_on, tell, values};

on_both_databases!(facts_that_wait_are_counted);

const WITHIN: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fact_that_is_committed_late_is_not_stepped_over() {
    // A server of its own: an open transaction holds up the facts of all databases of a server.
    let postgres = Postgres::private();
    let rig = pair_on(TestDatabase::on(&postgres).await).await;
    let (source, sink) = (rig.database("source"), rig.database("sink"));
    tell(&source, "before".to_owned()).await.unwrap();
    eventually("it is handled", WITHIN, async || values(&sink).await.len() == 1).await;
    // A transaction takes its place in the order, and then takes its time.
    let mut slow = rig.raw_sql("source").await;
    slow.run("BEGIN").await;
    slow.run(
        "INSERT INTO outbox (topic, payload, created_at) \
         VALUES ('thing.happened', '{\"value\": \"early\"}', 0)",
    )
    .await;
    tell(&source, "later".to_owned()).await.unwrap();
    // Two more looks of the relay, by its own query: the first of them is over.
    let mut watch = rig.raw_sql("source").await;
    let now = watch.texts("SELECT clock_timestamp()::text", 0).await.unwrap().remove(0);
    let looks = format!(
        "SELECT query_start::text FROM pg_stat_activity WHERE datname = current_database() \
         AND application_name LIKE 'panel-source-%' AND query LIKE 'SELECT epoch, position, topic%' \
         AND state = 'idle' AND query_start > '{now}'::timestamptz"
    );
    let seen = std::sync::Mutex::new(std::collections::BTreeSet::new());
    eventually("the relay has looked", WITHIN, async || {
        let look = rig.raw_sql("source").await.texts(&looks, 0).await.unwrap();
        let mut seen = seen.lock().unwrap();
        seen.extend(look);
        if seen.len() >= 2 { Ok(()) } else { Err(seen.clone()) }
    })
    .await;
    assert_eq!(values(&sink).await, ["before"], "it waits for the earlier one");
    slow.run("COMMIT").await;
    eventually("both are handled", WITHIN, async || values(&sink).await.len() == 3).await;
    assert_eq!(values(&sink).await, ["before", "early", "later"]);
    rig.shutdown().await;
}

async fn facts_that_wait_are_counted(backend: Backend) {
    let rig = pair_on(backend.database().await).await;
    let (source, sink) = (rig.database("source"), rig.database("sink"));
    let lag = || {
        let labels = [("service", "source"), ("consumer", "sink")];
        rig.metrics().count("panel_outbox_lag_events", &labels)
    };
    tell(&source, "first".to_owned()).await.unwrap();
    eventually("it is handled", WITHIN, async || values(&sink).await.len() == 1).await;
    eventually("none waits", WITHIN, async || lag() == 0).await;
    // Somebody stands in the consumer's way.
    let mut lock = rig.raw_sql("sink").await;
    match backend {
        Backend::Sqlite => lock.run("BEGIN IMMEDIATE").await,
        Backend::Postgres => lock.run("BEGIN; LOCK TABLE inbox IN EXCLUSIVE MODE").await,
    }
    let told: Result<(), DbError> = source
        .transact(|tx| {
            Box::pin(async move {
                for number in 0..3 {
                    tx.publish(&Happened { value: number.to_string() });
                }
                Ok(())
            })
        })
        .await;
    told.unwrap();
    eventually("three wait", WITHIN, async || lag() == 3).await;
    lock.run("ROLLBACK").await;
    eventually("none waits", WITHIN, async || lag() == 0).await;
    assert_eq!(values(&sink).await, ["first", "0", "1", "2"]);
    rig.shutdown().await;
}
