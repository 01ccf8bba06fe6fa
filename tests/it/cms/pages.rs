//! What people read of articles, and what programs do.

use panel_harness::{Answer, Backend, on_both_databases};
use serde_json::{Value, json};

use super::{CATEGORIES, Cms, PAGES, POSTS, at, begun, patch, published, took};

on_both_databases!(
    an_article_has_a_page_that_tells_programs_what_it_is,
    pages_of_what_is_not_there_say_so,
    lists_lead_from_one_to_the_other,
    a_feed_and_a_map_tell_of_what_is_published,
    hostile_titles_are_harmless,
    old_addresses_of_another_site_lead_here,
);

async fn an_article_has_a_page_that_tells_programs_what_it_is(backend: Backend) {
    let cms = Cms::start(backend).await;
    cms.eve.post(CATEGORIES).json(&json!({"name": "News & more"})).await.expect(201);
    let new = json!({
        "title": "Hello", "body": "# One\n\n*Hi*\n\nhttps://vimeo.com/76979871",
        "category": "news-more", "tags": ["c++"], "cover": "/media/a.webp",
        "seo": {"description": "What it is"},
    });
    let article = published(&cms.eve, new).await;
    let page = cms.client().get("/blog/hello").await.expect(200);
    let html = page.text();
    let url = format!("http://{}", cms.client().address());
    for piece in [
        "<title>Hello</title>",
        &format!("<link rel=\"canonical\" href=\"{url}/blog/hello\">"),
        "<meta name=\"description\" content=\"What it is\">",
        "<meta property=\"og:type\" content=\"article\">",
        &format!("<meta property=\"og:image\" content=\"{url}/media/a.webp\">"),
        "<meta name=\"twitter:card\" content=\"summary_large_image\">",
        "<a href=\"/blog/category/news-more\">News &#38; more</a>",
        "href=\"/blog/tag/c%2B%2B\">c++</a>",
        "<em>Hi</em>",
        "<h1 id=\"s-one\">",
        "<iframe src=\"https://player.vimeo.com/video/76979871?dnt=1\"",
    ] {
        assert!(html.contains(piece), "{piece} is not in {html}");
    }
    assert!(!html.contains("noindex"), "{html}");
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.contains("frame-src https://www.youtube-nocookie.com https://player.vimeo.com;")
    );
    assert!(!policy.contains("script-src") && policy.contains("default-src 'none'"), "{policy}");
    let told: Vec<Value> = html
        .split("<script type=\"application/ld+json\">")
        .skip(1)
        .map(|rest| serde_json::from_str(rest.split("</script>").next().unwrap()).unwrap())
        .collect();
    assert_eq!(
        (&told[0]["@type"], &told[1]["@type"]),
        (&json!("BlogPosting"), &json!("BreadcrumbList"))
    );
    assert_eq!(told[0]["datePublished"], article["published_at"]);
    assert_eq!(told[0]["image"], json!([format!("{url}/media/a.webp")]));
    assert_eq!(told[1]["itemListElement"][1]["item"], format!("{url}/blog/hello"));
    // Kept for others, and made old by what changes it.
    assert!(page.header("cache-control").unwrap().starts_with("public"));
    let article = patch(&cms.eve, &article, json!({"body": "New."})).await.expect(200).json();
    assert!(cms.client().get("/blog/hello").await.expect(200).text().contains("<p>New.</p>"));
    patch(&cms.eve, &article, json!({"seo": {"noindex": true}})).await.expect(200);
    let html = cms.client().get("/blog/hello").await.expect(200).text();
    assert!(html.contains("<meta name=\"robots\" content=\"noindex\">"), "{html}");
    cms.rig.shutdown().await;
}

