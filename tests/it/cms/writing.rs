//! Articles are begun, changed, moved, deleted and taken back.

use panel_harness::{Backend, on_both_databases};
use panel_kernel::role::Role;
use serde_json::{Value, json};

use super::{CATEGORIES, Cms, PAGES, POSTS, at, begun, patch, post, published, slugs, took};

on_both_databases!(
    an_article_is_begun_and_changed,
    who_changes_what_somebody_else_changed_is_told,
    mistakes_are_named,
    an_address_that_changes_leads_to_the_new_one,
    two_who_begin_at_once_have_an_address_each,
    what_is_deleted_is_gone_and_can_come_back,
    a_deleted_article_goes_for_good_after_thirty_days,
    pages_are_articles_that_moderators_make,
);

async fn an_article_is_begun_and_changed(backend: Backend) {
    let cms = Cms::start(backend).await;
    let category = json!({"name": "News"});
    cms.eve.post(CATEGORIES).json(&category).await.expect(201);
    let new = json!({
        "title": "Hello, wörld!", "body": "**Hi** there.\n\nhttps://youtu.be/dQw4w9WgXcQ",
        "category": "news", "tags": ["Rust Lang", "news"], "cover": "/media/a.webp",
        "seo": {"title": "Hi", "canonical": "https://example.org/first"},
    });
    let made = cms.ann.post(POSTS).json(&new).await.expect(201);
    let article = made.json();
    assert_eq!(made.header("location"), Some(at(&article).as_str()));
    let expected = json!({
        "id": article["id"], "slug": "hello-world", "path": "/blog/hello-world",
        "title": "Hello, wörld!", "excerpt": "Hi there.", "body": new["body"],
        "body_html": article["body_html"], "status": "draft", "author": article["author"],
        "category": "news", "tags": ["rust-lang", "news"], "cover": "/media/a.webp",
        "seo": {"title": "Hi", "description": null, "canonical": "https://example.org/first",
                "noindex": false},
        "authors": [article["author"]], "language": null, "translation_of": null,
        "comments": false,
        "created_at": article["created_at"], "published_at": null,
        "updated_at": article["created_at"], "version": 1, "publish_at": null,
        "edited_by": article["author"], "edited_at": article["created_at"], "review_note": null,
    });
    assert_eq!(article, expected);
    let html = article["body_html"].as_str().unwrap();
    assert!(
        html.contains("<strong>Hi</strong>") && html.contains("youtube-nocookie.com"),
        "{html}"
    );
    // By either name, and for nobody else.
    for name in [at(&article), format!("{POSTS}/hello-world")] {
        assert_eq!(cms.ann.get(&name).await.expect(200).json(), article);
        cms.client().get(&name).await.refused(404, "not_found");
        cms.rig.signed_in(Role::Premium).get(&name).await.refused(404, "not_found");
    }
    let change = json!({
        "title": "Hello", "body": "Changed.", "excerpt": "Mine", "category": null, "tags": ["b"],
        "cover": null, "seo": {"title": null, "noindex": true},
    });
    let changed = patch(&cms.ann, &article, change).await.expect(200).json();
    assert_eq!(changed["slug"], "hello-world", "it stays when the title changes");
    assert_eq!((&changed["title"], &changed["excerpt"]), (&json!("Hello"), &json!("Mine")));
    assert_eq!((&changed["category"], &changed["tags"]), (&Value::Null, &json!(["b"])));
    let seo = json!({"title": null, "description": null,
                     "canonical": "https://example.org/first", "noindex": true});
    assert_eq!((&changed["seo"], &changed["cover"]), (&seo, &Value::Null));
    assert_eq!(
        (&changed["version"], &changed["body_html"]),
        (&json!(2), &json!("<p>Changed.</p>\n"))
    );
    // An excerpt of one's own stays; without it, it follows the text.
    let changed = patch(&cms.ann, &changed, json!({"body": "Other."})).await.expect(200).json();
    assert_eq!(changed["excerpt"], "Mine");
    let changed = patch(&cms.ann, &changed, json!({"excerpt": null})).await.expect(200).json();
    assert_eq!(changed["excerpt"], "Other.");
    // What changes nothing makes no version.
    let same = patch(&cms.ann, &changed, json!({"title": "Hello"})).await.expect(200).json();
    assert_eq!(same, changed);
    cms.rig.shutdown().await;
}

