//! Posts that are long: rendered in turn, under the same rules as short ones, and listed on pages
//! that stay small.

use panel_harness::{Backend, Client, RigBuilder, Session, on_both_databases};
use panel_kernel::config::Section;
use panel_kernel::data::{DbError, sql};
use panel_kernel::http::MAX_PAGE_BYTES;
use panel_kernel::role::Role;
use serde_json::{Value, json};

use crate::forum::{Forum, THREADS, id, posts};

on_both_databases!(
    a_thread_of_long_posts_is_read_page_by_page,
    a_post_longer_than_a_page_is_a_page,
    a_long_post_is_rendered_like_a_short_one,
    a_long_write_sent_again_is_answered_as_before_whatever_has_changed,
);

/// As many bytes of Markdown, which become a few more of HTML.
fn text(bytes: usize) -> String {
    "long ".repeat(bytes / 5)
}

async fn reply(author: &Session, thread: &Value, body: &str) -> Value {
    author.post(&posts(thread)).json(&json!({"body": body})).await.expect(201).json()
}

/// The bytes of the texts on each page, the numbers of the posts, and the largest answer.
async fn read_all(client: &Client, thread: &Value, limit: u32) -> (Vec<usize>, Vec<i64>, usize) {
    let (mut pages, mut numbers, mut largest) = (Vec::new(), Vec::new(), 0);
    let first = format!("{}?limit={limit}", posts(thread));
    let mut path = first.clone();
    loop {
        let answer = client.get(&path).await.expect(200);
        largest = largest.max(answer.body.len());
        let page = answer.json();
        let items = page["items"].as_array().unwrap();
        assert!(!items.is_empty() && items.len() <= limit as usize);
        let bytes = |item: &Value, field: &str| item[field].as_str().unwrap().len();
        pages.push(items.iter().map(|it| bytes(it, "body") + bytes(it, "body_html")).sum());
        numbers.extend(items.iter().map(|item| item["number"].as_i64().unwrap()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("{first}&cursor={cursor}");
    }
    (pages, numbers, largest)
}

async fn a_thread_of_long_posts_is_read_page_by_page(backend: Backend) {
    let forum = Forum::start(backend).await;
    let (client, ada) = (forum.node.client(), forum.member("ada").await);
    let thread = forum.thread(&ada, "long").await;
    // About 1.7 MiB of text in 40 posts, short ones among them, and tombstones, which weigh nothing.
    let mut last = Value::Null;
    for number in 2..=40 {
        let body = if number % 5 == 0 { text(100) } else { text(28_000) };
        let made = reply(&ada, &thread, &body).await;
        if number % 7 == 0 {
            ada.delete(&format!("/api/v2/forum/posts/{}", id(&made))).await.expect(204);
        }
        last = made;
    }
    assert_eq!(last["body_html"].as_str().unwrap().len(), text(100).trim_end().len() + 8);
    for limit in [100, 20, 3, 1] {
        let (pages, numbers, largest) = read_all(&client, &thread, limit).await;
        assert_eq!(numbers, (1..=40).collect::<Vec<i64>>(), "none lost, none twice: {limit}");
        assert!(pages.iter().all(|bytes| *bytes <= MAX_PAGE_BYTES), "{limit}: {pages:?}");
        // The rest of an item is some hundred bytes.
        assert!(largest <= MAX_PAGE_BYTES + 100 * 1_024, "{limit}: {largest}");
        if limit == 100 {
            // Pages are full: the first post of the next would not have fitted.
            let full = pages.len() - 1;
            assert!(full >= 2, "{pages:?}");
            assert!(pages[..full].iter().all(|b| *b > MAX_PAGE_BYTES - 2 * 28_000), "{pages:?}");
        }
    }
    // With posts that are all short, it is the limit that ends a page.
    let short = forum.thread(&ada, "short").await;
    for _ in 2..=5 {
        reply(&ada, &short, "short").await;
    }
    assert_eq!(read_all(&client, &short, 2).await.0.len(), 3);
}

async fn a_post_longer_than_a_page_is_a_page(backend: Backend) {
    let section = Section { path: "forum".to_owned(), values: json!({}) };
    let spec = (panel_forum::SERVICE.configure)(&section).unwrap();
    let builder = RigBuilder::new(backend.database().await).service(spec);
    let rig = Box::pin(builder.start()).await;
    let ada = rig.signed_in(Role::Moderator);
    let category = ada.post("/api/v2/forum/categories").json(&json!({"name": "C"}));
    let category = category.await.expect(201).json()["id"].clone();
    let new = json!({"category_id": category, "title": "t", "body": "x"});
    let thread = ada.post(THREADS).json(&new).await.expect(201).json();
    for _ in 2..=4 {
        ada.post(&posts(&thread)).json(&json!({"body": "x"})).await.expect(201);
    }
    // Nobody can write one that long, today.
    let longer: Result<u64, DbError> = rig
        .database("forum")
        .transact(|tx| {
            Box::pin(async move {
                let update = sql("UPDATE posts SET body_html = $1 WHERE number IN (2, 3)");
                tx.execute(update.bind("x".repeat(MAX_PAGE_BYTES + 1))).await
            })
        })
        .await;
    assert_eq!(longer.unwrap(), 2);
    let (pages, numbers, _) = read_all(&ada, &thread, 100).await;
    assert_eq!(numbers, [1, 2, 3, 4]);
    assert_eq!(pages, [2 + "<p>x</p>".len(), MAX_PAGE_BYTES + 2, MAX_PAGE_BYTES + 2, 10]);
    rig.shutdown().await;
}

async fn a_long_post_is_rendered_like_a_short_one(backend: Backend) {
    let forum = Forum::start(backend).await;
    let ada = forum.member("ada").await;
    let (bold, html) = ("**b** ".repeat(200), "<strong>b</strong> ".repeat(200));
    let html = format!("<p>{}</p>\n", html.trim_end());
    let new = json!({"category_id": forum.category, "title": "t", "body": bold});
    let thread = ada.post(THREADS).json(&new).await.expect(201).json();
    let opening = ada.get(&posts(&thread)).await.expect(200).json()["items"][0].clone();
    assert_eq!(opening["body_html"], html);
    let made = reply(&ada, &thread, &bold).await;
    assert_eq!(made["body_html"], html);
    let path = format!("/api/v2/forum/posts/{}", id(&made));
    let longer = json!({"body": format!("{bold}\n\n{bold}")});
    let edited = ada.patch(&path).json(&longer).await.expect(200).json();
    assert_eq!(edited["body_html"], html.repeat(2));
}

async fn a_long_write_sent_again_is_answered_as_before_whatever_has_changed(backend: Backend) {
    let forum = Forum::start(backend).await;
    let ada = forum.member("ada").await;
    let thread = forum.thread(&ada, "t").await;
    let send = || {
        let body = json!({"body": text(5_000)});
        ada.post(&posts(&thread)).idempotency_key("reply").json(&body)
    };
    let first = send().await.expect(201);
    let path = format!("/api/v2/forum/posts/{}", id(&first.json()));
    let tag = first.header("etag").unwrap().to_owned();
    let edit = |key: &str| {
        let body = json!({"body": text(6_000)});
        ada.patch(&path).idempotency_key(key).header("if-match", &tag).json(&body)
    };
    let edited = edit("edit").await.expect(200);
    // The version is no longer current: a new request is refused, the same one is not.
    edit("another").await.refused(412, "precondition_failed");
    let again = edit("edit").await.expect(200);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.body, edited.body);
    ada.delete(&format!("{THREADS}/{}", id(&thread))).await.expect(204);
    let again = send().await.expect(201);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.body, first.body);
    let other = json!({"body": text(7_000)});
    let reused = ada.post(&posts(&thread)).idempotency_key("reply").json(&other);
    reused.await.refused(422, "idempotency_mismatch");
    ada.post(&posts(&thread)).json(&other).await.refused(404, "not_found");
}
