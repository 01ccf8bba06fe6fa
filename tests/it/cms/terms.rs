//! Categories and tags.

use futures::future::join_all;
use panel_harness::{Backend, on_both_databases};
use serde_json::{Value, json};

use super::{CATEGORIES, Cms, POSTS, at, begun, patch, published, slugs, took};

on_both_databases!(
    categories_are_made_by_moderators,
    tags_come_to_be_by_being_used,
    counts_follow_what_is_published,
    editors_who_change_terms_at_once_do_not_wait_for_each_other,
);

const TAGS: &str = "/api/v2/cms/tags";

async fn categories_are_made_by_moderators(backend: Backend) {
    let cms = Cms::start(backend).await;
    cms.ann.post(CATEGORIES).json(&json!({"name": "x"})).await.refused(403, "forbidden");
    let new = json!({"name": "Überall & mehr", "description": "All.", "position": 2});
    let made = cms.eve.post(CATEGORIES).json(&new).await.expect(201);
    assert_eq!(made.header("location"), Some("/api/v2/cms/categories/uberall-mehr"));
    let category = made.json();
    assert_eq!(
        (&category["slug"], &category["article_count"]),
        (&json!("uberall-mehr"), &json!(0))
    );
    let taken = cms.eve.post(CATEGORIES).json(&new).await;
    assert_eq!(taken.refused(409, "conflict").code.as_deref(), Some("slug_taken"));
    cms.eve.post(CATEGORIES).json(&json!({"name": "First", "position": 1})).await.expect(201);
    let bad = json!({"name": "", "slug": "A b", "position": -1});
    let bad = cms.eve.post(CATEGORIES).json(&bad).await;
    let bad = bad.refused(422, "validation");
    assert_eq!(bad.fields().len(), 3, "{bad:?}");
    let list = cms.client().get(CATEGORIES).await.expect(200).json();
    assert_eq!(slugs(&list), ["first", "uberall-mehr"]);
    let page = cms.client().get(&format!("{CATEGORIES}?limit=1")).await.expect(200).json();
    let next = page["next_cursor"].as_str().unwrap();
    let rest = cms.client().get(&format!("{CATEGORIES}?limit=1&cursor={next}")).await.expect(200);
    assert_eq!((slugs(&page), slugs(&rest.json())), (vec!["first"], vec!["uberall-mehr"]));
    cms.client().get(&format!("{CATEGORIES}?cursor=x")).await.refused(400, "bad_request");

    published(&cms.eve, json!({"title": "a", "category": "uberall-mehr"})).await;
    begun(&cms.ann, json!({"title": "b", "category": "uberall-mehr"})).await;
    let one = format!("{CATEGORIES}/uberall-mehr");
    let read = cms.eve.get(&one).await.expect(200);
    assert_eq!(read.json()["article_count"], 1, "what is published counts");
    let listed = cms.client().get(&format!("{POSTS}?category=uberall-mehr")).await.expect(200);
    assert_eq!(slugs(&listed.json()), ["a"]);
    cms.eve.patch(&one).json(&json!({"name": "New"})).await.refused(428, "precondition_required");
    let tag = read.header("etag").unwrap();
    let change = json!({"name": "New"});
    let changed =
        cms.eve.patch(&one).header("if-match", tag).json(&change).await.expect(200).json();
    assert_eq!((&changed["name"], &changed["slug"]), (&json!("New"), &json!("uberall-mehr")));
    let late = cms.eve.patch(&one).header("if-match", tag).json(&json!({"name": "Old"})).await;
    late.refused(412, "precondition_failed");
    cms.eve.delete(&one).await.refused(409, "conflict");
    cms.ann.delete(&format!("{CATEGORIES}/first")).await.refused(403, "forbidden");
    cms.eve.delete(&format!("{CATEGORIES}/first")).await.expect(204);
    cms.client().get(&format!("{CATEGORIES}/first")).await.refused(404, "not_found");
    cms.rig.shutdown().await;
}

