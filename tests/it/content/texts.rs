//! Texts of posts: revisions, what changed, people who are called, code.

use panel_harness::{Backend, on_both_databases};
use serde_json::{Value, json};

use super::{POSTS, each, items, post_at, reply};
use crate::forum::Forum;

on_both_databases!(
    every_text_a_post_had_is_kept,
    long_revisions_come_in_pages_that_have_room,
    a_moderator_takes_a_text_out,
    people_are_called_by_their_names,
);

async fn edit(by: &panel_harness::Session, post: &Value, body: &str) -> Value {
    by.patch(&post_at(post)).json(&json!({"body": body})).await.expect(200).json()
}

async fn every_text_a_post_had_is_kept(backend: Backend) {
    let forum = Forum::start(backend).await;
    let ada = forum.member("ada").await;
    let thread = forum.thread(&ada, "t").await;
    let post = reply(&ada, &thread, "the quick fox").await;
    let client = forum.node.client();
    let at = format!("{}/revisions", post_at(&post));
    let alone = items(&client.get(&at).await.expect(200));
    assert_eq!(each(&alone, "body"), ["the quick fox"]);
    // The same again is no edit.
    let same = ada.patch(&post_at(&post)).json(&json!({"body": "the quick fox"})).await.expect(200);
    assert_eq!(same.json()["edited_at"], Value::Null);
    let edited = edit(&ada, &post, "the slow fox").await;
    edit(&forum.admin, &post, "the slow dog").await;
    let found = items(&client.get(&format!("{at}?limit=3")).await.expect(200));
    assert_eq!(each(&found, "body"), ["the quick fox", "the slow fox", "the slow dog"]);
    let editors: Vec<&Value> = found.iter().map(|it| &it["editor"]["name"]).collect();
    assert_eq!(editors, ["ada", "ada", "root"]);
    assert_eq!(found[0]["created_at"], post["created_at"]);
    assert_eq!(found[1]["created_at"], edited["edited_at"]);
    let one = client.get(&format!("{at}/2")).await.expect(200).json();
    assert_eq!(one, found[1]);
    let first = client.get(&format!("{at}?limit=2")).await.expect(200).json();
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = client.get(&format!("{at}?limit=2&cursor={cursor}")).await.expect(200);
    assert_eq!(items(&rest), found[2..]);
    let changes = |from, to| client.get(&format!("{at}/{from}/diff/{to}"));
    let pieces = changes(1, 3).await.expect(200).json()["changes"].clone();
    assert_eq!(
        pieces,
        json!([
            {"op": "equal", "text": "the "}, {"op": "delete", "text": "quick"},
            {"op": "insert", "text": "slow"}, {"op": "equal", "text": " "},
            {"op": "delete", "text": "fox"}, {"op": "insert", "text": "dog"},
        ])
    );
    changes(1, 4).await.refused(404, "not_found");
    client.get(&format!("{at}/0")).await.refused(404, "not_found");
    client.get(&format!("{at}/x")).await.refused(404, "not_found");
    client.get(&format!("{at}/9223372036854775807")).await.refused(404, "not_found");
    // With the post they are gone.
    ada.delete(&post_at(&post)).await.expect(204);
    client.get(&format!("{at}?limit=9")).await.refused(404, "not_found");
    changes(1, 2).await.refused(404, "not_found");
    forum.admin.get(&at).await.expect(200);
}

async fn long_revisions_come_in_pages_that_have_room(backend: Backend) {
    let forum = Forum::start(backend).await;
    let ada = forum.member("ada").await;
    let thread = forum.thread(&ada, "t").await;
    // Each three bytes.
    let text = |n: usize| format!("{n}{}", "漢".repeat(31_000));
    let post = reply(&ada, &thread, &text(0)).await;
    for n in 1..9 {
        edit(&ada, &post, &text(n)).await;
    }
    let (mut found, mut pages) = (Vec::new(), 0);
    let first = format!("{}/revisions?limit=100", post_at(&post));
    let mut page = first.clone();
    loop {
        let answer = ada.get(&page).await.expect(200);
        assert!(answer.text().len() < 640 * 1024);
        found.extend(items(&answer));
        pages += 1;
        let answer = answer.json();
        let Some(cursor) = answer["next_cursor"].as_str() else { break };
        page = format!("{first}&cursor={cursor}");
    }
    assert_eq!((found.len(), pages), (9, 2));
    assert!(found.iter().enumerate().all(|(n, it)| it["body"] == text(n)));
}

async fn a_moderator_takes_a_text_out(backend: Backend) {
    let forum = Forum::start(backend).await;
    let ada = forum.member("ada").await;
    let thread = forum.thread(&ada, "t").await;
    let post = reply(&ada, &thread, "my address is …").await;
    edit(&ada, &post, "nothing").await;
    let at = |number: i64| format!("{}/revisions/{number}", post_at(&post));
    ada.delete(&at(1)).await.refused(403, "forbidden");
    // The text as it is now is no earlier one.
    forum.admin.delete(&at(2)).await.refused(404, "not_found");
    forum.admin.delete(&at(1)).await.expect(204);
    let found = forum.admin.get(&at(1)).await.expect(200).json();
    assert_eq!((&found["body"], &found["hidden"]), (&json!(""), &json!(true)));
    let diff = format!("{}/revisions/1/diff/2", post_at(&post));
    ada.get(&diff).await.refused(409, "conflict");
}

async fn people_are_called_by_their_names(backend: Backend) {
    let forum = Forum::start(backend).await;
    let ada = forum.member("ada").await;
    forum.member("Bob.B").await;
    let thread = forum.thread(&ada, "t").await;
    let called = |name: &str| {
        let (key, attributes) = (name.to_lowercase(), "rel=\"nofollow ugc noopener\"");
        format!("<a class=\"mention\" href=\"/forum/users/{key}\" {attributes}>@{name}</a>")
    };
    // As soon as the forum has heard of them.
    let post = panel_harness::eventually("bob is called", super::races::SOON, async || {
        let post = reply(&ada, &thread, "@bob.b, and @Ada. Not `@ada` nor @nobody").await;
        let html = post["body_html"].as_str().unwrap().to_owned();
        let is = format!(
            "<p>{}, and {}. Not <code>@ada</code> nor @nobody</p>\n",
            called("bob.b"),
            called("Ada")
        );
        if html == is { Ok(post) } else { Err(html) }
    })
    .await;
    let edited = edit(&ada, &post, "@ada alone").await;
    assert!(edited["body_html"].as_str().unwrap().contains(&called("ada")));
    // Long texts, which are rendered elsewhere, call people as well.
    let long = reply(&ada, &thread, &format!("@ada {}", "word ".repeat(500))).await;
    assert!(long["body_html"].as_str().unwrap().contains(&called("ada")));
    let code = reply(&ada, &thread, "```rust\nlet a = 1;\n```").await;
    assert!(code["body_html"].as_str().unwrap().contains("<span class=\"hl-keyword\">let</span>"));
    assert!(
        ada.get(&format!("{POSTS}/{}", code["id"].as_str().unwrap())).await.expect(200).json()["body_html"]
            == code["body_html"]
    );
}
