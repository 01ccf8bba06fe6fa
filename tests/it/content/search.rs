//! Searching, and the index behind it.

use std::fmt::Write as _;

use panel_harness::{Backend, eventually, on_both_databases};
use serde_json::{Value, json};

use super::races::SOON;
use super::{act, each, items, post_at, reply, thread_at};
use crate::forum::{Forum, THREADS, id};

on_both_databases!(
    words_are_found_in_any_script,
    what_changes_is_found_as_it_is,
    nobody_finds_what_they_may_not_read,
    results_come_in_pages,
    whatever_was_there_before_is_indexed,
    queries_that_ask_for_nothing_are_named,
);

const SEARCH: &str = "/api/v2/forum/search";

/// The texts found for a query, in order of number and thread, for those who are not signed in.
async fn found(forum: &Forum, query: &str) -> Vec<Value> {
    let encoded = query.bytes().fold(String::new(), |mut text, byte| {
        write!(text, "%{byte:02x}").unwrap();
        text
    });
    // What the edge has kept may be a second old.
    let fresh = panel_kernel::ids::random_hex();
    let path = format!("{SEARCH}?limit=100&q={encoded}&at={fresh}");
    items(&forum.node.client().get(&path).await.expect(200))
}

/// Waits until a query finds posts with these numbers, whatever their order.
async fn finds(forum: &Forum, query: &str, numbers: &[i64]) -> Vec<Value> {
    eventually(&format!("{query} finds {numbers:?}"), SOON, async || {
        let hits = found(forum, query).await;
        let mut seen: Vec<i64> = hits.iter().map(|hit| hit["number"].as_i64().unwrap()).collect();
        seen.sort_unstable();
        if seen == numbers { Ok(hits) } else { Err(seen) }
    })
    .await
}

async fn words_are_found_in_any_script(backend: Backend) {
    let forum = Forum::start(backend).await;
    let ada = forum.member("ada").await;
    let body =
        json!({"category_id": forum.category, "title": "Über Käse & Brot", "body": "opening"});
    let thread = ada.post(THREADS).json(&body).await.expect(201).json();
    for body in [
        "The quick brown fox",                    // 2
        "东京 is 東京都 in Japan",                // 3
        "吾輩は猫である。名前はまだ無い。",       // 4
        "Café crème, s'il vous plaît",            // 5
        "Привет, мир! Ёлка",                      // 6
        "مُحَمَّد رسول",                              // 7
        "한국어를 배우고 있습니다",               // 8
        "ภาษาไทยไม่มีช่องว่าง",                       // 9
        "quick: the fox is not brown",            // 10
        "in\u{200b}vis\u{200b}ible ink <b>&amp;", // 11
        "the `code` of rust-lang/rust#123",       // 12
    ] {
        reply(&ada, &thread, body).await;
    }
    finds(&forum, "rust", &[12]).await;
    for (query, numbers) in [
        ("KASE brot", &[1][..]),
        ("käse", &[1]),
        ("quick fox", &[2, 10]),
        ("\"quick brown\"", &[2]),
        ("quick -not", &[2]),
        ("qui* bro*", &[2, 10]),
        ("東京", &[3]),
        ("京都", &[3]),
        ("東京都", &[3]),
        ("东京", &[3]),
        ("東都", &[]),
        ("猫", &[4]),
        ("名前", &[4]),
        ("い", &[4]),
        ("cafe CREME", &[5]),
        ("мир", &[6]),
        ("елка", &[6]),
        ("محمد", &[7]),
        ("배우", &[8]),
        ("한국어", &[8]),
        ("ไทย", &[9]),
        ("invisible", &[11]),
        ("rust-lang/rust", &[12]),
        ("\"of rust lang\"", &[12]),
        ("qui", &[]),
        ("fox AND brown", &[]),
        ("it's", &[]),
    ] {
        let hits = found(&forum, query).await;
        let mut seen: Vec<i64> = hits.iter().map(|hit| hit["number"].as_i64().unwrap()).collect();
        seen.sort_unstable();
        assert_eq!(seen, numbers, "{query}");
    }
    // With what is needed to show it.
    let hit = found(&forum, "\"quick brown\"").await.remove(0);
    assert_eq!(hit["excerpt"], "The <mark>quick</mark> <mark>brown</mark> fox");
    assert_eq!((&hit["thread_id"], &hit["title"]), (&thread["id"], &thread["title"]));
    assert_eq!((&hit["slug"], &hit["category_id"]), (&thread["slug"], &thread["category_id"]));
    assert_eq!(hit["author"], json!({"id": ada.user_id, "name": "ada"}));
    let hit = found(&forum, "ink").await.remove(0);
    assert!(
        hit["excerpt"].as_str().unwrap().ends_with("<mark>ink</mark> &lt;b&gt;&amp;amp;"),
        "{hit}"
    );
    // Hostile queries are words like any other.
    for query in [
        "' OR 1=1 --",
        "a & b | !c:*",
        "\"a\" NEAR(b) {title}:x ^y",
        "a\\'\\",
        "' <-> ' a",
        "(((a",
        "a:b:c",
    ] {
        found(&forum, query).await;
    }
}