async fn who_changes_what_somebody_else_changed_is_told(backend: Backend) {
    let cms = Cms::start(backend).await;
    let article = begun(&cms.ann, post("a")).await;
    let unsaid = cms.ann.patch(&at(&article)).json(&json!({"title": "b"})).await;
    unsaid.refused(428, "precondition_required");
    cms.ann.delete(&at(&article)).await.refused(428, "precondition_required");
    patch(&cms.eve, &article, json!({"title": "by Eve"})).await.expect(200);
    let late = patch(&cms.ann, &article, json!({"title": "by Ann"})).await;
    let problem = late.refused(412, "precondition_failed");
    assert!(problem.detail.contains("current version is 2"), "{}", problem.detail);
    let now = cms.ann.get(&at(&article)).await.expect(200);
    assert_eq!((&now.json()["title"], &now.json()["version"]), (&json!("by Eve"), &json!(2)));
    // With the tag as it came.
    let tag = now.header("etag").unwrap();
    let change = json!({"title": "by both"});
    cms.ann.patch(&at(&article)).header("if-match", tag).json(&change).await.expect(200);
    // Sent twice, it is done once.
    let new = json!({"title": "once"});
    let once =
        async || cms.ann.post(POSTS).idempotency_key("k").json(&new).await.expect(201).json();
    assert_eq!(once().await, once().await);
    cms.rig.shutdown().await;
}

async fn mistakes_are_named(backend: Backend) {
    let cms = Cms::start(backend).await;
    let fields = async |body: Value| {
        let problem = cms.ann.post(POSTS).json(&body).await.refused(422, "validation");
        let fields = problem.fields();
        fields.into_iter().map(|(field, code)| format!("{field} {code}")).collect::<Vec<_>>()
    };
    let long = "x".repeat(201);
    for (body, expected) in [
        (json!({"title": " "}), vec!["title required"]),
        (json!({"title": long}), vec!["title too_long"]),
        (json!({"title": "a", "body": "x".repeat(100_001)}), vec!["body too_long"]),
        (json!({"title": "a", "slug": "Not One"}), vec!["slug invalid"]),
        (json!({"title": "a", "slug": "0123456789abc"}), vec!["slug reserved"]),
        (json!({"title": "a", "slug": "trash"}), vec!["slug reserved"]),
        (json!({"title": "a", "tags": ["a/b"]}), vec!["tags[0] invalid"]),
        (json!({"title": "a", "excerpt": "x".repeat(501)}), vec!["excerpt too_long"]),
        (json!({"title": "a", "cover": "javascript:alert(1)"}), vec!["cover invalid"]),
        (json!({"title": "a", "cover": "//evil.example/x"}), vec!["cover invalid"]),
        (json!({"title": "a", "seo": {"canonical": "x y"}}), vec!["seo.canonical invalid"]),
        (json!({"title": "a", "category": "nonesuch"}), vec!["category unknown"]),
    ] {
        assert_eq!(fields(body.clone()).await, expected, "{body}");
    }
    cms.client().post(POSTS).json(&post("a")).await.refused(401, "unauthorized");
    let reader = cms.rig.signed_in(Role::User);
    reader.post(POSTS).json(&post("a")).await.refused(403, "forbidden");
    let unknown = json!({"title": "a", "status": "published"});
    cms.ann.post(POSTS).json(&unknown).await.refused(422, "validation");
    // As long as one may be, in letters of one byte and of three.
    for body in ["word ".repeat(20_000), "漢字 ".repeat(18_000)] {
        let long = json!({"title": "long", "body": body});
        let article = begun(&cms.ann, long).await;
        let read = cms.ann.get(&at(&article)).await.expect(200).json();
        assert_eq!(read["body"], body);
        assert!(read["excerpt"].as_str().unwrap().chars().count() <= 280);
    }
    // What becomes much longer than it is.
    let notes = json!({"title": "notes", "body": "[^a]".repeat(20_000) + "\n\n[^a]: x"});
    let problem = cms.ann.post(POSTS).json(&notes).await.refused(422, "validation");
    assert_eq!(problem.fields(), [("body", "too_long")]);
    let long = json!({"title": "long", "body": "漢字 ".repeat(30_000)});
    cms.ann.post(POSTS).json(&long).await.refused(413, "payload_too_large");
    cms.rig.shutdown().await;
}

