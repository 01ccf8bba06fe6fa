//! A node that dies, stops or fails at a named point of a write: whoever sends the request again
//! with its key has one answer and one row.

use std::os::unix::process::ExitStatusExt as _;
use std::sync::Arc;
use std::time::Duration;

use panel_harness::{
    Backend, Node, NodeBuilder, TestDatabase, Thread, eventually, on_both_databases,
};
use serde_json::{Value, json};
use tempfile::TempDir;

on_both_databases!(
    a_death_at_any_point_of_a_write_leaves_one_row,
    what_fails_at_a_point_is_answered,
    a_freeze_in_a_transaction_ends_with_one_row,
);

const WITHIN: Duration = Duration::from_secs(20);

/// Every point of a write, and whether the write is done once the process has died there.
const POINTS: [(&str, bool); 6] = [
    ("door.admit", false),
    ("write.before_transaction", false),
    ("write.in_transaction", false),
    ("write.before_commit", false),
    ("write.after_commit", true),
    ("reply.sent", true),
];

/// A node on these data, with this armed from its start.
fn armed(place: (&Arc<TempDir>, &TestDatabase), arm: &str) -> NodeBuilder {
    let node = Node::builder().data_dir(place.0).database(place.1);
    node.env("PANEL_FAULTS__ENABLED", "true").env("PANEL_FAULTS__ARM", arm)
}

async fn a_death_at_any_point_of_a_write_leaves_one_row(backend: Backend) {
    let (directory, database) = (Arc::new(TempDir::new().unwrap()), backend.database().await);
    let place = (&directory, &database);
    let mut node = armed(place, "").start().await;
    let mut admin = node.admin("root").await;
    let thread = Thread::open(&admin).await;
    let mut expected = vec!["first".to_owned()];
    for (point, is_done) in POINTS {
        assert!(node.sigterm_and_wait().await.success());
        let mut doomed = armed(place, &format!("{point}=exit")).start().await;
        admin = admin.at(&doomed.client());
        let sent = thread.reply(&admin, point).idempotency_key(point).send().await;
        assert_eq!(doomed.ended().await.signal(), Some(9), "{point}");
        if let Ok(answer) = sent {
            // The answer may be out before the process is gone.
            assert_eq!(point, "reply.sent");
            answer.expect(201);
        }
        node = armed(place, "").start().await;
        admin = admin.at(&node.client());
        let again = thread.reply(&admin, point).idempotency_key(point).await.expect(201);
        assert_eq!(again.header("idempotency-replayed").is_some(), is_done, "{point}");
        let more = thread.reply(&admin, point).idempotency_key(point).await.expect(201);
        assert_eq!(
            (again.body, Some("true")),
            (more.body.clone(), more.header("idempotency-replayed"))
        );
        expected.push(point.to_owned());
    }
    assert_eq!(thread.bodies(&node.client()).await, expected);
}

async fn what_fails_at_a_point_is_answered(backend: Backend) {
    let (directory, database) = (Arc::new(TempDir::new().unwrap()), backend.database().await);
    let place = (&directory, &database);
    let mut node = armed(place, "").start().await;
    let admin = node.admin("root").await;
    let thread = Thread::open(&admin).await;
    assert!(node.sigterm_and_wait().await.success());
    let arm = "write.before_transaction=error@0, write.in_transaction=error, \
               write.after_commit=error*3@1, door.admit=error@5";
    let node = armed(place, arm).start().await;
    let admin = admin.at(&node.client());
    let send = |key: &'static str| thread.reply(&admin, key).idempotency_key(key);
    // Nothing is done, and that is said.
    send("a").await.refused(503, "unavailable");
    send("a").await.refused(503, "unavailable");
    let done = send("a").await.expect(201);
    assert_eq!(done.header("idempotency-replayed"), None);
    // It is done, and who did it does not know: the gateway asks again.
    let again = send("b").await.expect(201);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    // It is not let in, and there is no other door.
    send("c").await.refused(503, "unavailable");
    send("c").await.expect(201);
    assert_eq!(thread.bodies(&node.client()).await, ["first", "a", "b", "c"]);
}

/// On PostgreSQL the server ends the frozen node's transaction, so that its locks are nobody's.
async fn a_freeze_in_a_transaction_ends_with_one_row(backend: Backend) {
    let database = backend.database().await;
    let node = Node::builder().database(&database).faults().start().await;
    let admin = node.admin("root").await;
    let thread = Thread::open(&admin).await;
    node.arm("write.in_transaction=freeze").await;
    let send = || thread.reply(&admin, "frozen").idempotency_key("k");
    let sending = tokio::spawn({
        let send = send();
        async move { send.send().await.unwrap() }
    });
    eventually("it stands still", WITHIN, async || node.is_frozen()).await;
    if backend == Backend::Postgres {
        let mut forum = database.raw_sql("forum").await;
        let update = forum.run("UPDATE threads SET view_count = view_count + 1");
        tokio::time::timeout(WITHIN, update).await.expect("the thread's row is nobody's");
    }
    node.signal("CONT");
    // PostgreSQL has ended the transaction; the gateway has sent it again.
    sending.await.unwrap().expect(201);
    let again = send().await.expect(201);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(thread.bodies(&node.client()).await, ["first", "frozen"]);
}

