//! Finding what is published, by the API and on the page.

use std::fmt::Write as _;
use std::time::Duration;

use panel_harness::{Backend, Node, eventually, on_both_databases};
use serde_json::{Value, json};

use super::{Cms, POSTS, at, begun, patch, post, published, took};

on_both_databases!(
    what_is_published_is_found_as_it_is,
    results_are_narrowed_and_come_in_pages,
    what_fits_best_is_first,
    what_was_there_before_is_indexed,
    queries_that_ask_for_nothing_are_named,
    people_search_on_the_blog,
    a_killed_indexer_is_replaced,
);

const SEARCH: &str = "/api/v2/cms/search";
const SOON: Duration = Duration::from_secs(20);

/// A query, as it stands in an address.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut text, byte| {
        write!(text, "%{byte:02x}").unwrap();
        text
    })
}

async fn listing(cms: &Cms, query: &str) -> Value {
    // What the edge has kept may be a second old.
    let fresh = panel_kernel::ids::random_hex();
    cms.client().get(&format!("{SEARCH}?{query}&at={fresh}")).await.expect(200).json()
}

fn slugs(listing: &Value) -> Vec<&str> {
    super::slugs(listing)
}

/// Waits until that finds these, whatever their order.
async fn finds(cms: &Cms, query: &str, expected: &[&str]) -> Value {
    let query = format!("q={}", encoded(query));
    eventually(&format!("{query} finds {expected:?}"), SOON, async || {
        let listing = listing(cms, &query).await;
        let mut found = slugs(&listing);
        found.sort_unstable();
        if found == expected { Ok(listing) } else { Err(listing) }
    })
    .await
}

async fn what_is_published_is_found_as_it_is(backend: Backend) {
    let cms = Cms::start(backend).await;
    let draft =
        json!({"title": "Über Käse", "body": "The *quick* brown fox & <b>", "slug": "kaese"});
    let draft = begun(&cms.eve, draft).await;
    let other = published(&cms.eve, json!({"title": "東京都", "body": "猫である"})).await;
    let other_slug = other["slug"].as_str().unwrap().to_owned();
    finds(&cms, "東京", &[other_slug.as_str()]).await;
    finds(&cms, "kase", &[]).await;
    let article = took(&cms.eve, &draft, "publish").await;
    let listing = finds(&cms, "kase", &["kaese"]).await;
    let hit = &listing["items"][0];
    assert_eq!(hit["excerpt"], "The *quick* brown fox &amp; &lt;b&gt;");
    assert_eq!((&hit["id"], &hit["kind"]), (&article["id"], &json!("post")));
    assert_eq!((&hit["path"], &hit["title"]), (&json!("/blog/kaese"), &json!("Über Käse")));
    assert_eq!(hit["author"], article["author"]);
    assert_eq!(hit["published_at"], article["published_at"]);
    let listing = finds(&cms, "\"quick brown\"", &["kaese"]).await;
    let excerpt = listing["items"][0]["excerpt"].as_str().unwrap();
    assert!(excerpt.contains("<mark>quick</mark>* <mark>brown</mark> fox"), "{excerpt}");
    // No phrase goes from the title into the text.
    finds(&cms, "\"kase the\"", &[]).await;
    for hostile in ["' OR 1=1 --", "\"a\" NEAR(b) {title}:x ^y", "a\\'\\", "' <-> ' a", "((a"] {
        listing_is_answered(&cms, hostile).await;
    }
    let edited = patch(&cms.eve, &article, json!({"body": "slow"})).await.expect(200).json();
    finds(&cms, "slow", &["kaese"]).await;
    finds(&cms, "quick", &[]).await;
    // What is gone is not found from then on, whatever the index says.
    took(&cms.eve, &edited, "archive").await;
    assert!(slugs(&self::listing(&cms, "q=slow").await).is_empty());
    let version = format!("\"{}\"", other["version"]);
    cms.eve.delete(&at(&other)).header("if-match", &version).await.expect(204);
    assert!(slugs(&self::listing(&cms, &format!("q={}", encoded("東京"))).await).is_empty());
    eventually("the index forgets them", SOON, async || {
        let mut sql = cms.rig.raw_sql("cms").await;
        let count = match backend {
            Backend::Sqlite => "SELECT CAST(count(*) AS TEXT) FROM article_search_docsize",
            Backend::Postgres => "SELECT CAST(count(*) AS TEXT) FROM article_search",
        };
        let left = sql.texts(count, 0).await.unwrap();
        if left == ["0"] { Ok(()) } else { Err(left) }
    })
    .await;
    cms.rig.shutdown().await;
}

