//! Articles that say the same in several languages.

use panel_harness::{Backend, Client, on_both_databases};
use serde_json::{Value, json};

use super::{Cms, PAGES, POSTS, at, begun, patch, published, took};

on_both_databases!(
    an_article_is_there_in_several_languages,
    pages_lead_from_one_language_to_the_others,
    what_is_no_translation_is_refused,
);

async fn translations(by: &Client, article: &Value) -> Vec<(String, String, bool)> {
    let list = by.get(&format!("{}/translations", at(article))).await.expect(200).json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let items = list["items"].as_array().unwrap();
    let of = |it: &Value| (text(&it["language"]), text(&it["slug"]), it["original"] == true);
    items.iter().map(of).collect()
}

fn is(language: &str, slug: &str, original: bool) -> (String, String, bool) {
    (language.to_owned(), slug.to_owned(), original)
}

async fn an_article_is_there_in_several_languages(backend: Backend) {
    let cms = Cms::start(backend).await;
    let english = json!({"title": "Hello", "language": "EN"});
    let english = published(&cms.eve, english).await;
    assert_eq!((&english["language"], &english["translation_of"]), (&json!("en"), &Value::Null));
    assert_eq!(translations(&cms.client(), &english).await, [is("en", "hello", true)]);
    let german = json!({"title": "Hallo", "language": "de", "translation_of": "hello"});
    let german = begun(&cms.ann, german).await;
    assert_eq!(german["translation_of"], english["id"]);
    // What is not published, they see who wrote it, and moderators.
    let both = [is("de", "hallo", false), is("en", "hello", true)];
    assert_eq!(translations(&cms.ann, &german).await, both);
    assert_eq!(translations(&cms.eve, &english).await, both);
    assert_eq!(translations(&cms.client(), &english).await, both[1..]);
    took(&cms.eve, &german, "publish").await;
    assert_eq!(translations(&cms.client(), &english).await, both);
    // Of whichever of them it is said, all are of the one that was there first.
    let salut = json!({"title": "Salut", "language": "fr-ca", "translation_of": german["id"]});
    let salut = published(&cms.eve, salut).await;
    assert_eq!((&salut["translation_of"], &salut["language"]), (&english["id"], &json!("fr-CA")));
    let all = [both[0].clone(), both[1].clone(), is("fr-CA", "salut", false)];
    for article in [&english, &german, &salut] {
        assert_eq!(translations(&cms.client(), article).await, all);
    }
    // It stands for itself again; the language of one may be said later.
    let alone = patch(&cms.eve, &salut, json!({"translation_of": null})).await.expect(200).json();
    assert_eq!(translations(&cms.client(), &alone).await, [is("fr-CA", "salut", true)]);
    assert_eq!(translations(&cms.client(), &english).await, both);
    let later = published(&cms.eve, json!({"title": "Ola"})).await;
    assert_eq!(translations(&cms.client(), &later).await, []);
    let change = json!({"language": "gl", "translation_of": "hallo"});
    patch(&cms.eve, &later, change).await.expect(200);
    assert_eq!(translations(&cms.client(), &english).await.len(), 3);
    // Without the one that was there first, the others know each other still.
    let version = cms.eve.get(&at(&english)).await.expect(200).json()["version"].clone();
    let gone = cms.eve.delete(&at(&english)).header("if-match", &format!("\"{version}\""));
    gone.await.expect(204);
    let left = [is("de", "hallo", false), is("gl", "ola", false)];
    assert_eq!(translations(&cms.client(), &german).await, left);
    cms.rig.shutdown().await;
}

