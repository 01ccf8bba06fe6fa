//! What is said about an article, on its page and to programs.

use panel_gateway::CdnKind;
use panel_harness::{Backend, Cdn, RigBuilder, eventually, on_both_databases};
use serde_json::{Value, json};

use super::{FORUM_POSTS, SOON, Site, bodies, comments, page, said, thread};
use crate::cms::POSTS;

on_both_databases!(
    an_article_is_discussed_in_a_thread_and_shows_what_is_said,
    what_is_kept_of_an_article_is_old_when_something_is_said_and_gone_when_it_is_taken_back,
    comments_are_read_page_by_page,
    what_is_long_is_read_in_the_forum_and_hides_nothing_else,
    what_is_strange_in_an_article_is_told_as_it_is,
);

async fn an_article_is_discussed_in_a_thread_and_shows_what_is_said(backend: Backend) {
    let site = Site::start(backend).await;
    let article = json!({"title": "Hello", "body": "A long text.", "excerpt": "In short."});
    let (article, discussion) = site.discussed(article).await;
    // In the author's name, in a category that was made for it.
    let opened = site.client().get(&thread(&discussion)).await.expect(200).json();
    assert_eq!(opened["title"], "Hello");
    assert_eq!(opened["reply_count"], 0);
    let category = format!("/api/v2/forum/categories/{}", opened["category_id"].as_str().unwrap());
    assert_eq!(site.client().get(&category).await.expect(200).json()["slug"], "comments");
    let posts = format!("{}/posts", thread(&discussion));
    let posts = site.client().get(&posts).await.expect(200).json();
    let opening = posts["items"][0]["body_html"].as_str().unwrap();
    let url = format!("http://{}/blog/hello", site.rig.address);
    assert!(opening.contains("In short.") && opening.contains(&format!("href=\"{url}\"")));
    assert_eq!(opened["author"]["id"], article["author"]["id"]);

    let html = site.client().get(page(&article)).await.expect(200).text();
    assert!(html.contains("Say something") && !html.contains("comment-2"), "{html}");
    let first = said(&site.bob, &article, "So *true*.").await;
    // As a reply in the forum: it is one.
    let reply = json!({"body": "Thank you!", "reply_to": first["id"]});
    site.ann.post(&format!("{}/posts", thread(&discussion))).json(&reply).await.expect(201);
    let listed = site.client().get(&comments(&article)).await.expect(200).json();
    assert_eq!(bodies(&listed), ["So *true*.", "Thank you!"]);
    assert_eq!(listed["items"][1]["reply_to"], first["id"]);
    assert_eq!(listed["items"][0]["author"], first["author"]);
    assert_eq!(listed["discussion"]["reply_count"], 2);
    let html = site.client().get(page(&article)).await.expect(200).text();
    assert!(html.contains("So <em>true</em>.") && html.contains("Thank you!"), "{html}");
    let path = format!("/forum/threads/{}/hello", discussion["id"].as_str().unwrap());
    assert!(html.contains(&format!("href=\"{path}\"")), "{html}");
    assert!(html.contains("\"commentCount\":2"), "{html}");
    assert!(html.contains(&format!("\"discussionUrl\":\"http://{}{path}\"", site.rig.address)));
    site.client().get(&path).await.expect(200);
    // Somebody sees how they have reacted themselves.
    let reaction = format!("{FORUM_POSTS}/{}/reactions/like", first["id"].as_str().unwrap());
    site.ann.put(&reaction).await.expect(200);
    let mine = site.ann.get(&comments(&article)).await.expect(200).json();
    assert_eq!(mine["items"][0]["my_reactions"], json!(["like"]));
    let others = site.client().get(&comments(&article)).await.expect(200).json();
    assert_eq!(others["items"][0]["reactions"], json!({"like": 1}));
    assert!(others["items"][0].get("my_reactions").is_none());
    // An article that wants no comments has neither.
    let other = site.ann.post(POSTS).json(&json!({"title": "Other"})).await.expect(201).json();
    assert_eq!(other["comments"], false);
    let other = crate::cms::took(&site.eve, &other, "publish").await;
    let html = site.client().get(page(&other)).await.expect(200).text();
    assert!(!html.contains("comments-title") && !html.contains("commentCount"), "{html}");
    site.rig.shutdown().await;
}

