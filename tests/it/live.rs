//! Threads while they are open somewhere.

use std::time::{Duration, Instant};

use panel_harness::{Backend, Events, RigBuilder, Session, Thread, eventually, on_both_databases};
use panel_kernel::role::Role;
use serde_json::{Value, json};

use crate::deaths::configured;
use crate::forum::{Forum, id, posts};
use crate::streams::two_gateways;

on_both_databases!(
    readers_hear_of_what_happens_in_a_thread,
    nobody_hears_of_what_is_held,
    readers_see_who_types,
    only_those_are_seen_typing_who_may_reply,
    who_may_listen_and_how_much_is_checked,
    a_thread_outlives_its_room_and_the_keeper_of_rooms,
);

const SOON: Duration = Duration::from_secs(5);
const A_WHILE: Duration = Duration::from_millis(400);

fn path(thread: &Value) -> String {
    format!("/api/v2/forum/threads/{}", id(thread))
}

async fn open(forum: &Forum, thread: &Value) -> Events {
    let path = format!("{}/stream", path(thread));
    let stream = Events::open(forum.node.http(), &path, "", None).await;
    assert_eq!(stream.status(), 200, "{}", stream.head);
    stream
}

/// The next event, which has no id.
async fn next(stream: &mut Events) -> (String, Value) {
    let event = stream.next(SOON).await.unwrap();
    assert_eq!(event.id, "");
    (event.event, event.data)
}

fn of_post(thread: &Value, post: &Value, change: &str) -> (String, Value) {
    let data = json!({"thread_id": thread["id"], "post_id": post["id"], "change": change});
    ("post".to_owned(), data)
}

fn of_thread(thread: &Value, change: &str) -> (String, Value) {
    ("thread".to_owned(), json!({"thread_id": thread["id"], "change": change}))
}

async fn readers_hear_of_what_happens_in_a_thread(backend: Backend) {
    let forum = Forum::start(backend).await;
    let (admin, ada) = (&forum.admin, forum.member("ada").await);
    let (thread, other) = (forum.thread(admin, "t").await, forum.thread(admin, "o").await);
    let (mut stream, mut elsewhere) = (open(&forum, &thread).await, open(&forum, &other).await);
    let body = json!({"body": "new"});
    let begun = Instant::now();
    let post = ada.post(&posts(&thread)).json(&body).await.expect(201).json();
    let (event, mut data) = next(&mut stream).await;
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert_eq!(data["number"].take(), 2);
    let created = json!({"thread_id": thread["id"], "post_id": post["id"], "number": null,
                         "change": "created", "author_id": ada.user_id});
    assert_eq!((event.as_str(), data), ("post", created));
    let one = format!("/api/v2/forum/posts/{}", id(&post));
    ada.patch(&one).json(&json!({"body": "changed"})).await.expect(200);
    assert_eq!(next(&mut stream).await, of_post(&thread, &post, "edited"));
    ada.put(&format!("{one}/reactions/like")).await.expect(200);
    assert_eq!(next(&mut stream).await, of_post(&thread, &post, "reactions"));
    ada.delete(&one).await.expect(204);
    assert_eq!(next(&mut stream).await, of_post(&thread, &post, "deleted"));
    admin.post(&format!("{one}/restore")).await.expect(200);
    assert_eq!(next(&mut stream).await, of_post(&thread, &post, "restored"));
    admin.post(&format!("{}/lock", path(&thread))).await.expect(200);
    assert_eq!(next(&mut stream).await, of_thread(&thread, "edited"));
    // What changes nothing is not told.
    ada.get(&posts(&thread)).await.expect(200);
    ada.post(&format!("{}/watch", path(&thread))).await.expect(200);
    assert!(stream.is_silent(A_WHILE).await);
    let into = json!({"into": other["id"]});
    admin.post(&format!("{}/merge", path(&thread))).json(&into).await.expect(200);
    assert_eq!(next(&mut stream).await, of_thread(&thread, "merged"));
    assert_eq!(next(&mut elsewhere).await, of_thread(&other, "merged"), "and nothing before");
    let metrics = forum.node.metrics().await;
    assert_eq!(metrics.count("panel_streams_open", &[]), 2);
}

