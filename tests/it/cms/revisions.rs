//! Texts as they were, and texts that are not saved.

use panel_harness::{Backend, on_both_databases};
use panel_kernel::role::Role;
use serde_json::{Value, json};

use super::{Cms, at, begun, patch, post, published, took};

on_both_databases!(
    a_text_is_found_as_it_was_and_comes_back,
    who_saves_a_draft_again_and_again_writes_one_text,
    how_it_was_written_is_for_those_who_write,
    what_is_not_saved_is_kept_for_whom_it_is,
);

async fn a_text_is_found_as_it_was_and_comes_back(backend: Backend) {
    let cms = Cms::start(backend).await;
    let first = begun(&cms.ann, json!({"title": "One", "body": "the quick fox"})).await;
    // What is said of it is no text.
    let first = patch(&cms.ann, &first, json!({"tags": ["t"]})).await.expect(200).json();
    cms.clock.advance(std::time::Duration::from_secs(60));
    let change = json!({"title": "Two", "body": "the slow fox"});
    let second = patch(&cms.eve, &first, change).await.expect(200).json();
    let revisions = format!("{}/revisions", at(&first));
    let listed = cms.ann.get(&revisions).await.expect(200).json();
    let seen = |listed: &Value| -> Vec<(i64, String)> {
        let items = listed["items"].as_array().unwrap();
        let of =
            |it: &Value| (it["number"].as_i64().unwrap(), it["title"].as_str().unwrap().to_owned());
        items.iter().map(of).collect()
    };
    assert_eq!(seen(&listed), [(2, "Two".to_owned()), (1, "One".to_owned())]);
    assert_eq!(listed["items"][1]["editor"], first["author"]);
    assert_eq!(listed["items"][0]["editor"], second["edited_by"]);
    assert_eq!(listed["items"][1]["bytes"], 13);
    let page = cms.ann.get(&format!("{revisions}?limit=1")).await.expect(200).json();
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = cms.ann.get(&format!("{revisions}?limit=1&cursor={cursor}")).await.expect(200);
    assert_eq!(
        (seen(&page), seen(&rest.json())),
        (vec![(2, "Two".to_owned())], vec![(1, "One".to_owned())])
    );
    let one = cms.ann.get(&format!("{revisions}/1")).await.expect(200).json();
    assert_eq!((&one["title"], &one["body"]), (&json!("One"), &json!("the quick fox")));
    let diff = cms.ann.get(&format!("{revisions}/1/diff/2")).await.expect(200).json();
    assert_eq!(
        diff["body"],
        json!([
            {"op": "equal", "text": "the "}, {"op": "delete", "text": "quick"},
            {"op": "insert", "text": "slow"}, {"op": "equal", "text": " fox"},
        ])
    );
    assert_eq!(
        diff["title"],
        json!([{"op": "delete", "text": "One"}, {"op": "insert", "text": "Two"}])
    );
    cms.ann.get(&format!("{revisions}/3")).await.refused(404, "not_found");
    cms.ann.get(&format!("{revisions}/x")).await.refused(404, "not_found");
    let restore = format!("{revisions}/1/restore");
    cms.ann.post(&restore).await.refused(428, "precondition_required");
    cms.ann.post(&restore).header("if-match", "\"1\"").await.refused(412, "precondition_failed");
    let back = cms.ann.post(&restore).header("if-match", "\"3\"").await.expect(200).json();
    assert_eq!((&back["title"], &back["body"]), (&json!("One"), &json!("the quick fox")));
    assert_eq!((&back["tags"], &back["version"]), (&json!(["t"]), &json!(4)));
    let listed = cms.ann.get(&revisions).await.expect(200).json();
    assert_eq!(seen(&listed).len(), 3, "what it was is kept as well");
    cms.rig.shutdown().await;
}

