//! Streams of events that readers keep open.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use panel_harness::{Backend, Cluster, Events, Session, Thread, eventually, on_both_databases};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::forum::{Forum, id, posts};

on_both_databases!(
    events_come_as_they_are_stored,
    a_reader_goes_on_where_they_were,
    who_may_read_how_much_is_checked,
    a_stream_ends_with_its_session_and_with_the_node,
    more_than_there_is_room_for_is_asked_for,
    readers_of_every_kind_are_served_and_bounded,
);

const STREAM: &str = "/api/v2/forum/notifications/stream";
const SOON: Duration = Duration::from_secs(5);

async fn open(by: &Session, address: &str, last: Option<&str>) -> Events {
    Events::open(address, STREAM, &by.access_token, last).await
}

/// Answers a post of hers.
async fn answer(by: &Session, thread: &Value, to: &Value, body: &str) -> Value {
    let body = json!({"body": body, "reply_to": to["id"]});
    by.post(&posts(thread)).json(&body).await.expect(201).json()
}

/// A forum, two people, and a post by the first of them.
async fn scene(backend: Backend) -> (Forum, Session, Session, Value, Value) {
    let forum = Forum::start(backend).await;
    let (ada, bob) = (forum.member("ada").await, forum.member("bob").await);
    let thread = forum.thread(&forum.admin, "t").await;
    let body = json!({"body": "hers"});
    let post = ada.post(&posts(&thread)).json(&body).await.expect(201).json();
    (forum, ada, bob, thread, post)
}

async fn events_come_as_they_are_stored(backend: Backend) {
    let (forum, ada, bob, thread, post) = scene(backend).await;
    let (mut first, mut second) =
        (open(&ada, forum.node.http(), None).await, open(&ada, forum.node.http(), None).await);
    let mut other = open(&bob, forum.node.http(), None).await;
    assert!(first.head.contains("text/event-stream") && first.head.contains("no-store"));
    for n in 0..5 {
        let begun = Instant::now();
        let reply = answer(&bob, &thread, &post, &n.to_string()).await;
        let event = first.next(SOON).await.unwrap();
        assert!(event.at - begun < Duration::from_secs(2));
        assert_eq!((event.event.as_str(), &event.data["post_id"]), ("notification", &reply["id"]));
        assert_eq!(event.id, event.data["id"]);
        // The same as in the list, and wherever else she listens.
        let listed = ada.get("/api/v2/forum/notifications?limit=1").await.expect(200).json();
        assert_eq!(listed["items"][0], event.data);
        assert_eq!(second.next(SOON).await.unwrap().id, event.id);
    }
    assert!(other.is_silent(Duration::from_millis(300)).await, "nobody hears of others");
    let metrics = forum.node.metrics().await;
    assert_eq!(metrics.count("panel_streams_open", &[]), 3);
}

async fn a_reader_goes_on_where_they_were(backend: Backend) {
    let (mut forum, mut ada, mut bob, thread, post) = scene(backend).await;
    let mut stream = open(&ada, forum.node.http(), None).await;
    answer(&bob, &thread, &post, "0").await;
    let mut last = stream.next(SOON).await.unwrap().id;
    drop(stream);
    for round in 0..2 {
        let mut written = Vec::new();
        for n in 0..130 {
            written.push(answer(&bob, &thread, &post, &n.to_string()).await["id"].clone());
        }
        if round == 1 {
            // Also over a restart.
            forum.node.kill9();
            forum.node.restart().await;
            (ada, bob) = (ada.at(&forum.node.client()), bob.at(&forum.node.client()));
        }
        eventually("all of it is stored", SOON, || async {
            let unread = "/api/v2/forum/notifications/count";
            let unread = ada.get(unread).await.expect(200).json()["unread"].clone();
            unread == 1 + 130 + 131 * round
        })
        .await;
        let mut stream = open(&ada, forum.node.http(), Some(&last)).await;
        for id in &written {
            let event = stream.next(SOON).await.unwrap();
            assert_eq!(&event.data["post_id"], id);
        }
        // And then what is new.
        let reply = answer(&bob, &thread, &post, "new").await;
        let event = stream.next(SOON).await.unwrap();
        assert_eq!(event.data["post_id"], reply["id"]);
        last.clone_from(&event.id);
    }
    // Whoever has nothing begins with what is new.
    let mut stream = open(&ada, forum.node.http(), None).await;
    assert!(stream.is_silent(Duration::from_millis(300)).await);
}