async fn an_address_that_changes_leads_to_the_new_one(backend: Backend) {
    let cms = Cms::start(backend).await;
    let article = published(&cms.eve, post("First")).await;
    let second = patch(&cms.eve, &article, json!({"slug": "second"})).await.expect(200).json();
    let third = patch(&cms.eve, &second, json!({"slug": "third"})).await.expect(200).json();
    let client = cms.client();
    for old in ["first", "second"] {
        let moved = client.get(&format!("{POSTS}/{old}")).await.expect(301);
        assert_eq!(moved.header("location"), Some(format!("{POSTS}/third").as_str()), "{old}");
    }
    client.get(&format!("{POSTS}/third")).await.expect(200);
    // Nobody but an editor takes an address that leads somewhere.
    let draft = begun(&cms.ann, json!({"title": "Second"})).await;
    assert_eq!(draft["slug"], "second-2");
    let taken = cms.ann.post(POSTS).json(&json!({"title": "x", "slug": "second"})).await;
    assert_eq!(taken.refused(409, "conflict").code.as_deref(), Some("slug_taken"));
    // It may have an address of its own again, and another article one that was left.
    let first = patch(&cms.eve, &third, json!({"slug": "first"})).await.expect(200).json();
    client.get(&format!("{POSTS}/first")).await.expect(200);
    let other = published(&cms.eve, json!({"title": "Other", "slug": "second"})).await;
    let found = client.get(&format!("{POSTS}/second")).await.expect(200).json();
    assert_eq!(found["id"], other["id"]);
    let taken = patch(&cms.eve, &first, json!({"slug": "second"})).await;
    assert_eq!(taken.refused(409, "conflict").code.as_deref(), Some("slug_taken"));
    let taken = cms.eve.post(POSTS).json(&json!({"title": "x", "slug": "second"})).await;
    assert_eq!(taken.refused(409, "conflict").code.as_deref(), Some("slug_taken"));
    client.get(&format!("{POSTS}/never")).await.refused(404, "not_found");
    // No slug reads like an id, or is a route.
    let article = begun(&cms.ann, json!({"title": "0123456789abc"})).await;
    assert_eq!(article["slug"], "post-0123456789abc");
    let article = begun(&cms.ann, json!({"title": "Trash"})).await;
    assert_eq!(article["slug"], "post-trash");
    cms.rig.shutdown().await;
}

async fn two_who_begin_at_once_have_an_address_each(backend: Backend) {
    let cms = Cms::start(backend).await;
    let begin = async |_| begun(&cms.ann, post("Same")).await["slug"].as_str().unwrap().to_owned();
    let mut slugs = futures::future::join_all((0..3).map(begin)).await;
    slugs.sort();
    assert_eq!(slugs, ["same", "same-2", "same-3"]);
    // One who insists on it is told.
    let new = json!({"title": "x", "slug": "only"});
    let insist = async |_| cms.ann.post(POSTS).json(&new).await.status.as_u16();
    let mut told = futures::future::join_all((0..3).map(insist)).await;
    told.sort_unstable();
    assert_eq!(told, [201, 409, 409]);
    cms.rig.shutdown().await;
}