async fn pages_of_what_is_not_there_say_so(backend: Backend) {
    let cms = Cms::start(backend).await;
    let refused = |answer: Answer, words: &str| {
        assert!(answer.header("content-type").unwrap().starts_with("text/html"));
        assert!(answer.text().contains(words) && answer.text().contains("noindex"), "{answer:?}");
    };
    let get = async |path: &str, status: u16| cms.client().get(path).await.expect(status);
    for path in [
        "/blog/none",
        "/pages/none",
        "/blog/category/x",
        "/blog/tag/x",
        "/blog/author/0123456789abc",
        "/blog/preview/x",
    ] {
        refused(get(path, 404).await, "There is nothing here");
    }
    // A draft is for those who write it.
    let draft = begun(&cms.ann, json!({"title": "a"})).await;
    refused(get("/blog/a", 404).await, "There is nothing here");
    let own = cms.ann.get("/blog/a").await.expect(200);
    assert!(own.text().contains("This is not published"), "{own:?}");
    assert!(!own.header("cache-control").unwrap_or_default().contains("public"));
    let public = took(&cms.eve, &draft, "publish").await;
    let moved = patch(&cms.eve, &public, json!({"slug": "b"})).await.expect(200).json();
    let id = draft["id"].as_str().unwrap();
    for old in ["/blog/a", &format!("/blog/{id}")] {
        assert_eq!(get(old, 301).await.header("location"), Some("/blog/b"));
    }
    let version = format!("\"{}\"", moved["version"]);
    cms.eve.delete(&at(&draft)).header("if-match", &version).await.expect(204);
    for path in ["/blog/b", "/blog/a"] {
        refused(get(path, 410).await, "This was removed");
    }
    cms.rig.shutdown().await;
}

async fn lists_lead_from_one_to_the_other(backend: Backend) {
    let cms = Cms::start(backend).await;
    cms.eve
        .post(CATEGORIES)
        .json(&json!({"name": "News", "slug": "all-news", "description": "All."}))
        .await
        .expect(201);
    for n in 0..25 {
        let new =
            json!({"title": format!("Post {n:02}"), "tags": ["c++-17"], "category": "all-news"});
        published(&cms.eve, new).await;
    }
    let author =
        cms.client().get(POSTS).await.expect(200).json()["items"][0]["author"]["id"].clone();
    let author = format!("/blog/author/{}", author.as_str().unwrap());
    for path in ["/blog", "/blog/category/all-news", "/blog/tag/c%2B%2B-17", &author] {
        let (mut at, mut found, mut pages) = (path.to_owned(), 0, 0);
        loop {
            let html = cms.client().get(&at).await.expect(200).text();
            found += html.matches("<h2><a href=\"/blog/post-").count();
            pages += 1;
            let canonical = format!("http://{}{at}", cms.client().address());
            assert!(html.contains(&format!("rel=\"canonical\" href=\"{canonical}\"")), "{html}");
            let Some(next) = html.split("<link rel=\"next\" href=\"").nth(1) else { break };
            next.split('"').next().unwrap().clone_into(&mut at);
        }
        assert_eq!((found, pages), (25, 2), "{path}");
    }
    assert_eq!(cms.client().get("/blog/").await.expect(308).header("location"), Some("/blog"));
    let html = cms.client().get("/blog/category/all-news").await.expect(200).text();
    assert!(html.contains("<h1>News</h1>") && html.contains("<p>All.</p>"), "{html}");
    cms.rig.shutdown().await;
}