async fn nobody_hears_of_what_is_held(backend: Backend) {
    let settings = [("PANEL_FORUM__MODERATION__HOLD_FIRST_POSTS", "1")];
    let forum = Forum::configured(backend, &settings).await;
    let (admin, ada) = (&forum.admin, forum.member("ada").await);
    let thread = forum.thread(admin, "t").await;
    let mut stream = open(&forum, &thread).await;
    let held = ada.post(&posts(&thread)).json(&json!({"body": "first"})).await.expect(201).json();
    assert_eq!(held["hidden"], true, "{held}");
    let seen = ada.post(&posts(&thread)).json(&json!({"body": "second"})).await.expect(201).json();
    let (_, data) = next(&mut stream).await;
    assert_eq!((&data["post_id"], &data["change"]), (&seen["id"], &json!("created")));
    let queue = admin.get("/api/v2/forum/moderation/queue").await.expect(200).json();
    let item = format!("/api/v2/forum/moderation/queue/{}/approve", id(&queue["items"][0]));
    admin.post(&item).await.expect(200);
    assert_eq!(next(&mut stream).await, of_post(&thread, &held, "restored"));
}

async fn types(by: &Session, thread: &Value) {
    by.post(&format!("{}/typing", path(thread))).await.expect(204);
}

fn typing(thread: &Value, by: &Session, name: &str, typing: bool) -> (String, Value) {
    let user = json!({"id": by.user_id, "name": name});
    let data = json!({"thread_id": thread["id"], "user": user, "typing": typing});
    ("typing".to_owned(), data)
}

async fn readers_see_who_types(backend: Backend) {
    let forum = Forum::start(backend).await;
    let (ada, bob) = (forum.member("ada").await, forum.member("bob").await);
    let thread = forum.thread(&forum.admin, "t").await;
    let mut stream = open(&forum, &thread).await;
    types(&ada, &thread).await;
    assert_eq!(next(&mut stream).await, typing(&thread, &ada, "ada", true));
    // However often she says so, readers are told now and then.
    types(&ada, &thread).await;
    types(&bob, &thread).await;
    assert_eq!(next(&mut stream).await, typing(&thread, &bob, "bob", true));
    // It ends with the answer,
    ada.post(&posts(&thread)).json(&json!({"body": "b"})).await.expect(201);
    let (event, data) = next(&mut stream).await;
    assert_eq!((event.as_str(), &data["author_id"]), ("post", &json!(ada.user_id)));
    // after which she begins anew; when she says so,
    types(&ada, &thread).await;
    assert_eq!(next(&mut stream).await, typing(&thread, &ada, "ada", true));
    let stop = json!({"typing": false});
    ada.post(&format!("{}/typing", path(&thread))).json(&stop).await.expect(204);
    assert_eq!(next(&mut stream).await, typing(&thread, &ada, "ada", false));
    // and by itself.
    let event = stream.next(Duration::from_secs(15)).await.unwrap();
    assert_eq!((event.event, event.data), typing(&thread, &bob, "bob", false));
}

