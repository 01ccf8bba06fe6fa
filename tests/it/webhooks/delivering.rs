//! What webhooks are told: what they asked for, signed, in the order in which it happened.

use std::collections::BTreeSet;
use std::time::Duration;

use panel_harness::{
    Answering, Backend, Received, Receiver, SiteCertificate, eventually, on_both_databases,
};
use panel_kernel::time::Clock;
use ractor::ActorStatus;
use serde_json::{Value, json};
use standardwebhooks::Webhook;

use super::{HOUR, POSTS, SOON, Scene, acts, at, id_of, listening, made, published, step};

on_both_databases!(
    what_becomes_of_articles_is_told_to_who_asked_for_it,
    deliveries_are_signed_as_libraries_expect_it,
    what_appears_by_itself_is_told_too,
    what_a_receiver_says_is_kept_in_short,
    one_is_told_one_thing_at_a_time_and_others_do_not_wait,
    the_courier_and_the_recorder_are_replaced,
    what_is_being_told_when_the_courier_stops_is_told_to_its_end,
);

fn topics(received: &[Received]) -> Vec<String> {
    received.iter().map(|it| it.json()["type"].as_str().unwrap().to_owned()).collect()
}

async fn what_becomes_of_articles_is_told_to_who_asked_for_it(backend: Backend) {
    let scene = Scene::start(backend).await;
    let all = Receiver::start().await;
    let some = Receiver::start().await;
    let none = Receiver::start().await;
    let before = published(&scene.root, "Before").await;
    scene.clock.advance(Duration::from_secs(1));
    made(&scene.root, &all.url(), json!(["*"])).await;
    made(&scene.root, &some.url(), json!(["article.unpublished", "article.edited"])).await;
    let off = json!({"url": none.url(), "topics": ["*"], "enabled": false});
    scene.root.post(super::WEBHOOKS).json(&off).await.expect(201);
    let article = published(&scene.root, "A Flag").await;
    let path = format!("{POSTS}/{}", article["id"].as_str().unwrap());
    let edit = scene.root.patch(&path).header("if-match", &format!("\"{}\"", article["version"]));
    let edited = edit.json(&json!({"slug": "the-flag"})).await.expect(200).json();
    step(&scene.root, &edited, "archive").await;
    let told = all.receives(3).await;
    assert_eq!(topics(&told), ["article.published", "article.edited", "article.unpublished"]);
    let url = told[0].json()["data"]["url"].as_str().unwrap().to_owned();
    assert!(url.starts_with("http") && url.ends_with("/blog/a-flag"), "{url}");
    let first = told[0].json();
    assert_eq!(first["data"]["id"], article["id"]);
    assert_eq!(first["data"]["title"], "A Flag");
    assert_eq!(first["data"]["first"], true);
    assert_eq!(first["timestamp"], article["published_at"]);
    assert!(told[1].json()["data"]["url"].as_str().unwrap().ends_with("/blog/the-flag"));
    let fields = |it: &Received| {
        let data = it.json()["data"].as_object().unwrap().clone();
        let names: BTreeSet<String> = data.into_iter().map(|(name, _)| name).collect();
        names.into_iter().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        fields(&told[0]),
        "author_id comments excerpt first id kind published_at slug title url"
    );
    assert_eq!(fields(&told[1]), "author_id comments excerpt id kind slug title url");
    assert_eq!(fields(&told[2]), "id kind slug title url");
    assert_eq!(told[2].json()["data"]["url"], told[1].json()["data"]["url"]);
    assert_eq!(told[0].path, "/hook?of=panel");
    assert_eq!(told[0].header("content-type"), "application/json");
    assert!(told[0].header("user-agent").starts_with("panel/"));
    let told = some.receives(2).await;
    assert_eq!(topics(&told), ["article.edited", "article.unpublished"]);
    // Once this one has come, whatever came before has.
    step(&scene.root, &before, "archive").await;
    assert_eq!(some.receives(3).await[2].json()["data"]["id"], before["id"]);
    assert_eq!(all.receives(4).await.len(), 4);
    assert!(none.received().is_empty());
    scene.rig.shutdown().await;
}

async fn deliveries_are_signed_as_libraries_expect_it(backend: Backend) {
    let certificate = SiteCertificate::new();
    let settings = json!({
        "allowed_networks": ["127.0.0.1"],
        "ca_file": certificate.authority().to_str().unwrap(),
    });
    let scene = Scene::at(backend, settings, Clock::system()).await;
    let receiver = Receiver::under_tls(&certificate).await;
    let webhook = made(&scene.root, &receiver.url(), json!(["*"])).await;
    let first = webhook["secret"].as_str().unwrap().to_owned();
    published(&scene.root, "a").await;
    let [told] = &receiver.receives(1).await[..] else { panic!("it was told twice") };
    let verify = |secret: &str, it: &Received| {
        Webhook::new(secret).unwrap().verify(&it.body, &it.headers).is_ok()
    };
    assert!(verify(&first, told), "{told:?}");
    let delivery = scene.delivery_is(&webhook, "delivered", 1).await;
    assert_eq!(delivery["id"], told.header("webhook-id"));
    assert_eq!(delivery["body"], told.json());
    let mut other = told.clone();
    other.body = other.body.iter().map(u8::to_ascii_uppercase).collect();
    assert!(!verify(&first, &other), "what is changed is not signed");
    // A new secret, and for a while both.
    let path = format!("{}/rotate-secret", at(&webhook));
    let rotated = scene.root.post(&path).await.expect(200).json();
    let second = rotated["secret"].as_str().unwrap().to_owned();
    assert_ne!(first, second);
    assert!(rotated["earlier_secret_until"].is_string());
    scene.ping(&webhook).await;
    let told = &receiver.receives(2).await[1];
    assert!(verify(&first, told) && verify(&second, told));
    assert_eq!(told.json()["type"], "ping");
    // As if a day had passed.
    let mut sql = scene.rig.raw_sql("cms").await;
    sql.run("UPDATE webhooks SET earlier_until = 1").await;
    scene.ping(&webhook).await;
    let told = &receiver.receives(3).await[2];
    assert!(!verify(&first, told) && verify(&second, told));
    // Secrets are nowhere to be read.
    let shown = scene.shown(&webhook).await;
    assert_eq!(shown["secret"], Value::Null);
    assert!(!json!(acts(&scene.rig).await).to_string().contains("whsec_"));
    scene.rig.shutdown().await;
}

