//! A whole service, small: the example of `docs/adding-a-service.md`, kept true by its tests.
//!
//! ```text
//! guestbook
//! ├── keeper, writer, relay, janitor   (kernel)
//! └── serving                          (kernel)
//! ```
//!
//! Its failure costs the guestbook and nothing else.

mod api;
mod config;
mod documents;
mod events;
mod rules;
mod store;
mod supervisor;

use std::sync::Arc;

use axum::routing::get;
use http::StatusCode;
use panel_harness::{Backend, Client, Rig, RigBuilder, on_both_databases};
use panel_kernel::config::Section;
use panel_kernel::data::sql;
use panel_kernel::personal::Asking;
use panel_kernel::role::Role;
use serde_json::{Value, json};

use supervisor::SERVICE;

const ENTRIES: &str = "/api/v2/guestbook/entries";

on_both_databases!(
    an_entry_is_signed_once_and_listed,
    bad_entries_are_refused_and_leave_nothing,
    pages_follow_each_other,
    a_signature_is_told_and_recorded,
    what_somebody_signed_they_can_have,
    a_panic_costs_nothing_but_its_request,
    a_restart_costs_nothing,
);

async fn start(backend: Backend) -> Rig {
    let values = json!({"max_chars": 20, "pool": {"workers": 4, "queue": 32}});
    let section = Section { path: "guestbook".to_owned(), values };
    let mut spec = (SERVICE.configure)(&section).unwrap();
    // One route more, which no real service would have.
    let put_together = Arc::clone(&spec.assemble);
    spec.assemble = Arc::new(move |context| {
        let mut assembly = put_together(context);
        assembly.router = assembly.router.route("/api/v2/guestbook/panic", get(panics));
        assembly
    });
    let builder = RigBuilder::new(backend.database().await).service(spec);
    Box::pin(builder.start()).await
}

async fn panics() -> StatusCode {
    panic!("as asked for")
}

async fn texts(client: &Client) -> Vec<String> {
    let listing = client.get(ENTRIES).await.expect(200).json();
    let items = listing["items"].as_array().unwrap().iter();
    items.map(|entry| entry["text"].as_str().unwrap().to_owned()).collect()
}

async fn an_entry_is_signed_once_and_listed(backend: Backend) {
    let rig = start(backend).await;
    let ada = rig.signed_in(Role::User);
    let sign = |text: &str| ada.post(ENTRIES).idempotency_key("k").json(&json!({"text": text}));
    let first = sign("was here").await.expect(201);
    let again = sign("was here").await.expect(201);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(first.body, again.body);
    sign("was there").await.refused(422, "idempotency_mismatch");
    // Anybody may read.
    assert_eq!(texts(&rig.client()).await, ["was here"]);
    rig.shutdown().await;
}

async fn bad_entries_are_refused_and_leave_nothing(backend: Backend) {
    let rig = start(backend).await;
    let ada = rig.signed_in(Role::User);
    rig.client().post(ENTRIES).json(&json!({"text": "x"})).await.refused(401, "unauthorized");
    for (body, field, code) in [
        (json!({}), "text", "required"),
        (json!({"text": " "}), "text", "required"),
        (json!({"text": "x".repeat(21)}), "text", "too_long"),
        (json!({"text": "x", "stars": 5}), "stars", "unknown"),
        (json!({"text": 1}), "text", "invalid"),
    ] {
        let problem = ada.post(ENTRIES).json(&body).await.refused(422, "validation");
        assert_eq!(problem.fields(), [(field, code)], "{body}");
    }
    assert!(texts(&ada).await.is_empty());
    rig.shutdown().await;
}

async fn pages_follow_each_other(backend: Backend) {
    let rig = start(backend).await;
    let ada = rig.signed_in(Role::User);
    for text in ["one", "two", "three"] {
        ada.post(ENTRIES).json(&json!({"text": text})).await.expect(201);
    }
    let mut found = Vec::new();
    let mut page = format!("{ENTRIES}?limit=2");
    loop {
        let listing: Value = ada.get(&page).await.expect(200).json();
        found.push(listing["items"].as_array().unwrap().len());
        let Some(cursor) = listing["next_cursor"].as_str() else { break };
        page = format!("{ENTRIES}?limit=2&cursor={cursor}");
    }
    assert_eq!(found, [2, 1]);
    assert_eq!(texts(&ada).await, ["three", "two", "one"]);
    ada.get(&format!("{ENTRIES}?cursor=made-up")).await.refused(400, "bad_request");
    rig.shutdown().await;
}

