//! Receivers that are slow, down, wrong or gone.

use std::time::Duration;

use panel_harness::{Answering, Backend, Receiver, eventually, on_both_databases};
use serde_json::{Value, json};

use super::{HOUR, SOON, Scene, acts, at, listening, made, published};

on_both_databases!(
    what_is_refused_is_tried_again_and_others_go_on,
    a_receiver_that_is_down_is_left_alone_for_a_while,
    a_receiver_that_does_not_answer_is_not_waited_for,
    a_receiver_that_is_gone_is_told_nothing_more,
    what_never_comes_through_is_given_up_and_can_be_sent_again,
    one_that_mostly_works_stays,
    what_is_late_is_given_up_where_nothing_is_taken,
    what_is_late_is_tried_once_more_before_anybody_despairs,
    a_secret_of_another_cluster_is_replaced,
    what_is_changed_meanwhile_is_not_judged_by_what_it_was,
    messengers_go_when_they_are_done,
    no_more_waits_than_may,
    what_is_done_with_goes_after_two_weeks,
);

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// So many seconds.
fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

async fn what_is_refused_is_tried_again_and_others_go_on(backend: Backend) {
    let mut scene = Scene::start(backend).await;
    let (receiver, webhook) = listening(&scene).await;
    receiver.answers([500, 204, 500, 204]);
    published(&scene.root, "a").await;
    receiver.receives(1).await;
    published(&scene.root, "b").await;
    let told = receiver.receives(2).await;
    assert_eq!(told[1].json()["data"]["title"], "b", "it does not wait for the first");
    scene.delivery_is(&webhook, "pending", 1).await;
    scene.later(seconds(5));
    scene.delivery_is(&webhook, "pending", 2).await;
    // It waits twice as long now.
    scene.later(seconds(9));
    scene.ping(&webhook).await;
    let told = receiver.receives(4).await;
    assert_eq!(told[3].json()["type"], "ping");
    scene.later(seconds(1));
    let told = receiver.receives(5).await;
    let same: Vec<&str> =
        [0, 2, 4].iter().map(|at: &usize| told[*at].header("webhook-id")).collect();
    assert_eq!(same, [same[0]; 3]);
    assert_eq!(told[0].body, told[4].body);
    assert_ne!(told[0].header("webhook-timestamp"), told[4].header("webhook-timestamp"));
    let delivery = scene.delivery_is(&webhook, "delivered", 3).await;
    let statuses: Vec<i64> = delivery["log"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["status"].as_i64().unwrap())
        .collect();
    assert_eq!(statuses, [204, 500, 500]);
    assert_eq!(delivery["log"][1]["error"], "only 2xx counts as taken");
    assert_eq!(scene.shown(&webhook).await["failures"], 0);
    let counted = |outcome| {
        let labels = [("service", "cms"), ("outcome", outcome)];
        scene.rig.metrics().count("panel_webhooks_total", &labels)
    };
    eventually("all are counted", SOON, async || {
        let all = (counted("delivered"), counted("deferred"), counted("failed"));
        if all == (3, 2, 0) { Ok(()) } else { Err(all) }
    })
    .await;
    scene.rig.shutdown().await;
}