async fn pages_lead_from_one_language_to_the_others(backend: Backend) {
    let cms = Cms::start(backend).await;
    let url = format!("http://{}", cms.client().address());
    let html = async |path: &str| cms.client().get(path).await.expect(200).text();
    let leads = |html: &str, language: &str, path: &str| {
        html.contains(&format!(
            "<link rel=\"alternate\" hreflang=\"{language}\" href=\"{url}{path}\">"
        ))
    };
    let plain = published(&cms.eve, json!({"title": "Plain"})).await;
    assert!(html("/blog/plain").await.contains("<html lang=\"en\">"));
    let english = published(&cms.eve, json!({"title": "Hello", "language": "en"})).await;
    let german = json!({"title": "Hallo <b>", "language": "de", "translation_of": english["id"]});
    let german = begun(&cms.eve, german).await;
    // With one alone there is nothing to choose.
    assert!(!html("/blog/hello").await.contains("hreflang"));
    let german = took(&cms.eve, &german, "publish").await;
    for path in ["/blog/hello", "/blog/hallo-b"] {
        let html = html(path).await;
        let all = leads(&html, "en", "/blog/hello")
            && leads(&html, "de", "/blog/hallo-b")
            && leads(&html, "x-default", "/blog/hello");
        assert!(all, "{path}: {html}");
    }
    let page = html("/blog/hallo-b").await;
    for piece in [
        "<html lang=\"de\">",
        "\"inLanguage\":\"de\"",
        "<a rel=\"alternate\" hreflang=\"en\" lang=\"en\" href=\"/blog/hello\">Hello</a> (en)",
    ] {
        assert!(page.contains(piece), "{piece} is not in {page}");
    }
    let page = html("/blog/hello").await;
    assert!(page.contains("Hallo &#60;b&#62;</a> (de)") && !page.contains("Hallo <b>"));
    let feed = html("/feed.xml").await;
    assert!(feed.contains("<entry xml:lang=\"de\">"), "{feed}");
    // What becomes of one is to be seen on the pages of the others, which are kept.
    let german = patch(&cms.eve, &german, json!({"slug": "hallo"})).await.expect(200).json();
    assert!(leads(&html("/blog/hello").await, "de", "/blog/hallo"));
    let german = patch(&cms.eve, &german, json!({"language": "gsw"})).await.expect(200).json();
    assert!(leads(&html("/blog/hello").await, "gsw", "/blog/hallo"));
    let german = patch(&cms.eve, &german, json!({"translation_of": null})).await.expect(200).json();
    assert!(!html("/blog/hello").await.contains("hreflang"));
    let change = json!({"translation_of": "hello"});
    let german = patch(&cms.eve, &german, change).await.expect(200).json();
    assert!(leads(&html("/blog/hello").await, "gsw", "/blog/hallo"));
    took(&cms.eve, &german, "unpublish").await;
    assert!(!html("/blog/hello").await.contains("hreflang"));
    assert!(!html("/blog/plain").await.contains("hreflang"));
    drop(plain);
    cms.rig.shutdown().await;
}

async fn what_is_no_translation_is_refused(backend: Backend) {
    let cms = Cms::start(backend).await;
    let english = published(&cms.eve, json!({"title": "Hello", "language": "en"})).await;
    let of_hello = json!({"title": "Hallo", "language": "de", "translation_of": "hello"});
    let german = begun(&cms.ann, of_hello).await;
    let plain = begun(&cms.ann, json!({"title": "Plain"})).await;
    let page = json!({"title": "About", "language": "en"});
    let page = cms.eve.post(PAGES).json(&page).await.expect(201).json();
    let secret = begun(&cms.eve, json!({"title": "Secret", "language": "it"})).await;
    for (new, field, code) in [
        (json!({"language": "english"}), "language", "invalid"),
        (json!({"translation_of": "hello"}), "language", "required"),
        (json!({"language": "fr", "translation_of": "none"}), "translation_of", "unknown"),
        // Nobody knows in which language that is.
        (json!({"language": "fr", "translation_of": "plain"}), "translation_of", "unknown"),
        (json!({"language": "fr", "translation_of": page["id"]}), "translation_of", "unknown"),
        // Which is not hers to see.
        (json!({"language": "fr", "translation_of": secret["id"]}), "translation_of", "unknown"),
    ] {
        let mut new = new;
        new["title"] = json!("x");
        let refused = cms.ann.post(POSTS).json(&new).await.refused(422, "validation");
        assert_eq!(refused.fields(), [(field, code)], "{new}");
    }
    let twice = json!({"title": "x", "language": "de", "translation_of": "hello"});
    let twice = cms.ann.post(POSTS).json(&twice).await.refused(409, "conflict");
    assert_eq!(twice.code.as_deref(), Some("translation_exists"));
    let same = json!({"title": "x", "language": "en", "translation_of": "hello"});
    let same = cms.ann.post(POSTS).json(&same).await.refused(409, "conflict");
    assert_eq!(same.code.as_deref(), Some("translation_exists"));
    let unspoken = patch(&cms.ann, &german, json!({"language": null})).await;
    assert_eq!(unspoken.refused(422, "validation").fields(), [("language", "required")]);
    let own = patch(&cms.eve, &english, json!({"translation_of": "hello"})).await;
    assert_eq!(own.refused(422, "validation").fields(), [("translation_of", "unknown")]);
    let back = patch(&cms.eve, &english, json!({"translation_of": "hallo"})).await;
    assert_eq!(back.refused(422, "validation").fields(), [("translation_of", "unknown")]);
    let other = published(&cms.eve, json!({"title": "Ciao", "language": "it"})).await;
    let upside = patch(&cms.eve, &english, json!({"translation_of": other["id"]})).await;
    assert_eq!(upside.refused(409, "conflict").code.as_deref(), Some("has_translations"));
    // What was there first says another language than the others.
    let clash = patch(&cms.eve, &english, json!({"language": "de"})).await;
    assert_eq!(clash.refused(409, "conflict").code.as_deref(), Some("translation_exists"));
    patch(&cms.eve, &english, json!({"language": "nl"})).await.expect(200);
    drop(plain);
    cms.rig.shutdown().await;
}