async fn a_signature_is_told_and_recorded(backend: Backend) {
    let rig = start(backend).await;
    let ada = rig.signed_in(Role::User);
    let entry = ada.post(ENTRIES).json(&json!({"text": "was here"})).await.expect(201).json();
    let mut conn = rig.database("guestbook").reader().await.unwrap();
    let told: Vec<(String, String)> =
        conn.all(sql("SELECT topic, payload FROM outbox ORDER BY position")).await.unwrap();
    drop(conn);
    let topics: Vec<&str> = told.iter().map(|(topic, _)| topic.as_str()).collect();
    assert_eq!(topics, ["entry.signed", "audit"]);
    let payload = |at: usize| serde_json::from_str::<Value>(&told[at].1).unwrap();
    assert_eq!(payload(0), json!({"id": entry["id"], "author_id": entry["author_id"]}));
    assert_eq!(payload(1)["action"], "entry.sign");
    assert_eq!(payload(1)["actor"], entry["author_id"]);
    assert_eq!(payload(1)["after"], entry);
    rig.shutdown().await;
}

async fn what_somebody_signed_they_can_have(backend: Backend) {
    let rig = start(backend).await;
    let (ada, bob) = (rig.signed_in(Role::User), rig.signed_in(Role::User));
    // More than a page, with somebody else's in between.
    let mut author = Value::Null;
    for number in 0..120 {
        let text = json!({"text": format!("ada {number}")});
        author = ada.post(ENTRIES).json(&text).await.expect(201).json()["author_id"].clone();
    }
    bob.post(ENTRIES).json(&json!({"text": "bob"})).await.expect(201);
    let asking = Asking::new(&rig.runtime);
    assert_eq!(asking.kinds("guestbook").await.unwrap(), ["entries"]);
    assert_eq!(asking.kinds("probe").await.unwrap(), [""; 0]);
    let person = author.as_str().unwrap().parse().unwrap();
    let (mut found, mut pages, mut after) = (Vec::new(), 0, None);
    loop {
        let page = asking.page("guestbook", "entries", person, after).await.unwrap();
        found.extend(page.records);
        (pages, after) = (pages + 1, page.after);
        if after.is_none() {
            break;
        }
    }
    let found: Vec<Value> =
        found.iter().map(|record| serde_json::from_str(record.get()).unwrap()).collect();
    let texts: Vec<String> = (0..120).map(|number| format!("ada {number}")).collect();
    assert_eq!(
        found.iter().map(|one| &one["text"]).collect::<Vec<_>>(),
        texts.iter().collect::<Vec<_>>()
    );
    assert_eq!(pages, 4);
    let fields: Vec<_> = found[0].as_object().unwrap().keys().cloned().collect();
    assert_eq!(fields, ["id", "author_name", "text", "created_at"]);
    let unknown = asking.page("guestbook", "others", person, None).await.unwrap_err();
    assert_eq!(unknown.kind, panel_kernel::problem::Kind::NotFound);
    // Nobody outside can ask that, whoever they are.
    let path = format!("/.panel/personal-data/entries?person={}", author.as_str().unwrap());
    rig.signed_in(Role::SystemAdmin).get(&path).await.refused(404, "not_found");
    rig.shutdown().await;
}

async fn a_panic_costs_nothing_but_its_request(backend: Backend) {
    let rig = start(backend).await;
    let ada = rig.signed_in(Role::User);
    ada.post(ENTRIES).json(&json!({"text": "before"})).await.expect(201);
    for _ in 0..20 {
        ada.get("/api/v2/guestbook/panic").await.refused(500, "internal");
    }
    ada.post(ENTRIES).json(&json!({"text": "after"})).await.expect(201);
    assert_eq!(texts(&ada).await, ["after", "before"]);
    assert_eq!(rig.restarts("guestbook/serving/pool"), 0);
    rig.shutdown().await;
}

async fn a_restart_costs_nothing(backend: Backend) {
    let rig = start(backend).await;
    let ada = rig.signed_in(Role::User);
    let sign = || ada.post(ENTRIES).idempotency_key("k").json(&json!({"text": "was here"}));
    let first = sign().await.expect(201);
    rig.restart("guestbook").await;
    rig.await_up().await;
    let again = sign().await.expect(201);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(first.body, again.body);
    assert_eq!(texts(&ada).await, ["was here"]);
    rig.shutdown().await;
}