async fn only_those_are_seen_typing_who_may_reply(backend: Backend) {
    let forum = Forum::start(backend).await;
    let ada = forum.member("ada").await;
    let thread = forum.thread(&forum.admin, "t").await;
    let mut stream = open(&forum, &thread).await;
    let of = |thread: &Value| format!("{}/typing", path(thread));
    let nobody = json!({"id": "0000000000001"});
    ada.post(&of(&nobody)).await.refused(404, "not_found");
    forum.node.client().post(&of(&thread)).await.refused(401, "unauthorized");
    let odd = ada.post(&of(&thread)).json(&json!({"typing": "yes"})).await;
    odd.refused(422, "validation");
    let key = json!({"name": "robot", "scopes": ["forum:write"]});
    let key = ada.post("/api/v2/auth/api-keys").json(&key).await.expect(201).json();
    let robot = forum.node.client().post(&of(&thread));
    let robot = robot.header("x-api-key", key["key"].as_str().unwrap());
    robot.await.refused(403, "forbidden");
    let ban = json!({"user_id": ada.user_id, "kind": "silence", "reason": "loud"});
    let ban = forum.admin.post("/api/v2/forum/moderation/bans").json(&ban).await.expect(201).json();
    ada.post(&of(&thread)).await.refused(403, "forbidden");
    let lift = format!("/api/v2/forum/moderation/bans/{}", id(&ban));
    forum.admin.delete(&lift).await.expect(204);
    types(&ada, &thread).await;
    assert_eq!(next(&mut stream).await, typing(&thread, &ada, "ada", true), "and nothing before");
    forum.admin.post(&format!("{}/lock", path(&thread))).await.expect(200);
    ada.post(&of(&thread)).await.refused(403, "forbidden");
    types(&forum.admin, &thread).await;
}

async fn who_may_listen_and_how_much_is_checked(backend: Backend) {
    let forum = Forum::start(backend).await;
    let (admin, ada) = (&forum.admin, forum.member("ada").await);
    let thread = forum.thread(admin, "t").await;
    let stream = |thread: &Value| format!("{}/stream", path(thread));
    let secret = json!({"name": "S", "read_role": "moderator", "post_role": "moderator"});
    let secret = admin.post("/api/v2/forum/categories").json(&secret).await.expect(201).json();
    let hidden = json!({"category_id": secret["id"], "title": "t", "body": "b"});
    let hidden = admin.post("/api/v2/forum/threads").json(&hidden).await.expect(201).json();
    ada.get(&stream(&hidden)).await.refused(404, "not_found");
    let client = forum.node.client();
    client.get(&stream(&hidden)).await.refused(404, "not_found");
    client.get(&stream(&json!({"id": "0000000000001"}))).await.refused(404, "not_found");
    let key = json!({"name": "robot", "scopes": ["forum:read"]});
    let key = ada.post("/api/v2/auth/api-keys").json(&key).await.expect(201).json();
    let robot = client.get(&stream(&thread)).header("x-api-key", key["key"].as_str().unwrap());
    robot.await.refused(403, "forbidden");
    let address = forum.node.http();
    let of_admin = Events::open(address, &stream(&hidden), &admin.access_token, None).await;
    assert_eq!(of_admin.status(), 200);
    // An account has eight, an address a hundred where nobody is signed in.
    let mut hers = Vec::new();
    for _ in 0..8 {
        hers.push(Events::open(address, &stream(&thread), &ada.access_token, None).await);
    }
    ada.get(&stream(&thread)).await.refused(429, "rate_limited");
    let mut anybodys = Vec::new();
    for _ in 0..100 {
        anybodys.push(open(&forum, &thread).await);
    }
    client.get(&stream(&thread)).await.refused(429, "rate_limited");
    anybodys.pop();
    eventually("there is room", SOON, async || {
        let stream = Events::open(address, &stream(&thread), "", None).await;
        if stream.status() == 200 { Ok(()) } else { Err(stream.head) }
    })
    .await;
    // All of them hear of it.
    ada.post(&posts(&thread)).json(&json!({"body": "b"})).await.expect(201);
    for stream in hers.iter_mut().chain(&mut anybodys) {
        assert_eq!(next(stream).await.1["change"], "created");
    }
}

