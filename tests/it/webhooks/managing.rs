//! Which webhooks there are, and who says so.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use panel_harness::{Backend, eventually, on_both_databases};
use panel_kernel::ids::hex;
use panel_kernel::role::Role;
use serde_json::{Value, json};

use super::{SOON, Scene, WEBHOOKS, acts, at, listening, made};

on_both_databases!(
    administrators_make_change_and_remove_them,
    fields_are_checked,
    deliveries_are_listed_page_by_page,
    a_secret_is_shown_once_and_again_to_who_asks_again,
    nobody_else_has_to_do_with_them,
);

const URL: &str = "https://example.org/hook?token=secret";

async fn administrators_make_change_and_remove_them(backend: Backend) {
    let scene = Scene::start(backend).await;
    let answer = scene.root.post(WEBHOOKS).json(&json!({
        "url": URL, "topics": ["article.edited", "article.published"], "description": "for me",
    }));
    let answer = answer.await.expect(201);
    let webhook = answer.json();
    assert_eq!(answer.header("location"), Some(at(&webhook).as_str()));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(webhook["secret"].as_str().unwrap().starts_with("whsec_"));
    assert_eq!(webhook["topics"], json!(["article.published", "article.edited"]));
    let read = scene.root.get(&at(&webhook)).await.expect(200);
    let tag = read.header("etag").unwrap().to_owned();
    assert_eq!(read.json()["url"], URL);
    let patch = |tag: &str, change: Value| {
        scene.root.patch(&at(&webhook)).header("if-match", tag).json(&change)
    };
    let change = json!({"topics": ["*"], "enabled": false, "description": ""});
    scene.root.patch(&at(&webhook)).json(&change).await.refused(428, "precondition_required");
    let changed = patch(&tag, change.clone()).await.expect(200).json();
    assert_eq!((&changed["topics"], &changed["enabled"]), (&json!(["*"]), &json!(false)));
    assert_eq!((&changed["version"], &changed["url"]), (&json!(2), &json!(URL)));
    patch(&tag, json!({"enabled": true})).await.refused(412, "precondition_failed");
    // What changes nothing is no version.
    assert_eq!(patch("\"2\"", change).await.expect(200).json()["version"], 2);
    let other = made(&scene.root, "https://example.com/", json!(["*"])).await;
    let listed = scene.root.get(&format!("{WEBHOOKS}?limit=1")).await.expect(200).json();
    assert_eq!(listed["items"][0]["id"], other["id"]);
    assert_eq!(listed["items"][0]["secret"], Value::Null);
    let next = format!("{WEBHOOKS}?limit=1&cursor={}", listed["next_cursor"].as_str().unwrap());
    let rest = scene.root.get(&next).await.expect(200).json();
    assert_eq!((&rest["items"][0]["id"], &rest["next_cursor"]), (&webhook["id"], &Value::Null));
    scene.root.delete(&at(&webhook)).await.expect(204);
    scene.root.delete(&at(&webhook)).await.refused(404, "not_found");
    for (method, path) in [("get", ""), ("get", "/deliveries"), ("post", "/ping")] {
        let whole = format!("{}{path}", at(&webhook));
        let asked = if method == "get" { scene.root.get(&whole) } else { scene.root.post(&whole) };
        asked.await.refused(404, "not_found");
    }
    // Who looks into the log does not see what is nobody's business.
    let acts = acts(&scene.rig).await;
    let said: Vec<&str> = acts.iter().map(|act| act["action"].as_str().unwrap()).collect();
    assert_eq!(said, ["webhook.create", "webhook.edit", "webhook.create", "webhook.delete"]);
    assert_eq!(acts[0]["after"]["url"], "https://example.org");
    assert!(!json!(acts).to_string().contains("token=secret"));
    scene.rig.shutdown().await;
}

async fn fields_are_checked(backend: Backend) {
    let scene = Scene::start(backend).await;
    for (change, field, code) in [
        (json!({"topics": []}), "topics", "required"),
        (json!({"topics": ["user.registered"]}), "topics", "unknown"),
        (json!({"topics": "*"}), "topics", "invalid"),
        (json!({"description": "a".repeat(201)}), "description", "too_long"),
        (json!({"enabled": null}), "enabled", "invalid"),
        (json!({"secret": "mine"}), "secret", "unknown"),
    ] {
        let mut whole = json!({"url": URL, "topics": ["*"]});
        for (key, value) in change.as_object().unwrap() {
            whole[key] = value.clone();
        }
        let problem = scene.root.post(WEBHOOKS).json(&whole).await.refused(422, "validation");
        assert_eq!(problem.fields()[0], (field, code), "{change}");
    }
    let webhook = made(&scene.root, URL, json!(["*"])).await;
    let patch = scene.root.patch(&at(&webhook)).header("if-match", "*");
    let problem = patch.json(&json!({"url": "ftp://a"})).await.refused(422, "validation");
    assert_eq!(problem.fields()[0], ("url", "not_https"));
    for _ in 0..49 {
        made(&scene.root, URL, json!(["*"])).await;
    }
    let one_more = scene.root.post(WEBHOOKS).json(&json!({"url": URL, "topics": ["*"]}));
    one_more.await.refused(409, "conflict");
    scene.root.delete(&at(&webhook)).await.expect(204);
    made(&scene.root, URL, json!(["*"])).await;
    scene.rig.shutdown().await;
}