async fn what_appears_by_itself_is_told_too(backend: Backend) {
    let mut scene = Scene::start(backend).await;
    let (receiver, _) = listening(&scene).await;
    let draft = scene.root.post(POSTS).json(&json!({"title": "a"})).await.expect(201).json();
    let path = format!("{POSTS}/{}/schedule", draft["id"].as_str().unwrap());
    let plan = json!({"publish_at": scene.clock.now().plus(HOUR)});
    scene.root.post(&path).header("if-match", "\"1\"").json(&plan).await.expect(200);
    scene.later(HOUR);
    let told = receiver.receives(1).await;
    assert_eq!(topics(&told), ["article.published"]);
    assert_eq!(told[0].json()["data"]["id"], draft["id"]);
    scene.rig.shutdown().await;
}

async fn what_a_receiver_says_is_kept_in_short(backend: Backend) {
    let scene = Scene::start(backend).await;
    let (receiver, webhook) = listening(&scene).await;
    let body = format!("so\u{0}\u{1b}[31m {}", "é".repeat(1_000_000));
    receiver.answers([Answering { status: 200, header: None, body }]);
    scene.ping(&webhook).await;
    let delivery = scene.delivery_is(&webhook, "delivered", 1).await;
    let attempt = &delivery["log"][0];
    assert_eq!((attempt["number"].as_i64(), attempt["status"].as_i64()), (Some(1), Some(200)));
    assert_eq!(attempt["error"], Value::Null);
    let answer = attempt["answer"].as_str().unwrap();
    assert!(answer.starts_with("so[31m é"), "{answer}");
    assert_eq!(answer.chars().count(), 500);
    scene.rig.shutdown().await;
}

async fn one_is_told_one_thing_at_a_time_and_others_do_not_wait(backend: Backend) {
    let scene = Scene::start(backend).await;
    let (slow, webhook) = listening(&scene).await;
    let (quick, _) = listening(&scene).await;
    slow.holds();
    for title in ["a", "b", "c"] {
        published(&scene.root, title).await;
    }
    quick.receives(3).await;
    assert_eq!(slow.receives(1).await.len(), 1, "the others wait for the first");
    let going_on = scene.deliveries(&webhook).await.pop().unwrap();
    let detail = scene.detail(&webhook, &going_on).await;
    assert_eq!((&detail["attempts"], &detail["log"][0]["millis"]), (&json!(1), &Value::Null));
    slow.releases();
    let titles: Vec<Value> =
        slow.receives(3).await.iter().map(|it| it.json()["data"]["title"].clone()).collect();
    assert_eq!(titles, ["a", "b", "c"]);
    scene.rig.shutdown().await;
}

async fn the_courier_and_the_recorder_are_replaced(backend: Backend) {
    let mut scene = Scene::start(backend).await;
    let (receiver, webhook) = listening(&scene).await;
    receiver.holds();
    let article = published(&scene.root, "a").await;
    receiver.receives(1).await;
    // Its messenger goes with it, and what that was at is tried again after the usual pause.
    scene.rig.kill("cms/webhooks/courier").await;
    scene.rig.kill("cms/webhooks/webhook_recorder").await;
    receiver.releases();
    scene.later(Duration::from_secs(5));
    let told = receiver.receives(2).await;
    assert_eq!(told[0].header("webhook-id"), told[1].header("webhook-id"));
    let delivery = scene.delivery_is(&webhook, "delivered", 2).await;
    assert_eq!(delivery["log"][1]["millis"], Value::Null, "whoever sent it has ended");
    step(&scene.root, &article, "archive").await;
    assert_eq!(receiver.receives(3).await[2].json()["type"], "article.unpublished");
    assert_eq!(id_of(&webhook), id_of(&scene.shown(&webhook).await));
    scene.rig.shutdown().await;
}

async fn what_is_being_told_when_the_courier_stops_is_told_to_its_end(backend: Backend) {
    let scene = Scene::start(backend).await;
    let (receiver, webhook) = listening(&scene).await;
    receiver.holds();
    scene.ping(&webhook).await;
    receiver.receives(1).await;
    let courier = scene.rig.actor("cms/webhooks/courier");
    courier.stop(None);
    eventually("it stops", SOON, async || courier.get_status() >= ActorStatus::Stopping).await;
    receiver.releases();
    // The clock stands still: nobody would try it again.
    scene.delivery_is(&webhook, "delivered", 1).await;
    scene.rig.shutdown().await;
}
