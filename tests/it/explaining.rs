//! What the gateway tells of itself: how a request was decided, and what there is to ask.

use panel_harness::{Backend, Browser, Cluster, Node, Session, Thread, on_both_databases};
use serde_json::json;

on_both_databases!(an_administrator_is_told_how_it_was_decided);

const ASKED: (&str, &str) = ("x-panel-explain", "1");

fn has(told: &str, expected: &[&str]) {
    for one in expected {
        assert!(told.split(", ").any(|part| part == *one), "{one} in {told}");
    }
}

async fn an_administrator_is_told_how_it_was_decided(backend: Backend) {
    let database = backend.database().await;
    let node = Node::builder().database(&database).env("PANEL_LIMITS__ENABLED", "true");
    let node = node.start().await;
    let admin = node.admin("root").await;
    let thread = Thread::open(&admin).await;
    let told = async |path: &str| {
        let answer = admin.get(path).header(ASKED.0, ASKED.1).await;
        answer.header(ASKED.0).unwrap_or_else(|| panic!("{answer:?}")).to_owned()
    };
    let read = told(&thread.path).await;
    has(
        &read,
        &[
            "service=\"forum\"",
            "route=\"/api/v2/forum/threads/{id}\"",
            "member=\"n1\"",
            "attempts=1",
            "cache=\"not asked\"",
            "permission=\"nothing\"",
            "role=\"system_admin\"",
            "credential=\"session\"",
        ],
    );
    assert!(read.contains("limit=\"user ") && read.contains("took_us="), "{read}");
    has(&told("/api/v2/admin/users").await, &["service=\"admin\"", "permission=\"admin\""]);
    // Also where it comes to nothing.
    let nothing = told("/api/v2/forum/nowhere").await;
    has(&nothing, &["route=\"none\"", "permission=\"unknown\""]);
    let reply = thread.reply(&admin, "").header(ASKED.0, ASKED.1).await.expect(422);
    has(reply.header(ASKED.0).unwrap(), &["permission=\"account\""]);
    // A key of an administrator's says what it is; others are told nothing, whatever they ask.
    let key = json!({"name": "k", "scopes": ["forum:read"]});
    let key = admin.post("/api/v2/auth/api-keys").json(&key).await.expect(201).json();
    let by_key = node.client().get(&thread.path).header("x-api-key", key["key"].as_str().unwrap());
    let by_key = by_key.header(ASKED.0, ASKED.1).await.expect(200);
    has(by_key.header(ASKED.0).unwrap(), &["credential=\"api key\""]);
    let ada = Session::register(&node.client(), "ada").await;
    for (answer, who) in [
        (ada.get(&thread.path).header(ASKED.0, ASKED.1).await, "a member"),
        (node.client().get(&thread.path).header(ASKED.0, ASKED.1).await, "nobody"),
        (admin.get(&thread.path).header(ASKED.0, "0").await, "who does not ask"),
        (admin.get(&thread.path).await, "who does not ask"),
    ] {
        assert_eq!(answer.expect(200).header(ASKED.0), None, "{who}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_member_that_answered_is_named_across_nodes() {
    let cluster = Cluster::builder()
        .await
        .node("n1", "gateway,auth,admin")
        .node("n2", "forum")
        .node("n3", "forum,cms")
        .start()
        .await;
    let admin = cluster.node("n1").admin("root").await;
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..40 {
        let answer = admin.get("/api/v2/forum/threads").header(ASKED.0, ASKED.1).await.expect(200);
        let told = answer.header(ASKED.0).unwrap().to_owned();
        let member = told.split(", ").find_map(|part| part.strip_prefix("member=")).unwrap();
        seen.insert(member.to_owned());
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["\"n2\"", "\"n3\""]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_of_the_api_works_by_itself() {
    let node = Node::start().await;
    let ada = Session::register(&node.client(), "ada").await;
    let page = node.client().get("/api/v2/docs").await.expect(200);
    let policy = page.header("content-security-policy").unwrap();
    let nonce = policy.split('\'').find(|part| part.starts_with("nonce-")).unwrap();
    assert!(page.text().contains(&nonce["nonce-".len()..]) && !page.text().contains("{{"));
    assert!(!page.text().contains("//cdn") && !page.text().contains("src=\"http"));
    let again = node.client().get("/api/v2/docs").await.expect(200);
    assert_ne!(again.header("content-security-policy"), Some(policy), "a nonce is for one answer");
    let browser = Browser::start().await;
    browser.open(&node.url("/api/v2/docs")).await;
    browser.sees("routes").await;
    browser.types("#find", "GET auth/profile").await;
    browser.sees("1 of ").await;
    browser.clicks("details:not([hidden]) summary").await;
    browser.sees("needs").await;
    browser.clicks("details[open] button").await;
    browser.sees("401 in ").await;
    browser.types("#token", &ada.access_token).await;
    browser.clicks("details[open] button").await;
    browser.sees("200 in ").await;
    browser.sees("\"username\": \"ada\"").await;
    // What a page of another site would be is not in it.
    let outside = "return performance.getEntriesByType('resource').map((one) => one.name)\
                   .filter((name) => !name.startsWith(location.origin));";
    assert_eq!(browser.run(outside).await, json!([]));
    browser.close().await;
}
