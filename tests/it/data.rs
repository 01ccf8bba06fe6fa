//! What services stand on in the kernel: transactions, facts, leases, sweeping. On both
//! databases, through the real actors.

use std::sync::Arc;
use std::time::Duration;

use panel_harness::{Backend, Rig, RigBuilder, eventually, on_both_databases};
use panel_kernel::data::{Database, DbError, Leases, sql, sweep};

use crate::telling::{Happened, insert, pair, tell, values};

on_both_databases!(
    transactions_that_share_a_commit_do_not_share_a_fate,
    the_write_queue_is_bounded,
    facts_arrive_once_in_order_and_through_restarts,
    facts_of_undone_work_are_not_told,
    a_fact_that_makes_no_sense_holds_up_nobody,
    a_lease_changes_hands_with_a_greater_token,
    what_has_expired_is_swept,
    an_expired_key_is_free_again,
);

async fn transactions_that_share_a_commit_do_not_share_a_fate(backend: Backend) {
    let rig = Rig::start(backend).await;
    let db = rig.database("probe");
    let tasks: Vec<_> = (0..90)
        .map(|number| {
            let db = Arc::clone(&db);
            tokio::spawn(async move {
                let work = db.transact(move |tx| {
                    Box::pin(async move {
                        insert(tx, &number.to_string()).await?;
                        if number % 3 == 0 {
                            return Err(DbError::Unique);
                        }
                        Ok(number)
                    })
                });
                work.await
            })
        })
        .collect();
    let mut kept = Vec::new();
    for (number, task) in tasks.into_iter().enumerate() {
        match task.await.unwrap() {
            Ok(result) => {
                assert_eq!(result, number);
                kept.push(number.to_string());
            }
            Err(error) => assert!(matches!(error, DbError::Unique) && number % 3 == 0, "{error}"),
        }
    }
    let mut found = values(&db).await;
    found.sort_unstable();
    kept.sort_unstable();
    assert_eq!(kept.len(), 60);
    assert_eq!(found, kept);
    rig.shutdown().await;
}

async fn the_write_queue_is_bounded(backend: Backend) {
    let builder = RigBuilder::new(backend.database().await);
    let rig =
        Box::pin(builder.database_settings(|settings| settings.write_queue = 1).start()).await;
    let db = rig.database("probe");
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let (release, released) = tokio::sync::oneshot::channel::<()>();
    let holder = {
        let db = Arc::clone(&db);
        tokio::spawn(async move {
            db.transact(move |_| {
                Box::pin(async move {
                    begun.send(()).unwrap();
                    released.await.unwrap();
                    Ok::<(), DbError>(())
                })
            })
            .await
        })
    };
    has_begun.await.unwrap();
    let refused = tell(&db, "one too many".to_owned()).await;
    assert!(matches!(refused, Err(DbError::Busy)), "{refused:?}");
    release.send(()).unwrap();
    holder.await.unwrap().unwrap();
    tell(&db, "now".to_owned()).await.unwrap();
    rig.shutdown().await;
}

async fn facts_arrive_once_in_order_and_through_restarts(backend: Backend) {
    let rig = pair(backend).await;
    let (source, sink) = (rig.database("source"), rig.database("sink"));
    let telling = {
        let source = Arc::clone(&source);
        tokio::spawn(async move {
            for number in 0..300 {
                tell(&source, format!("{number:04}")).await.unwrap();
            }
        })
    };
    // Both ends are broken while the facts are on their way.
    let broken =
        ["source/relay/sink", "sink/serving/front_door", "source/relay", "sink/serving/pool"];
    for (number, path) in broken.into_iter().enumerate() {
        eventually("some facts are handled", Duration::from_secs(30), async || {
            values(&sink).await.len() > number * 20
        })
        .await;
        match path {
            "source/relay/sink" => rig.kill(path).await,
            _ => assert!(rig.runtime.tree.restart(path)),
        }
    }
    eventually("the front door is back", Duration::from_secs(30), async || {
        rig.handle("sink").is_member()
    })
    .await;
    telling.await.unwrap();
    let expected: Vec<String> = (0..300).map(|number| format!("{number:04}")).collect();
    eventually("every fact is handled", Duration::from_secs(30), async || {
        values(&sink).await.len() >= expected.len()
    })
    .await;
    assert_eq!(values(&sink).await, expected);
    eventually("all of them were restarted", Duration::from_secs(30), async || {
        rig.restarts("source/relay") == 1 && rig.restarts("sink/serving/pool") == 1
    })
    .await;
    // Told again from the beginning, they are recognised.
    let rewound: Result<u64, DbError> = source
        .transact(|tx| {
            Box::pin(async move { tx.execute(sql("DELETE FROM outbox_progress")).await })
        })
        .await;
    assert_eq!(rewound.unwrap(), 1);
    tell(&source, "last".to_owned()).await.unwrap();
    eventually("the last fact is handled", Duration::from_secs(30), async || {
        values(&sink).await.last().is_some_and(|value| value == "last")
    })
    .await;
    assert_eq!(values(&sink).await.len(), expected.len() + 1);
    rig.shutdown().await;
}