async fn what_changes_is_found_as_it_is(backend: Backend) {
    let forum = Forum::start(backend).await;
    let ada = forum.member("ada").await;
    let thread = forum.thread(&ada, "oldtitle").await;
    let post = reply(&ada, &thread, "oldtext").await;
    finds(&forum, "oldtext", &[2]).await;
    finds(&forum, "oldtitle", &[1]).await;
    ada.patch(&post_at(&post)).json(&json!({"body": "newtext"})).await.expect(200);
    finds(&forum, "newtext", &[2]).await;
    finds(&forum, "oldtext", &[]).await;
    ada.patch(&thread_at(&thread)).json(&json!({"title": "newtitle"})).await.expect(200);
    finds(&forum, "newtitle", &[1]).await;
    finds(&forum, "oldtitle", &[]).await;
    // Deleted, it is not found, by moderators neither; restored, it is.
    ada.delete(&post_at(&post)).await.expect(204);
    finds(&forum, "newtext", &[]).await;
    forum.admin.post(&format!("{}/restore", post_at(&post))).await.expect(200);
    finds(&forum, "newtext", &[2]).await;
    ada.delete(&thread_at(&thread)).await.expect(204);
    finds(&forum, "newtext", &[]).await;
    act(&forum.admin, &thread, "restore", json!({})).await.expect(200);
    // Split off, it opens a thread whose title finds it; merged, it has that title no more.
    let split = json!({"post_ids": [post["id"]], "title": "splittitle"});
    let split = act(&forum.admin, &thread, "split", split).await.expect(201).json();
    let hits = finds(&forum, "splittitle", &[1]).await;
    assert_eq!(hits[0]["thread_id"], split["id"]);
    act(&forum.admin, &split, "merge", json!({"into": thread["id"]})).await.expect(200);
    finds(&forum, "splittitle", &[]).await;
    let hits = finds(&forum, "newtext", &[3]).await;
    assert_eq!(hits[0]["thread_id"], thread["id"]);
}

