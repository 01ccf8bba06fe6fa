//! Several at once at the same thing: one wins, the counts are right, and those who want little
//! do not wait for those who want much.

use std::time::Duration;

use panel_harness::http::RequestBuilder;
use panel_harness::session::{PASSWORD, email};
use panel_harness::{Answer, Backend, Node, Session, Thread, eventually, on_both_databases};
use serde_json::{Value, json};

on_both_databases!(
    a_setup_link_has_one_winner,
    edits_under_one_tag_have_one_winner,
    replies_and_deletions_at_once_keep_the_counts_right,
);

/// Sends all of them at the same time.
async fn all(requests: impl IntoIterator<Item = RequestBuilder>) -> Vec<Answer> {
    let tasks: Vec<_> =
        requests.into_iter().map(|request| tokio::spawn(request.into_future())).collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers
}

async fn a_setup_link_has_one_winner(backend: Backend) {
    let database = backend.database().await;
    let node = Node::builder().database(&database).start().await;
    let client = node.client();
    let link = eventually("the link is written", Duration::from_secs(5), async || {
        let text = std::fs::read_to_string(node.data_dir().join("setup-link"));
        text.ok().filter(|text| text.ends_with('\n'))
    })
    .await;
    let token = link.trim().split_once('#').unwrap().1;
    let names: Vec<String> = (0..8).map(|n| format!("claimant-{n}")).collect();
    let claims = names.iter().map(|name| {
        let claim =
            json!({"token": token, "username": name, "email": email(name), "password": PASSWORD});
        client.post("/api/v2/auth/setup").json(&claim)
    });
    let mut winners = 0;
    for (name, answer) in names.iter().zip(all(claims).await) {
        let login = Session::try_login(&client, name, PASSWORD).await;
        if answer.status == 201 {
            winners += 1;
            assert_eq!(login.expect(200).json()["user"]["role"], "system_admin");
        } else {
            answer.refused(403, "forbidden");
            login.refused(401, "unauthorized");
        }
    }
    assert_eq!(winners, 1);
}

async fn edits_under_one_tag_have_one_winner(backend: Backend) {
    let database = backend.database().await;
    let node = Node::builder().database(&database).start().await;
    let admin = node.admin("root").await;
    let thread = Thread::open(&admin).await;
    let made = thread.reply(&admin, "reply").await.expect(201).json();
    let post = format!("/api/v2/forum/posts/{}", made["id"].as_str().unwrap());
    let edited: [(&str, &str); 3] =
        [(&thread.path, "title"), (&post, "body"), ("/api/v2/auth/profile", "display_name")];
    for (path, field) in edited {
        for round in 0..3 {
            let before = admin.get(path).await.expect(200);
            let edits = (0..10).map(|n| {
                let change = json!({ field: format!("{round} by {n}") });
                admin.patch(path).header("if-match", before.header("etag").unwrap()).json(&change)
            });
            let (won, lost): (Vec<Answer>, Vec<Answer>) =
                all(edits).await.into_iter().partition(|answer| answer.status == 200);
            assert_eq!(won.len(), 1, "{path}: {won:?}");
            for answer in lost {
                answer.refused(412, "precondition_failed");
            }
            // What is there now is what the winner was told.
            let after = admin.get(path).await.expect(200);
            assert_eq!(after.json()[field], won[0].json()[field]);
            assert_eq!(after.header("etag"), won[0].header("etag"), "{after:?} {:?}", won[0]);
        }
    }
}

/// Some replies, of which every other one is deleted again.
async fn reply_and_delete(by: Session, thread: Thread, name: usize) {
    for number in 0..10 {
        let reply = thread.reply(&by, &format!("{name}-{number}")).await.expect(201).json();
        if number % 2 == 0 {
            let post = format!("/api/v2/forum/posts/{}", reply["id"].as_str().unwrap());
            by.delete(&post).await.expect(204);
        }
    }
}

async fn replies_and_deletions_at_once_keep_the_counts_right(backend: Backend) {
    let database = backend.database().await;
    let node = Node::builder().database(&database).start().await;
    let admin = node.admin("root").await;
    let client = node.client();
    let thread = Thread::open(&admin).await;
    admin.patch(&thread.path).json(&json!({"tags": ["busy"]})).await.expect(200);
    let people: Vec<_> = (0..8)
        .map(|name| tokio::spawn(reply_and_delete(admin.clone(), thread.clone(), name)))
        .collect();
    for person in people {
        person.await.unwrap();
    }
    // Numbers without gaps (`all` looks), and as many replies as are still there.
    let posts = thread.all(&client).await;
    assert_eq!(posts.len(), 81);
    let there = posts.iter().filter(|post| post["deleted"] != true).count() - 1;
    assert_eq!(there, 40);
    assert_eq!(thread.read(&client).await["reply_count"], there);
    let counted = "SELECT CAST(reply_count AS TEXT) FROM thread_tags";
    let counted = database.raw_sql("forum").await.texts(counted, 0).await.unwrap();
    assert_eq!(counted, [there.to_string()]);
    let latest = posts.iter().map(|post| post["created_at"].as_str().unwrap()).max();
    let shown: Value = thread.read(&client).await;
    assert_eq!(shown["last_post_at"].as_str(), latest);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_logins_costs_logins_alone() {
    // One password at a time, of about a second, and one that waits.
    let node = Node::builder()
        .env("PANEL_AUTH__HASHING_THREADS", "1")
        .env("PANEL_AUTH__HASHING_QUEUE", "1")
        .env("PANEL_AUTH__ARGON2_MEMORY_KIB", "65536")
        .env("PANEL_AUTH__ARGON2_ITERATIONS", "12")
        .start()
        .await;
    let client = node.client();
    let logins: Vec<_> = (0..20)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { Session::try_login(&client, "nobody", PASSWORD).await })
        })
        .collect();
    // What does not fit is refused while the first is still being looked at.
    eventually("the excess is refused", Duration::from_secs(5), async || {
        logins.iter().filter(|login| login.is_finished()).count() == 18
    })
    .await;
    for _ in 0..30 {
        client.get("/api/v2/forum/threads").await.expect(200);
        client.get("/api/v2/auth/.well-known/jwks.json").await.expect(200);
    }
    let (done, pending): (Vec<_>, Vec<_>) =
        logins.into_iter().partition(tokio::task::JoinHandle::is_finished);
    assert!(!pending.is_empty(), "the reads were answered before the logins");
    let mut refused = 0;
    for login in done.into_iter().chain(pending) {
        let answer = login.await.unwrap();
        if answer.status == 401 {
            answer.refused(401, "unauthorized");
        } else {
            answer.refused(503, "unavailable");
            refused += 1;
        }
    }
    assert_eq!(refused, 18);
}
