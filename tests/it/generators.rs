//! Ids of several processes on one database: each has a number of its own, or makes none.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use panel_harness::{
    Backend, Node, RawSql, Rig, RigBuilder, TestDatabase, eventually, on_both_databases,
};
use panel_kernel::data::{Database, DatabaseConfig, DbError, Numbers};
use panel_kernel::ids::{Grant, Id, Ids, random_hex};
use panel_kernel::metrics::Metrics;
use panel_kernel::role::Role;
use panel_kernel::secret::SecretUrl;
use panel_kernel::time::{Clock, Timestamp};
use serde_json::json;

on_both_databases!(
    two_processes_never_share_a_number,
    all_numbers_can_be_taken_and_no_more,
    an_expired_number_is_taken_over_without_its_past,
    who_was_frozen_makes_no_ids_until_it_has_a_number_again,
    a_service_without_a_number_refuses_what_needs_one,
    a_clock_that_leaps_costs_nothing,
    a_command_has_a_number_for_as_long_as_it_runs,
    nodes_and_commands_hold_numbers_while_they_live,
);

const WITHIN: Duration = Duration::from_secs(20);
const LIFE: Duration = Duration::from_secs(300);
/// All there are.
const ALL: usize = 1_024;

/// A handle of its own, as another process has it.
async fn process(database: &TestDatabase, clock: &Clock) -> Database {
    let config =
        DatabaseConfig { url: SecretUrl::new(database.url()), ..DatabaseConfig::default() };
    let location = config.location("probe", std::path::Path::new("")).unwrap();
    let metrics = Metrics::new().unwrap();
    let db = Database::new("probe", &location, &config, &random_hex(), (clock.clone(), metrics))
        .unwrap();
    db.open_once(&panel_harness::probe::migrations()).await.unwrap();
    db
}

async fn ids(db: &Database, count: usize) -> Vec<Id> {
    let mut made = Vec::with_capacity(count);
    for _ in 0..count {
        made.push(db.next_id().await.unwrap());
    }
    made
}

/// The number that an id was made with.
fn number_of(id: Id) -> i64 {
    (id.raw() >> 12) & 1_023
}

/// Takes every number that is left, in other names.
async fn take_the_rest(db: &Database) -> usize {
    let mut taken = 0;
    while Numbers::new(db.clone(), format!("taker {taken}")).claim(LIFE).await.unwrap().is_some() {
        taken += 1;
    }
    taken
}

async fn two_processes_never_share_a_number(backend: Backend) {
    let database = backend.database().await;
    let clock = Clock::manual(Clock::system().now());
    let (one, two) = (process(&database, &clock).await, process(&database, &clock).await);
    let (first, second) = tokio::join!(one.allot(), two.allot());
    first.and(second).unwrap();
    let (first, second) = (ids(&one, 20_000).await, ids(&two, 20_000).await);
    assert!(first.is_sorted() && second.is_sorted());
    let numbers: Vec<BTreeSet<i64>> =
        [&first, &second].map(|ids| ids.iter().map(|id| number_of(*id)).collect()).into();
    assert!(numbers.iter().all(|numbers| numbers.len() == 1), "{numbers:?}");
    assert_ne!(numbers[0], numbers[1]);
    // Many at the same moment take one each.
    let takers = (0..40).map(|taker| {
        let numbers = Numbers::new(one.clone(), format!("taker {taker}"));
        async move { numbers.claim(LIFE).await.unwrap().unwrap().number }
    });
    let taken: BTreeSet<u16> = futures::future::join_all(takers).await.into_iter().collect();
    assert_eq!(taken.len(), 40);
    for db in [one, two] {
        db.close().await;
    }
}

