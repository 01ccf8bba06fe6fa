//! Links to what is not published.

use panel_harness::{Backend, on_both_databases};
use panel_kernel::role::Role;
use serde_json::{Value, json};

use super::{Cms, at, begun, patch, post};

on_both_databases!(whoever_has_the_link_reads_it_for_a_while);

async fn whoever_has_the_link_reads_it_for_a_while(backend: Backend) {
    let cms = Cms::start(backend).await;
    let draft = begun(&cms.ann, post("a")).await;
    let make = format!("{}/preview-link", at(&draft));
    let link = async |by: &panel_harness::Client, body: Value| {
        by.post(&make).header("if-match", "*").json(&body).await
    };
    cms.ann.post(&make).await.refused(428, "precondition_required");
    link(&cms.rig.signed_in(Role::Premium), json!({})).await.refused(404, "not_found");
    link(&cms.ann, json!({"expires_in_hours": 0})).await.refused(422, "validation");
    let first = cms.ann.post(&make).header("if-match", "\"1\"").await.expect(201);
    assert_eq!(first.header("cache-control"), Some("no-store"));
    let url = first.json()["url"].as_str().unwrap().to_owned();
    let base = format!("http://{}", cms.client().address());
    let page = url.strip_prefix(&base).expect(&url).to_owned();
    let path = &format!("/api/v2/cms/preview/{}", first.json()["token"].as_str().unwrap());
    let read = async |path: &str| cms.client().get(path).await;
    let seen = read(path).await.expect(200);
    assert_eq!(seen.json()["title"], "a");
    assert!(seen.json().get("review_note").is_none());
    for (name, value) in [("cache-control", "no-store"), ("x-robots-tag", "noindex")] {
        assert_eq!(seen.header(name), Some(value));
    }
    let shown = cms.client().get(&page).await.expect(200);
    assert!(shown.text().contains("<h1>a</h1>") && shown.text().contains("is not published"));
    assert_eq!(shown.header("cache-control"), Some("no-store"));
    // As it is when it is read.
    patch(&cms.ann, &draft, json!({"title": "b"})).await.expect(200);
    assert_eq!(read(path).await.expect(200).json()["title"], "b");
    // Nobody makes one up, or makes it longer.
    let (rest, last) = path.split_at(path.len() - 1);
    let other = if last == "A" { "B" } else { "A" };
    for wrong in
        [format!("{rest}{other}"), format!("{path}AAAA"), "/api/v2/cms/preview/x".to_owned()]
    {
        read(&wrong).await.refused(404, "not_found");
    }
    let short = link(&cms.ann, json!({"expires_in_hours": 1})).await.expect(201).json();
    let short = format!("/api/v2/cms/preview/{}", short["token"].as_str().unwrap());
    cms.clock.advance(std::time::Duration::from_secs(3_599));
    read(&short).await.expect(200);
    cms.clock.advance(std::time::Duration::from_secs(2));
    read(&short).await.refused(404, "not_found");
    read(path).await.expect(200);
    // All of them at once.
    let eve = cms.rig.signed_in(Role::Moderator);
    eve.delete(&make).header("if-match", "*").await.expect(204);
    read(path).await.refused(404, "not_found");
    cms.rig.shutdown().await;
}
