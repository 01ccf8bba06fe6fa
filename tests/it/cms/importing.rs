//! Taking articles in from WordPress and Ghost.

use std::time::Duration;

use panel_harness::{Backend, Client, eventually, on_both_databases};
use serde_json::{Value, json};

use super::at;
use super::transfer::Site;

on_both_databases!(
    a_blog_of_wordpress_is_taken_in,
    menus_of_wordpress_are_menus_here,
    a_blog_of_ghost_is_taken_in,
);

const SOON: Duration = Duration::from_secs(20);

/// A file as WordPress writes it, with these items.
pub(super) fn wxr(items: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8" ?>
<!DOCTYPE rss [<!ENTITY lol "lol"><!ENTITY lots "&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;">]>
<!-- This is a WordPress eXtended RSS file -->
<rss version="2.0" xmlns:excerpt="http://wordpress.org/export/1.2/excerpt/"
 xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:wp="http://wordpress.org/export/1.2/">
<channel>
<title>Old blog</title><link>https://old.example</link>
<wp:wxr_version>1.2</wp:wxr_version>
<wp:base_site_url>https://old.example</wp:base_site_url><wp:base_blog_url>https://old.example</wp:base_blog_url>
<wp:author><wp:author_id>1</wp:author_id><wp:author_login><![CDATA[ann]]></wp:author_login>
<wp:author_email><![CDATA[ann@example.org]]></wp:author_email>
<wp:author_display_name><![CDATA[Ann & Co]]></wp:author_display_name></wp:author>
<wp:category><wp:term_id>2</wp:term_id><wp:category_nicename><![CDATA[travel]]></wp:category_nicename>
<wp:cat_name><![CDATA[Travel]]></wp:cat_name><wp:category_description>Far &amp; away &lots;</wp:category_description></wp:category>
<wp:tag><wp:term_id>3</wp:term_id><wp:tag_slug>c</wp:tag_slug><wp:tag_name><![CDATA[C++]]></wp:tag_name></wp:tag>
{items}
</channel></rss>"#
    )
}

/// An item of it.
pub(super) fn item(id: u32, kind: &str, status: &str, more: &str) -> String {
    format!(
        r"<item><title>Title {id} &amp;amp; more</title><link>https://old.example/{id}/</link><dc:creator><![CDATA[ann]]></dc:creator>
<wp:post_id>{id}</wp:post_id><wp:post_date><![CDATA[2019-05-01 11:00:00]]></wp:post_date>
<wp:post_date_gmt><![CDATA[2019-05-01 09:00:00]]></wp:post_date_gmt><wp:post_name><![CDATA[title-{id}]]></wp:post_name>
<wp:status><![CDATA[{status}]]></wp:status><wp:post_type><![CDATA[{kind}]]></wp:post_type>{more}</item>"
    )
}

/// Whoever comes by these paths is led to those.
async fn leads(client: &Client, paths: &[(&str, &str)]) {
    for (from, to) in paths {
        assert_eq!(client.get(from).await.expect(301).header("location"), Some(*to));
    }
}