async fn what_is_kept_of_an_article_is_old_when_something_is_said_and_gone_when_it_is_taken_back(
    backend: Backend,
) {
    let site = Site::start(backend).await;
    let (article, _) = site.discussed(json!({"title": "Hello"})).await;
    let read = async || site.client().get(page(&article)).await.expect(200);
    let list = async || site.client().get(&comments(&article)).await.expect(200);
    let fill = async || {
        read().await;
        let kept = read().await;
        assert!(kept.header("cache-status").unwrap().contains("hit"), "{kept:?}");
        list().await;
        let kept = list().await;
        assert!(kept.header("cache-status").unwrap().contains("hit"), "{kept:?}");
    };
    fill().await;
    let comment = said(&site.bob, &article, "Something *said*.").await;
    // The gateway hears of it from the forum, which the cms has asked.
    eventually("it is shown", SOON, async || {
        let (html, listed) = (read().await.text(), list().await.json());
        let is_shown = html.contains("<em>said</em>") && bodies(&listed) == ["Something *said*."];
        if is_shown { Ok(()) } else { Err(html) }
    })
    .await;
    fill().await;
    let post = format!("{FORUM_POSTS}/{}", comment["id"].as_str().unwrap());
    site.bob.patch(&post).json(&json!({"body": "*Thought* again."})).await.expect(200);
    let html = read().await.text();
    assert!(html.contains("<em>Thought</em>") && html.contains("edited"), "{html}");
    assert_eq!(bodies(&list().await.json()), ["*Thought* again."]);
    fill().await;
    site.bob.delete(&post).await.expect(204);
    let html = read().await.text();
    assert!(!html.contains("Thought") && html.contains("This comment was deleted."), "{html}");
    let listed = list().await.json();
    assert_eq!((bodies(&listed), &listed["items"][0]["deleted"]), (vec![""], &json!(true)));
    // What is said elsewhere concerns it not.
    fill().await;
    let (other, _) = site.discussed(json!({"title": "Other"})).await;
    said(&site.bob, &other, "There.").await;
    let kept = list().await;
    assert!(kept.header("cache-status").unwrap().contains("hit"), "{kept:?}");
    site.rig.shutdown().await;
}

async fn comments_are_read_page_by_page(backend: Backend) {
    let site = Site::start(backend).await;
    let (article, _) = site.discussed(json!({"title": "Hello"})).await;
    for n in 0..5 {
        said(&site.eve, &article, &n.to_string()).await;
    }
    let mut found: Vec<String> = Vec::new();
    let first = format!("{}?limit=2", comments(&article));
    let mut at = first.clone();
    loop {
        let listed: Value = site.client().get(&at).await.expect(200).json();
        let said = bodies(&listed);
        assert!((1..=2).contains(&said.len()), "{listed}");
        found.extend(said.into_iter().map(str::to_owned));
        let Some(cursor) = listed["next_cursor"].as_str() else { break };
        at = format!("{first}&cursor={cursor}");
    }
    assert_eq!(found, ["0", "1", "2", "3", "4"]);
    // Of another article it leads nowhere.
    let listed = site.client().get(&first).await.expect(200).json();
    let cursor = listed["next_cursor"].as_str().unwrap();
    let (other, _) = site.discussed(json!({"title": "Other"})).await;
    let elsewhere = format!("{}?cursor={cursor}", comments(&other));
    site.client().get(&elsewhere).await.refused(400, "bad_request");
    let beyond = format!("{}?limit=101", comments(&article));
    site.client().get(&beyond).await.refused(422, "validation");
    // The page shows so many, and where the others are.
    for n in 5..55 {
        said(&site.eve, &article, &format!("number {n}")).await;
    }
    let html = site.client().get(page(&article)).await.expect(200).text();
    assert!(html.contains("number 49") && !html.contains("number 50"), "{html}");
    assert!(html.contains("All comments") && html.contains("\"commentCount\":55"), "{html}");
    site.rig.shutdown().await;
}