async fn a_receiver_that_is_down_is_left_alone_for_a_while(backend: Backend) {
    let mut scene = Scene::start(backend).await;
    let (receiver, webhook) = listening(&scene).await;
    let busy = Answering {
        status: 503,
        header: Some(("retry-after", "60".to_owned())),
        body: "later".to_owned(),
    };
    receiver.answers([busy]);
    for title in ["a", "b", "c"] {
        published(&scene.root, title).await;
    }
    let down = eventually("it is known to be down", SOON, async || {
        let shown = scene.shown(&webhook).await;
        if shown["failures"] == 1 { Ok(shown) } else { Err(shown) }
    })
    .await;
    assert_eq!(down["resumes_at"], json!(scene.clock.now().plus(seconds(60))));
    // Another is told at once what happens from then on, so the courier was there.
    scene.later(seconds(1));
    let (other, _) = listening(&scene).await;
    scene.later(seconds(58));
    published(&scene.root, "d").await;
    other.receives(1).await;
    assert_eq!(receiver.received().len(), 1, "nobody asks before it said");
    scene.later(seconds(1));
    let told = receiver.receives(5).await;
    // The rest comes in the order in which it happened, and the first when it is its turn again.
    let mut titles: Vec<String> =
        told.iter().map(|it| it.json()["data"]["title"].as_str().unwrap().to_owned()).collect();
    assert_eq!(titles.remove(0), "a");
    assert_eq!(titles.iter().filter(|title| *title != "a").collect::<Vec<_>>(), ["b", "c", "d"]);
    let shown = scene.shown(&webhook).await;
    assert_eq!((&shown["failures"], &shown["resumes_at"]), (&json!(0), &Value::Null));
    // Who is not there at all is down, too.
    let url = other.url();
    drop(other);
    let nobody = made(&scene.root, &url, json!(["*"])).await;
    scene.ping(&nobody).await;
    let delivery = scene.delivery_is(&nobody, "pending", 1).await;
    let why = delivery["log"][0]["error"].as_str().unwrap();
    assert!(why.starts_with("no answer from http://127.0.0.1"), "{why}");
    assert!(!why.contains("of=panel"), "what stands in the query may be a secret: {why}");
    // Who wants to know now need not wait, whatever else does.
    let ping = scene.ping(&nobody).await;
    eventually("it was tried at once", SOON, async || {
        let ping = scene.detail(&nobody, &ping).await;
        if ping["attempts"] == 1 { Ok(()) } else { Err(ping) }
    })
    .await;
    scene.rig.shutdown().await;
}

async fn a_receiver_that_does_not_answer_is_not_waited_for(backend: Backend) {
    let settings = json!({"allowed_networks": ["127.0.0.1"], "timeout": "1s"});
    let scene = Scene::with(backend, settings).await;
    let (receiver, webhook) = listening(&scene).await;
    receiver.holds();
    scene.ping(&webhook).await;
    let delivery = scene.delivery_is(&webhook, "pending", 1).await;
    let why = delivery["log"][0]["error"].as_str().unwrap();
    assert!(why.ends_with("it took too long"), "{why}");
    assert!(delivery["log"][0]["millis"].as_i64().unwrap() >= 1_000);
    assert_eq!(scene.shown(&webhook).await["failures"], 1);
    receiver.releases();
    scene.rig.shutdown().await;
}

async fn a_receiver_that_is_gone_is_told_nothing_more(backend: Backend) {
    let scene = Scene::start(backend).await;
    let (receiver, webhook) = listening(&scene).await;
    receiver.answers([410]);
    published(&scene.root, "a").await;
    scene.delivery_is(&webhook, "failed", 1).await;
    let shown = scene.shown(&webhook).await;
    assert_eq!((&shown["enabled"], &shown["disabled_because"]), (&json!(false), &json!("gone")));
    let acts = acts(&scene.rig).await;
    let act = acts.iter().find(|act| act["action"] == "webhook.disable").unwrap();
    assert_eq!(act["actor"], "service:cms");
    assert_eq!(act["after"]["disabled_because"], "gone");
    published(&scene.root, "b").await;
    scene.clock.advance(seconds(1));
    let ping = format!("{}/ping", at(&webhook));
    assert_eq!(scene.root.post(&ping).await.refused(409, "conflict").code, Some("disabled".into()));
    // An administrator has looked at it.
    let enable = scene.root.patch(&at(&webhook)).header("if-match", "\"2\"");
    let enabled = enable.json(&json!({"enabled": true})).await.expect(200).json();
    assert_eq!(enabled["disabled_because"], Value::Null);
    published(&scene.root, "c").await;
    let told = receiver.receives(2).await;
    assert_eq!(told[1].json()["data"]["title"], "c", "what happened meanwhile is not told");
    scene.rig.shutdown().await;
}

