//! Accounts and sessions in the test's own process, which owns the clock and the connections.

use std::sync::Arc;
use std::time::{Duration, Instant};

use panel_harness::session::PASSWORD;
use panel_harness::{Backend, Client, Rig, RigBuilder, Session, eventually, on_both_databases};
use panel_kernel::config::Section;
use panel_kernel::data::{Database, DbError, sql};
use panel_kernel::service::ServiceSpec;
use panel_kernel::time::Clock;
use serde_json::json;

on_both_databases!(
    sessions_go_when_they_have_expired_and_tokens_soon_after_their_own_end,
    of_two_who_register_at_once_the_second_hears_which_field_is_taken,
    logins_never_hold_every_worker,
    a_login_that_was_overtaken_by_a_new_password_gives_no_session,
);

/// Accounts with few workers, and passwords that are hashed fast.
fn accounts() -> ServiceSpec {
    let values = json!({
        "argon2_memory_kib": 64, "argon2_iterations": 1, "hashing_threads": 1, "hashing_queue": 1,
        "pool": {"workers": 4, "queue": 32},
    });
    let section = Section { path: "auth".to_owned(), values };
    (panel_auth::SERVICE.configure)(&section).unwrap()
}

async fn start(backend: Backend, change: impl FnOnce(RigBuilder) -> RigBuilder) -> Rig {
    start_with(backend, accounts(), change).await
}

async fn start_with(
    backend: Backend,
    accounts: ServiceSpec,
    change: impl FnOnce(RigBuilder) -> RigBuilder,
) -> Rig {
    let builder = RigBuilder::new(backend.database().await).service(accounts);
    let rig = Box::pin(change(builder).start()).await;
    rig.await_signing_key().await;
    rig
}

/// How many sessions and refresh tokens there are.
async fn counts(db: &Database) -> (i64, i64) {
    let count = "SELECT (SELECT COUNT(*) FROM sessions), (SELECT COUNT(*) FROM refresh_tokens)";
    db.reader().await.unwrap().one(sql(count)).await.unwrap()
}

async fn sessions_go_when_they_have_expired_and_tokens_soon_after_their_own_end(backend: Backend) {
    let clock = Clock::manual(Clock::system().now());
    let rig = start(backend, |builder| builder.clock(clock.clone())).await;
    let (client, db) = (rig.client(), rig.database("auth"));
    let days = |days: u64| clock.advance(Duration::from_secs(days * 24 * 3_600));
    let swept = async |expected: (i64, i64)| {
        eventually("the janitor has swept", Duration::from_secs(10), async || {
            rig.sweep("auth");
            let left = counts(&db).await;
            if left == expected { Ok(()) } else { Err(left) }
        })
        .await;
    };
    let mut ada = Session::register(&client, "ada").await;
    Session::register(&client, "bob").await;
    let used = ada.refresh_token.clone();
    days(20);
    ada.refresh().await;
    assert_eq!(counts(&db).await, (2, 3));
    // After 36 days: bob's session is over and gone. Ada's goes on, with both its tokens, of which
    // the used one would have expired for itself as well.
    days(16);
    swept((1, 2)).await;
    // After 38, nothing knows that one any more, and it harms nobody.
    days(2);
    swept((1, 1)).await;
    let refresh = async |token: &str| {
        client.post("/api/v2/auth/refresh").json(&json!({"refresh_token": token})).await
    };
    refresh(&used).await.refused(401, "unauthorized");
    let used = ada.refresh_token.clone();
    ada.refresh().await;
    // After 52: the next is two days past its end, and still known.
    days(14);
    swept((1, 2)).await;
    refresh(&used).await.refused(401, "unauthorized");
    refresh(&ada.refresh_token).await.refused(401, "unauthorized");
    // After 70 days: that session is over as well.
    days(18);
    swept((0, 0)).await;
    Session::login(&client, "ada", PASSWORD).await;
    rig.sweep("auth");
    assert_eq!(counts(&db).await, (1, 1));
    rig.shutdown().await;
}

fn register(client: &Client, username: &str, address: &str) -> panel_harness::http::RequestBuilder {
    let account = json!({"username": username, "email": address, "password": PASSWORD});
    client.post("/api/v2/auth/register").json(&account)
}

