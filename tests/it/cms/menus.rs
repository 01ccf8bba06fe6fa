//! Menus: what leads where.

use panel_harness::{Backend, Client, on_both_databases};
use serde_json::{Value, json};

use super::{Cms, PAGES, at, begun, patch, published, took};

on_both_databases!(
    moderators_say_what_is_in_a_menu,
    pages_show_menus_as_they_are_now,
    what_is_no_menu_is_refused,
);

const MENUS: &str = "/api/v2/cms/menus";
const MAIN: &str = "/api/v2/cms/menus/main";

async fn set(by: &Client, name: &str, items: Value) -> Value {
    let put = by.put(&format!("{MENUS}/{name}")).json(&json!({"items": items}));
    put.await.expect(201).json()
}

/// Labels and addresses, those below others after a `-`.
fn shown(menu: &Value) -> Vec<String> {
    let of = |it: &Value| {
        format!("{} {}", it["label"].as_str().unwrap(), it["url"].as_str().unwrap_or("nowhere"))
    };
    let items = menu["items"].as_array().unwrap();
    let with_below = |item: &Value| {
        let below = item["children"].as_array().unwrap().iter().map(|it| format!("- {}", of(it)));
        [of(item)].into_iter().chain(below).collect::<Vec<_>>()
    };
    items.iter().flat_map(with_below).collect()
}

async fn moderators_say_what_is_in_a_menu(backend: Backend) {
    let cms = Cms::start(backend).await;
    let about = cms.eve.post(PAGES).json(&json!({"title": "About"})).await.expect(201).json();
    let items = json!([
        {"label": "Blog", "url": "/blog"},
        {"label": "About", "article": about["id"], "children": [
            {"label": "Elsewhere", "url": "https://a.example/x"},
        ]},
    ]);
    let new = json!({"items": items});
    cms.ann.put(MAIN).json(&new).await.refused(403, "forbidden");
    cms.client().put(MAIN).json(&new).await.refused(401, "unauthorized");
    cms.client().get(MAIN).await.refused(404, "not_found");
    let made = cms.eve.put(MAIN).json(&new).await.expect(201);
    assert_eq!(made.header("location"), Some(MAIN));
    let all = ["Blog /blog", "About nowhere", "- Elsewhere https://a.example/x"];
    assert_eq!(shown(&made.json()), all);
    // What leads nowhere yet, and what is below it, moderators see.
    assert_eq!(shown(&cms.eve.get(MAIN).await.expect(200).json()), all);
    let read = cms.client().get(MAIN).await.expect(200);
    assert_eq!(shown(&read.json()), ["Blog /blog"]);
    let publish = format!("{PAGES}/{}/publish", about["id"].as_str().unwrap());
    cms.eve.post(&publish).header("if-match", "*").await.expect(200);
    let after = cms.client().get(MAIN).await.expect(200);
    let all = ["Blog /blog", "About /pages/about", "- Elsewhere https://a.example/x"];
    assert_eq!(shown(&after.json()), all);
    // It is another menu by that, and has another tag: nobody goes on with the one before.
    assert_ne!(read.header("etag"), after.header("etag"));
    let tag = read.header("etag").unwrap();
    let fresh = cms.client().get(MAIN).header("if-none-match", tag).await.expect(200);
    assert_eq!(shown(&fresh.json()), all);
    cms.eve.put(MAIN).json(&new).await.refused(428, "precondition_required");
    let late = cms.eve.put(MAIN).header("if-match", tag).json(&new).await;
    late.refused(412, "precondition_failed");
    let tag = after.header("etag").unwrap();
    let less = json!({"items": [{"label": "About", "article": about["id"]}]});
    let set = cms.eve.put(MAIN).header("if-match", tag).json(&less).await.expect(200);
    assert_eq!(shown(&set.json()), ["About /pages/about"]);
    let none = cms.eve.put(&format!("{MENUS}/side")).header("if-match", "\"3\"").json(&less).await;
    none.refused(412, "precondition_failed");
    let listed = cms.client().get(MENUS).await.expect(200).json();
    assert_eq!(
        (listed["items"].as_array().unwrap().len(), &listed["items"][0]["name"]),
        (1, &json!("main"))
    );
    // Its article goes, and comes back.
    let page = format!("{PAGES}/{}", about["id"].as_str().unwrap());
    cms.eve.delete(&page).header("if-match", "*").await.expect(204);
    assert_eq!(shown(&cms.client().get(MAIN).await.expect(200).json()), [""; 0]);
    cms.ann.delete(MAIN).await.refused(403, "forbidden");
    cms.eve.delete(MAIN).header("if-match", tag).await.refused(412, "precondition_failed");
    cms.eve.delete(MAIN).await.expect(204);
    cms.client().get(MAIN).await.refused(404, "not_found");
    cms.rig.shutdown().await;
}