async fn a_blog_of_wordpress_is_taken_in(backend: Backend) {
    let site = Site::start(backend).await;
    let text = "<content:encoded><![CDATA[<!-- wp:paragraph -->\n<p>Some <b>bold</b> words, and a_b.<script>alert(1)</script></p>\n<!-- /wp:paragraph -->]]></content:encoded>\
        <excerpt:encoded><![CDATA[In <i>short</i>.]]></excerpt:encoded>\
        <category domain=\"category\" nicename=\"uncategorized\"><![CDATA[Uncategorized]]></category>\
        <category domain=\"category\" nicename=\"travel\"><![CDATA[Travel]]></category>\
        <category domain=\"category\" nicename=\"food-drink\"><![CDATA[Food & Drink]]></category>\
        <category domain=\"post_tag\" nicename=\"c\"><![CDATA[C++]]></category>\
        <wp:comment_status>open</wp:comment_status>\
        <wp:postmeta><wp:meta_key>_thumbnail_id</wp:meta_key><wp:meta_value><![CDATA[90]]></wp:meta_value></wp:postmeta>\
        <wp:postmeta><wp:meta_key>_wp_old_slug</wp:meta_key><wp:meta_value>before</wp:meta_value></wp:postmeta>\
        <wp:postmeta><wp:meta_key>_yoast_wpseo_metadesc</wp:meta_key><wp:meta_value>Found so.</wp:meta_value></wp:postmeta>\
        <wp:comment><wp:comment_id>1</wp:comment_id><wp:comment_content>Nice</wp:comment_content></wp:comment>";
    let secret = "<wp:post_password>pw</wp:post_password><content:encoded>Secret</content:encoded>";
    let items = [
        item(1, "post", "publish", text),
        item(2, "post", "draft", "<content:encoded>One\n\ntwo</content:encoded>"),
        item(3, "post", "publish", secret),
        item(4, "post", "private", ""),
        item(5, "post", "trash", ""),
        item(6, "page", "publish", "<content:encoded>About us</content:encoded>"),
        item(7, "nav_menu_item", "publish", ""),
        item(8, "post", "future", "").replace("2019", "2099"),
        item(
            90,
            "attachment",
            "inherit",
            "<wp:attachment_url>https://old.example/a.jpg</wp:attachment_url>",
        ),
    ];
    let file = site.file("old.xml", &wxr(&items.join("\n")));
    let told = site.import(&file, &["--accounts"]).await;
    assert!(told.contains("new: 6 articles"), "{told}");
    for remark in [
        "1 comments",
        "1 files",
        "1 entries of menus",
        "1 private ones",
        "1 ones with a password",
        "1 deleted and empty ones",
    ] {
        assert!(told.contains(remark), "{remark}: {told}");
    }
    let one = site.article("title-1").await;
    assert_eq!(one["title"], "Title 1 & more");
    assert_eq!(one["body"], "Some **bold** words, and a\\_b.");
    assert_eq!(one["body_html"], "<p>Some <strong>bold</strong> words, and a_b.</p>\n");
    assert_eq!(one["excerpt"], "In *short*.");
    assert_eq!(
        (&one["status"], &one["published_at"]),
        (&json!("published"), &json!("2019-05-01T09:00:00.000000Z"))
    );
    assert_eq!((&one["category"], &one["tags"]), (&json!("travel"), &json!(["food-drink", "c++"])));
    assert_eq!(
        (&one["cover"], &one["comments"]),
        (&json!("https://old.example/a.jpg"), &json!(true))
    );
    assert_eq!(one["seo"]["description"], "Found so.");
    assert_eq!(one["author"]["name"], "Ann & Co");
    let travel = site.root.get("/api/v2/cms/categories/travel").await.expect(200).json();
    // What a document defines for itself is nothing.
    assert_eq!((&travel["name"], &travel["description"]), (&json!("Travel"), &json!("Far & away")));
    let client = site.node.client();
    leads(&client, &[("/blog/before", "/blog/title-1")]).await;
    client.get("/blog/title-1").await.expect(200);
    client.get("/pages/title-6").await.expect(200);
    // Where it was there, as long as it was read there.
    leads(&client, &[("/1/", "/blog/title-1"), ("/6", "/pages/title-6")]).await;
    for path in ["/2/", "/3/", "/8/"] {
        client.get(path).await.expect(404);
    }
    // Whatever not everybody could read nobody else reads here.
    for slug in ["title-2", "title-3", "title-4", "title-8"] {
        client.get(&format!("/blog/{slug}")).await.expect(404);
    }
    assert_eq!(site.article("title-2").await["body"], "One\n\ntwo");
    assert_eq!(site.article("title-3").await["status"], "archived");
    assert_eq!(site.article("title-8").await["publish_at"], "2099-05-01T09:00:00.000000Z");
    // Who wrote has an account, and finds what they wrote: it is theirs.
    eventually("it is the account's", SOON, async || {
        let accounts =
            site.root.get("/api/v2/admin/users?q=ann@example.org").await.expect(200).json();
        if accounts["items"][0]["id"] == one["author"]["id"] { Ok(()) } else { Err(accounts) }
    })
    .await;
    // A second time nothing is new; what somebody has changed here stays; a longer file adds.
    let version = one["version"].clone();
    let edit = site.root.patch(&at(&one)).header("if-match", &format!("\"{version}\""));
    edit.json(&json!({"body": "Mine."})).await.expect(200);
    let same = item(9, "post", "publish", "").replace("example/9/", "example/1/");
    let longer = site.file("new.xml", &wxr(&format!("{}\n{}", items.join("\n"), same)));
    let told = site.import(&longer, &[]).await;
    assert!(told.contains("new: 1 articles"), "{told}");
    assert!(told.contains("1 addresses of the other site lead nowhere"), "{told}");
    leads(&client, &[("/1/", "/blog/title-1")]).await;
    assert_eq!(site.article("title-1").await["body"], "Mine.");
    // What is broken says where; what came before it is there.
    let broken =
        wxr(&item(10, "post", "publish", "")).replace("</channel>", "<item><title>x</channel>");
    let told = site.refused(&site.file("broken.xml", &broken), &[]).await;
    assert!(told.contains("byte "), "{told}");
}