async fn deliveries_are_listed_page_by_page(backend: Backend) {
    let scene = Scene::start(backend).await;
    let (receiver, webhook) = listening(&scene).await;
    receiver.answers([500]);
    let first = scene.ping(&webhook).await;
    receiver.receives(1).await;
    let mut sent = vec![first["id"].clone()];
    for _ in 0..4 {
        sent.push(scene.ping(&webhook).await["id"].clone());
    }
    receiver.receives(5).await;
    sent.reverse();
    let path = format!("{}/deliveries?limit=2", at(&webhook));
    let (mut found, mut next) = (Vec::new(), path.clone());
    for _ in 0..3 {
        let page = scene.root.get(&next).await.expect(200).json();
        found.extend(page["items"].as_array().unwrap().iter().map(|it| it["id"].clone()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        next = format!("{path}&cursor={cursor}");
    }
    assert_eq!(found, sent);
    eventually("the first alone is pending", SOON, async || {
        let pending = scene.root.get(&format!("{path}&state=pending")).await.expect(200).json();
        let ids: Vec<Value> =
            pending["items"].as_array().unwrap().iter().map(|it| it["id"].clone()).collect();
        if ids == [first["id"].clone()] { Ok(()) } else { Err(ids) }
    })
    .await;
    let wrong = scene.root.get(&format!("{path}&state=lost")).await.refused(422, "validation");
    assert_eq!(wrong.fields()[0], ("state", "invalid"));
    scene.root.get(&format!("{path}&cursor=x")).await.refused(400, "bad_request");
    // One of another webhook is none of this one.
    let (_, other) = listening(&scene).await;
    let id = first["id"].as_str().unwrap();
    for path in [format!("/deliveries/{id}"), "/deliveries/x".to_owned()] {
        scene.root.get(&format!("{}{path}", at(&other))).await.refused(404, "not_found");
    }
    let again = format!("{}/deliveries/{id}/redeliver", at(&other));
    scene.root.post(&again).await.refused(404, "not_found");
    scene.rig.shutdown().await;
}

async fn a_secret_is_shown_once_and_again_to_who_asks_again(backend: Backend) {
    let scene = Scene::start(backend).await;
    let make = || {
        scene
            .root
            .post(WEBHOOKS)
            .idempotency_key("once")
            .json(&json!({"url": URL, "topics": ["*"]}))
    };
    let first = make().await.expect(201);
    let again = make().await.expect(201);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(first.json(), again.json());
    let listed = scene.root.get(WEBHOOKS).await.expect(200).json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    // Neither is it to be read in what is stored.
    let stored = scene.rig.raw_sql("cms").await.dump().await.join("\n");
    let secret = first.json()["secret"].as_str().unwrap().to_owned();
    let bytes = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let stored = stored.to_lowercase();
    assert!(stored.contains("webhook.create"), "it is everything");
    for secret in [secret.to_lowercase(), hex(secret.as_bytes()), hex(&bytes)] {
        assert!(!stored.contains(&secret));
    }
    scene.rig.shutdown().await;
}

async fn nobody_else_has_to_do_with_them(backend: Backend) {
    let scene = Scene::start(backend).await;
    let webhook = made(&scene.root, URL, json!(["*"])).await;
    let eve = scene.rig.signed_in(Role::Moderator);
    for path in [WEBHOOKS.to_owned(), at(&webhook), format!("{}/deliveries", at(&webhook))] {
        eve.get(&path).await.refused(403, "forbidden");
        scene.rig.client().get(&path).await.refused(401, "unauthorized");
    }
    let new = json!({"url": URL, "topics": ["*"]});
    eve.post(WEBHOOKS).json(&new).await.refused(403, "forbidden");
    eve.post(&format!("{}/ping", at(&webhook))).await.refused(403, "forbidden");
    eve.post(&format!("{}/rotate-secret", at(&webhook))).await.refused(403, "forbidden");
    eve.delete(&at(&webhook)).await.refused(403, "forbidden");
    scene.rig.shutdown().await;
}