async fn what_is_long_is_read_in_the_forum_and_hides_nothing_else(backend: Backend) {
    let site = Site::start(backend).await;
    let (article, discussion) = site.discussed(json!({"title": "Hello"})).await;
    said(&site.eve, &article, &"&".repeat(5_000)).await;
    said(&site.eve, &article, "A short word.").await;
    let html = site.client().get(page(&article)).await.expect(200).text();
    assert!(html.contains("A short word.") && !html.contains("&amp;&amp;&amp;"), "{html}");
    let there =
        format!("/forum/threads/{}/hello?from=2#post-2", discussion["id"].as_str().unwrap());
    assert!(html.contains(&format!("href=\"{there}\"")), "{html}");
    site.rig.shutdown().await;
}

async fn what_is_strange_in_an_article_is_told_as_it_is(backend: Backend) {
    let site = Site::start(backend).await;
    let title = "</h1><script>alert(1)</script> *a* [b](c) @ann `x` www.example.org";
    let excerpt = "> ![](http://x.example/y.png)\n# Heading\n- https://z.example @bob \\";
    let article = json!({"title": title, "excerpt": excerpt, "slug": "strange"});
    let (article, discussion) = site.discussed(article).await;
    let opened = site.client().get(&thread(&discussion)).await.expect(200).json();
    assert_eq!(opened["title"], title);
    let posts = format!("{}/posts", thread(&discussion));
    let posts = site.client().get(&posts).await.expect(200).json();
    let html = posts["items"][0]["body_html"].as_str().unwrap();
    // One link, and no picture, heading, list, or anybody who is called.
    assert_eq!(html.matches("<a ").count(), 1, "{html}");
    for not in ["<script", "<img", "<h1", "<li", "<em", "<code", "/forum/users/"] {
        assert!(!html.contains(not), "{not}: {html}");
    }
    assert!(html.contains("![](http://x.example/y.png) # Heading - https://z.example @bob \\"));
    assert!(html.contains("*a* [b](c) @ann `x` www.example.org"), "{html}");
    let shown = site.client().get(page(&article)).await.expect(200).text();
    assert!(!shown.contains("<script>alert"), "{shown}");
    site.rig.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cdn_is_told_by_what_of_both_services_a_page_is_made_old() {
    let cdn = Cdn::start(CdnKind::Webhook).await;
    let builder = RigBuilder::new(Backend::Sqlite.database().await);
    let site = Site::of(builder.gateway(|gateway| gateway.cdn = cdn.config())).await;
    let (article, discussion) = site.discussed(json!({"title": "Hello"})).await;
    let shown = site.client().get(page(&article)).await.expect(200);
    let name = site.client().address().to_owned();
    let thread = format!("{name}/forum/thread:{}", discussion["id"].as_str().unwrap());
    let tags: Vec<&str> = shown.header("cache-tag").unwrap().split(',').collect();
    let id = article["id"].as_str().unwrap();
    let discussed = format!("{name}/forum/discussion:{id}");
    let own = format!("{name}/cms/article:{id}");
    for tag in [&own, &thread, &discussed, &format!("{name}/forum"), &format!("{name}/cms")] {
        assert!(tags.contains(&tag.as_str()), "{tag}: {tags:?}");
    }
    let before = cdn.purged().len();
    said(&site.bob, &article, "Something.").await;
    cdn.await_purge(&thread, before).await;
    site.rig.shutdown().await;
}
