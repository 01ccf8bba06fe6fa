//! A node that dies, stops or fails at a named point of a write: whoever sends the request again
//! with its key has one answer and one row.

use std::os::unix::process::ExitStatusExt as _;
use std::sync::Arc;

use panel_harness::{Backend, Node, NodeBuilder, TestDatabase, Thread, on_both_databases};
use tempfile::TempDir;

on_both_databases!(
    a_death_at_any_point_of_a_write_leaves_one_row,
    what_fails_at_a_point_is_answered
);

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
