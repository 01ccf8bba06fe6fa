//! Pages of the forum while they are open, in a real browser.

use std::time::Duration;

use panel_harness::{Backend, Browser, PASSWORD, eventually};
use serde_json::{Value, json};

use crate::forum::{Forum, id, posts};

async fn look(browser: &Browser, script: &str) -> Value {
    browser.run(&format!("return {script};")).await
}

/// A browser in which somebody is signed in.
async fn signed_in(forum: &Forum, name: &str) -> Browser {
    let browser = Browser::start().await;
    browser.open(&forum.node.url("/sign-in?return_to=%2Fforum")).await;
    browser.types("#login", name).await;
    browser.types("#password", PASSWORD).await;
    browser.clicks("form button").await;
    browser.arrives("/forum").await;
    browser
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thread_tells_what_happens_while_it_is_looked_at() {
    let forum = Forum::start(Backend::Sqlite).await;
    let ada = forum.member("ada").await;
    let thread = forum.thread(&forum.admin, "t").await;
    let browser = Browser::start().await;
    let place = format!("/forum/threads/{}/t", id(&thread));
    browser.open(&forum.node.url(&place)).await;
    let typing = format!("/api/v2/forum/threads/{}/typing", id(&thread));
    // It listens once it is open, which takes a moment.
    eventually("she is seen typing", Duration::from_secs(10), async || {
        ada.post(&typing).json(&json!({"typing": false})).await.expect(204);
        ada.post(&typing).await.expect(204);
        let text = browser.text().await;
        if text.contains("ada is typing") { Ok(()) } else { Err(text) }
    })
    .await;
    let hostile = json!({"body": "<img src=x onerror=alert(1)>"});
    ada.post(&posts(&thread)).json(&hostile).await.expect(201);
    browser.sees("There is a new post").await;
    assert_eq!(look(&browser, "document.getElementById('typing').hidden").await, true);
    ada.post(&posts(&thread)).json(&json!({"body": "another"})).await.expect(201);
    browser.sees("There are 2 new posts").await;
    browser.clicks("#news a").await;
    browser.arrives(&format!("{place}?from=2#post-2")).await;
    browser.sees("another").await;
    assert_eq!(look(&browser, "document.getElementById('news').hidden").await, true);
    forum.admin.post(&format!("/api/v2/forum/threads/{}/lock", id(&thread))).await.expect(200);
    browser.sees("This thread has changed").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_signed_in_ends_their_mails_all_the_same() {
    let forum = Forum::start(Backend::Sqlite).await;
    let ada = forum.member("ada").await;
    let preferences = "/api/v2/forum/notifications/preferences";
    ada.put(preferences).json(&json!({"digest": "weekly"})).await.expect(200);
    let mut auth = forum.database.raw_sql("auth").await;
    auth.run("UPDATE users SET email_verified_at = 1").await;
    let thread = forum.thread(&forum.admin, "t").await;
    let body = json!({"body": "@ada"});
    forum.admin.post(&posts(&thread)).json(&body).await.expect(201);
    let mail = eventually("she is mailed", Duration::from_secs(20), async || {
        let unread = "/api/v2/forum/notifications/count";
        if ada.get(unread).await.expect(200).json()["unread"] == 1 {
            let mut sql = forum.database.raw_sql("forum").await;
            sql.run("UPDATE digests SET next_at = 1").await;
        }
        let folder = std::fs::read_dir(forum.node.data_dir().join("mail"));
        let texts = folder.into_iter().flatten().map(|file| file.unwrap().path());
        let texts = texts.map(|path| std::fs::read_to_string(path).unwrap());
        texts.into_iter().find(|text| text.contains("List-Unsubscribe: ")).ok_or(())
    })
    .await;
    let head = mail.replace("\r\n ", " ");
    let place = head.split("List-Unsubscribe: ").nth(1).unwrap().trim_start_matches(['<', ' ']);
    let place = place.split('>').next().unwrap();
    let browser = signed_in(&forum, "ada").await;
    browser.open(place).await;
    browser.clicks("form[method=post] button").await;
    browser.sees("You get no more of them").await;
    assert_eq!(ada.get(preferences).await.expect(200).json()["digest"], "never");
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_ours_may_open_a_socket() {
    let forum = Forum::start(Backend::Sqlite).await;
    let ada = forum.member("ada").await;
    let thread = forum.thread(&forum.admin, "t").await;
    let browser = signed_in(&forum, "ada").await;
    browser.open(&forum.node.url(&format!("/forum/threads/{}/t", id(&thread)))).await;
    // It has her cookie; and an access token may be shown where there is none.
    let opens = format!(
        "window.heard = [];
         const place = location.origin.replace('http', 'ws') + '/api/v2/forum/notifications/stream';
         for (const offered of [[], ['bearer', '{}']]) {{
             const socket = new WebSocket(place, offered);
             socket.onopen = () => heard.push('open ' + socket.protocol);
             socket.onmessage = (message) => heard.push(JSON.parse(message.data).data.kind);
         }}",
        ada.access_token
    );
    browser.run(&opens).await;
    eventually("both are open", Duration::from_secs(10), async || {
        let mut heard = look(&browser, "heard").await;
        heard.as_array_mut().unwrap().sort_by_key(Value::to_string);
        if heard == json!(["open ", "open bearer"]) { Ok(()) } else { Err(heard) }
    })
    .await;
    forum.admin.post(&posts(&thread)).json(&json!({"body": "@ada"})).await.expect(201);
    eventually("she is told", Duration::from_secs(10), async || {
        let heard = look(&browser, "heard.slice(2)").await;
        if heard == json!(["mention", "mention"]) { Ok(()) } else { Err(heard) }
    })
    .await;
    browser.close().await;
}