async fn listing_is_answered(cms: &Cms, query: &str) {
    listing(cms, &format!("q={}", encoded(query))).await;
}

async fn results_are_narrowed_and_come_in_pages(backend: Backend) {
    let cms = Cms::start(backend).await;
    let news = json!({"name": "News", "slug": "news"});
    cms.eve.post(super::CATEGORIES).json(&news).await.expect(201);
    let mut author = Value::Null;
    let early = begun(&cms.eve, json!({"title": "flag 4", "body": "text"})).await;
    for n in 0..4 {
        let mut article = json!({"title": format!("flag {n}"), "body": "text"});
        if n % 2 == 0 {
            article["category"] = json!("news");
            article["tags"] = json!(["red"]);
        }
        author = published(&cms.eve, article).await["author"]["id"].clone();
        cms.clock.advance(Duration::from_secs(1));
    }
    // What was begun first is published last.
    let late = json!({"category": "news", "tags": ["red"]});
    let early = patch(&cms.eve, &early, late).await.expect(200).json();
    took(&cms.eve, &early, "publish").await;
    cms.clock.advance(Duration::from_secs(1));
    let page = json!({"title": "flag page", "body": "text"});
    let page = cms.eve.post(super::PAGES).json(&page).await.expect(201).json();
    let path = format!("{}/{}/publish", super::PAGES, page["id"].as_str().unwrap());
    cms.eve.post(&path).header("if-match", "\"1\"").await.expect(200);
    let all = ["flag-0", "flag-1", "flag-2", "flag-3", "flag-4", "flag-page"];
    finds(&cms, "flag", &all).await;
    for (narrowed, expected) in [
        ("kind=page", &["flag-page"][..]),
        ("category=news", &["flag-4", "flag-2", "flag-0"]),
        ("kind=post&tag=RED", &["flag-4", "flag-2", "flag-0"]),
        (&format!("kind=post&author={}", author.as_str().unwrap()), &all[..5]),
        ("tag=blue", &[]),
        ("author=00000000000z1", &[]),
    ] {
        let found = listing(&cms, &format!("q=flag&sort=newest&{narrowed}")).await;
        let (mut found, mut expected) = (slugs(&found), expected.to_vec());
        if narrowed.contains("author") {
            found.sort_unstable();
            expected.sort_unstable();
        }
        assert_eq!(found, expected, "{narrowed}");
    }
    for sort in ["newest", "relevance"] {
        let path = format!("q=flag&limit=4&kind=post&sort={sort}");
        let first = listing(&cms, &path).await;
        let cursor = first["next_cursor"].as_str().unwrap();
        let second = listing(&cms, &format!("{path}&cursor={cursor}")).await;
        assert_eq!(second["next_cursor"], Value::Null);
        let mut found = [slugs(&first), slugs(&second)].concat();
        if sort == "newest" {
            assert_eq!(found, ["flag-4", "flag-3", "flag-2", "flag-1", "flag-0"]);
        }
        found.sort_unstable();
        assert_eq!(found, all[..5], "each is there once");
        // It leads on in that list alone.
        let other = cms.client().get(&format!("{SEARCH}?q=other&cursor={cursor}")).await;
        other.refused(400, "bad_request");
    }
    cms.rig.shutdown().await;
}

async fn what_fits_best_is_first(backend: Backend) {
    let cms = Cms::start(backend).await;
    let filler = "word ".repeat(500);
    for (title, body) in [
        ("in the title: lighthouse", filler.clone()),
        ("often in the text", format!("lighthouse lighthouse lighthouse {filler}")),
        ("once in the text", format!("{filler} lighthouse")),
    ] {
        published(&cms.eve, json!({"title": title, "body": body})).await;
    }
    let all = ["in-the-title-lighthouse", "often-in-the-text", "once-in-the-text"];
    finds(&cms, "lighthouse", &all).await;
    let found = listing(&cms, "q=lighthouse").await;
    assert_eq!(slugs(&found), all);
    // What stands far behind in the text is found, and the excerpt is its beginning.
    assert!(found["items"][2]["excerpt"].as_str().unwrap().starts_with("word "));
    cms.rig.shutdown().await;
}

