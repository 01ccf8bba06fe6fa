//! An article's way, and who sees it where it is.

use panel_harness::{Backend, on_both_databases};
use panel_kernel::role::Role;
use serde_json::{Value, json};

use super::{Cms, POSTS, at, begun, patch, post, slugs, step, took};

on_both_databases!(
    an_author_submits_and_an_editor_decides,
    nobody_takes_a_step_that_is_not_theirs,
    what_was_approved_is_not_its_authors_any_more,
    a_step_that_is_not_there_is_refused,
    facts_are_told_of_what_everybody_reads,
);

async fn an_author_submits_and_an_editor_decides(backend: Backend) {
    let cms = Cms::start(backend).await;
    let draft = begun(&cms.ann, post("a")).await;
    let submitted = took(&cms.ann, &draft, "submit").await;
    assert_eq!(submitted["status"], "in_review");
    // It is found by whom it waits for.
    let waiting = cms.eve.get(&format!("{POSTS}/all?status=in_review")).await.expect(200).json();
    assert_eq!(slugs(&waiting), ["a"]);
    let reject = cms.eve.post(&format!("{}/reject", at(&draft))).header("if-match", "\"2\"");
    let note = json!({"note": "Too short."});
    let rejected = reject.json(&note).await.expect(200).json();
    assert_eq!(
        (&rejected["status"], &rejected["review_note"]),
        (&json!("draft"), &json!("Too short."))
    );
    assert_eq!(cms.ann.get(&at(&draft)).await.expect(200).json()["review_note"], "Too short.");
    let longer = patch(&cms.ann, &rejected, json!({"body": "Longer."})).await.expect(200).json();
    let submitted = took(&cms.ann, &longer, "submit").await;
    assert_eq!(submitted["review_note"], Value::Null);
    // Its author thinks better of it, and again.
    let taken_back = took(&cms.ann, &submitted, "unpublish").await;
    assert_eq!(taken_back["status"], "draft");
    let submitted = took(&cms.ann, &taken_back, "submit").await;
    let approved = took(&cms.eve, &submitted, "approve").await;
    assert_eq!(approved["status"], "published");
    assert_eq!(approved["published_at"], approved["updated_at"]);
    let read = cms.client().get(&at(&draft)).await.expect(200).json();
    assert_eq!((&read["status"], &read["review_note"]), (&json!("published"), &Value::Null));
    assert!(read.get("edited_by").is_none() && read.get("publish_at").is_none(), "{read}");
    // Away, and back where it was among others.
    cms.clock.advance(std::time::Duration::from_secs(60));
    let archived = took(&cms.eve, &approved, "archive").await;
    cms.client().get(&at(&draft)).await.refused(404, "not_found");
    let again = took(&cms.eve, &archived, "publish").await;
    assert_eq!(again["published_at"], approved["published_at"]);
    let unpublished = took(&cms.eve, &again, "unpublish").await;
    assert_eq!(unpublished["status"], "draft");
    cms.client().get(&at(&draft)).await.refused(404, "not_found");
    cms.rig.shutdown().await;
}

async fn nobody_takes_a_step_that_is_not_theirs(backend: Backend) {
    let cms = Cms::start(backend).await;
    let draft = begun(&cms.ann, post("a")).await;
    let bob = cms.rig.signed_in(Role::Premium);
    for name in ["submit", "approve", "reject", "publish", "unpublish", "archive"] {
        // Whoever may not see it hears that there is nothing.
        let expected = match name {
            "submit" | "unpublish" => (404, "not_found"),
            _ => (403, "forbidden"),
        };
        step(&bob, &draft, name).await.refused(expected.0, expected.1);
        step(&cms.client(), &draft, name).await.refused(401, "unauthorized");
        if name != "submit" {
            step(&cms.ann, &draft, name).await.refused(403, "forbidden");
        }
    }
    let unsaid = cms.eve.post(&format!("{}/publish", at(&draft))).await;
    unsaid.refused(428, "precondition_required");
    let late = cms.eve.post(&format!("{}/publish", at(&draft))).header("if-match", "\"7\"").await;
    late.refused(412, "precondition_failed");
    assert_eq!(cms.ann.get(&at(&draft)).await.expect(200).json(), draft);
    cms.rig.shutdown().await;
}