async fn who_saves_a_draft_again_and_again_writes_one_text(backend: Backend) {
    let cms = Cms::start(backend).await;
    let mut article = begun(&cms.ann, json!({"title": "a", "body": "0"})).await;
    let count = async |article: &Value| {
        let listed = cms.ann.get(&format!("{}/revisions", at(article))).await.expect(200).json();
        listed["items"].as_array().unwrap().len()
    };
    for n in 1..5 {
        article =
            patch(&cms.ann, &article, json!({"body": n.to_string()})).await.expect(200).json();
    }
    assert_eq!(count(&article).await, 1);
    cms.clock.advance(std::time::Duration::from_secs(61));
    article = patch(&cms.ann, &article, json!({"body": "later"})).await.expect(200).json();
    assert_eq!(count(&article).await, 2);
    // Who never rests has one a minute.
    for n in 0..4 {
        cms.clock.advance(std::time::Duration::from_secs(31));
        let change = json!({"body": format!("on {n}")});
        article = patch(&cms.ann, &article, change).await.expect(200).json();
    }
    assert_eq!(count(&article).await, 4);
    // What somebody else writes is theirs, and what everybody reads is kept each time.
    article = patch(&cms.eve, &article, json!({"body": "Eve's"})).await.expect(200).json();
    assert_eq!(count(&article).await, 5);
    article = took(&cms.eve, &article, "publish").await;
    article = patch(&cms.eve, &article, json!({"body": "1"})).await.expect(200).json();
    article = patch(&cms.eve, &article, json!({"body": "2"})).await.expect(200).json();
    assert_eq!(count(&article).await, 7);
    cms.rig.shutdown().await;
}

async fn how_it_was_written_is_for_those_who_write(backend: Backend) {
    let cms = Cms::start(backend).await;
    let article = published(&cms.eve, post("a")).await;
    patch(&cms.eve, &article, json!({"body": "b"})).await.expect(200);
    let one = format!("{}/revisions/1", at(&article));
    cms.client().get(&one).await.refused(401, "unauthorized");
    cms.ann.get(&one).await.refused(403, "forbidden");
    cms.rig.signed_in(Role::Admin).get(&one).await.expect(200);
    // Its author sees it, and restores nothing once it was approved.
    let own = begun(&cms.ann, post("mine")).await;
    let own = patch(&cms.ann, &own, json!({"body": "b"})).await.expect(200).json();
    let public = took(&cms.eve, &own, "publish").await;
    cms.ann.get(&format!("{}/revisions/1", at(&own))).await.expect(200);
    let version = format!("\"{}\"", public["version"]);
    let restore = cms.ann.post(&format!("{}/revisions/1/restore", at(&own)));
    restore.header("if-match", &version).await.refused(403, "forbidden");
    cms.rig.shutdown().await;
}

async fn what_is_not_saved_is_kept_for_whom_it_is(backend: Backend) {
    let cms = Cms::start(backend).await;
    let article = begun(&cms.ann, post("a")).await;
    let there = format!("{}/autosave", at(&article));
    cms.ann.get(&there).await.refused(404, "not_found");
    let put = async |by: &panel_harness::Client, body: &str| {
        let text = json!({"title": "", "body": body, "version": 1});
        by.put(&there).json(&text).await.expect(200).json()
    };
    put(&cms.ann, "A").await;
    let kept = put(&cms.ann, "Ann's").await;
    put(&cms.eve, "Eve's").await;
    let expected = json!({"title": "", "body": "Ann's", "version": 1, "outdated": false,
                          "saved_at": kept["saved_at"]});
    assert_eq!(cms.ann.get(&there).await.expect(200).json(), expected);
    // Nobody sees anything of it.
    assert_eq!(cms.ann.get(&at(&article)).await.expect(200).json(), article);
    cms.rig.signed_in(Role::Premium).get(&there).await.refused(404, "not_found");
    // Saved, it is not unsaved any more; whoever else writes is told.
    patch(&cms.ann, &article, json!({"body": "Ann's"})).await.expect(200);
    cms.ann.get(&there).await.refused(404, "not_found");
    let eves = cms.eve.get(&there).await.expect(200).json();
    assert_eq!((&eves["body"], &eves["outdated"]), (&json!("Eve's"), &json!(true)));
    cms.eve.delete(&there).await.expect(204);
    cms.eve.get(&there).await.refused(404, "not_found");
    cms.eve.delete(&there).await.expect(204);
    let long = json!({"title": "", "body": "x".repeat(100_001), "version": 1});
    cms.ann.put(&there).json(&long).await.refused(422, "validation");
    cms.rig.shutdown().await;
}