async fn a_thread_outlives_its_room_and_the_keeper_of_rooms(backend: Backend) {
    let forum = configured(&panel_forum::SERVICE, json!({}));
    let rig = Box::pin(RigBuilder::new(backend.database().await).service(forum).start()).await;
    let (moderator, ada) = (rig.signed_in(Role::Moderator), rig.signed_in(Role::User));
    let category = json!({"name": "C"});
    let category = moderator.post("/api/v2/forum/categories").json(&category).await;
    let category = category.expect(201).json()["id"].clone();
    let thread = json!({"category_id": category, "title": "t", "body": "b"});
    let thread = moderator.post("/api/v2/forum/threads").json(&thread).await.expect(201).json();
    let listen = format!("{}/stream", path(&thread));
    let mut stream = Events::open(&rig.address.to_string(), &listen, "", None).await;
    let types = format!("{}/typing", path(&thread));
    let rooms = || rig.actor("forum/rooms").get_children();
    for _ in 0..3 {
        ada.post(&types).await.expect(204);
        let (event, data) = next(&mut stream).await;
        assert_eq!((event.as_str(), &data["typing"]), ("typing", &json!(true)));
        // There is a room while somebody types, and one is made where it is wanted.
        let [room] = &rooms()[..] else { panic!("one room") };
        room.kill();
        eventually("it is gone", SOON, async || rooms().is_empty()).await;
    }
    ada.post(&types).await.expect(204);
    next(&mut stream).await;
    rig.kill("forum/rooms").await;
    // Readers are told that they may have missed something, and then what is new.
    assert_eq!(next(&mut stream).await, ("missed".to_owned(), json!({})));
    ada.post(&posts(&thread)).json(&json!({"body": "b"})).await.expect(201);
    assert_eq!(next(&mut stream).await.1["change"], "created");
    // Nobody types any more: there is no room.
    ada.post(&types).await.expect(204);
    assert_eq!(next(&mut stream).await.0, "typing");
    ada.post(&types).json(&json!({"typing": false})).await.expect(204);
    assert_eq!(next(&mut stream).await.0, "typing");
    eventually("the room has closed", SOON, async || rooms().is_empty()).await;
    assert_eq!((rig.restarts("forum"), rig.restarts("forum/rooms")), (0, 1));
    rig.shutdown().await;
}

/// The next event of this kind for which this holds; what comes before is about who types, or that something was
/// missed with a member that was lost.
async fn until(stream: &mut Events, wanted: &str, holds: impl Fn(&Value) -> bool) {
    loop {
        let (event, data) = next(stream).await;
        if event == wanted && holds(&data) {
            return;
        }
        assert_ne!(event, "post", "{data}");
    }
}

/// Somebody types, until all see it.
async fn is_seen_typing(by: &Session, thread: &Value, streams: &mut [Events]) {
    let seen = async {
        for stream in streams {
            until(stream, "typing", |it| it["user"]["id"] == by.user_id && it["typing"] == true)
                .await;
        }
    };
    let types = async {
        loop {
            // Whoever asks a member that is lost meanwhile does it again.
            by.post(&format!("{}/typing", path(thread))).await;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    tokio::select! {
        () = seen => {}
        () = types => {}
    }
}

#[tokio::test]
async fn readers_hear_of_it_wherever_it_happens() {
    let (mut cluster, [root, one, two]) = two_gateways().await;
    let thread = Thread::open(&root).await.value();
    let listen = format!("{}/stream", path(&thread));
    let mut streams = Vec::new();
    for gateway in ["g1", "g2"] {
        streams.push(Events::open(cluster.node(gateway).http(), &listen, "", None).await);
    }
    for round in 0..2 {
        for by in [&one, &two] {
            is_seen_typing(by, &thread, &mut streams).await;
            let reply = json!({"body": round.to_string()});
            let reply = by.post(&posts(&thread)).json(&reply).await.expect(201).json();
            for stream in &mut streams {
                let is_it = |data: &Value| data["post_id"] == reply["id"];
                until(stream, "post", |data| is_it(data) && data["author_id"] == by.user_id).await;
            }
        }
        if round == 0 {
            cluster.node_mut("f1").kill9();
        }
    }
}