async fn of_two_who_register_at_once_the_second_hears_which_field_is_taken(backend: Backend) {
    let rig = start(backend, |builder| builder).await;
    let (client, db) = (rig.client(), rig.database("auth"));
    for (first, second, field) in [
        (("ada", "same@example.org"), ("eve", "SAME@example.org"), "email"),
        (("bob", "b@example.org"), ("Bob", "c@example.org"), "username"),
        (("dan", "d@example.org"), ("dan", "d@example.org"), "username"),
    ] {
        // The first is on its way: inserted, and committed when the second waits for it.
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let id = panel_harness::new_id();
        let faster = db.transact(move |tx| {
            Box::pin(async move {
                let insert =
                    sql("INSERT INTO users (id, username, username_key, email, email_key, \
                     display_name, password_hash, role, status, created_at, updated_at, version) \
                     VALUES ($1, $2, $2, $3, $3, $2, '', 1, 'active', 0, 0, 1)");
                tx.execute(insert.bind(id).bind(first.0).bind(first.1)).await?;
                begun.send(()).unwrap();
                // SQLite's one writer lets nobody in; on PostgreSQL the second has to come so far.
                let waiting = "SELECT COUNT(*) FROM pg_locks WHERE NOT granted \
                               AND transactionid = pg_current_xact_id()::xid";
                let give_up = Instant::now() + Duration::from_secs(10);
                while tx.is_postgres() && tx.one::<(i64,)>(sql(waiting)).await?.0 == 0 {
                    assert!(Instant::now() < give_up, "the second never came");
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Ok::<(), DbError>(())
            })
        });
        let slower = async {
            has_begun.await.unwrap();
            register(&client, second.0, second.1).await
        };
        let (faster, slower) = tokio::join!(faster, slower);
        faster.unwrap();
        let problem = slower.refused(409, "conflict");
        assert_eq!(problem.fields(), [(field, "taken")]);
    }
    rig.shutdown().await;
}

async fn logins_never_hold_every_worker(backend: Backend) {
    // One connection to read on, which the test holds: every login that looks for its account waits.
    let rig = start(backend, |builder| {
        builder.database_settings(|settings| {
            (settings.readers, settings.connections) = (1, 1);
            settings.acquire_timeout = "20s".parse().unwrap();
        })
    })
    .await;
    let client = rig.client();
    Session::register(&client, "ada").await;
    let db: Arc<Database> = rig.database("auth");
    let held = db.reader().await.unwrap();
    let answered = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let logins: Vec<_> = (0..12)
        .map(|_| {
            let (client, answered) = (client.clone(), Arc::clone(&answered));
            tokio::spawn(async move {
                let answer = Session::try_login(&client, "ada", PASSWORD).await;
                answered.lock().push(answer);
            })
        })
        .collect();
    eventually("all but two were refused", Duration::from_secs(5), async || {
        let count = answered.lock().len();
        if count == 10 { Ok(()) } else { Err(count) }
    })
    .await;
    for refused in answered.lock().drain(..) {
        assert_eq!(refused.refused(503, "unavailable").detail, "too many logins at once");
    }
    // Two of four workers are held, and nothing waits: whoever asks for keys is answered.
    for _ in 0..20 {
        client.get("/api/v2/auth/.well-known/jwks.json").await.expect(200);
    }
    drop(held);
    for login in logins {
        login.await.unwrap();
    }
    let rest: Vec<u16> = answered.lock().iter().map(|answer| answer.status.as_u16()).collect();
    assert_eq!(rest, [200, 200]);
    rig.shutdown().await;
}

async fn a_login_that_was_overtaken_by_a_new_password_gives_no_session(backend: Backend) {
    // Each iteration over 4 MiB takes some milliseconds: long enough to be overtaken.
    let section = Section {
        path: "auth".to_owned(),
        values: json!({"argon2_memory_kib": 4_096, "argon2_iterations": 60}),
    };
    let accounts = (panel_auth::SERVICE.configure)(&section).unwrap();
    let rig = start_with(backend, accounts, |builder| builder).await;
    let (client, db) = (rig.client(), rig.database("auth"));
    Session::register(&client, "ada").await;
    let before = counts(&db).await;
    let login = {
        let client = client.clone();
        tokio::spawn(async move { Session::try_login(&client, "ada", PASSWORD).await })
    };
    eventually("the login is inside", Duration::from_secs(5), async || {
        rig.handle("auth").load.inside() > 0
    })
    .await;
    // The hash of another password. A login that had not looked yet is wrong anyway.
    let other = "$argon2id$v=19$m=64,t=1,p=1$fD/L+gp/ERn+lMpghF62VA\
                 $AAAAu640vTTaTV32uPEG2ffUBWqmHDjvFXowrickvsZU";
    let changed = format!("UPDATE users SET password_hash = '{other}', password_changed_at = 7");
    rig.raw_sql("auth").await.run(&changed).await;
    login.await.unwrap().refused(401, "unauthorized");
    assert_eq!(counts(&db).await, before);
    rig.shutdown().await;
}