async fn facts_of_undone_work_are_not_told(backend: Backend) {
    let rig = pair(backend).await;
    let (source, sink) = (rig.database("source"), rig.database("sink"));
    let undone: Result<(), DbError> = source
        .transact(|tx| {
            Box::pin(async move {
                tx.publish(&Happened { value: "never".to_owned() });
                Err(DbError::Unique)
            })
        })
        .await;
    assert!(undone.is_err());
    tell(&source, "after".to_owned()).await.unwrap();
    eventually("the fact after it is handled", Duration::from_secs(10), async || {
        !values(&sink).await.is_empty()
    })
    .await;
    assert_eq!(values(&sink).await, ["after"]);
    rig.shutdown().await;
}

async fn a_fact_that_makes_no_sense_holds_up_nobody(backend: Backend) {
    let rig = pair(backend).await;
    let (source, sink) = (rig.database("source"), rig.database("sink"));
    for value in ["a", "nonsense", "b"] {
        tell(&source, value.to_owned()).await.unwrap();
    }
    eventually("the others are handled", Duration::from_secs(10), async || {
        values(&sink).await == ["a", "b"]
    })
    .await;
    let mut conn = sink.reader().await.unwrap();
    let rejected: Vec<(String,)> =
        conn.all(sql("SELECT rejected FROM inbox WHERE rejected IS NOT NULL")).await.unwrap();
    assert_eq!(rejected.len(), 1);
    assert!(rejected[0].0.contains("no sense") && rejected[0].0.contains("nonsense"));
    drop(conn);
    rig.shutdown().await;
}

async fn a_lease_changes_hands_with_a_greater_token(backend: Backend) {
    let rig = Rig::start(backend).await;
    let db = rig.database("probe");
    let holder = |node: &str, boot: &str| Leases::new(db.as_ref().clone(), node, boot);
    let (a, b) = (holder("a", "1"), holder("b", "1"));
    let (short, long) = (Duration::from_millis(80), Duration::from_secs(60));
    let first = a.acquire("job", long).await.unwrap().unwrap();
    assert_eq!(b.acquire("job", long).await.unwrap(), None);
    assert_eq!(a.acquire("job", short).await.unwrap(), Some(first.clone()), "prolonged");
    let second = eventually("it expires", Duration::from_secs(5), async || {
        b.acquire("job", long).await.unwrap()
    })
    .await;
    assert!(second.token > first.token);
    assert_eq!(a.acquire("job", long).await.unwrap(), None);
    // What the former holder does under it leaves nothing.
    let late: Result<(), DbError> = {
        let first = first.clone();
        db.transact(move |tx| {
            Box::pin(async move {
                insert(tx, "too late").await?;
                first.fence(tx).await
            })
        })
        .await
    };
    assert!(matches!(late, Err(DbError::LeaseLost)), "{late:?}");
    assert!(values(&db).await.is_empty());
    // A node that comes back takes over from its earlier life at once.
    let third = holder("b", "2").acquire("job", long).await.unwrap().unwrap();
    assert!(third.token > second.token);
    // And one that gives it up need not be waited for.
    third.release(&db).await.unwrap();
    assert!(a.acquire("job", long).await.unwrap().is_some());
    rig.shutdown().await;
}