async fn nobody_finds_what_they_may_not_read(backend: Backend) {
    let forum = Forum::start(backend).await;
    let (ada, bob) = (forum.member("ada").await, forum.member("bob").await);
    let staff = json!({"name": "Staff", "read_role": "moderator"});
    let staff = forum.admin.post("/api/v2/forum/categories").json(&staff).await.expect(201).json();
    let child = json!({"name": "Child", "parent_id": forum.category});
    let child = forum.admin.post("/api/v2/forum/categories").json(&child).await.expect(201).json();
    let open = async |by: &panel_harness::Session, category: &Value, tags: &[&str]| {
        let body = json!({"category_id": category, "title": "needle", "body": "b", "tags": tags});
        by.post(THREADS).json(&body).await.expect(201).json()
    };
    let secret = open(&forum.admin, &staff["id"], &[]).await;
    let (mine, theirs) =
        (open(&ada, &forum.category, &["x"]).await, open(&bob, &child["id"], &[]).await);
    finds(&forum, "needle", &[1, 1]).await;
    let ids = async |by: &panel_harness::Session, also: &str| {
        let path = format!("{SEARCH}?q=needle{also}&sort=newest");
        each(&items(&by.get(&path).await.expect(200)), "thread_id")
    };
    let all = [id(&theirs), id(&mine), id(&secret)];
    assert_eq!(ids(&forum.admin, "").await, all);
    assert_eq!(ids(&ada, "").await, all[..2]);
    assert_eq!(ids(&ada, &format!("&author={}", bob.user_id)).await, all[..1]);
    assert_eq!(ids(&ada, "&tag=x").await, all[1..2]);
    // A category with those below it.
    assert_eq!(ids(&ada, &format!("&category={}", id(&child))).await, all[..1]);
    let general = forum.category.as_str().unwrap();
    assert_eq!(ids(&ada, &format!("&category={general}")).await, all[..2]);
    assert_eq!(ids(&ada, &format!("&category={}", id(&staff))).await, [""; 0]);
}

async fn results_come_in_pages(backend: Backend) {
    let forum = Forum::start(backend).await;
    let ada = forum.member("ada").await;
    let thread = forum.thread(&ada, "t").await;
    for n in 0..7 {
        // The more often, the more it is about it.
        reply(&ada, &thread, &format!("{}hay hay hay", "needle ".repeat(1 + (n * 3) % 7))).await;
    }
    finds(&forum, "needle", &[2, 3, 4, 5, 6, 7, 8]).await;
    for (sort, expected) in [("newest", Some([8, 7, 6, 5, 4, 3, 2])), ("relevance", None)] {
        let (mut seen, mut page) = (Vec::new(), format!("{SEARCH}?q=needle&limit=3&sort={sort}"));
        loop {
            let answer = ada.get(&page).await.expect(200);
            seen.extend(items(&answer).iter().map(|hit| hit["number"].as_i64().unwrap()));
            let answer = answer.json();
            let Some(cursor) = answer["next_cursor"].as_str() else { break };
            page = format!("{SEARCH}?q=needle&limit=3&sort={sort}&cursor={cursor}");
        }
        match expected {
            Some(expected) => assert_eq!(seen, expected),
            None => {
                // Seven times, and once.
                assert_eq!((seen[0], seen[6]), (4, 2), "{seen:?}");
                seen.sort_unstable();
                assert_eq!(seen, [2, 3, 4, 5, 6, 7, 8]);
            }
        }
    }
    // More of them than are looked at in one go, of which one may be read.
    let hidden = json!({"name": "Staff", "read_role": "moderator"});
    let hidden =
        forum.admin.post("/api/v2/forum/categories").json(&hidden).await.expect(201).json();
    let body = json!({"category_id": hidden["id"], "title": "crowd", "body": "b"});
    let crowd = forum.thread(&ada, "crowd").await;
    finds(&forum, "crowd", &[1]).await;
    let staff = forum.admin.post(THREADS).json(&body).await.expect(201).json();
    let mut db = forum.database.raw_sql("forum").await;
    let numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4100) ";
    db.run(&format!(
        "INSERT INTO posts (id, thread_id, number, author_id, body, body_html, created_at) {numbers} \
         SELECT p.id + i, p.thread_id, 1 + i, p.author_id, 'crowd', '', p.created_at \
         FROM n, posts p JOIN threads t ON t.id = p.thread_id \
         WHERE p.number = 1 AND t.category_id = (SELECT id FROM categories WHERE name = 'Staff')"
    ))
    .await;
    match backend {
        Backend::Sqlite => {
            db.run(
                "INSERT INTO post_search (rowid, title, body) SELECT id, '', 'crowd' FROM posts \
                 WHERE body = 'crowd'",
            )
            .await;
        }
        Backend::Postgres => {
            db.run(
                "INSERT INTO post_search (post_id, tokens) SELECT id, CAST('''crowd'':1' AS TSVECTOR) \
                 FROM posts WHERE body = 'crowd'",
            )
            .await;
        }
    }
    let hits = finds(&forum, "crowd", &[1]).await;
    assert_eq!(hits[0]["thread_id"], crowd["id"]);
    let path = format!("{SEARCH}?q=crowd&limit=100&sort=newest");
    let mut seen = std::collections::BTreeSet::new();
    let mut page = path.clone();
    loop {
        let answer = forum.admin.get(&page).await.expect(200);
        for hit in items(&answer) {
            assert!(seen.insert(id(&hit).to_owned()), "twice: {hit}");
        }
        let answer = answer.json();
        let Some(cursor) = answer["next_cursor"].as_str() else { break };
        page = format!("{path}&cursor={cursor}");
    }
    assert_eq!(seen.len(), 4_102, "{}", id(&staff));
}

