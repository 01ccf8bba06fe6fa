//! The pages at which people read the forum.

use panel_harness::{Backend, Browser, eventually, on_both_databases};
use serde_json::{Value, json};

use super::races::SOON;
use super::{act, post_at, reply};
use crate::forum::{Forum, THREADS, id};

on_both_databases!(
    pages_show_what_everybody_may_read,
    a_thread_is_read_page_by_page,
    whoever_looks_for_something_finds_it,
);

/// The page at this address, for those who are not signed in, and not from the edge's memory.
async fn page(forum: &Forum, path: &str) -> String {
    let mark = if path.contains('?') { '&' } else { '?' };
    let fresh = format!("{path}{mark}at={}", panel_kernel::ids::random_hex());
    let answer = forum.node.client().get(&fresh).await.expect(200);
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'nonce-"), "{policy}");
    let text = answer.text();
    // What runs is the page's own, and of threads alone.
    let [scripts, own] = ["<script", "<script nonce=\""].map(|tag| text.matches(tag).count());
    let may_run = usize::from(path.starts_with("/forum/threads/"));
    assert!(scripts == own && own <= may_run, "{text}");
    assert_eq!(policy.contains("script-src"), own == 1);
    text
}

fn at(thread: &Value) -> String {
    format!("/forum/threads/{}/{}", id(thread), thread["slug"].as_str().unwrap())
}

async fn pages_show_what_everybody_may_read(backend: Backend) {
    let forum = Forum::start(backend).await;
    let ada = forum.member("ada").await;
    let body = json!({"category_id": forum.category, "title": "<script>alert(1)</script>", "body": "b", "tags": ["x"]});
    let thread = ada.post(THREADS).json(&body).await.expect(201).json();
    let staff = json!({"name": "Staff", "read_role": "moderator", "description": "<b>"});
    let staff = forum.admin.post("/api/v2/forum/categories").json(&staff).await.expect(201).json();
    let hidden = json!({"category_id": staff["id"], "title": "hidden", "body": "b"});
    let hidden = forum.admin.post(THREADS).json(&hidden).await.expect(201).json();
    let front = page(&forum, "/forum").await;
    for piece in
        ["General</a>", "&#60;script&#62;alert(1)&#60;/script&#62;", ">x</span>", &at(&thread)]
    {
        assert!(front.contains(piece), "{piece} is not in {front}");
    }
    assert!(!front.contains("Staff") && !front.contains("hidden"), "{front}");
    let category = format!("/forum/categories/{}/general", forum.category.as_str().unwrap());
    let shown = page(&forum, &category).await;
    assert!(shown.contains("<h1>General</h1>") && shown.contains(&at(&thread)), "{shown}");
    // More threads than a page has.
    for n in 0..30 {
        forum.thread(&ada, &format!("number {n}.")).await;
    }
    let first = page(&forum, &category).await;
    let next = first.split("rel=\"next\" href=\"").nth(1).unwrap().split('"').next().unwrap();
    let second = page(&forum, next).await;
    assert!(!first.contains("alert(1)") && first.contains("number 0."), "{first}");
    assert!(second.contains("alert(1)") && !second.contains("number 0."), "{second}");
    assert!(!second.contains("rel=\"next\""), "{second}");
    // Of people, what they have started; of whom nobody knows, nothing.
    eventually("ada has a page", SOON, async || {
        forum.node.client().get("/forum/users/ADA").await.status.as_u16() == 200
    })
    .await;
    assert!(page(&forum, "/forum/users/ada").await.contains("number 29."));
    for nowhere in [
        "/forum/users/nobody",
        "/forum/x",
        "/forum/threads/x",
        "/forum/threads/0000000000009/slug",
        "/forum/categories/0000000000009",
        &format!("/forum/categories/{}", id(&staff)),
        &at(&hidden),
    ] {
        let answer = forum.node.client().get(nowhere).await.expect(404);
        assert!(!answer.text().contains("hidden"), "{nowhere}");
    }
    let missing = forum.node.client().get("/forum/threads/x").await.expect(404).text();
    assert!(missing.contains("<h1>There is nothing here</h1>"), "{missing}");
    // Moderators see with their cookie, or token, what is theirs.
    forum.admin.get(&at(&hidden)).await.expect(200);
    forum.node.client().get("/forum?cursor=x").await.expect(400);
}