async fn what_has_expired_is_swept(backend: Backend) {
    let rig = pair(backend).await;
    let (source, sink) = (rig.database("source"), rig.database("sink"));
    for number in 0..5 {
        tell(&source, number.to_string()).await.unwrap();
    }
    eventually("all are handled", Duration::from_secs(10), async || values(&sink).await.len() == 5)
        .await;
    let leases = Leases::new(source.as_ref().clone(), "sweeper", "1");
    let lease = leases.acquire("test", Duration::from_secs(60)).await.unwrap().unwrap();
    let now = rig.runtime.clock.now();
    let day = Duration::from_secs(24 * 3_600);
    assert_eq!(sweep(&source, &lease, &[], now).await.unwrap(), 0, "nothing is old yet");
    eventually("delivered facts go after a week", Duration::from_secs(10), async || {
        sweep(&source, &lease, &[], now.plus(day * 8)).await.unwrap() == 5
    })
    .await;
    // What no consumer has had stays, however old.
    assert!(rig.runtime.tree.restart("source/relay"));
    rig.handle("sink").leave();
    tell(&source, "undelivered".to_owned()).await.unwrap();
    assert_eq!(sweep(&source, &lease, &[], now.plus(day * 30)).await.unwrap(), 0);
    rig.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_hangs_is_cut_off() {
    let builder = RigBuilder::new(Backend::Sqlite.database().await);
    let patience = |settings: &mut panel_kernel::data::DatabaseConfig| {
        settings.write_timeout = "100ms".parse().unwrap();
    };
    let rig = Box::pin(builder.database_settings(patience).start()).await;
    let db = rig.database("probe");
    let hung: Result<(), DbError> = db
        .transact(move |tx| {
            Box::pin(async move {
                insert(tx, "hung").await?;
                std::future::pending().await
            })
        })
        .await;
    assert!(matches!(hung, Err(DbError::Unavailable(_))), "{hung:?}");
    eventually("the writer is back", Duration::from_secs(10), async || {
        tell(&db, "after".to_owned()).await.is_ok()
    })
    .await;
    assert!(values(&db).await.is_empty(), "nothing of it remains");
    assert_eq!(rig.restarts("probe/writer"), 0);
    rig.shutdown().await;
}

async fn an_expired_key_is_free_again(backend: Backend) {
    let rig = Rig::start(backend).await;
    let client = rig.signed_in(panel_kernel::role::Role::User);
    let send = || {
        let body = serde_json::json!({"value": "a"});
        client.post("/api/v2/probe/write").idempotency_key("old").json(&body)
    };
    send().await.expect(201);
    assert_eq!(send().await.expect(201).header("idempotency-replayed"), Some("true"));
    // Its time is over, and nobody has swept yet.
    let aged: Result<u64, DbError> = rig
        .database("probe")
        .transact(|tx| {
            Box::pin(async move { tx.execute(sql("UPDATE idempotency SET expires_at = 1")).await })
        })
        .await;
    assert_eq!(aged.unwrap(), 1);
    assert_eq!(send().await.expect(201).header("idempotency-replayed"), None);
    assert_eq!(values(&rig.database("probe")).await.len(), 2);
    rig.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_transaction_leaves_no_open_session() {
    let rig = Rig::start(Backend::Postgres).await;
    let db = rig.database("probe");
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let cancelled = {
        let db = Arc::clone(&db);
        tokio::spawn(async move {
            let work = db.transact(move |tx| {
                Box::pin(async move {
                    insert(tx, "cancelled").await?;
                    begun.send(()).unwrap();
                    std::future::pending::<Result<(), DbError>>().await
                })
            });
            work.await
        })
    };
    has_begun.await.unwrap();
    cancelled.abort();
    let count = async |text| -> i64 {
        let (count,): (i64,) = db.reader().await.unwrap().one(sql(text)).await.unwrap();
        count
    };
    eventually("its session is gone", Duration::from_secs(10), async || {
        count(
            "SELECT COUNT(*) FROM pg_stat_activity WHERE state = 'idle in transaction' \
             AND application_name LIKE 'panel-probe-%' AND datname = current_database()",
        )
        .await
            == 0
    })
    .await;
    // It was ended from here, and did not have to be cut off by the server.
    let fatal = "SELECT sessions_fatal FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(count(fatal).await, 0);
    assert!(values(&db).await.is_empty());
    insert_one(&db, "after").await.unwrap();
    assert_eq!(values(&db).await, ["after"]);
    rig.shutdown().await;
}

async fn insert_one(db: &Database, value: &'static str) -> Result<(), DbError> {
    db.transact(move |tx| Box::pin(async move { insert(tx, value).await })).await
}

/// PostgreSQL answers COMMIT after a failed statement with a rollback that is no error.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_that_ignores_a_failed_statement_is_not_acknowledged() {
    let rig = Rig::start(Backend::Postgres).await;
    let db = rig.database("probe");
    let ignored: Result<(), DbError> = db
        .transact(move |tx| {
            Box::pin(async move {
                insert(tx, "lost").await?;
                drop(tx.execute(sql("SELECT 1 / 0")).await);
                Ok(())
            })
        })
        .await;
    assert!(matches!(ignored, Err(DbError::Fault(_))), "{ignored:?}");
    assert!(values(&db).await.is_empty());
    rig.shutdown().await;
}
