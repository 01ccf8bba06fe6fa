//! Facts between services when consumers hang and databases move. (What they promise in peace is
//! in `data`.)

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use panel_harness::{Backend, RigBuilder, eventually, on_both_databases};
use panel_kernel::data::{DbError, Tx, sql};
use panel_kernel::events::{Consumer, Event, Rejected};
use panel_kernel::service::Assembly;

use crate::telling::{HEARS, pair, scribe, service, source, tell, values};

on_both_databases!(a_consumer_that_hangs_delays_nobody_else, lag_is_measured_until_it_is_gone);

const PATIENCE: Duration = Duration::from_secs(20);

/// Never comes to an end with what it hears.
#[derive(Clone, Default)]
struct Hanging {
    begun: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
}

struct CountsItsEnd(Arc<AtomicUsize>);

impl Drop for CountsItsEnd {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Consumer for Hanging {
    fn apply<'t>(
        &'t self,
        _: &'t mut Tx,
        _: &'t str,
        _: &'t Event,
    ) -> BoxFuture<'t, Result<(), Rejected>> {
        Box::pin(async move {
            let _ended = CountsItsEnd(Arc::clone(&self.ended));
            self.begun.fetch_add(1, Ordering::SeqCst);
            std::future::pending().await
        })
    }
}

async fn a_consumer_that_hangs_delays_nobody_else(backend: Backend) {
    let hanging = Hanging::default();
    let own = hanging.clone();
    // By name it would be served first.
    let stuck = service("a_stuck", HEARS, move |_| {
        Assembly::new(axum::Router::new()).consumer(own.clone())
    });
    let builder = RigBuilder::new(backend.database().await).service(source()).service(stuck);
    let rig = Box::pin(builder.service(scribe("sink")).start()).await;
    let db = rig.database("source");
    tell(&db, "one").await.unwrap();
    eventually("the other hangs", PATIENCE, async || hanging.begun.load(Ordering::SeqCst) > 0)
        .await;
    let ended_before = hanging.ended.load(Ordering::SeqCst);
    tell(&db, "two").await.unwrap();
    eventually("this one hears both", PATIENCE, async || {
        values(&rig.database("sink")).await.len() == 2
    })
    .await;
    assert_eq!(hanging.ended.load(Ordering::SeqCst), ended_before, "it waited for the other");
    rig.shutdown().await;
}

async fn lag_is_measured_until_it_is_gone(backend: Backend) {
    let rig = pair(backend).await;
    let labels = [("service", "source"), ("consumer", "sink")];
    let events = || rig.metrics().find("panel_outbox_lag_events", &labels);
    let seconds = || rig.metrics().find("panel_outbox_lag_seconds", &labels);
    let db = rig.database("source");
    tell(&db, "one").await.unwrap();
    eventually("it is heard", PATIENCE, async || values(&rig.database("sink")).await.len() == 1)
        .await;
    eventually("nothing waits", PATIENCE, async || events() == Some(0.0) && seconds() == Some(0.0))
        .await;
    // More than a batch, for somebody who is away.
    rig.handle("sink").leave();
    for number in 0..150 {
        tell(&db, number.to_string()).await.unwrap();
    }
    eventually("all of it is counted", PATIENCE, async || {
        events() == Some(150.0) && seconds() > Some(0.0)
    })
    .await;
    rig.shutdown().await;
}

/// A dump of a PostgreSQL cluster whose transaction ids are far ahead of this one's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn facts_survive_the_move_into_another_postgresql_cluster() {
    let rig = pair(Backend::Postgres).await;
    let db = rig.database("source");
    for value in ["a", "b"] {
        tell(&db, value).await.unwrap();
    }
    eventually("both are heard", PATIENCE, async || {
        values(&rig.database("sink")).await == ["a", "b"]
    })
    .await;
    eventually("and acknowledged", PATIENCE, async || {
        let mut conn = db.reader().await.unwrap();
        let (waiting,): (i64,) = conn
            .one(sql("SELECT COUNT(*) FROM outbox AS o, outbox_progress AS p \
                      WHERE (o.epoch, o.position) > (p.epoch, p.position)"))
            .await
            .unwrap();
        waiting == 0
    })
    .await;
    let moved: Result<(), DbError> = db
        .transact(|tx| {
            Box::pin(async move {
                // "b" was on its way when the dump was made, and had not arrived.
                tx.execute(sql("UPDATE outbox_progress SET (epoch, position) = \
                     (SELECT epoch, position FROM outbox ORDER BY position LIMIT 1)"))
                    .await?;
                for table in ["UPDATE outbox", "UPDATE outbox_progress"] {
                    let text = format!("{table} SET epoch = epoch + 1000000000000");
                    tx.execute(panel_kernel::data::Statement::composed(text)).await?;
                }
                Ok(())
            })
        })
        .await;
    moved.unwrap();
    let forgotten: Result<u64, DbError> = rig
        .database("sink")
        .transact(|tx| {
            Box::pin(async move {
                let last = "DELETE FROM inbox WHERE position = (SELECT MAX(position) FROM inbox)";
                tx.execute(sql(last)).await?;
                tx.execute(sql("DELETE FROM effects WHERE value = 'b'")).await
            })
        })
        .await;
    assert_eq!(forgotten.unwrap(), 1);
    assert!(rig.runtime.tree.restart("source/relay"));
    tell(&db, "c").await.unwrap();
    eventually("what was on its way arrives, and what is new", PATIENCE, async || {
        values(&rig.database("sink")).await == ["a", "b", "c"]
    })
    .await;
    tell(&db, "d").await.unwrap();
    eventually("it goes on", PATIENCE, async || {
        values(&rig.database("sink")).await == ["a", "b", "c", "d"]
    })
    .await;
    rig.shutdown().await;
}