async fn what_is_deleted_is_gone_and_can_come_back(backend: Backend) {
    let cms = Cms::start(backend).await;
    let article = published(&cms.eve, json!({"title": "Gone", "tags": ["t"]})).await;
    let draft = begun(&cms.ann, post("Mine")).await;
    let delete = async |by: &panel_harness::Client, article: &Value| {
        let version = format!("\"{}\"", article["version"]);
        by.delete(&at(article)).header("if-match", &version).await
    };
    delete(&cms.ann, &article).await.refused(403, "forbidden");
    delete(&cms.eve, &article).await.expect(204);
    delete(&cms.ann, &draft).await.expect(204);
    for name in [at(&article), format!("{POSTS}/gone")] {
        cms.client().get(&name).await.refused(410, "gone");
        cms.eve.get(&name).await.refused(410, "gone");
    }
    // What nobody saw was never there.
    cms.client().get(&at(&draft)).await.refused(404, "not_found");
    assert_eq!(slugs(&cms.client().get(POSTS).await.expect(200).json()), [""; 0]);
    let trash = format!("{POSTS}/trash");
    cms.ann.get(&trash).await.refused(403, "forbidden");
    let mut found = cms.eve.get(&trash).await.expect(200).json();
    let mut names = slugs(&found.take()).into_iter().map(str::to_owned).collect::<Vec<_>>();
    names.sort();
    assert_eq!(names, ["gone", "mine"]);
    let back = cms.eve.post(&format!("{}/restore", at(&article))).await.expect(200).json();
    assert_eq!((&back["status"], &back["tags"]), (&json!("draft"), &json!(["t"])));
    cms.eve.post(&format!("{}/restore", at(&article))).await.refused(409, "conflict");
    let again = took(&cms.eve, &back, "publish").await;
    assert_eq!(again["published_at"], article["published_at"]);
    let listed = cms.client().get(&format!("{POSTS}?tag=t")).await.expect(200).json();
    assert_eq!(slugs(&listed), ["gone"]);
    cms.rig.shutdown().await;
}

/// How many there are, and of what hangs on them.
async fn rows(cms: &Cms) -> String {
    let mut sql = cms.rig.raw_sql("cms").await;
    let mut all = Vec::new();
    for table in ["articles", "article_revisions", "autosaves", "article_tags"] {
        let count = format!("SELECT CAST(count(*) AS TEXT) FROM {table}");
        all.extend(sql.texts(&count, 0).await.unwrap());
    }
    all.join(" ")
}

async fn a_deleted_article_goes_for_good_after_thirty_days(backend: Backend) {
    let cms = Cms::start(backend).await;
    let article = published(&cms.eve, json!({"title": "Gone", "tags": ["t"]})).await;
    let article = patch(&cms.eve, &article, json!({"body": "b"})).await.expect(200).json();
    let unsaved = json!({"title": "x", "body": "y", "version": 1});
    cms.eve.put(&format!("{}/autosave", at(&article))).json(&unsaved).await.expect(200);
    let version = format!("\"{}\"", article["version"]);
    cms.eve.delete(&at(&article)).header("if-match", &version).await.expect(204);
    assert_eq!(rows(&cms).await, "1 1 1 1");
    cms.clock.advance(std::time::Duration::from_secs(29 * 86_400));
    cms.rig.sweep("cms");
    cms.clock.advance(std::time::Duration::from_secs(2 * 86_400));
    let within = std::time::Duration::from_secs(20);
    panel_harness::eventually("all of it is gone", within, async || {
        cms.rig.sweep("cms");
        let rows = rows(&cms).await;
        if rows == "0 0 0 0" { Ok(()) } else { Err(rows) }
    })
    .await;
    // That there was something is remembered.
    cms.client().get(&format!("{POSTS}/gone")).await.refused(410, "gone");
    cms.client().get(&at(&article)).await.refused(404, "not_found");
    cms.rig.shutdown().await;
}

async fn pages_are_articles_that_moderators_make(backend: Backend) {
    let cms = Cms::start(backend).await;
    cms.ann.post(PAGES).json(&post("About")).await.refused(403, "forbidden");
    let page = cms.eve.post(PAGES).json(&post("About")).await.expect(201).json();
    assert_eq!((&page["path"], &page["slug"]), (&json!("/pages/about"), &json!("about")));
    let path = format!("{PAGES}/{}", page["id"].as_str().unwrap());
    cms.client().get(&path).await.refused(404, "not_found");
    let publish = cms.eve.post(&format!("{path}/publish")).header("if-match", "\"1\"");
    publish.await.expect(200);
    cms.client().get(&format!("{PAGES}/about")).await.expect(200);
    // Neither is the other.
    cms.client().get(&format!("{POSTS}/about")).await.refused(404, "not_found");
    assert_eq!(slugs(&cms.client().get(POSTS).await.expect(200).json()), [""; 0]);
    assert_eq!(slugs(&cms.client().get(PAGES).await.expect(200).json()), ["about"]);
    cms.rig.shutdown().await;
}