async fn all_numbers_can_be_taken_and_no_more(backend: Backend) {
    let database = backend.database().await;
    let db = process(&database, &Clock::system()).await;
    let mut taken = BTreeSet::new();
    let mut refused = 0;
    for holder in 0..1_100 {
        match Numbers::new(db.clone(), holder.to_string()).claim(LIFE).await.unwrap() {
            Some(grant) => assert!(taken.insert(grant.number), "{grant:?}"),
            None => refused += 1,
        }
    }
    assert_eq!((taken.len(), refused), (ALL, 1_100 - ALL));
    let late = db.allot().await.unwrap_err();
    assert!(matches!(late, DbError::NoNumber), "{late}");
    assert_eq!(late.to_string(), "every number for ids is taken");
    // One that is given back is the next one's, from where its ids ended.
    let unused = Timestamp::from_micros(4_102_444_800_000_000);
    Numbers::new(db.clone(), "7").give_back(7, unused).await.unwrap();
    assert_eq!(taken.last(), Some(&1_023));
    let next = Numbers::new(db.clone(), "next").claim(LIFE).await.unwrap().unwrap();
    assert_eq!((next.number, next.from), (7, unused));
    // Only its holder can do that.
    Numbers::new(db.clone(), "7").give_back(7, unused).await.unwrap();
    assert_eq!(Numbers::new(db.clone(), "late").claim(LIFE).await.unwrap(), None);
    db.close().await;
}

/// Lets leases end. PostgreSQL has a clock of its own, which is not the test's.
async fn expire(database: &TestDatabase, clock: &Clock, number: u16) {
    clock.advance(LIFE + Duration::from_secs(1));
    if database.backend() == Backend::Postgres {
        let update = format!("UPDATE generators SET expires_at = 1 WHERE number = {number}");
        database.raw_sql("probe").await.run(&update).await;
    }
}

async fn an_expired_number_is_taken_over_without_its_past(backend: Backend) {
    let database = backend.database().await;
    let clock = Clock::manual(Clock::system().now());
    let db = process(&database, &clock).await;
    let former = Numbers::new(db.clone(), "former");
    let grant = former.claim(LIFE).await.unwrap().unwrap();
    // The others are there for much longer.
    let others = Numbers::new(db.clone(), "others");
    while others.claim(LIFE * 100).await.unwrap().is_some() {}
    assert_eq!(others.claim(LIFE).await.unwrap(), None);
    let prolonged = former.prolong(grant.number, LIFE * 2).await.unwrap().unwrap();
    assert_eq!(prolonged, grant.until.plus(LIFE));
    let made = Ids::new(clock.clone());
    made.begin(Grant { until: prolonged, ..grant });
    let before = made.next().unwrap();

    expire(&database, &clock, grant.number).await;
    expire(&database, &clock, grant.number).await;
    // On PostgreSQL, where nodes have clocks of their own, the next one's is an hour behind.
    let next_clock = match backend {
        Backend::Sqlite => clock.clone(),
        Backend::Postgres => Clock::manual(clock.now().minus(LIFE * 12)),
    };
    let behind = process(&database, &next_clock).await;
    let next = Numbers::new(behind.clone(), "next").claim(LIFE).await.unwrap().unwrap();
    assert_eq!(next.number, grant.number);
    assert_eq!(next.from, prolonged.max(next_clock.now()));
    assert_eq!(former.prolong(grant.number, LIFE).await.unwrap(), None, "it is another's");
    let ids = Ids::new(behind.clock().clone());
    ids.begin(next);
    assert!(ids.next().unwrap() > before);
    // Its time is over, for as long as it slept.
    assert!(made.next().is_err());
    for db in [db, behind] {
        db.close().await;
    }
}

async fn who_was_frozen_makes_no_ids_until_it_has_a_number_again(backend: Backend) {
    let database = backend.database().await;
    let clock = Clock::manual(Clock::system().now());
    let (frozen, other) = (process(&database, &clock).await, process(&database, &clock).await);
    frozen.allot().await.unwrap();
    let before = frozen.next_id().await.unwrap();
    let number = u16::try_from(number_of(before)).unwrap();
    expire(&database, &clock, number).await;
    let refused = frozen.next_id().await.unwrap_err();
    assert!(matches!(refused, DbError::NoNumber), "{refused}");
    // Everybody who comes takes one, the one that has rested longest first, and so the frozen one's
    // last.
    assert_eq!(take_the_rest(&other).await, ALL);
    let refused = frozen.allot().await.unwrap_err();
    assert!(matches!(refused, DbError::NoNumber), "{refused}");
    assert!(frozen.next_id().await.is_err());
    let freed = number_held_by(database.raw_sql("probe").await, "taker 5").await;
    Numbers::new(other.clone(), "taker 5").give_back(freed, clock.now()).await.unwrap();
    frozen.allot().await.unwrap();
    let after = frozen.next_id().await.unwrap();
    assert_eq!(number_of(after), i64::from(freed));
    assert!(after > before);
    for db in [frozen, other] {
        db.close().await;
    }
}

