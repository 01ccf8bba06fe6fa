//! Feeds.

use panel_harness::{Backend, on_both_databases};
use serde_json::json;

use super::{post_at, reply, thread_at};
use crate::forum::{Forum, THREADS, id};

on_both_databases!(feeds_tell_what_everybody_may_read);

const FEED: &str = "/api/v2/forum/feed.atom";

async fn feeds_tell_what_everybody_may_read(backend: Backend) {
    let forum = Forum::start(backend).await;
    let ada = forum.member("ada").await;
    let body = json!({"category_id": forum.category, "title": "<b>&amp;\u{fffe}", "body": "*b* ]]> x", "tags": ["c&d"]});
    ada.post(THREADS).json(&body).await.refused(422, "validation");
    let body = json!({"category_id": forum.category, "title": "<b>&amp;\u{fffe}", "body": "*b* ]]> x", "tags": ["c++"]});
    let thread = ada.post(THREADS).json(&body).await.expect(201).json();
    let staff = json!({"name": "Staff", "read_role": "moderator"});
    let staff = forum.admin.post("/api/v2/forum/categories").json(&staff).await.expect(201).json();
    let hidden = json!({"category_id": staff["id"], "title": "hidden", "body": "b"});
    let hidden = forum.admin.post(THREADS).json(&hidden).await.expect(201).json();
    let client = forum.node.client();
    let answer = client.get(FEED).await.expect(200);
    assert_eq!(answer.header("content-type"), Some("application/atom+xml; charset=utf-8"));
    let feed = answer.text();
    assert!(!feed.contains("hidden") && !feed.contains('\u{fffe}'), "{feed}");
    for piece in [
        "<title>&#60;b&#62;&#38;amp;</title>",
        "<category term=\"c++\"/>",
        "<author><name>ada</name></author>",
        "<content type=\"html\">&#60;p&#62;&#60;em&#62;b&#60;/em&#62; ]]&#38;gt; x&#60;/p&#62;",
        &format!("/forum/threads/{}/b-amp\"/>", id(&thread)),
    ] {
        assert!(feed.contains(piece), "{piece} is not in {feed}");
    }
    // As anybody's parser reads it.
    let python = "import sys, xml.dom.minidom as x; d = x.parse(sys.stdin.buffer); \
                  print(len(d.getElementsByTagName('entry')))";
    assert_eq!(piped(python, &feed).await, "1\n");
    let of =
        |category: &serde_json::Value| format!("{FEED}?category={}", category.as_str().unwrap());
    assert!(
        client
            .get(&of(&forum.category))
            .await
            .expect(200)
            .text()
            .contains("<title>General</title>")
    );
    client.get(&of(&staff["id"])).await.refused(404, "not_found");
    client.get(&format!("{FEED}?category=x")).await.refused(404, "not_found");

    // However long what is in it becomes when it is escaped, it goes through.
    for _ in 0..16 {
        let quotes =
            json!({"category_id": forum.category, "title": "q", "body": "'".repeat(16_000)});
        ada.post(THREADS).json(&quotes).await.expect(201);
    }
    let feed = client.get(&format!("{FEED}?at=1")).await.expect(200).text();
    assert!(feed.len() < 700 * 1024 && feed.matches("<entry>").count() == 17, "{}", feed.len());
    assert!(feed.matches("<content").count() > 3);
    let gone = reply(&ada, &thread, "gone").await;
    reply(&ada, &thread, "*three*").await;
    ada.delete(&post_at(&gone)).await.expect(204);
    let long = reply(&ada, &thread, &"long ".repeat(5_000)).await;
    let feed = client.get(&format!("{}/feed.atom", thread_at(&thread))).await.expect(200).text();
    assert_eq!(piped(python, &feed).await, "3\n");
    assert!(feed.contains("&#60;em&#62;three") && feed.contains("#post-3\"/>"), "{feed}");
    assert!(
        !feed.contains("gone") && !feed.contains("long long") && feed.contains(id(&long)),
        "{feed}"
    );
    client.get(&format!("{}/feed.atom", thread_at(&hidden))).await.refused(404, "not_found");
}

/// What Python says to a program with this input.
async fn piped(program: &str, input: &str) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), input).unwrap();
    let mut python = tokio::process::Command::new("python3");
    python.args(["-c", program]).stdin(std::fs::File::open(file.path()).unwrap());
    let done = python.output().await.unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}
