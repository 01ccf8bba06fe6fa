//! What appears by itself.

use std::time::Duration;

use panel_harness::{Backend, Client, eventually, on_both_databases};
use serde_json::{Value, json};

use super::{Cms, POSTS, at, begun, post, slugs, took};

on_both_databases!(
    what_is_scheduled_appears_at_its_time_and_once,
    an_author_wishes_a_time_and_an_editor_agrees,
    plans_are_changed_and_dropped,
    a_killed_scheduler_is_replaced,
);

const SOON: Duration = Duration::from_secs(10);
const HOUR: Duration = Duration::from_secs(3_600);
/// An hour after the tests' clock begins.
const IN_AN_HOUR: &str = "2027-01-15T09:00:00.000000Z";
const IN_TWO: &str = "2027-01-15T10:00:00.000000Z";

async fn planned(by: &Client, article: &Value, plan: &Value) -> panel_harness::Answer {
    let version = format!("\"{}\"", article["version"]);
    let schedule = by.post(&format!("{}/schedule", at(article)));
    schedule.header("if-match", &version).json(plan).await
}

async fn appears(cms: &Cms, article: &Value) -> Value {
    let client = cms.client();
    eventually("it is published", SOON, async || {
        let answer = client.get(&at(article)).await;
        if answer.status == 200 { Ok(answer.json()) } else { Err(answer) }
    })
    .await
}

async fn what_is_scheduled_appears_at_its_time_and_once(backend: Backend) {
    let cms = Cms::start(backend).await;
    let draft = begun(&cms.eve, post("a")).await;
    let plan = json!({"publish_at": "2027-01-15T10:00:00", "time_zone": "Europe/Berlin"});
    let scheduled = planned(&cms.eve, &draft, &plan).await.expect(200).json();
    assert_eq!(
        (&scheduled["status"], &scheduled["publish_at"]),
        (&json!("scheduled"), &json!(IN_AN_HOUR))
    );
    let listed = cms.eve.get(&format!("{POSTS}/all?status=scheduled")).await.expect(200).json();
    assert_eq!(listed["items"][0]["publish_at"], IN_AN_HOUR);
    // Once it has published what was due a moment earlier, it has looked at that moment.
    let earlier = begun(&cms.eve, post("earlier")).await;
    let plan = json!({"publish_at": "2027-01-15T08:59:59.999Z"});
    planned(&cms.eve, &earlier, &plan).await.expect(200);
    cms.clock.advance(Duration::from_millis(3_599_999));
    appears(&cms, &earlier).await;
    cms.client().get(&at(&draft)).await.refused(404, "not_found");
    cms.clock.advance(Duration::from_millis(1));
    let public = appears(&cms, &draft).await;
    assert_eq!(public["published_at"], IN_AN_HOUR);
    assert_eq!(slugs(&cms.client().get(POSTS).await.expect(200).json()), ["a", "earlier"]);
    let mut sql = cms.rig.raw_sql("cms").await;
    let told = "SELECT topic FROM outbox WHERE topic = 'article.published'";
    assert_eq!(sql.texts(told, 0).await.unwrap().len(), 2);
    let acts = sql.texts("SELECT payload FROM outbox WHERE topic = 'audit'", 0).await.unwrap();
    let own = acts.iter().filter(|act| act.contains("post.publish_scheduled")).count();
    assert_eq!(own, 2, "{acts:?}");
    cms.rig.shutdown().await;
}

async fn an_author_wishes_a_time_and_an_editor_agrees(backend: Backend) {
    let cms = Cms::start(backend).await;
    let draft = begun(&cms.ann, post("a")).await;
    let wish = json!({"publish_at": IN_AN_HOUR});
    planned(&cms.ann, &draft, &wish).await.refused(403, "forbidden");
    let submit = cms.ann.post(&format!("{}/submit", at(&draft))).header("if-match", "\"1\"");
    let submitted = submit.json(&wish).await.expect(200).json();
    let approved = took(&cms.eve, &submitted, "approve").await;
    assert_eq!(
        (&approved["status"], &approved["publish_at"]),
        (&json!("scheduled"), &json!(IN_AN_HOUR))
    );
    // She can't change what was approved, and the time is nobody's but an editor's.
    super::patch(&cms.ann, &approved, json!({"title": "b"})).await.refused(403, "forbidden");
    cms.clock.advance(HOUR);
    appears(&cms, &draft).await;
    cms.rig.shutdown().await;
}

async fn plans_are_changed_and_dropped(backend: Backend) {
    let cms = Cms::start(backend).await;
    let draft = begun(&cms.eve, post("a")).await;
    for (plan, field) in [
        (json!({"publish_at": "2020-01-01T00:00:00Z"}), "publish_at"),
        (json!({"publish_at": "soon"}), "publish_at"),
        (json!({"publish_at": "2027-03-28T02:30:00", "time_zone": "Europe/Berlin"}), "publish_at"),
        (json!({"publish_at": "2027-03-28T02:30:00", "time_zone": "Nowhere"}), "time_zone"),
    ] {
        let refused = planned(&cms.eve, &draft, &plan).await;
        let problem = refused.refused(422, "validation");
        assert_eq!(problem.fields()[0].0, field, "{plan}");
    }
    let first = planned(&cms.eve, &draft, &json!({"publish_at": IN_AN_HOUR})).await.expect(200);
    let later = json!({"publish_at": IN_TWO});
    let moved = planned(&cms.eve, &first.json(), &later).await.expect(200).json();
    let other = begun(&cms.eve, post("b")).await;
    let other = planned(&cms.eve, &other, &later).await.expect(200).json();
    let dropped = took(&cms.eve, &other, "unpublish").await;
    assert_eq!((&dropped["status"], &dropped["publish_at"]), (&json!("draft"), &Value::Null));
    cms.clock.advance(2 * HOUR);
    let eve = cms.rig.signed_in(panel_kernel::role::Role::Moderator);
    let public = appears(&cms, &draft).await;
    assert_eq!(public["published_at"], IN_TWO);
    assert_eq!(public["version"].as_i64(), moved["version"].as_i64().map(|version| version + 1));
    cms.client().get(&at(&other)).await.refused(404, "not_found");
    assert_eq!(eve.get(&at(&other)).await.expect(200).json()["status"], "draft");
    cms.rig.shutdown().await;
}

async fn a_killed_scheduler_is_replaced(backend: Backend) {
    let cms = Cms::start(backend).await;
    let draft = begun(&cms.eve, post("a")).await;
    planned(&cms.eve, &draft, &json!({"publish_at": IN_AN_HOUR})).await.expect(200);
    cms.rig.kill("cms/scheduler").await;
    cms.clock.advance(HOUR);
    appears(&cms, &draft).await;
    assert!(cms.rig.restarts("cms/scheduler") >= 1);
    cms.rig.shutdown().await;
}