async fn pages_show_menus_as_they_are_now(backend: Backend) {
    let cms = Cms::start(backend).await;
    let hello = published(&cms.eve, json!({"title": "Hello", "body": "words"})).await;
    let draft = begun(&cms.eve, json!({"title": "Soon"})).await;
    let pages = ["/blog", "/blog/hello", "/blog?q=words"];
    let html = async |path: &str| cms.client().get(path).await.expect(200).text();
    for path in pages {
        let html = html(path).await;
        assert!(!html.contains("class=\"menu\""), "{path}: {html}");
    }
    set(&cms.eve, "main", json!([
        {"label": "<Start>", "url": "/blog"},
        {"label": "Greeting", "article": hello["id"], "children": [{"label": "Next", "article": draft["id"]}]},
    ]))
    .await;
    set(&cms.eve, "footer", json!([{"label": "Imprint", "url": "https://a.example/?a=1&b=2"}]))
        .await;
    set(&cms.eve, "other", json!([{"label": "Unseen", "url": "/x"}])).await;
    for path in pages {
        let html = html(path).await;
        assert!(html.contains("<nav class=\"menu\" aria-label=\"Main\">"), "{path}: {html}");
        assert!(
            html.contains("<a href=\"https://a.example/?a=1&#38;b=2\">Imprint</a>"),
            "{path}: {html}"
        );
        assert!(html.contains("&#60;Start&#62;") && !html.contains("<Start>"), "{path}: {html}");
        assert!(!html.contains("Unseen") && !html.contains("Next"), "{path}: {html}");
    }
    assert!(html("/blog").await.contains("<a href=\"/blog\" aria-current=\"page\">"));
    assert!(
        html("/blog/hello")
            .await
            .contains("<a href=\"/blog/hello\" aria-current=\"page\">Greeting")
    );
    // What becomes of articles is to be seen at once, on pages that are kept.
    took(&cms.eve, &draft, "publish").await;
    for path in pages {
        assert!(html(path).await.contains("<a href=\"/blog/soon\">Next</a>"), "{path}");
    }
    let moved = patch(&cms.eve, &hello, json!({"slug": "hi"})).await.expect(200).json();
    for path in ["/blog", "/blog/hi", "/blog?q=words"] {
        assert!(html(path).await.contains("<a href=\"/blog/hi\""), "{path}");
    }
    took(&cms.eve, &moved, "archive").await;
    for path in ["/blog", "/blog/soon", "/blog?q=words"] {
        let html = html(path).await;
        assert!(!html.contains("Greeting") && !html.contains(">Next<"), "{path}: {html}");
    }
    cms.eve.delete(MAIN).await.expect(204);
    cms.eve.delete(&format!("{MENUS}/footer")).await.expect(204);
    for path in ["/blog", "/blog/soon"] {
        assert!(!html(path).await.contains("class=\"menu\""), "{path}");
    }
    drop(at(&draft));
    cms.rig.shutdown().await;
}

async fn what_is_no_menu_is_refused(backend: Backend) {
    let cms = Cms::start(backend).await;
    let draft = begun(&cms.eve, json!({"title": "a"})).await;
    let many: Vec<Value> = (0..51).map(|n| json!({"label": format!("{n}"), "url": "/"})).collect();
    let below = json!({"label": "a", "url": "/", "children": many[..50]});
    for (items, field, code) in [
        (json!([{"label": "", "url": "/"}]), "items[0].label", "required"),
        (json!([{"label": "a"}]), "items[0].url", "required"),
        (json!([{"label": "a", "url": ""}]), "items[0].url", "required"),
        (json!([{"label": "a", "url": "/", "article": draft["id"]}]), "items[0].url", "required"),
        (json!([{"label": "a", "url": "javascript:alert(1)"}]), "items[0].url", "invalid"),
        (json!([{"label": "a", "url": "//a.example"}]), "items[0].url", "invalid"),
        (
            json!([{"label": "a", "url": "/", "children": [{"label": "b", "url": "x y"}]}]),
            "items[0].children[0].url",
            "invalid",
        ),
        (json!([{"label": "a", "article": "0123456789abc"}]), "items", "unknown"),
        (json!(many), "items", "too_many"),
        (json!([below]), "items", "too_many"),
    ] {
        let refused = cms.eve.put(MAIN).json(&json!({"items": items})).await;
        let refused = refused.refused(422, "validation");
        assert_eq!(refused.fields(), [(field, code)], "{items}");
    }
    let empty = json!({"items": []});
    for name in ["Main", "a_b", "-a", "%20", &"a".repeat(41)] {
        let refused = cms.eve.put(&format!("{MENUS}/{name}")).json(&empty).await;
        assert_eq!(refused.refused(422, "validation").fields(), [("name", "invalid")], "{name}");
    }
    cms.eve.put(MAIN).json(&json!({"items": [], "x": 1})).await.refused(422, "validation");
    for n in 0..20 {
        set(&cms.eve, &format!("m{n}"), json!([])).await;
    }
    cms.eve.put(MAIN).json(&empty).await.refused(409, "conflict");
    let listed = cms.client().get(MENUS).await.expect(200).json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 20);
    cms.rig.shutdown().await;
}
