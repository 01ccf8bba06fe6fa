//! Readers of streams who stop reading and keep their connection: they are let go, whatever they were to be told.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use panel_harness::http::narrow;
use panel_harness::{Backend, Session, eventually, on_both_databases};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::forum::{Forum, posts};

on_both_databases!(who_stops_reading_is_let_go);

const NOTIFICATIONS: &str = "/api/v2/forum/notifications";
const WEBSOCKET: &str =
    "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n";
/// More than fits into the buffers of such a connection.
const TOLD: usize = 160;

/// Asks for everything that was told since `after`, and reads no more of the answer than its head.
async fn open(by: &Session, address: &str, after: &str, more: &str) -> TcpStream {
    let mut stream = narrow(address).await.unwrap();
    let request = format!(
        "GET {NOTIFICATIONS}/stream?after={after} HTTP/1.1\r\nhost: x\r\n\
         authorization: Bearer {}\r\n{more}\r\n",
        by.access_token
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let expected = if more.is_empty() { "HTTP/1.1 200" } else { "HTTP/1.1 101" };
    assert!(head.starts_with(expected.as_bytes()), "{}", String::from_utf8_lossy(&head));
    stream
}

/// The id of the first thing somebody was told, once they were told everything.
async fn first_of(ada: &Session) -> String {
    eventually("everything is told", Duration::from_secs(20), async || {
        let (mut told, mut page) = (Vec::<Value>::new(), format!("{NOTIFICATIONS}?limit=100"));
        loop {
            let listing = ada.get(&page).await.expect(200).json();
            told.extend_from_slice(listing["items"].as_array().unwrap());
            let Some(cursor) = listing["next_cursor"].as_str() else { break };
            page = format!("{NOTIFICATIONS}?limit=100&cursor={cursor}");
        }
        let first = told.last().map(|first| first["id"].as_str().unwrap().to_owned());
        first.filter(|_| told.len() == TOLD).ok_or(told.len())
    })
    .await
}

async fn who_stops_reading_is_let_go(backend: Backend) {
    let forum = Forum::configured(backend, &[("PANEL_GATEWAY__WRITE_TIMEOUT", "1s")]).await;
    let (ada, bob) = (forum.member("ada").await, forum.member("bob").await);
    // What they are told of has a long title, so that it is enough.
    let thread = forum.thread(&forum.admin, &"漢".repeat(200)).await;
    let hers = json!({"body": "hers"});
    let post = ada.post(&posts(&thread)).json(&hers).await.expect(201).json();
    for n in 0..TOLD {
        let answer = json!({"body": format!("{n}"), "reply_to": post["id"]});
        bob.post(&posts(&thread)).json(&answer).await.expect(201);
    }
    let first = first_of(&ada).await;
    let key = format!("{WEBSOCKET}sec-websocket-key: {}\r\n", STANDARD.encode([7; 16]));
    for more in ["", key.as_str()] {
        let mut reader = open(&ada, forum.node.http(), &first, more).await;
        eventually("they are let go", Duration::from_secs(10), async || {
            let open = forum.node.metrics().await.count("panel_streams_open", &[]);
            if open == 0 { Ok(()) } else { Err(open) }
        })
        .await;
        // What was on its way, and no more; then the connection is over. (Of a stream that went on, it would be
        // everything.)
        let mut rest = Vec::new();
        drop(reader.read_to_end(&mut rest).await);
        let told = String::from_utf8_lossy(&rest).matches("post_id").count();
        assert!((1..TOLD - 1).contains(&told), "{told}");
    }
}
