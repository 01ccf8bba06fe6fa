//! Guessing passwords: slow, the same for names that exist and names that do not, and no way to
//! keep people out of what they are in.

use std::time::{Duration, Instant};

use futures::future::join_all;
use panel_harness::session::PASSWORD;
use panel_harness::{
    Answer, Backend, Client, Node, Redis, Rig, RigBuilder, Session, eventually, on_both_databases,
};
use panel_kernel::config::{Section, Span};
use panel_kernel::time::Clock;
use serde_json::{Value, json};

on_both_databases!(people_sign_in_where_they_are_known_whatever_strangers_do);

const HOME: &str = "192.0.2.1";
const WRONG: &str = "not anybody's password";

/// Three mistakes for a name are free and six for an address; nobody waits for more than a minute.
fn strict() -> Value {
    json!({"login_attempts": 3, "login_attempts_per_address": 6, "login_backoff": "1m",
           "argon2_memory_kib": 64, "argon2_iterations": 1})
}

async fn start(backend: Backend, accounts: Value, clock: &Clock) -> Rig {
    start_with(RigBuilder::new(backend.database().await), accounts, clock).await
}

async fn start_with(builder: RigBuilder, accounts: Value, clock: &Clock) -> Rig {
    let section = Section { path: "auth".to_owned(), values: accounts };
    let builder = builder
        .clock(clock.clone())
        .identity("auth")
        .gateway(|gateway| gateway.proxies.trusted = vec!["127.0.0.1".parse().unwrap()])
        .service((panel_auth::SERVICE.configure)(&section).unwrap());
    let rig = Box::pin(builder.start()).await;
    rig.await_signing_key().await;
    rig
}

fn clock() -> Clock {
    Clock::manual(Clock::system().now())
}

async fn login(client: &Client, from: &str, name: &str, password: &str) -> Answer {
    let credentials = json!({"login": name, "password": password});
    let sent = client.post("/api/v2/auth/login").header("x-forwarded-for", from);
    sent.json(&credentials).await
}

/// What a client can tell answers apart by.
fn told(answer: &Answer) -> (u16, Option<String>, String) {
    let detail = answer.json()["detail"].as_str().unwrap_or_default().to_owned();
    (answer.status.as_u16(), answer.header("retry-after").map(str::to_owned), detail)
}

#[tokio::test]
async fn a_name_is_guessed_at_slowly_whether_it_is_anybodys_or_not() {
    let clock = clock();
    let rig = start(Backend::Sqlite, strict(), &clock).await;
    let client = rig.client();
    Session::register(&client, "ada").await;
    // From ever other addresses.
    let mut address = 0;
    let mut guess = async |name: &'static str, password: &'static str| {
        address += 1;
        told(&login(&client, &format!("198.51.100.{address}"), name, password).await)
    };
    for _ in 0..3 {
        let (real, made_up) = (guess("ada", WRONG).await, guess("eve", WRONG).await);
        assert_eq!((real.0, &real), (401, &made_up));
    }
    for wait in ["1", "2", "4"] {
        let (real, made_up) = (guess("Ada", WRONG).await, guess("EVE", WRONG).await);
        assert_eq!((real.0, real.1.as_deref(), &real), (429, Some(wait), &made_up));
        // The right password is not even looked at.
        assert_eq!(guess("ada", PASSWORD).await, real);
        clock.advance(Duration::from_secs(wait.parse().unwrap()));
        let (real, made_up) = (guess("ada", WRONG).await, guess("eve", WRONG).await);
        assert_eq!((real.0, &real), (401, &made_up));
    }
    clock.advance(Duration::from_secs(8));
    assert_eq!(guess("ada", PASSWORD).await.0, 200);
    // Which makes up for all mistakes.
    for _ in 0..3 {
        assert_eq!(guess("ada", WRONG).await.0, 401);
    }
    let refused = guess("ada", WRONG).await;
    assert_eq!((refused.0, refused.1.as_deref()), (429, Some("1")));
    let counted = [("service", "auth"), ("reason", "account")];
    assert_eq!(rig.metrics().count("panel_throttled_total", &counted), 10);
    rig.shutdown().await;
}