/// An entry of a menu, with what WordPress notes of it.
fn entry(id: u32, menu: &str, (order, parent): (u32, u32), notes: &[(&str, &str)]) -> String {
    let parent = parent.to_string();
    let below = [("menu_item_parent", parent.as_str())];
    let notes = notes.iter().chain(&below).map(|(key, value)| {
        format!("<wp:postmeta><wp:meta_key>_menu_item_{key}</wp:meta_key><wp:meta_value>{value}</wp:meta_value></wp:postmeta>")
    });
    let more = format!(
        "<wp:menu_order>{order}</wp:menu_order><category domain=\"nav_menu\" nicename=\"{menu}\">Menu</category>{}",
        notes.collect::<String>()
    );
    item(id, "nav_menu_item", "publish", &more)
}

async fn menus_of_wordpress_are_menus_here(backend: Backend) {
    let site = Site::start(backend).await;
    let page = |object| [("type", "post_type"), ("object", "page"), ("object_id", object)];
    let unnamed = |entry: String| {
        let (before, rest) = entry.split_once("<title>").unwrap();
        format!("{before}<title>{}", &rest[rest.find("</title>").unwrap()..])
    };
    let home = [("type", "custom"), ("url", "https://old.example/")];
    let other = [("type", "custom"), ("url", "https://other.example/x")];
    let travel = [("type", "taxonomy"), ("object", "category"), ("object_id", "2")];
    let tag = [("type", "taxonomy"), ("object", "post_tag"), ("object_id", "3")];
    let items = [
        // In no order, and before what they lead to.
        entry(21, "head", (3, 20), &travel),
        entry(20, "head", (1, 0), &home),
        unnamed(entry(22, "head", (2, 20), &page("6"))),
        entry(23, "head", (4, 21), &other),
        entry(24, "head", (5, 0), &tag),
        entry(25, "head", (6, 0), &page("7")),
        item(6, "page", "publish", "<content:encoded>About us</content:encoded>"),
        item(7, "page", "trash", ""),
    ];
    let told = site.import(&site.file("one.xml", &wxr(&items.join("\n"))), &[]).await;
    assert!(told.contains("1 menus") && told.contains("2 entries of menus"), "{told}");
    let shown = async |name: &str| {
        let menu = site.root.get(&format!("/api/v2/cms/menus/{name}")).await.expect(200).json();
        let plain = |it: &Value| json!([it["label"], it["url"]]);
        let items = menu["items"].as_array().unwrap().iter().map(|it| {
            let below = it["children"].as_array().into_iter().flatten().map(plain);
            json!([plain(it), below.collect::<Vec<_>>()])
        });
        items.collect::<Vec<_>>()
    };
    let main = [json!([
        ["Title 20 & more", "/"],
        [
            ["Title 6 & more", "/pages/title-6"],
            ["Title 21 & more", "/blog/category/travel"],
            ["Title 23 & more", "https://other.example/x"]
        ]
    ])];
    assert_eq!(shown("main").await, main);
    // Where there are several nobody knows which one pages showed; and one that is here stays.
    let several = [entry(30, "head", (1, 0), &other), entry(31, "Fuß", (1, 0), &other)];
    let told = site.import(&site.file("two.xml", &wxr(&several.join("\n"))), &[]).await;
    assert!(told.contains("2 menus"), "{told}");
    assert_eq!(shown("head").await.len(), 1);
    assert_eq!(shown("fuss").await.len(), 1);
    assert_eq!(shown("main").await, main);
}