async fn tags_come_to_be_by_being_used(backend: Backend) {
    let cms = Cms::start(backend).await;
    let article = published(&cms.eve, json!({"title": "a", "tags": ["Rust Lang", "c++"]})).await;
    let tags = async || {
        let list = cms.eve.get(TAGS).await.expect(200).json();
        let items = list["items"].as_array().unwrap();
        let of = |it: &Value| format!("{} {}", it["slug"].as_str().unwrap(), it["article_count"]);
        items.iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(tags().await, ["c++ 1", "rust-lang 1"]);
    let article = patch(&cms.eve, &article, json!({"tags": ["c++"]})).await.expect(200).json();
    assert_eq!(tags().await, ["c++ 1", "rust-lang 0"]);
    for (tag, expected) in [("c%2B%2B", vec!["a"]), ("rust-lang", vec![])] {
        let listed = cms.client().get(&format!("{POSTS}?tag={tag}")).await.expect(200).json();
        assert_eq!(slugs(&listed), expected, "{tag}");
    }
    let one = format!("{TAGS}/rust-lang");
    let named = cms.eve.patch(&one).header("if-match", "\"1\"").json(&json!({"name": "Rust"}));
    assert_eq!(named.await.expect(200).json()["name"], "Rust");
    // Used again, it is the same.
    patch(&cms.eve, &article, json!({"tags": ["rust lang"]})).await.expect(200);
    for cursor in ["x", "MC5j_", "%2B"] {
        cms.eve.get(&format!("{TAGS}?cursor={cursor}")).await.refused(400, "bad_request");
    }
    let page = cms.eve.get(&format!("{TAGS}?limit=1")).await.expect(200).json();
    let next = page["next_cursor"].as_str().unwrap();
    let rest = cms.eve.get(&format!("{TAGS}?limit=1&cursor={next}")).await.expect(200).json();
    assert_eq!((slugs(&page), slugs(&rest)), (vec!["c++"], vec!["rust-lang"]));
    assert_eq!(cms.eve.get(&one).await.expect(200).json()["name"], "Rust");
    cms.eve.delete(&one).await.refused(409, "conflict");
    cms.eve.delete(&format!("{TAGS}/c++")).await.expect(204);
    let made = cms.eve.post(TAGS).json(&json!({"name": "New Things"})).await.expect(201).json();
    assert_eq!(made["slug"], "new-things");
    let many: Vec<String> = (0..21).map(|n| format!("t{n}")).collect();
    let many = cms.ann.post(POSTS).json(&json!({"title": "x", "tags": many})).await;
    many.refused(422, "validation");
    cms.rig.shutdown().await;
}

async fn counts_follow_what_is_published(backend: Backend) {
    let cms = Cms::start(backend).await;
    for name in ["One", "Two"] {
        cms.eve.post(CATEGORIES).json(&json!({"name": name})).await.expect(201);
    }
    let counts = async || {
        let mut all = Vec::new();
        for path in [format!("{CATEGORIES}/one"), format!("{CATEGORIES}/two"), format!("{TAGS}/t")]
        {
            let found = cms.eve.get(&path).await.expect(200).json();
            all.push(found["article_count"].as_i64().unwrap());
        }
        all
    };
    let new = json!({"title": "a", "category": "one", "tags": ["t"]});
    let article = begun(&cms.eve, new.clone()).await;
    // What a draft is about is nobody's to know.
    cms.client().get(&format!("{TAGS}/t")).await.refused(404, "not_found");
    cms.client().get("/blog/tag/t").await.expect(404);
    assert_eq!(slugs(&cms.client().get(TAGS).await.expect(200).json()), [""; 0]);
    let article = took(&cms.eve, &article, "publish").await;
    assert_eq!(counts().await, [1, 0, 1]);
    let change = json!({"category": "two", "title": "b"});
    let article = patch(&cms.eve, &article, change).await.expect(200).json();
    assert_eq!(counts().await, [0, 1, 1]);
    let article = patch(&cms.eve, &article, json!({"tags": []})).await.expect(200).json();
    assert_eq!(counts().await, [0, 1, 0]);
    let article = took(&cms.eve, &article, "archive").await;
    assert_eq!(counts().await, [0, 0, 0]);
    let article = patch(&cms.eve, &article, json!({"category": "one"})).await.expect(200).json();
    let article = took(&cms.eve, &article, "publish").await;
    assert_eq!(counts().await, [1, 0, 0]);
    let version = format!("\"{}\"", article["version"]);
    cms.eve.delete(&at(&article)).header("if-match", &version).await.expect(204);
    assert_eq!(counts().await, [0, 0, 0]);
    // A page is no post.
    let page = cms.eve.post("/api/v2/cms/pages").json(&new).await.expect(201).json();
    let publish = format!("/api/v2/cms/pages/{}/publish", page["id"].as_str().unwrap());
    cms.eve.post(&publish).header("if-match", "*").await.expect(200);
    assert_eq!(counts().await, [0, 0, 0]);
    cms.rig.shutdown().await;
}

async fn editors_who_change_terms_at_once_do_not_wait_for_each_other(backend: Backend) {
    let cms = Cms::start(backend).await;
    for name in ["One", "Two"] {
        cms.eve.post(CATEGORIES).json(&json!({"name": name})).await.expect(201);
    }
    let of = |n: usize| match n % 2 {
        0 => json!({"category": "one", "tags": ["a", "b"]}),
        _ => json!({"category": "two", "tags": ["b", "c"]}),
    };
    // Each goes back and forth between the two, against the others.
    join_all((0..4).map(async |n| {
        let mut article = published(&cms.eve, json!({"title": format!("a{n}")})).await;
        for step in n..n + 10 {
            article = patch(&cms.eve, &article, of(step)).await.expect(200).json();
        }
    }))
    .await;
    let mut counts = Vec::new();
    for path in ["categories/one", "categories/two", "tags/a", "tags/b", "tags/c"] {
        let found = cms.eve.get(&format!("/api/v2/cms/{path}")).await.expect(200).json();
        counts.push(found["article_count"].as_i64().unwrap());
    }
    assert_eq!(counts, [2, 2, 2, 4, 2]);
    cms.rig.shutdown().await;
}
