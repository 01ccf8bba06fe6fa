//! Every member of a service is gone.

use std::time::{Duration, Instant};

use panel_harness::load::Latency;
use panel_harness::{Cluster, PASSWORD, Session, checks, eventually};
use serde_json::{Value, json};

use super::scale::{figure, is_measured, millis};
use super::scene::{SOON, Scene};

/// Who asks the services that are left.
const READERS: usize = 16;
/// Between two requests of one of them.
const PAUSE: Duration = Duration::from_millis(20);

/// What it takes to be answered by a service that is well, under a load on all of them.
async fn answers(person: &Session, time: Duration) -> Latency {
    let begun = Instant::now();
    let reading = (0..READERS).map(|_| async {
        let mut took = Vec::new();
        while begun.elapsed() < time {
            let asked = Instant::now();
            person.get("/api/v2/cms/posts").await.expect(200);
            took.push(asked.elapsed());
            tokio::time::sleep(PAUSE).await;
        }
        took
    });
    Latency::of(futures::future::join_all(reading).await.into_iter().flatten().collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_others_serve_as_before() {
    let cluster = Cluster::builder()
        .await
        .env("PANEL_LIMITS__ENABLED", "false")
        .node("n1", "gateway")
        .node("n2", "auth,cms,admin")
        .node("n3", "forum")
        .start()
        .await;
    let mut scene = Scene::on(cluster).await;
    let load = scene.load().await.pause(Duration::from_millis(100));
    scene.begin_with(load).await;
    let time = Duration::from_secs(if is_measured() { 10 } else { 1 });
    let before = answers(&scene.admin, time).await;
    scene.cluster.node_mut("n3").kill9();
    scene.cluster.await_status("n3", "n1", Some("down")).await;
    let gone = answers(&scene.admin, time).await;
    // What is asked of it is refused with its name, at once.
    let asked = Instant::now();
    let problem = scene.admin.get(&scene.thread.posts).await.refused(503, "unavailable");
    assert_eq!(problem.service.as_deref(), Some("forum"));
    let refused = asked.elapsed();
    scene.cluster.node_mut("n3").restart().await;
    scene.cluster.await_linked().await;
    eventually("it is read again", SOON, async || {
        scene.admin.get(&scene.thread.posts).await.status == 200
    })
    .await;
    scene.more().await;
    checks::only_fails_with(&scene.end().await, &["503 unavailable"]).unwrap();
    let p99 = |latency: &Latency| latency.percentile(99);
    let ratio = p99(&gone).as_secs_f64() / p99(&before).as_secs_f64();
    let text = format!("{ratio:.2} × ({} / {})", millis(p99(&gone)), millis(p99(&before)));
    assert!(ratio < 10.0, "{text}");
    figure("forum gone: p99 of cms against before", &text, "≤ 1.2 ×", ratio <= 1.2);
    figure("forum gone: its refusal", &millis(refused), "none", true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_signed_in_goes_on_without_auth() {
    let cluster = Cluster::builder()
        .await
        .env("PANEL_NODE__PUBLIC_URL", "https://panel.example")
        .env("PANEL_LIMITS__ENABLED", "false")
        .node("n1", "gateway")
        .node("n2", "auth")
        .node("n3", "forum,cms,admin")
        .start()
        .await;
    let mut scene = Scene::on(cluster).await;
    let client = scene.cluster.client("n1");
    let late = Session::register(&client, "late").await;
    let asked = json!({"name": "robot", "scopes": ["forum:read"]});
    let keys = ["known", "new"].map(|_| late.post("/api/v2/auth/api-keys").json(&asked));
    let [known, new] = keys.map(IntoFuture::into_future);
    let [known, new] = [known.await.expect(201).json(), new.await.expect(201).json()];
    let with_key = async |key: &Value| {
        let read = client.get("/api/v2/forum/threads");
        read.header("x-api-key", key["key"].as_str().unwrap()).await
    };
    let credentials = json!({"login": "late", "password": PASSWORD, "cookie": true});
    let signed_in = client.post("/api/v2/auth/login").json(&credentials).await.expect(200);
    let cookie = signed_in.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let with_cookie =
        async || client.get("/api/v2/forum/threads").header("cookie", &cookie).await.expect(200);
    with_key(&known).await.expect(200);
    with_cookie().await;
    scene.begin().await;
    let identity = async |wanted: &str| {
        eventually(&format!("identity is {wanted}"), SOON, async || {
            let health = client.get("/api/v2/health").await.expect(200).json();
            let status = health["dependencies"]["identity"]["status"].clone();
            if status == wanted { Ok(()) } else { Err(status) }
        })
        .await;
    };
    identity("up").await;
    scene.cluster.node_mut("n2").kill9();
    scene.cluster.await_status("n2", "n1", Some("down")).await;
    identity("down").await;
    let problem = Session::try_login(&client, "late", PASSWORD).await.refused(503, "unavailable");
    assert_eq!(problem.service.as_deref(), Some("auth"));
    // So are those who were known by a key or a cookie; of another, nothing can be told.
    with_key(&known).await.expect(200);
    with_cookie().await;
    let problem = with_key(&new).await.refused(503, "unavailable");
    assert_eq!(problem.service.as_deref(), Some("auth"));
    // What administrators do to accounts is auth's to do.
    let path = format!("/api/v2/admin/users/{}/force-logout", late.user_id);
    let problem = scene.admin.post(&path).await.refused(503, "unavailable");
    assert_eq!(problem.service.as_deref(), Some("auth"));
    scene.more().await;
    scene.cluster.node_mut("n2").restart().await;
    scene.cluster.await_linked().await;
    identity("up").await;
    with_key(&new).await.expect(200);
    Session::login(&client, "late", PASSWORD).await;
    scene.more().await;
    // Whoever was signed in has not noticed.
    checks::failures_at_most(&scene.end().await, 0).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_admin_has_missed_it_hears_when_it_is_back() {
    let cluster = Cluster::builder()
        .await
        .env("PANEL_LIMITS__ENABLED", "false")
        .node("n1", "gateway")
        .node("n2", "auth,forum,cms")
        .node("n3", "admin")
        .start()
        .await;
    let mut scene = Scene::on(cluster).await;
    scene.begin().await;
    scene.cluster.node_mut("n3").kill9();
    scene.cluster.await_status("n3", "n1", Some("down")).await;
    let missed = Session::register(&scene.cluster.client("n1"), "missed").await;
    let users = "/api/v2/admin/users?limit=100";
    let problem = scene.admin.get(users).await.refused(503, "unavailable");
    assert_eq!(problem.service.as_deref(), Some("admin"));
    scene.more().await;
    scene.cluster.node_mut("n3").restart().await;
    scene.cluster.await_linked().await;
    eventually("it has heard of everybody", SOON, async || {
        let answer = scene.admin.get(users).await;
        answer.status == 200 && answer.text().contains(&missed.username)
    })
    .await;
    checks::failures_at_most(&scene.end().await, 0).unwrap();
}