async fn a_blog_of_ghost_is_taken_in(backend: Backend) {
    let site = Site::start(backend).await;
    let post = |id: &str, more: Value| {
        let mut post = json!({"id": id, "title": format!("Post {id}"), "slug": format!("post-{id}"), "type": "post",
            "status": "published", "visibility": "public", "html": "<p>Text <em>of</em> it</p>",
            "created_at": "2021-02-03T04:05:06.000Z", "updated_at": "2021-02-04T04:05:06.000Z",
            "published_at": "2021-02-03T05:00:00.000Z"});
        for (name, value) in more.as_object().unwrap() {
            post[name] = value.clone();
        }
        post
    };
    let document = json!({"db": [{"meta": {"version": "5.80.0"}, "data": {
        "posts": [
            post("a", json!({"feature_image": "__GHOST_URL__/content/images/a.png", "custom_excerpt": "In short.",
                "html": "<p>See <a href=\"__GHOST_URL__/other/\">this</a></p><figure class=\"kg-card kg-embed-card\"><iframe src=\"https://www.youtube.com/embed/dQw4w9Wg_cQ?feature=oembed\"></iframe></figure>"})),
            post("b", json!({"visibility": "paid"})),
            post("c", json!({"status": "draft", "published_at": null})),
            post("d", json!({"status": "scheduled", "published_at": "2099-01-01T00:00:00.000Z"})),
            post("e", json!({"type": "page"})),
            post("f", json!({"status": "sent"})),
        ],
        "posts_meta": [{"post_id": "a", "meta_title": "For machines", "meta_description": null}],
        "posts_authors": [{"post_id": "a", "author_id": "u2", "sort_order": 1}, {"post_id": "a", "author_id": "u1", "sort_order": 0}],
        "posts_tags": [{"post_id": "a", "tag_id": "t1", "sort_order": 0}, {"post_id": "a", "tag_id": "t2", "sort_order": 1}],
        "tags": [{"id": "t1", "name": "Big News", "slug": "big-news", "description": "All of it", "visibility": "public"},
                 {"id": "t2", "name": "#inside", "slug": "hash-inside", "visibility": "internal"}],
        "users": [{"id": "u1", "name": "Bob", "email": "bob@example.org"}, {"id": "u2", "name": "Eve", "email": "eve@example.org"}],
        "settings": [{"key": "title", "value": "The old blog"}],
    }}]});
    let file = site.file("ghost.json", &document.to_string());
    let told = site.import(&file, &["--address", "https://old.example/sub/"]).await;
    assert!(told.contains("new: 6 articles, 0 pictures, 1 categories and tags"), "{told}");
    for remark in ["1 ones for members alone", "1 ones that were only mailed"] {
        assert!(told.contains(remark), "{remark}: {told}");
    }
    let one = site.article("post-a").await;
    assert_eq!(one["cover"], "https://old.example/sub/content/images/a.png");
    assert!(
        one["body"].as_str().unwrap().contains("[this](https://old.example/sub/other/)"),
        "{one}"
    );
    assert!(
        one["body_html"].as_str().unwrap().contains("youtube-nocookie.com/embed/dQw4w9Wg_cQ"),
        "{one}"
    );
    assert_eq!((&one["excerpt"], &one["tags"]), (&json!("In short."), &json!(["big-news"])));
    assert_eq!(
        (&one["author"]["name"], &one["published_at"]),
        (&json!("Bob"), &json!("2021-02-03T05:00:00.000000Z"))
    );
    assert_eq!(one["seo"]["title"], "For machines");
    let tag = site.root.get("/api/v2/cms/tags/big-news").await.expect(200).json();
    assert_eq!((&tag["name"], &tag["article_count"]), (&json!("Big News"), &json!(1)));
    let client = site.node.client();
    client.get("/blog/post-a").await.expect(200);
    client.get("/pages/post-e").await.expect(200);
    leads(&client, &[("/sub/post-a/", "/blog/post-a"), ("/sub/post-e", "/pages/post-e")]).await;
    client.get("/sub/post-b/").await.expect(404);
    for slug in ["post-b", "post-c", "post-d", "post-f"] {
        client.get(&format!("/blog/{slug}")).await.expect(404);
    }
    let told = site.import(&file, &["--address", "https://old.example/sub/"]).await;
    assert!(told.contains("new: 0 articles"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nests_or_grows_without_end_is_refused() {
    let site = Site::start(Backend::Sqlite).await;
    let deep = "<wp:comment>".repeat(200_000);
    let told = site.refused(&site.file("deep.xml", &wxr(&format!("<item>{deep}"))), &[]).await;
    assert!(told.contains("byte "), "{told}");
    let deep = "<wp:postmeta>".repeat(200_000);
    site.refused(&site.file("deep.xml", &wxr(&format!("<item>{deep}"))), &[]).await;
    // Many small ones in one.
    let piece = format!("<a>{}</a>", "x".repeat(1_000_000));
    let many = (0..70).fold(String::new(), |all, n| all + &piece.replace("a>", &format!("a{n}>")));
    let told =
        site.refused(&site.file("many.xml", &wxr(&format!("<item>{many}</item>"))), &[]).await;
    assert!(told.contains("an element is longer than"), "{told}");
    let text = format!("<content:encoded><![CDATA[{}]]></content:encoded>", "<div>".repeat(20_000));
    let file = site.file("divs.xml", &wxr(&item(1, "post", "publish", &text)));
    let told = site.import(&file, &[]).await;
    assert!(told.contains("new: 1 articles"), "{told}");
}