#[tokio::test]
async fn an_address_that_guesses_at_many_names_has_to_wait() {
    let clock = clock();
    let rig = start(Backend::Sqlite, strict(), &clock).await;
    let client = rig.client();
    Session::register(&client, "ada").await;
    for (guesser, neighbour, stranger) in [
        ("203.0.113.5", "203.0.113.5", "203.0.113.6"),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:3::1"),
    ] {
        for number in 0..6 {
            let name = format!("name-{number}-{}", guesser.len());
            login(&client, guesser, &name, WRONG).await.refused(401, "unauthorized");
        }
        let refused = login(&client, neighbour, "ada", PASSWORD).await;
        let detail = refused.refused(429, "rate_limited").detail;
        assert_eq!(detail, "too many wrong passwords from your address; try again in 1 s");
        login(&client, stranger, "ada", PASSWORD).await.expect(200);
        clock.advance(Duration::from_secs(1));
        // An account of one's own does not make up for guesses at others'.
        login(&client, guesser, "ada", PASSWORD).await.expect(200);
        login(&client, guesser, "ada", WRONG).await.expect(401);
        let refused = login(&client, guesser, "ada", PASSWORD).await;
        assert_eq!(refused.header("retry-after"), Some("2"));
    }
    rig.shutdown().await;
}

async fn people_sign_in_where_they_are_known_whatever_strangers_do(backend: Backend) {
    let clock = clock();
    let rig = start(backend, strict(), &clock).await;
    let client = rig.client();
    Session::register(&client, "ada").await;
    login(&client, HOME, "ada", PASSWORD).await.expect(200);
    for number in 0..3 {
        login(&client, &format!("198.51.100.{number}"), "ada", WRONG).await.expect(401);
    }
    login(&client, "198.51.100.9", "ada", PASSWORD).await.refused(429, "rate_limited");
    login(&client, HOME, "ada", PASSWORD).await.expect(200);
    // That is no way around it: those at home have mistakes of their own.
    login(&client, "198.51.100.9", "ada", PASSWORD).await.expect(429);
    for _ in 0..3 {
        login(&client, HOME, "ada", WRONG).await.refused(401, "unauthorized");
    }
    login(&client, HOME, "ada", PASSWORD).await.refused(429, "rate_limited");
    rig.shutdown().await;
}

#[tokio::test]
async fn with_redis_mistakes_are_the_clusters() {
    let mut redis = Redis::start();
    let mut node = Node::builder()
        .env("REDIS_URL", &redis.url())
        .env("PANEL_REDIS__TIMEOUT", "500ms")
        .env("PANEL_AUTH__LOGIN_ATTEMPTS", "2")
        .start()
        .await;
    let up = async |node: &Node| {
        eventually("redis is up", Duration::from_secs(10), async || {
            node.metrics().await.find("panel_redis_up", &[]) == Some(1.0)
        })
        .await;
    };
    up(&node).await;
    let attempt = async |node: &Node, name: &str, password: &str| {
        Session::try_login(&node.client(), name, password).await.status.as_u16()
    };
    // Long enough for a restart: the pause after so many is four minutes.
    for _ in 0..2 {
        assert_eq!(attempt(&node, "ada", WRONG).await, 401);
    }
    assert_eq!(attempt(&node, "ada", WRONG).await, 429);
    // A right password that another node was told clears them here as well.
    redis.flush();
    assert_eq!(attempt(&node, "ada", WRONG).await, 401);
    let keys = redis.tell(&["KEYS", "panel:failures:*"]);
    let names = || keys.split_whitespace().filter(|word| word.starts_with("panel:failures:"));
    assert_eq!(names().count(), 2, "a name and an address: {keys}");
    for name in names() {
        assert_eq!(redis.tell(&["HSET", name, "failures", "10"]), "0");
    }
    // Another life of the node knows what the one before has counted.
    node.restart().await;
    up(&node).await;
    assert_eq!(attempt(&node, "ada", WRONG).await, 429);
    // Without Redis it knows what it has counted itself.
    redis.kill9();
    assert_eq!(attempt(&node, "eve", WRONG).await, 401);
    assert_eq!(attempt(&node, "eve", WRONG).await, 401);
    assert_eq!(attempt(&node, "eve", WRONG).await, 429);
}