async fn what_never_comes_through_is_given_up_and_can_be_sent_again(backend: Backend) {
    let mut scene = Scene::start(backend).await;
    let (receiver, webhook) = listening(&scene).await;
    receiver.always_answers(500);
    published(&scene.root, "a").await;
    scene.delivery_is(&webhook, "pending", 1).await;
    has_missed(&scene, 10).await;
    scene.later(2 * DAY + 23 * HOUR);
    scene.delivery_is(&webhook, "pending", 2).await;
    scene.later(HOUR);
    let delivery = eventually("it is given up", SOON, async || {
        let last = scene.deliveries(&webhook).await.remove(0);
        if last["state"] == "failed" { Ok(last) } else { Err(last) }
    })
    .await;
    assert!(delivery["finished_at"].is_string());
    // Perhaps it was tried once more by then.
    let attempts = delivery["attempts"].as_u64().unwrap();
    assert!((2..=3).contains(&attempts));
    let told = usize::try_from(attempts).unwrap() + 1;
    let shown = scene.shown(&webhook).await;
    assert_eq!((&shown["enabled"], &shown["disabled_because"]), (&json!(false), &json!("failing")));
    receiver.always_answers(204);
    let again =
        format!("{}/deliveries/{}/redeliver", at(&webhook), delivery["id"].as_str().unwrap());
    let refused = scene.root.post(&again).await.refused(409, "conflict");
    assert_eq!(refused.code, Some("disabled".into()));
    let enable = scene.root.patch(&at(&webhook)).header("if-match", "*");
    enable.json(&json!({"enabled": true})).await.expect(200);
    let pending = scene.root.post(&again).await.expect(202).json();
    assert_eq!((&pending["state"], &pending["finished_at"]), (&json!("pending"), &Value::Null));
    scene.delivery_is(&webhook, "delivered", attempts + 1).await;
    let all = receiver.receives(told).await;
    assert_eq!(all[0].header("webhook-id"), all[told - 1].header("webhook-id"));
    // And what it has, it can have once more.
    scene.root.post(&again).await.expect(202);
    receiver.receives(told + 1).await;
    eventually("nothing waits", SOON, async || {
        let shown = scene.shown(&webhook).await;
        if shown["pending"] == 0 { Ok(()) } else { Err(shown) }
    })
    .await;
    scene.rig.shutdown().await;
}

async fn what_is_late_is_given_up_where_nothing_is_taken(backend: Backend) {
    let mut scene = Scene::start(backend).await;
    let (receiver, webhook) = listening(&scene).await;
    receiver.always_answers(503);
    for title in ["a", "b", "c"] {
        published(&scene.root, title).await;
    }
    eventually("it is known to be down, and all wait", SOON, async || {
        let shown = scene.shown(&webhook).await;
        if shown["failures"] == 1 && shown["pending"] == 3 { Ok(()) } else { Err(shown) }
    })
    .await;
    has_missed(&scene, 10).await;
    scene.later(3 * DAY);
    // It has taken nothing for days; the others are not tried.
    eventually("all are given up", SOON, async || {
        let shown = scene.shown(&webhook).await;
        if shown["pending"] == 0 { Ok(()) } else { Err(shown) }
    })
    .await;
    assert!(receiver.received().len() <= 2);
    let states = scene.deliveries(&webhook).await;
    assert!(states.iter().all(|it| it["state"] == "failed"), "{states:?}");
    assert_eq!(scene.shown(&webhook).await["disabled_because"], "failing");
    scene.rig.shutdown().await;
}

async fn what_is_late_is_tried_once_more_before_anybody_despairs(backend: Backend) {
    let mut scene = Scene::start(backend).await;
    let (receiver, webhook) = listening(&scene).await;
    receiver.always_answers(500);
    published(&scene.root, "a").await;
    scene.delivery_is(&webhook, "pending", 1).await;
    // Nobody sends anything for days, and what was wrong there is mended meanwhile.
    receiver.always_answers(204);
    scene.later(4 * DAY);
    scene.delivery_is(&webhook, "delivered", 2).await;
    // One that is enabled again is not judged by what was before.
    receiver.always_answers(500);
    published(&scene.root, "b").await;
    receiver.receives(3).await;
    let change = async |scene: &Scene, enabled: bool| {
        let patch = scene.root.patch(&at(&webhook)).header("if-match", "*");
        patch.json(&json!({"enabled": enabled})).await.expect(200);
    };
    change(&scene, false).await;
    scene.later(DAY);
    change(&scene, true).await;
    scene.later(2 * DAY + HOUR);
    eventually("it is given up", SOON, async || {
        let last = scene.deliveries(&webhook).await.remove(0);
        if last["state"] == "failed" { Ok(()) } else { Err(last) }
    })
    .await;
    let shown = scene.shown(&webhook).await;
    assert_eq!((&shown["enabled"], &shown["pending"]), (&json!(true), &json!(0)));
    scene.rig.shutdown().await;
}

