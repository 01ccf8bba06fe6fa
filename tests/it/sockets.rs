//! Streams over WebSockets: they tell what server-sent events tell, to whom they tell it.

use std::collections::BTreeSet;
use std::time::Duration;

use http::StatusCode;
use panel_harness::{
    Backend, Closed, Event, PASSWORD, Session, Socket, Thread, eventually, on_both_databases,
};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::forum::{Forum, id, posts};
use crate::streams::two_gateways;

on_both_databases!(
    events_come_and_a_reader_goes_on_where_they_were,
    whose_page_it_is_is_looked_at,
    a_socket_is_asked_for_well_or_refused,
    a_socket_ends_with_its_session_with_the_node_and_with_what_is_said,
);

const STREAM: &str = "/api/v2/forum/notifications/stream";
const SOON: Duration = Duration::from_secs(5);

async fn open(by: &Session, address: &str, after: Option<&str>) -> Socket {
    let path = after.map_or_else(|| STREAM.to_owned(), |after| format!("{STREAM}?after={after}"));
    let token = format!("Bearer {}", by.access_token);
    Socket::open(address, &path, &[("authorization", &token)]).await.unwrap().0
}

/// What is answered where a socket is asked for with these headers.
async fn answered(address: &str, path: &str, headers: &[(&str, &str)]) -> u16 {
    match Socket::open(address, path, headers).await {
        Ok((_, answer)) => answer.status().as_u16(),
        Err(answer) => answer.status().as_u16(),
    }
}

async fn event(socket: &mut Socket) -> Event {
    socket.next(SOON).await.unwrap()
}

fn code(closed: Option<Closed>) -> u16 {
    closed.unwrap().0
}

/// Ada's post in a thread, and Bob, who answers it.
async fn scene(forum: &Forum) -> (Session, Session, Value, Value) {
    let (ada, bob) = (forum.member("ada").await, forum.member("bob").await);
    let thread = forum.thread(&forum.admin, "t").await;
    let hers = json!({"body": "hers"});
    let post = ada.post(&posts(&thread)).json(&hers).await.expect(201).json();
    (ada, bob, thread, post)
}

async fn answer(by: &Session, thread: &Value, to: &Value, body: &str) -> Value {
    let body = json!({"body": body, "reply_to": to["id"]});
    by.post(&posts(thread)).json(&body).await.expect(201).json()
}

async fn events_come_and_a_reader_goes_on_where_they_were(backend: Backend) {
    let forum = Forum::start(backend).await;
    let (ada, bob, thread, post) = scene(&forum).await;
    let mut socket = open(&ada, forum.node.http(), None).await;
    let reply = answer(&bob, &thread, &post, "first").await;
    let first = event(&mut socket).await;
    assert_eq!((first.event.as_str(), &first.data["post_id"]), ("notification", &reply["id"]));
    assert_eq!(first.id, first.data["id"]);
    let listed = ada.get("/api/v2/forum/notifications?limit=1").await.expect(200).json();
    assert_eq!(listed["items"][0], first.data);
    drop(socket);
    let mut written = Vec::new();
    for n in 0..130 {
        written.push(answer(&bob, &thread, &post, &n.to_string()).await["id"].clone());
    }
    let mut socket = open(&ada, forum.node.http(), Some(&first.id)).await;
    for id in &written {
        assert_eq!(&event(&mut socket).await.data["post_id"], id);
    }
    let reply = answer(&bob, &thread, &post, "new").await;
    assert_eq!(event(&mut socket).await.data["post_id"], reply["id"]);
    // What is of the moment has no id, and is for everybody.
    let path = format!("/api/v2/forum/threads/{}", id(&thread));
    let (mut open, _) =
        Socket::open(forum.node.http(), &format!("{path}/stream"), &[]).await.unwrap();
    ada.post(&format!("{path}/typing")).await.expect(204);
    let typing = event(&mut open).await;
    assert_eq!((typing.event.as_str(), typing.id.as_str()), ("typing", ""));
    assert_eq!(typing.data["user"]["name"], "ada");
    assert_eq!(forum.node.metrics().await.count("panel_streams_open", &[]), 2);
    drop((socket, open));
    eventually("their places are free", SOON, async || {
        let open = forum.node.metrics().await.count("panel_streams_open", &[]);
        if open == 0 { Ok(()) } else { Err(open) }
    })
    .await;
}

async fn whose_page_it_is_is_looked_at(backend: Backend) {
    let friend = "https://friend.example";
    let forum = Forum::configured(backend, &[("PANEL_GATEWAY__CORS__ORIGINS", friend)]).await;
    let (ada, bob, thread, post) = scene(&forum).await;
    let address = forum.node.http();
    let login = json!({"login": "ada", "password": PASSWORD, "cookie": true});
    let login = forum.node.client().post("/api/v2/auth/login").json(&login).await.expect(200);
    let cookie = login.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let own = format!("http://{address}");
    // A page of ours needs no more than its cookie.
    let ours = [("cookie", cookie.as_str()), ("origin", &own)];
    let (mut socket, _) = Socket::open(address, STREAM, &ours).await.unwrap();
    let reply = answer(&bob, &thread, &post, "hello").await;
    assert_eq!(event(&mut socket).await.data["post_id"], reply["id"]);
    for evil in ["https://evil.example", "null"] {
        let theirs = [("cookie", cookie.as_str()), ("origin", evil)];
        assert_eq!(answered(address, STREAM, &theirs).await, 403, "{evil}");
    }
    let open = format!("/api/v2/forum/threads/{}/stream", id(&thread));
    assert_eq!(answered(address, &open, &[("origin", "https://evil.example")]).await, 403);
    // One that may call the API may not do so with her cookie.
    let theirs = [("cookie", cookie.as_str()), ("origin", friend)];
    assert_eq!(answered(address, STREAM, &theirs).await, 401);
    assert_eq!(answered(address, &open, &theirs).await, 101);
    // A page of another site that has a token shows it as a protocol, which is answered.
    let offered = format!("bearer, {}", ada.access_token);
    let elsewhere =
        [("sec-websocket-protocol", offered.as_str()), ("origin", "https://app.example")];
    let (_, head) = Socket::open(address, STREAM, &elsewhere).await.unwrap();
    assert_eq!(head.headers()["sec-websocket-protocol"], "bearer");
    for bad in ["bearer, x", "bearer", "bearer, "] {
        assert_eq!(answered(address, STREAM, &[("sec-websocket-protocol", bad)]).await, 401);
    }
    // Nobody, and a key.
    assert_eq!(answered(address, STREAM, &[]).await, 401);
    let key = json!({"name": "robot", "scopes": ["forum:read"]});
    let key = ada.post("/api/v2/auth/api-keys").json(&key).await.expect(201).json();
    let by_key = [("x-api-key", key["key"].as_str().unwrap())];
    assert_eq!(answered(address, STREAM, &by_key).await, 403);
}

