//! Who sends a picture from a browser sees how far it is: it is read as it comes.

use std::time::Duration;

use panel_harness::pictures::{noise, png};
use panel_harness::{Browser, Node, Proxy, eventually};
use panel_kernel::ids::hex;
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(60);
/// What goes through in a second, so that there is something to be seen.
const A_SECOND: u64 = 8_000_000;
/// What is sent behind the picture, and no part of it: more than lies in buffers on the way.
const BEHIND: usize = 16_000_000;

/// Sends what is in `window.file`, and notes how far it is.
const SEND: &str = r#"
    const [path, token, form] = [WITH];
    window.seen = [];
    window.ended = null;
    const request = new XMLHttpRequest();
    request.open("POST", path);
    request.setRequestHeader("Authorization", "Bearer " + token);
    request.upload.onprogress = event => window.seen.push([event.loaded, event.total]);
    request.onloadend = () => window.ended = [request.status, request.responseText];
    if (form) {
        const data = new FormData();
        data.append("alt", "Noise");
        data.append("file", new Blob([window.file], {type: "image/png"}), "noise.png");
        request.send(data);
    } else {
        request.setRequestHeader("Content-Type", "image/png");
        request.send(window.file);
    }
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_far_it_is_can_be_seen_while_it_is_sent() {
    let node = Node::start().await;
    let root = node.admin("root").await;
    let proxy = Proxy::start(node.http());
    let browser = Browser::start().await;
    browser.open(&format!("http://{}/api/v2/docs", proxy.address())).await;
    proxy.everybody().throttle(A_SECOND);
    for form in [false, true] {
        let file = png(&noise(60, 40, 3 + 2 * u32::from(form)).into());
        let hex = hex(&file);
        let load = format!(
            "const picture = '{hex}'.match(/../g).map(it => parseInt(it, 16)); \
             window.file = new Uint8Array(picture.length + {BEHIND}); window.file.set(picture); \
             return window.file.length;"
        );
        assert_eq!(browser.run(&load).await, json!(file.len() + BEHIND));
        let with = json!(["/api/v2/cms/media?alt=Noise", root.access_token, form]);
        let with = with.to_string();
        browser.run(&SEND.replace("[WITH]", &with)).await;
        let ended = eventually("it has arrived", SOON, async || {
            let ended = browser.run("return window.ended;").await;
            if ended.is_null() { Err(ended) } else { Ok(ended) }
        })
        .await;
        let made: Value = serde_json::from_str(ended[1].as_str().unwrap()).unwrap();
        assert_eq!((&ended[0], &made["alt"]), (&json!(201), &json!("Noise")), "{ended}");
        let seen = browser.run("return window.seen;").await;
        let seen: Vec<[u64; 2]> = serde_json::from_value(seen).unwrap();
        let [last, total] = *seen.last().unwrap();
        assert!(last == total && total > BEHIND as u64, "{seen:?}");
        assert!(seen.windows(2).all(|two| two[0][0] <= two[1][0]), "{seen:?}");
        // Not all at once when it is over.
        let between = seen.iter().filter(|[sent, total]| *sent > 0 && *sent < total * 9 / 10);
        assert!(between.count() >= 3, "{seen:?}");
    }
    proxy.heal();
    browser.close().await;
}