async fn a_secret_of_another_cluster_is_replaced(backend: Backend) {
    let scene = Scene::start(backend).await;
    let (receiver, webhook) = listening(&scene).await;
    let spoil = match backend {
        Backend::Sqlite => "UPDATE webhooks SET secret = x'00'",
        Backend::Postgres => "UPDATE webhooks SET secret = '\\x00'",
    };
    scene.rig.raw_sql("cms").await.run(spoil).await;
    scene.ping(&webhook).await;
    let delivery = scene.delivery_is(&webhook, "pending", 1).await;
    let why = delivery["log"][0]["error"].as_str().unwrap();
    assert_eq!(why, "its secret is sealed with another cluster key; make a new one");
    assert_eq!(scene.shown(&webhook).await["failures"], 1, "nothing else is tried meanwhile");
    assert!(receiver.received().is_empty());
    // It is tried at once with the new one.
    scene.root.post(&format!("{}/rotate-secret", at(&webhook))).await.expect(200);
    let told = receiver.receives(1).await;
    assert_eq!(told[0].header("webhook-signature").split(' ').count(), 1);
    scene.rig.shutdown().await;
}

async fn what_is_changed_meanwhile_is_not_judged_by_what_it_was(backend: Backend) {
    let scene = Scene::start(backend).await;
    let (before, webhook) = listening(&scene).await;
    let after = Receiver::start().await;
    before.holds();
    before.always_answers(410);
    scene.ping(&webhook).await;
    before.receives(1).await;
    let change = scene.root.patch(&at(&webhook)).header("if-match", "\"1\"");
    change.json(&json!({"url": after.url()})).await.expect(200);
    before.releases();
    // What is not there any more is elsewhere now, and is told it.
    let delivery = scene.delivery_is(&webhook, "delivered", 2).await;
    assert_eq!(delivery["log"][1]["status"], 410);
    assert_eq!(after.received().len(), 1);
    assert_eq!(scene.shown(&webhook).await["enabled"], true);
    // And one that is disabled or gone is told nothing more once that is said.
    after.holds();
    scene.ping(&webhook).await;
    scene.ping(&webhook).await;
    after.receives(2).await;
    scene.root.delete(&at(&webhook)).await.expect(204);
    after.releases();
    let (other, _) = listening(&scene).await;
    published(&scene.root, "a").await;
    other.receives(1).await;
    assert_eq!(after.received().len(), 2);
    scene.rig.shutdown().await;
}

async fn messengers_go_when_they_are_done(backend: Backend) {
    let mut scene = Scene::start(backend).await;
    let receiver = Receiver::start().await;
    // More than there can be messengers.
    for n in 1..=101 {
        let webhook = made(&scene.root, &receiver.url(), json!(["*"])).await;
        scene.ping(&webhook).await;
        receiver.receives(n).await;
        scene.root.delete(&at(&webhook)).await.expect(204);
        // Writes of one account are counted.
        scene.later(seconds(1));
    }
    let mut sql = scene.rig.raw_sql("cms").await;
    let left = "SELECT name FROM leases WHERE name LIKE 'webhook:%'";
    assert!(sql.texts(left, 0).await.unwrap().len() <= 1, "what is gone holds nothing");
    scene.rig.shutdown().await;
}