async fn a_thread_is_read_page_by_page(backend: Backend) {
    let forum = Forum::start(backend).await;
    let ada = forum.member("ada").await;
    let thread = forum.thread(&ada, "Long thread").await;
    let mut made = Vec::new();
    for n in 2..=45 {
        made.push(reply(&ada, &thread, &format!("*reply {n}.*")).await);
    }
    ada.put(&format!("{}/reactions/like", post_at(&made[0]))).await.expect(200);
    ada.delete(&post_at(&made[1])).await.expect(204);
    let first = page(&forum, &at(&thread)).await;
    for piece in [
        "<title>Long thread</title>",
        "<em>reply 2.</em>",
        "like 1",
        "This post was deleted.",
        "id=\"post-20\"",
        &format!("rel=\"next\" href=\"{}?from=21\"", at(&thread)),
    ] {
        assert!(first.contains(piece), "{piece} is not in {first}");
    }
    assert!(
        !first.contains("reply 3.")
            && !first.contains("reply 21.")
            && !first.contains("rel=\"prev\"")
    );
    let last = page(&forum, &format!("{}?from=41", at(&thread))).await;
    assert!(last.contains("reply 45.") && !last.contains("rel=\"next\""), "{last}");
    assert!(last.contains(&format!("rel=\"prev\" href=\"{}?from=21\"", at(&thread))), "{last}");
    // Beyond the end is the end, and nonsense is the beginning.
    assert!(
        page(&forum, &format!("{}?from=999999999999999999", at(&thread)))
            .await
            .contains("reply 45.")
    );
    assert!(page(&forum, &format!("{}?from=-5", at(&thread))).await.contains("reply 2."));
    // Other addresses lead to the one there is.
    let client = forum.node.client();
    for (path, to) in [
        (format!("/forum/threads/{}", id(&thread)), at(&thread)),
        (
            format!("/forum/threads/{}/old-title?from=21", id(&thread)),
            format!("{}?from=21", at(&thread)),
        ),
    ] {
        assert_eq!(client.get(&path).await.expect(307).header("location"), Some(to.as_str()));
    }
    let other = forum.thread(&ada, "Other").await;
    act(&forum.admin, &other, "merge", json!({"into": thread["id"]})).await.expect(200);
    let to = format!("/forum/threads/{}", id(&thread));
    assert_eq!(client.get(&at(&other)).await.expect(308).header("location"), Some(to.as_str()));
}

async fn whoever_looks_for_something_finds_it(backend: Backend) {
    let forum = Forum::start(backend).await;
    let ada = forum.member("ada").await;
    let thread = forum.thread(&ada, "Title").await;
    reply(&ada, &thread, "a needle <script>alert(1)</script>").await;
    eventually("it is found", SOON, async || {
        let found = page(&forum, "/forum/search?q=needle").await;
        if found.contains("<mark>needle</mark>") { Ok(found) } else { Err(found) }
    })
    .await;
    let found = page(&forum, "/forum/search?q=needle").await;
    assert!(found.contains(&format!("{}?from=2#post-2", at(&thread))), "{found}");
    assert!(found.contains("&lt;script&gt;alert"), "{found}");
    let nothing = page(&forum, "/forum/search?q=%22%3E%3Cscript%3Ezzz").await;
    assert!(
        nothing.contains("value=\"&#34;&#62;&#60;script&#62;zzz\"")
            && nothing.contains("Nothing was found.")
    );
    assert!(page(&forum, "/forum/search?q=-x").await.contains("The query must have a word"));
    assert!(page(&forum, "/forum/search").await.contains("<h1>Search</h1>"));
    if backend == Backend::Sqlite {
        // As somebody does who has a browser.
        let browser = Browser::start().await;
        browser.open(&forum.node.url("/forum")).await;
        browser.types("input[type=search]", "needle\n").await;
        browser.sees("a needle <script>alert(1)</script>").await;
        browser.clicks("main li a").await;
        browser.arrives(&format!("{}?from=2#post-2", at(&thread))).await;
        browser.close().await;
    }
}