async fn a_socket_is_asked_for_well_or_refused(backend: Backend) {
    let forum = Forum::start(backend).await;
    let (ada, _, thread, _) = scene(&forum).await;
    let address = forum.node.http();
    let open = format!("/api/v2/forum/threads/{}/stream", id(&thread));
    let old = Socket::open(address, &open, &[("sec-websocket-version", "8")]).await.unwrap_err();
    assert_eq!(old.status(), StatusCode::BAD_REQUEST);
    assert_eq!(old.headers()["sec-websocket-version"], "13");
    let problem: Value = serde_json::from_slice(old.body().as_ref().unwrap()).unwrap();
    assert_eq!(problem["type"], "/problems/bad_request");
    assert_eq!(answered(address, &open, &[("sec-websocket-key", "x")]).await, 400);
    assert_eq!(answered(address, &format!("{open}?after="), &[]).await, 101);
    let (token, path) = (format!("Bearer {}", ada.access_token), format!("{STREAM}?after=0"));
    assert_eq!(answered(address, &path, &[("authorization", &token)]).await, 422);
    // Where there is none, the request is answered as if none was asked for.
    assert_eq!(answered(address, "/api/v2/forum/threads", &[]).await, 200);
    assert_eq!(answered(address, "/api/v2/health", &[]).await, 200);
    assert_eq!(answered(address, "/api/v2/forum/nothing", &[]).await, 404);
    // Those who ask for another protocol get events.
    let other = forum.node.client().get("/api/v2/forum/threads").header("connection", "upgrade");
    other.header("upgrade", "h2c").await.expect(200);
    // As many as of the other kind, and of both together.
    let mut sockets = Vec::new();
    for _ in 0..8 {
        sockets.push(self::open(&ada, address, None).await);
    }
    assert_eq!(answered(address, STREAM, &[("authorization", &token)]).await, 429);
    ada.get(STREAM).await.refused(429, "rate_limited");
}

async fn a_socket_ends_with_its_session_with_the_node_and_with_what_is_said(backend: Backend) {
    let mut forum = Forum::start(backend).await;
    let (ada, bob, thread, post) = scene(&forum).await;
    let mut of_ada = open(&ada, forum.node.http(), None).await;
    let mut of_bob = open(&bob, forum.node.http(), None).await;
    let mut talks = open(&bob, forum.node.http(), None).await;
    talks.say(Message::text("hello")).await;
    assert_eq!(code(talks.ends(SOON).await), 1003);
    let mut leaves = open(&bob, forum.node.http(), None).await;
    leaves.say(Message::Close(None)).await;
    leaves.ends(SOON).await;
    ada.post("/api/v2/auth/logout").await.expect(204);
    eventually("the session is over", SOON, || async {
        ada.get("/api/v2/auth/me").await.status == 401
    })
    .await;
    answer(&bob, &thread, &post, "secret").await;
    assert_eq!(code(of_ada.ends(SOON).await), 1008, "nothing is sent to a session that is over");
    let begun = std::time::Instant::now();
    let (status, closed) = tokio::join!(forum.node.sigterm_and_wait(), of_bob.ends(SOON));
    assert_eq!(code(closed), 1001);
    assert!(status.success() && begun.elapsed() < SOON, "{status:?}");
}

#[tokio::test]
async fn events_reach_sockets_through_every_gateway_and_over_the_loss_of_members() {
    let (mut cluster, [root, ada, bob]) = two_gateways().await;
    let thread = Thread::open(&root).await.value();
    let hers = json!({"body": "hers"});
    let post = ada.post(&posts(&thread)).json(&hers).await.expect(201).json();
    let mut sockets = [
        open(&ada, cluster.node("g1").http(), None).await,
        open(&ada, cluster.node("g2").http(), None).await,
    ];
    let mut written = BTreeSet::new();
    for n in 0..40 {
        if n == 20 {
            cluster.node_mut("f1").kill9();
        }
        written.insert(id(&answer(&bob, &thread, &post, &n.to_string()).await).to_owned());
    }
    for socket in &mut sockets {
        let (mut heard, mut last) = (BTreeSet::new(), String::new());
        while heard.len() < written.len() {
            let event = socket.next(Duration::from_secs(10)).await.unwrap();
            assert!(event.id > last, "in order, and once");
            last = event.id;
            heard.insert(event.data["post_id"].as_str().unwrap().to_owned());
        }
        assert_eq!(heard, written);
    }
}