async fn what_was_approved_is_not_its_authors_any_more(backend: Backend) {
    let cms = Cms::start(backend).await;
    let draft = begun(&cms.ann, post("a")).await;
    let submitted = took(&cms.ann, &draft, "submit").await;
    // Still theirs.
    let submitted = patch(&cms.ann, &submitted, json!({"title": "b"})).await.expect(200).json();
    let approved = took(&cms.eve, &submitted, "approve").await;
    patch(&cms.ann, &approved, json!({"title": "c"})).await.refused(403, "forbidden");
    patch(&cms.ann, &approved, json!({"body": "x ".repeat(1_000)})).await.refused(403, "forbidden");
    step(&cms.ann, &approved, "unpublish").await.refused(403, "forbidden");
    let changed = patch(&cms.eve, &approved, json!({"body": "by Eve"})).await.expect(200).json();
    assert_eq!(changed["author"], approved["author"]);
    assert_ne!(changed["edited_by"], approved["edited_by"]);
    let read = cms.client().get(&at(&draft)).await.expect(200).json();
    assert_eq!(read["body"], "by Eve");
    cms.rig.shutdown().await;
}

async fn a_step_that_is_not_there_is_refused(backend: Backend) {
    let cms = Cms::start(backend).await;
    let draft = begun(&cms.eve, post("a")).await;
    for name in ["approve", "reject", "unpublish"] {
        step(&cms.eve, &draft, name).await.refused(409, "conflict");
    }
    let public = took(&cms.eve, &draft, "publish").await;
    for name in ["submit", "approve", "publish"] {
        step(&cms.eve, &public, name).await.refused(409, "conflict");
    }
    step(&cms.eve, &public, "destroy").await.refused(404, "not_found");
    cms.rig.shutdown().await;
}

async fn facts_are_told_of_what_everybody_reads(backend: Backend) {
    let cms = Cms::start(backend).await;
    let draft = begun(&cms.eve, post("a")).await;
    let draft = patch(&cms.eve, &draft, json!({"title": "b"})).await.expect(200).json();
    let public = took(&cms.eve, &draft, "publish").await;
    let public = patch(&cms.eve, &public, json!({"title": "c"})).await.expect(200).json();
    let archived = took(&cms.eve, &public, "archive").await;
    took(&cms.eve, &archived, "publish").await;
    let mut sql = cms.rig.raw_sql("cms").await;
    let told = "SELECT topic FROM outbox WHERE topic LIKE 'article.%' ORDER BY position";
    let topics =
        ["article.published", "article.edited", "article.unpublished", "article.published"];
    assert_eq!(sql.texts(told, 0).await.unwrap(), topics);
    let payloads = "SELECT payload FROM outbox WHERE topic = 'article.published' ORDER BY position";
    let payloads = sql.texts(payloads, 0).await.unwrap();
    let read = |text: &String| serde_json::from_str::<Value>(text).unwrap();
    let (first, second) = (read(&payloads[0]), read(&payloads[1]));
    assert_eq!((&first["title"], &first["first"]), (&json!("b"), &json!(true)));
    assert_eq!((&second["title"], &second["first"]), (&json!("c"), &json!(false)));
    // Every act is in the audit log, and no text is.
    let acts = "SELECT payload FROM outbox WHERE topic = 'audit' ORDER BY position";
    let acts = sql.texts(acts, 0).await.unwrap();
    let actions: Vec<Value> = acts.iter().map(|text| read(text)["action"].clone()).collect();
    let expected =
        ["post.create", "post.edit", "post.publish", "post.edit", "post.archive", "post.publish"];
    assert_eq!(actions, expected);
    assert!(!acts.iter().any(|text| text.contains("The text of")), "{acts:?}");
    cms.rig.shutdown().await;
}