async fn what_was_there_before_is_indexed(backend: Backend) {
    let database = backend.database().await;
    let mut node = Node::builder().database(&database).start().await;
    let root = node.admin("root").await;
    for n in 0..45 {
        let draft = json!({"title": format!("flag {n}"), "body": "text"});
        let draft = root.post(POSTS).json(&draft).await.expect(201).json();
        if n > 0 {
            let publish = root.post(&format!("{}/publish", at(&draft)));
            publish.header("if-match", "\"1\"").await.expect(200);
        }
    }
    node.sigterm_and_wait().await;
    // As a release leaves it that did not search, or by other rules.
    let mut sql = database.raw_sql("cms").await;
    let forget = match backend {
        Backend::Sqlite => "INSERT INTO article_search (article_search) VALUES ('delete-all')",
        Backend::Postgres => "DELETE FROM article_search",
    };
    sql.run(forget).await;
    sql.run("UPDATE search_progress SET version = 0, done_to = 7").await;
    drop(sql);
    node.restart().await;
    eventually("all are found", SOON, async || {
        let fresh = panel_kernel::ids::random_hex();
        let found = node.client().get(&format!("{SEARCH}?q=flag&limit=100&at={fresh}")).await;
        let found = found.expect(200).json()["items"].as_array().unwrap().len();
        if found == 44 { Ok(()) } else { Err(found) }
    })
    .await;
}

async fn queries_that_ask_for_nothing_are_named(backend: Backend) {
    let cms = Cms::start(backend).await;
    for (query, field, code) in [
        ("", "q", "required"),
        ("q=", "q", "required"),
        ("q=%21%21", "q", "nothing"),
        ("q=-a", "q", "nothing"),
        (&format!("q={}", "a".repeat(201)), "q", "too_long"),
        ("q=a%00", "q", "characters"),
        ("q=a&kind=media", "kind", "invalid"),
        ("q=a&author=me", "author", "invalid"),
        ("q=a&tag=%20", "tag", "invalid"),
        ("q=a&sort=oldest", "sort", "invalid"),
        ("q=a&limit=101", "limit", "out_of_range"),
    ] {
        let refused = cms.client().get(&format!("{SEARCH}?{query}")).await;
        let problem = refused.refused(422, "validation");
        assert_eq!(problem.fields()[0], (field, code), "{query}");
    }
    cms.client().get(&format!("{SEARCH}?q=a&cursor=x")).await.refused(400, "bad_request");
    cms.rig.shutdown().await;
}

async fn people_search_on_the_blog(backend: Backend) {
    let cms = Cms::start(backend).await;
    for n in 0..21 {
        let article =
            json!({"title": format!("flag {n}"), "body": "<i>a & b</i>", "tags": ["red"]});
        published(&cms.eve, article).await;
    }
    eventually("all are found", SOON, async || {
        listing(&cms, "q=flag&limit=100").await["items"].as_array().unwrap().len() == 21
    })
    .await;
    let client = cms.client();
    let page = client.get("/blog?q=flag+%26+b").await.expect(200).text();
    assert!(page.contains(r#"<meta name="robots" content="noindex">"#), "{page}");
    assert!(page.contains(r#"name="q" value="flag &#38; b""#), "{page}");
    assert!(page.contains("&lt;i&gt;a &amp; <mark>b</mark>&lt;/i&gt;"), "{page}");
    assert_eq!(page.matches("<h2><a href=\"/blog/flag-").count(), 20);
    let next = page.split(r#"rel="next" href=""#).nth(1).unwrap().split('"').next().unwrap();
    let next = next.replace("&#38;", "&");
    let rest = client.get(&next).await.expect(200).text();
    assert_eq!(rest.matches("<h2><a href=\"/blog/flag-").count(), 1);
    assert!(!rest.contains("rel=\"next\""));
    let nothing = client.get("/blog?q=lighthouse").await.expect(200).text();
    assert!(nothing.contains("Nothing was found."));
    let wrong = client.get("/blog?q=-a").await.expect(200).text();
    assert!(wrong.contains("The query must have a word that is to be found."), "{wrong}");
    assert!(!client.get("/blog?q=").await.expect(200).text().contains("Nothing was found."));
    // The list is what it was.
    let front = client.get("/blog").await.expect(200).text();
    assert!(front.contains(r#"rel="canonical""#) && !front.contains("noindex"));
    cms.rig.shutdown().await;
}

async fn a_killed_indexer_is_replaced(backend: Backend) {
    let cms = Cms::start(backend).await;
    published(&cms.eve, post("first")).await;
    cms.rig.kill("cms/search_indexer").await;
    published(&cms.eve, post("second")).await;
    finds(&cms, "text", &["first", "second"]).await;
    cms.rig.shutdown().await;
}