/// Codes that come at the same moment are counted one by one: three are looked at, and the others wait.
async fn codes_at_once(redis: Option<&Redis>) {
    let clock = clock();
    let mut builder = RigBuilder::new(Backend::Sqlite.database().await);
    if let Some(redis) = redis {
        builder = builder.redis(&redis.url(), |config| config.timeout = Span::millis(500));
    }
    let rig = start_with(builder, strict(), &clock).await;
    if redis.is_some() {
        eventually("redis is up", Duration::from_secs(10), async || {
            rig.metrics().find("panel_redis_up", &[]) == Some(1.0)
        })
        .await;
    }
    let ada = Session::register(&rig.client(), "ada").await;
    let enroll = ada.post("/api/v2/auth/totp/enroll").json(&json!({"password": PASSWORD}));
    let enrolled = enroll.await.expect(201).json();
    let device = totp_rs::Totp::from_url(enrolled["otpauth_uri"].as_str().unwrap()).unwrap();
    let second = u64::try_from(clock.now().as_seconds()).unwrap();
    let code = json!({"code": device.generate(second).to_string()});
    ada.post("/api/v2/auth/totp/confirm").json(&code).await.expect(200);
    // It was good a moment ago, and none works twice.
    let answers = join_all((0..16).map(async |_| {
        let wrong = json!({"totp_code": code["code"]});
        ada.post("/api/v2/auth/reauthenticate").json(&wrong).await
    }))
    .await;
    let mut told: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    told.sort_unstable();
    assert_eq!(told, [[422; 3].as_slice(), &[429; 13]].concat(), "{answers:?}");
    if let Some(redis) = redis {
        // The nodes know it together.
        assert!(redis.tell(&["KEYS", "panel:failures:*"]).contains("panel:failures:"));
    }
    rig.shutdown().await;
}

#[tokio::test]
async fn codes_that_come_at_once_are_counted_one_by_one() {
    Box::pin(codes_at_once(None)).await;
}

#[tokio::test]
async fn with_redis_codes_that_come_at_once_are_counted_one_by_one() {
    Box::pin(codes_at_once(Some(&Redis::start()))).await;
}

/// Mann and Whitney's test: how many standard deviations the ranks of the two samples are from what
/// they would be if the samples were of one kind.
fn deviation(a: &[Duration], b: &[Duration]) -> f64 {
    let count = |number: usize| f64::from(u32::try_from(number).unwrap());
    let smaller = |x: &Duration| count(b.iter().filter(|y| *y < x).count());
    let above: f64 = a.iter().map(smaller).sum();
    let (n, m) = (count(a.len()), count(b.len()));
    (above - n * m / 2.0) / (n * m * (n + m + 1.0) / 12.0).sqrt()
}

#[tokio::test]
async fn time_does_not_tell_whether_there_is_such_an_account() {
    const PAIRS: usize = 60;
    let all = json!({"login_attempts": 1_000_000, "login_attempts_per_address": 1_000_000});
    let rig = start(Backend::Sqlite, all, &Clock::system()).await;
    let client = rig.client();
    Session::register(&client, "ada").await;
    let timed = async |name: &str| {
        let begun = Instant::now();
        login(&client, HOME, name, WRONG).await.refused(401, "unauthorized");
        begun.elapsed()
    };
    let (mut real, mut made_up, mut quick) = (Vec::new(), Vec::new(), Vec::new());
    for pair in 0..PAIRS {
        // In turns: what comes first may find memory and caches in another state.
        if pair % 2 == 0 {
            real.push(timed("ada").await);
            made_up.push(timed("eve").await);
        } else {
            made_up.push(timed("eve").await);
            real.push(timed("ada").await);
        }
        let begun = Instant::now();
        client.get("/api/v2/auth/.well-known/jwks.json").await.expect(200);
        quick.push(begun.elapsed());
    }
    // One in 30,000 runs is further away by chance; an answer without a hash always is.
    assert!(deviation(&real, &made_up).abs() < 4.0, "{real:?} {made_up:?}");
    assert!(deviation(&real, &quick) > 4.0);
    rig.shutdown().await;
}