/// What `status` says of an actor.
async fn restarts(node: &Node, path: &str) -> u64 {
    let status = node.told(json!({"request": "status"})).await;
    status["actors"][path]["restarts"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn actors_are_broken_by_their_path() {
    let node = Node::builder().faults().start().await;
    // Signed in: nothing is answered from the edge's cache.
    let admin = node.admin("root").await;
    let read = || admin.get("/api/v2/forum/threads");
    for (request, path) in [("kill", "forum/serving/front_door"), ("panic", "forum/keeper")] {
        assert_eq!(restarts(&node, path).await, 0);
        node.told(json!({"request": request, "actor": path})).await;
        eventually("it was restarted, and serves", WITHIN, async || {
            let answer = read().await;
            restarts(&node, path).await == 1 && answer.status == 200
        })
        .await;
    }
    // Before it is told: what the node writes by itself may be what the writer stalls over.
    let begun = std::time::Instant::now();
    node.told(json!({"request": "stall", "actor": "forum/writer", "time": "400ms"})).await;
    let category = json!({"name": "slow"});
    admin.post("/api/v2/forum/categories").json(&category).await.expect(201);
    assert!(begun.elapsed() >= Duration::from_millis(400), "{:?}", begun.elapsed());
    assert_eq!(restarts(&node, "forum/writer").await, 0);
    let nobody = node.control(json!({"request": "kill", "actor": "forum/sering"})).await;
    assert!(sentence(&nobody).contains("no actor runs at"), "{nobody:?}");
}

fn sentence(answer: &[Value]) -> String {
    answer.last().unwrap()["error"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_node_is_not_broken_unless_faults_are_enabled() {
    let node = Node::start().await;
    for request in [
        json!({"request": "fault", "arm": "write.after_commit=exit"}),
        json!({"request": "fault", "disarm": "*"}),
        json!({"request": "kill", "actor": "forum/keeper"}),
        json!({"request": "panic", "actor": "forum/keeper"}),
        json!({"request": "stall", "actor": "forum/keeper", "time": "1s"}),
    ] {
        let refused = node.control(request).await;
        assert!(sentence(&refused).contains("faults.enabled"), "{refused:?}");
    }
    assert_eq!(node.told(json!({"request": "fault"})).await["enabled"], false);
    assert_eq!(restarts(&node, "forum/keeper").await, 0);
    let admin = node.admin("root").await;
    Thread::open(&admin).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_armed_is_listed_until_it_has_acted() {
    let node = Node::builder().faults().start().await;
    node.arm("write.before_transaction=error*2").await;
    let armed = async || {
        let status = node.told(json!({"request": "fault"})).await;
        let points = status["points"].as_array().unwrap();
        let point = points.iter().find(|point| point["name"] == "write.before_transaction");
        (point.unwrap()["armed"].clone(), point.unwrap()["acted"].clone())
    };
    assert_eq!(armed().await, (json!("write.before_transaction=error*2@0"), json!(0)));
    let account = json!({"username": "ada", "email": "ada@example.org", "password": "long enough"});
    for _ in 0..2 {
        let register = node.client().post("/api/v2/auth/register").json(&account);
        register.await.refused(503, "unavailable");
    }
    assert_eq!(armed().await, (Value::Null, json!(2)));
    node.arm("write.before_transaction=error").await;
    node.disarm().await;
    node.client().post("/api/v2/auth/register").json(&account).await.expect(201);
    let unknown = node.control(json!({"request": "fault", "arm": "write.nowhere=exit"})).await;
    assert!(sentence(&unknown).contains("write.after_commit"), "{unknown:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_armed_unless_faults_are_enabled() {
    for (name, value, part) in [
        ("PANEL_FAULTS__ARM", "write.after_commit=exit", "faults.enabled"),
        ("PANEL_FAULTS__ENABLED", "perhaps", "faults.enabled"),
    ] {
        let refused = Node::builder().env(name, value).start_refused().await;
        let text = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{text}");
        assert!(text.contains(name) && text.contains(part), "{text}");
    }
    let unknown = Node::builder()
        .env("PANEL_FAULTS__ENABLED", "true")
        .env("PANEL_FAULTS__ARM", "write.nowhere=exit");
    let refused = unknown.start_refused().await;
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(text.contains("write.nowhere") && text.contains("write.after_commit"), "{text}");
}