/// As before a release that searches, or whose rules are others.
async fn whatever_was_there_before_is_indexed(backend: Backend) {
    let mut forum = Forum::start(backend).await;
    let ada = forum.member("ada").await;
    let thread = forum.thread(&ada, "first").await;
    for n in 0..120 {
        reply(&ada, &thread, &format!("word{n} needle")).await;
    }
    finds(&forum, "word119", &[121]).await;
    assert!(forum.node.sigterm_and_wait().await.success());
    let mut db = forum.database.raw_sql("forum").await;
    for change in ["DELETE FROM post_search", "UPDATE search_progress SET version = 0"] {
        db.run(change).await;
    }
    drop(db);
    forum.node.restart().await;
    let all: Vec<i64> = (2..=121).collect();
    eventually("all posts are indexed", SOON, async || {
        let mut seen = Vec::new();
        let mut page =
            format!("{SEARCH}?q=needle&limit=100&at={}", panel_kernel::ids::random_hex());
        let first = page.clone();
        loop {
            let answer = forum.node.client().get(&page).await.expect(200);
            seen.extend(items(&answer).iter().map(|hit| hit["number"].as_i64().unwrap()));
            let answer = answer.json();
            let Some(cursor) = answer["next_cursor"].as_str() else { break };
            page = format!("{first}&cursor={cursor}");
        }
        seen.sort_unstable();
        if seen == all { Ok(()) } else { Err(seen.len()) }
    })
    .await;
}

async fn queries_that_ask_for_nothing_are_named(backend: Backend) {
    let forum = Forum::start(backend).await;
    let client = forum.node.client();
    for (query, field, code) in [
        ("", "q", "required"),
        ("q=", "q", "required"),
        ("q=%20", "q", "required"),
        ("q=-foo", "q", "nothing"),
        ("q=!!", "q", "nothing"),
        ("q=%00", "q", "characters"),
        (&*format!("q={}", "x".repeat(201)), "q", "too_long"),
        ("q=x&category=x", "category", "invalid"),
        ("q=x&author=x", "author", "invalid"),
        ("q=x&tag=%2F", "tag", "invalid"),
        ("q=x&sort=best", "sort", "invalid"),
        ("q=x&limit=0", "limit", "out_of_range"),
    ] {
        let refused = client.get(&format!("{SEARCH}?{query}")).await.refused(422, "validation");
        assert!(refused.fields().contains(&(field, code)), "{query}: {refused:?}");
    }
    client.get(&format!("{SEARCH}?q=x&cursor=x")).await.refused(400, "bad_request");
    assert!(items(&client.get(&format!("{SEARCH}?q=nothing")).await.expect(200)).is_empty());
}