async fn one_that_mostly_works_stays(backend: Backend) {
    let mut scene = Scene::start(backend).await;
    let (receiver, webhook) = listening(&scene).await;
    receiver.answers([400]);
    published(&scene.root, "a").await;
    scene.delivery_is(&webhook, "pending", 1).await;
    scene.clock.advance(seconds(1));
    scene.ping(&webhook).await;
    receiver.receives(2).await;
    eventually("it is known to work", SOON, async || {
        let shown = scene.shown(&webhook).await;
        if shown["delivered_at"].is_string() { Ok(()) } else { Err(shown) }
    })
    .await;
    receiver.always_answers(400);
    scene.later(3 * DAY);
    eventually("the first is given up", SOON, async || {
        let first = scene.deliveries(&webhook).await.pop().unwrap();
        if first["state"] == "failed" { Ok(()) } else { Err(first) }
    })
    .await;
    assert_eq!(scene.shown(&webhook).await["enabled"], true);
    scene.rig.shutdown().await;
}

/// As if it had taken nothing so often.
async fn has_missed(scene: &Scene, often: u32) {
    let text = format!("UPDATE webhooks SET misses = {often}");
    scene.rig.raw_sql("cms").await.run(&text).await;
}

/// As if so many deliveries waited.
async fn waits(scene: &Scene, many: u32) {
    let text = format!("UPDATE webhooks SET pending = {many}");
    scene.rig.raw_sql("cms").await.run(&text).await;
}

async fn no_more_waits_than_may(backend: Backend) {
    let mut scene = Scene::start(backend).await;
    let (receiver, webhook) = listening(&scene).await;
    receiver.always_answers(503);
    waits(&scene, 9_999).await;
    scene.ping(&webhook).await;
    let ping = format!("{}/ping", at(&webhook));
    scene.root.post(&ping).await.refused(409, "conflict");
    published(&scene.root, "a").await;
    let last = eventually("it is written down", SOON, async || {
        let listed = scene.root.get(&format!("{}/deliveries?state=failed", at(&webhook))).await;
        let listed = listed.expect(200).json();
        listed["items"].as_array().unwrap().first().cloned()
    })
    .await;
    assert_eq!((&last["topic"], &last["attempts"]), (&json!("article.published"), &json!(0)));
    assert_eq!(scene.shown(&webhook).await["pending"], 10_000);
    // What is no longer waiting makes room.
    waits(&scene, 1).await;
    receiver.always_answers(204);
    scene.root.post(&ping).await.expect(202);
    scene.later(seconds(5));
    eventually("nothing waits", SOON, async || {
        let shown = scene.shown(&webhook).await;
        if shown["pending"] == 0 { Ok(()) } else { Err(shown) }
    })
    .await;
    scene.rig.shutdown().await;
}

async fn what_is_done_with_goes_after_two_weeks(backend: Backend) {
    let mut scene = Scene::start(backend).await;
    let (receiver, webhook) = listening(&scene).await;
    let gone = made(&scene.root, &receiver.url(), json!(["*"])).await;
    receiver.always_answers(204);
    published(&scene.root, "a").await;
    receiver.receives(2).await;
    scene.delivery_is(&webhook, "delivered", 1).await;
    scene.delivery_is(&gone, "delivered", 1).await;
    scene.root.delete(&at(&gone)).await.expect(204);
    scene.root.get(&at(&gone)).await.refused(404, "not_found");
    let rows = async |scene: &Scene, table: &str| {
        let mut sql = scene.rig.raw_sql("cms").await;
        sql.texts(&format!("SELECT 'x' FROM {table}"), 0).await.unwrap().len()
    };
    // What hangs on one that is gone goes with the next sweep, and then it does.
    scene.rig.sweep("cms");
    eventually("it is forgotten", SOON, async || {
        let left = (rows(&scene, "webhooks").await, rows(&scene, "webhook_deliveries").await);
        if left == (1, 1) { Ok(()) } else { Err(left) }
    })
    .await;
    scene.later(14 * DAY + HOUR);
    scene.rig.sweep("cms");
    eventually("it is forgotten", SOON, async || {
        let left =
            (rows(&scene, "webhook_deliveries").await, rows(&scene, "webhook_attempts").await);
        if left == (0, 0) { Ok(()) } else { Err(left) }
    })
    .await;
    assert_eq!(scene.shown(&webhook).await["enabled"], true);
    drop::<Receiver>(receiver);
    scene.rig.shutdown().await;
}