async fn a_service_without_a_number_refuses_what_needs_one(backend: Backend) {
    let rig = Rig::start(backend).await;
    let client = rig.signed_in(Role::User);
    let write = || client.post("/api/v2/probe/write").json(&json!({"value": "x"}));
    write().await.expect(201);
    let db = rig.database("probe");
    take_the_rest(&db).await;
    // The service begins anew, and takes the number that it gives back itself.
    rig.restart("probe").await;
    rig.await_up().await;
    write().await.expect(201);
    // Now there is none left.
    rig.database("probe").give_back().await;
    let db = rig.database("probe");
    take_the_rest(&db).await;
    let problem = write().await.refused(503, "unavailable");
    assert_eq!(problem.detail, "too many nodes make ids at the moment");
    client.get("/api/v2/probe/effects").await.expect(200);
    let freed = number_held_by(rig.raw_sql("probe").await, "taker 0").await;
    let (taker, now) = (Numbers::new(db.as_ref().clone(), "taker 0"), rig.runtime.clock.now());
    taker.give_back(freed, now).await.unwrap();
    eventually("there is one again", WITHIN, async || write().await.status == 201).await;
    rig.shutdown().await;
}

async fn a_command_has_a_number_for_as_long_as_it_runs(backend: Backend) {
    let database = backend.database().await;
    let clock = Clock::manual(Clock::system().now());
    let db = process(&database, &clock).await;
    db.supply().await.unwrap();
    let before = ids(&db, 10).await;
    for _ in 0..3 {
        clock.advance(LIFE * 2);
        let after = ids(&db, 10).await;
        assert!(before.last() < after.first() && after.is_sorted());
    }
    db.give_back().await;
    db.close().await;
}

async fn number_held_by(mut sql: RawSql, holder: &str) -> u16 {
    let select = format!("SELECT CAST(number AS TEXT) FROM generators WHERE holder = '{holder}'");
    sql.texts(&select, 0).await.unwrap()[0].parse().unwrap()
}

async fn a_clock_that_leaps_costs_nothing(backend: Backend) {
    let clock = Clock::manual(Clock::system().now());
    let builder = RigBuilder::new(backend.database().await).clock(clock.clone());
    let rig = Box::pin(builder.start()).await;
    let mut made = Vec::new();
    for leap in [0, 100, 400, 100_000] {
        clock.advance(Duration::from_secs(leap));
        let body = json!({"value": leap.to_string()});
        let answer = rig.client().post("/api/v2/probe/write").json(&body).await.expect(201);
        made.push(answer.json()["id"].as_str().unwrap().to_owned());
    }
    assert!(made.is_sorted(), "{made:?}");
    rig.shutdown().await;
}

/// How many numbers of a service are held.
async fn held(database: &TestDatabase, service: &str) -> usize {
    let select = "SELECT DISTINCT holder FROM generators WHERE expires_at > 0";
    database.raw_sql(service).await.texts(select, 0).await.unwrap().len()
}

async fn nodes_and_commands_hold_numbers_while_they_live(backend: Backend) {
    let database = backend.database().await;
    let directory = Arc::new(tempfile::TempDir::new().unwrap());
    let start = |name| Node::builder().name(name).data_dir(&directory).database(&database).start();
    let mut one = start("n1").await;
    for service in ["auth", "forum", "cms", "admin"] {
        eventually("a number is held", WITHIN, async || held(&database, service).await == 1).await;
    }
    // A command gives its number back.
    one.admin("root").await;
    assert_eq!(held(&database, "auth").await, 1);
    if backend == Backend::Postgres {
        let mut two = start("n2").await;
        eventually("two hold one each", WITHIN, async || held(&database, "forum").await == 2).await;
        assert!(two.sigterm_and_wait().await.success());
        assert_eq!(held(&database, "forum").await, 1);
    }
    // One that was killed has no time for that; the next life takes another.
    one.kill9();
    one.restart().await;
    eventually("the next has one too", WITHIN, async || held(&database, "forum").await == 2).await;
    assert!(one.sigterm_and_wait().await.success());
    assert_eq!(held(&database, "forum").await, 1);
}
