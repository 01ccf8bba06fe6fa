//! Webhooks that lead inside: to what only this machine, or a private network, can reach.

use panel_harness::{Answering, Backend, Receiver, SiteCertificate, on_both_databases};
use serde_json::{Value, json};

use super::{Scene, WEBHOOKS, made};

on_both_databases!(
    nothing_inside_is_asked_whatever_it_is_called,
    redirects_lead_nowhere,
    who_is_not_believed_is_told_nothing,
);

async fn nothing_inside_is_asked_whatever_it_is_called(backend: Backend) {
    let certificate = SiteCertificate::new();
    let authority = certificate.authority();
    let settings = json!({"ca_file": authority.to_str().unwrap()});
    let scene = Scene::with(backend, settings).await;
    let receiver = Receiver::under_tls(&certificate).await;
    let port = receiver.url().rsplit_once(':').unwrap().1.split_once('/').unwrap().0.to_owned();
    let on = |host: &str| format!("https://{host}:{port}/hook");
    for (url, code) in [
        (on("127.0.0.1"), "not_public"),
        (on("2130706433"), "not_public"),
        (on("0x7f.0.0.1"), "not_public"),
        (on("[::1]"), "not_public"),
        (on("[::ffff:127.0.0.1]"), "not_public"),
        (on("169.254.169.254"), "not_public"),
        (on("10.0.0.1"), "not_public"),
        ("http://example.org/".to_owned(), "not_https"),
        ("file:///etc/passwd".to_owned(), "not_https"),
        ("gopher://example.org/".to_owned(), "not_https"),
        ("https://a:b@example.org/".to_owned(), "credentials"),
        ("example.org".to_owned(), "invalid"),
        (format!("https://example.org/{}", "a".repeat(2_000)), "too_long"),
        (String::new(), "required"),
    ] {
        let asked = scene.root.post(WEBHOOKS).json(&json!({"url": url, "topics": ["*"]}));
        let problem = asked.await.refused(422, "validation");
        assert_eq!(problem.fields()[0], ("url", code), "{url}");
    }
    // Where a name leads shows when it is asked, and it is not.
    let webhook = made(&scene.root, &receiver.named_url(), json!(["*"])).await;
    scene.ping(&webhook).await;
    let delivery = scene.delivery_is(&webhook, "pending", 1).await;
    assert_eq!(delivery["log"][0]["error"], "localhost is at no public address");
    assert!(receiver.received().is_empty());
    scene.rig.shutdown().await;
}

async fn redirects_lead_nowhere(backend: Backend) {
    let scene = Scene::start(backend).await;
    let (receiver, inside) = (Receiver::start().await, Receiver::start().await);
    let webhook = made(&scene.root, &receiver.url(), json!(["*"])).await;
    let away = |status| Answering {
        status,
        header: Some(("location", inside.url())),
        body: String::new(),
    };
    receiver.answers([away(307)]);
    scene.ping(&webhook).await;
    let delivery = scene.delivery_is(&webhook, "pending", 1).await;
    assert_eq!(delivery["log"][0]["status"], 307);
    let why = delivery["log"][0]["error"].as_str().unwrap();
    // What stands in the query may be a secret.
    let there = inside.url().replace("?of=panel", "");
    assert_eq!(why, format!("redirects to {there} are not followed; change the URL"));
    assert!(inside.received().is_empty());
    scene.rig.shutdown().await;
}

async fn who_is_not_believed_is_told_nothing(backend: Backend) {
    let scene = Scene::start(backend).await;
    // Its authority is nobody's here.
    let receiver = Receiver::under_tls(&SiteCertificate::new()).await;
    let webhook = made(&scene.root, &receiver.url(), json!(["*"])).await;
    scene.ping(&webhook).await;
    let delivery = scene.delivery_is(&webhook, "pending", 1).await;
    assert_eq!(delivery["log"][0]["status"], Value::Null);
    let why = delivery["log"][0]["error"].as_str().unwrap();
    assert!(why.contains("certificate"), "{why}");
    assert!(receiver.received().is_empty());
    scene.rig.shutdown().await;
}