async fn a_feed_and_a_map_tell_of_what_is_published(backend: Backend) {
    let cms = Cms::start(backend).await;
    let client = cms.client();
    let empty = client.get("/sitemap.xml").await.expect(200).text();
    assert!(!empty.contains("<sitemap>"), "{empty}");
    published(&cms.eve, json!({"title": "In January", "body": "*one*"})).await;
    cms.clock.advance(std::time::Duration::from_secs(40 * 86_400));
    let eve = cms.rig.signed_in(panel_kernel::role::Role::Moderator);
    published(&eve, json!({"title": "In February", "tags": ["t"]})).await;
    published(&eve, json!({"title": "Hidden", "seo": {"noindex": true}})).await;
    begun(&eve, json!({"title": "A draft"})).await;
    let page = eve.post(PAGES).json(&json!({"title": "About"})).await.expect(201).json();
    let publish = format!("{PAGES}/{}/publish", page["id"].as_str().unwrap());
    eve.post(&publish).header("if-match", "*").await.expect(200);
    let url = format!("http://{}", client.address());
    let feed = client.get("/feed.xml").await.expect(200);
    assert_eq!(feed.header("content-type"), Some("application/atom+xml; charset=utf-8"));
    let feed = feed.text();
    assert_eq!(feed.matches("<entry>").count(), 3, "{feed}");
    for piece in
        ["&#60;em&#62;one", "<category term=\"t\"/>", &format!("href=\"{url}/blog/in-january\"/>")]
    {
        assert!(feed.contains(piece), "{piece} is not in {feed}");
    }
    assert!(!feed.contains("draft") && !feed.contains("About"), "{feed}");
    let index = client.get("/sitemap.xml").await.expect(200).text();
    let parts: Vec<&str> =
        index.split("<loc>").skip(1).map(|rest| rest.split('<').next().unwrap()).collect();
    let part = |name: &str| format!("{url}/sitemap/{name}.xml");
    assert_eq!(parts, [part("pages"), part("2027-02"), part("2027-01")]);
    let read = async |name: &str| {
        let text = client.get(&format!("/sitemap/{name}.xml")).await.expect(200).text();
        let places = text.split("<loc>").skip(1);
        let of =
            |rest: &str| rest.split('<').next().unwrap().strip_prefix(&url).unwrap().to_owned();
        assert_eq!(text.matches("<lastmod>2027-").count(), text.matches("<url>").count());
        places.map(of).collect::<Vec<_>>()
    };
    assert_eq!(read("2027-02").await, ["/blog/in-february"], "what is hidden is left out");
    assert_eq!(read("2027-01").await, ["/blog/in-january"]);
    assert_eq!(read("pages").await, ["/pages/about"]);
    for none in ["2026-12", "2027-13", "x"] {
        client.get(&format!("/sitemap/{none}.xml")).await.refused(404, "not_found");
    }
    let robots = client.get("/robots.txt").await.expect(200).text();
    assert!(robots.contains(&format!("Sitemap: {url}/sitemap.xml")), "{robots}");
    cms.rig.shutdown().await;
}

async fn hostile_titles_are_harmless(backend: Backend) {
    let cms = Cms::start(backend).await;
    let title = "</script><script>alert(1)</script>\"><img src=x onerror=alert(1)>";
    let new = json!({"title": title, "slug": "x", "body": title, "excerpt": title,
                     "seo": {"title": title, "description": title}});
    published(&cms.eve, new).await;
    for path in ["/blog/x", "/blog"] {
        let html = cms.client().get(path).await.expect(200).text();
        assert!(!html.contains("<script>") && !html.contains("<img"), "{html}");
        assert!(!html.contains("\"><img") && !html.contains("alert(1)</script>"), "{html}");
    }
    let html = cms.client().get("/blog/x").await.expect(200).text();
    let data = html.split("<script type=\"application/ld+json\">").nth(1).unwrap();
    let data: Value = serde_json::from_str(data.split("</script>").next().unwrap()).unwrap();
    assert_eq!(data["headline"], title);
    cms.rig.shutdown().await;
}