async fn who_may_read_how_much_is_checked(backend: Backend) {
    let (forum, ada, ..) = scene(backend).await;
    let client = forum.node.client();
    client.get(STREAM).await.refused(401, "unauthorized");
    let bad = client.get(STREAM).bearer(&ada.access_token).header("last-event-id", "0");
    bad.await.refused(400, "bad_request");
    let key = json!({"name": "robot", "scopes": ["forum:read"]});
    let key = ada.post("/api/v2/auth/api-keys").json(&key).await.expect(201).json();
    let by_key = client.get(STREAM).header("x-api-key", key["key"].as_str().unwrap());
    by_key.await.refused(403, "forbidden");
    let head = ada.request(http::Method::HEAD, STREAM).await.expect(200);
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    let mut streams = Vec::new();
    for _ in 0..8 {
        let stream = open(&ada, forum.node.http(), None).await;
        assert_eq!(stream.status(), 200);
        streams.push(stream);
    }
    let ninth = ada.get(STREAM).await;
    ninth.refused(429, "rate_limited");
    // Whoever goes away makes room.
    streams.pop();
    eventually("there is room", SOON, || async {
        let stream = open(&ada, forum.node.http(), None).await;
        stream.status() == 200
    })
    .await;
}

async fn a_stream_ends_with_its_session_and_with_the_node(backend: Backend) {
    let (mut forum, ada, bob, thread, post) = scene(backend).await;
    let mut stream = open(&ada, forum.node.http(), None).await;
    let mut other = open(&bob, forum.node.http(), None).await;
    ada.post("/api/v2/auth/logout").await.expect(204);
    eventually("the session is over", SOON, || async {
        ada.get("/api/v2/auth/me").await.status == 401
    })
    .await;
    answer(&bob, &thread, &post, "secret").await;
    assert!(stream.next(SOON).await.is_none(), "nothing is sent to a session that is over");
    let begun = Instant::now();
    let status = forum.node.sigterm_and_wait().await;
    assert!(status.success() && begun.elapsed() < Duration::from_secs(5), "{status:?}");
    assert!(other.next(SOON).await.is_none());
}

async fn more_than_there_is_room_for_is_asked_for(backend: Backend) {
    let (forum, ada, bob, thread, post) = scene(backend).await;
    let mut stream = open(&ada, forum.node.http(), None).await;
    // She reads nothing meanwhile; the sockets' buffers hold some, and the queue sixteen.
    let writers = (0..8).map(|writer| {
        let (bob, thread, post) = (&bob, &thread, &post);
        async move {
            let mut written = Vec::new();
            for n in 0..25 {
                let reply = answer(bob, thread, post, &format!("{writer} {n}")).await;
                written.push(id(&reply).to_owned());
            }
            written
        }
    });
    let written: BTreeSet<String> =
        futures::future::join_all(writers).await.into_iter().flatten().collect();
    let (mut heard, mut last) = (BTreeSet::new(), String::new());
    while heard.len() < written.len() {
        let event = stream.next(SOON).await.unwrap();
        assert!(event.id > last, "in order, and once");
        last = event.id;
        heard.insert(event.data["post_id"].as_str().unwrap().to_owned());
    }
    assert_eq!(heard, written);
}

async fn readers_of_every_kind_are_served_and_bounded(backend: Backend) {
    let (forum, ada, bob, thread, post) = scene(backend).await;
    let head = |version: &str| {
        let token = &ada.access_token;
        format!("GET {STREAM} HTTP/{version}\r\nhost: h\r\nauthorization: Bearer {token}\r\n\r\n")
    };
    // Who knows no chunks gets none, and the connection's end is the end.
    let mut old = TcpStream::connect(forum.node.http()).await.unwrap();
    old.write_all(head("1.0").as_bytes()).await.unwrap();
    let (mut read, _) = greeted(&mut old).await;
    assert!(!read.contains("transfer-encoding") && read.contains("\r\n\r\nretry"), "{read}");
    let reply = answer(&bob, &thread, &post, "hello").await;
    read = read_until(&mut old, "}\n\n").await;
    let data = read.split("data: ").nth(1).unwrap();
    let data: Value = serde_json::from_str(data).unwrap();
    assert_eq!(data["post_id"], reply["id"]);
    // Who sends on and on is let go, and so is who has nothing to say any more.
    let mut talks = TcpStream::connect(forum.node.http()).await.unwrap();
    talks.write_all(head("1.1").as_bytes()).await.unwrap();
    let mut waits = BTreeSet::from([greeted(&mut talks).await.1]);
    let mut leaves = TcpStream::connect(forum.node.http()).await.unwrap();
    leaves.write_all(head("1.1").as_bytes()).await.unwrap();
    waits.insert(greeted(&mut leaves).await.1);
    drop(talks.write_all(&vec![b'x'; 80 * 1024]).await);
    leaves.shutdown().await.unwrap();
    eventually("only the first is left", SOON, || async {
        let open = forum.node.metrics().await.count("panel_streams_open", &[]);
        if open == 1 { Ok(()) } else { Err(open) }
    })
    .await;
    // Who has lost a gateway comes back soon, but not with all the others.
    for _ in 0..6 {
        let mut reader = TcpStream::connect(forum.node.http()).await.unwrap();
        reader.write_all(head("1.1").as_bytes()).await.unwrap();
        waits.insert(greeted(&mut reader).await.1);
    }
    assert!(waits.len() > 4 && waits.iter().all(|wait| (1_000..4_000).contains(wait)), "{waits:?}");
}

/// Reads until these are the last words.
async fn read_until(stream: &mut TcpStream, words: &str) -> String {
    let mut read = String::new();
    while !read.trim_end_matches(['\r', '\n']).ends_with(words.trim_end()) {
        read_more(stream, &mut read).await;
    }
    read
}

/// What comes first, and how many milliseconds a reader is to wait before they come back.
async fn greeted(stream: &mut TcpStream) -> (String, u64) {
    let mut read = String::new();
    loop {
        let wait = read.split_once("retry: ").and_then(|(_, rest)| rest.split_once("\n\n"));
        if let Some((wait, _)) = wait {
            let wait = wait.parse().unwrap();
            return (read, wait);
        }
        read_more(stream, &mut read).await;
    }
}

async fn read_more(stream: &mut TcpStream, read: &mut String) {
    let mut piece = [0; 1024];
    let reading = tokio::time::timeout(SOON, stream.read(&mut piece));
    let bytes = reading.await.unwrap_or_else(|_| panic!("there is only {read}")).unwrap();
    assert!(bytes > 0, "it ended with {read}");
    read.push_str(std::str::from_utf8(&piece[..bytes]).unwrap());
}

/// Two gateways, two nodes with the services, an administrator, and a person at each gateway.
pub(crate) async fn two_gateways() -> (Cluster, [Session; 3]) {
    let builder = Cluster::builder().await.node("g1", "gateway").node("g2", "gateway");
    let builder = builder.node("f1", "auth,forum").node("f2", "auth,forum");
    let cluster = builder.start().await;
    cluster.await_linked().await;
    let root = cluster.node("g1").admin("root").await;
    let ada = Session::register(&cluster.client("g1"), "ada").await;
    let bob = Session::register(&cluster.client("g2"), "bob").await;
    (cluster, [root, ada, bob])
}

#[tokio::test]
async fn events_reach_readers_through_every_gateway_and_over_the_loss_of_members() {
    let (mut cluster, [root, ada, bob]) = two_gateways().await;
    let thread = Thread::open(&root).await.value();
    let hers = json!({"body": "hers"});
    let post = ada.post(&posts(&thread)).json(&hers).await.expect(201).json();
    let (mut one, mut two) = (
        open(&ada, cluster.node("g1").http(), None).await,
        open(&ada, cluster.node("g2").http(), None).await,
    );
    let reply = answer(&bob, &thread, &post, "first").await;
    for stream in [&mut one, &mut two] {
        let event = stream.next(SOON).await.unwrap();
        assert_eq!(event.data["post_id"], reply["id"]);
    }
    // A member is lost while people write.
    let mut written = BTreeSet::new();
    for n in 0..60 {
        if n == 20 {
            cluster.node_mut("f1").kill9();
        }
        let reply = answer(&bob, &thread, &post, &n.to_string()).await;
        written.insert(id(&reply).to_owned());
    }
    for stream in [&mut one, &mut two] {
        let (mut heard, mut last) = (BTreeSet::new(), String::new());
        while heard.len() < written.len() {
            let event = stream.next(Duration::from_secs(10)).await.unwrap();
            assert!(event.id > last, "in order, and once");
            last = event.id;
            heard.insert(event.data["post_id"].as_str().unwrap().to_owned());
        }
        assert_eq!(heard, written);
    }
    // A gateway leaves; the reader goes on through the other.
    let reply = answer(&bob, &thread, &post, "before").await;
    let last = one.next(SOON).await.unwrap();
    assert_eq!(last.data["post_id"], reply["id"]);
    let mut gone = cluster.take("g1");
    let leaving = gone.sigterm_and_wait();
    let meanwhile = answer(&bob, &thread, &post, "meanwhile");
    let (status, meanwhile) = tokio::join!(leaving, meanwhile);
    assert!(status.success());
    let mut again = open(&ada, cluster.node("g2").http(), Some(&last.id)).await;
    assert_eq!(again.next(SOON).await.unwrap().data["post_id"], meanwhile["id"]);
}