async fn old_addresses_of_another_site_lead_here(backend: Backend) {
    const REDIRECTS: &str = "/api/v2/cms/redirects";
    let cms = Cms::start(backend).await;
    published(&cms.eve, json!({"title": "New"})).await;
    let make = async |from: &str, to: &str| {
        cms.eve.post(REDIRECTS).json(&json!({"from": from, "to": to})).await
    };
    let client = cms.client();
    let old = [
        "/blog/2019/05/old-post",
        "/blog/2019/05",
        "/blog/old",
        "/blog/%C3%BCber",
        "/blog/category/old",
        "/blog/tag/old",
        "/blog/author/ann",
        "/pages/a/b",
        "/pages/old",
        "/blog/p/7",
        // Wherever it was on the other site.
        "/2019/05/old-post",
        "/old-post",
        "/index.php",
        "/forums/topic.7",
    ];
    for path in old {
        client.get(path).await.expect(404);
        let redirect = make(path, "/blog/new").await.expect(201).json();
        assert_eq!(redirect["from"], path);
        for path in [path.to_owned(), format!("{path}/")] {
            assert_eq!(client.get(&path).await.expect(301).header("location"), Some("/blog/new"));
        }
    }
    assert_eq!(client.get("/blog/new/").await.expect(308).header("location"), Some("/blog/new"));
    // What is there is shown.
    make("/blog/new", "https://elsewhere.example/x").await.expect(201);
    client.get("/blog/new").await.expect(200);
    client.get("/blog/category/none").await.expect(404);
    let taken = make("/blog/old", "/blog").await;
    assert_eq!(taken.refused(409, "conflict").code.as_deref(), Some("taken"));
    for (from, to, field) in [
        ("/api/x", "/blog", "from"),
        ("/api", "/blog", "from"),
        ("/", "/blog", "from"),
        ("x", "/blog", "from"),
        ("//a.example/x", "/blog", "from"),
        ("/.env", "/blog", "from"),
        ("/blog/", "/blog", "from"),
        ("/blog/a?b", "/blog", "from"),
        ("/blog/../x", "/blog", "from"),
        ("/blog/x", "javascript:alert(1)", "to"),
        ("/blog/x", "", "to"),
        ("/blog/x", "/blog/x", "to"),
        ("/blog/x", "/blog/x/?a=1#b", "to"),
        ("/blog/x/", &format!("http://{}/blog/x", client.address()), "to"),
    ] {
        let problem = make(from, to).await.refused(422, "validation");
        assert_eq!(problem.fields()[0].0, field, "{from} {to}");
    }
    // However what is escaped is written.
    let escaped = make("/caf%c3%a9/1", "/blog/new").await.expect(201).json();
    assert_eq!(escaped["from"], "/caf%C3%A9/1");
    for path in ["/caf%c3%a9/1", "/caf%C3%A9/1", "/caf%C3%a9/1/"] {
        assert_eq!(client.get(path).await.expect(301).header("location"), Some("/blog/new"));
    }
    // Nothing is written there; people are told on a page that there is nothing, and programs are not.
    client.post("/old-post").await.refused(404, "not_found");
    for nothing in ["/none", "/none/", "/blogs"] {
        client.get(nothing).await.refused(404, "not_found");
    }
    for elsewhere in ["//a.example/", "//a.example/%2f.."] {
        client.get(elsewhere).await.expect(400);
    }
    let page = client.get("/none").header("accept", "text/html").await.expect(404);
    assert!(page.text().contains("There is nothing here"), "{page:?}");
    assert_eq!(client.get("/").await.expect(307).header("location"), Some("/blog"));
    make("/caf%C3%A9/2", "/caf%c3%a9/2/").await.refused(422, "validation");
    make("/blog/one", "/blog/two").await.expect(201);
    let back = make("/blog/two", "/blog/one").await.refused(422, "validation");
    assert_eq!(back.fields(), [("to", "cycle")]);
    cms.ann.get(REDIRECTS).await.refused(403, "forbidden");
    let listed = cms.eve.get(&format!("{REDIRECTS}?limit=3")).await.expect(200).json();
    let items = listed["items"].as_array().unwrap();
    assert_eq!((items.len(), &items[0]["from"]), (3, &json!("/blog/one")));
    let one = format!("{REDIRECTS}/{}", items[0]["id"].as_str().unwrap());
    cms.eve.delete(&one).await.expect(204);
    cms.eve.delete(&one).await.refused(404, "not_found");
    client.get("/blog/one").await.expect(404);
    cms.rig.shutdown().await;
}
