#![allow(clippy::disallowed_methods, reason = "tests stand outside the actor tree")]

use std::sync::Arc;

use futures::channel::mpsc::{UnboundedSender, unbounded};
use tokio::io::{AsyncWriteExt as _, DuplexStream, duplex};
use tokio::task::JoinHandle;

use super::*;

/// One end of a socket, what is told at the other, and that end itself.
struct Scene {
    client: WebSocketStream<DuplexStream>,
    told: UnboundedSender<Told>,
    telling: JoinHandle<()>,
}

impl Scene {
    async fn open() -> Self {
        let (client, line) = duplex(64 * 1024);
        let (told, telling) = unbounded();
        let telling = tokio::spawn(tell(line, Bytes::new(), telling));
        let client = WebSocketStream::from_raw_socket(client, Role::Client, None).await;
        Self { client, told, telling }
    }

    fn tell(&self, told: Told) {
        self.told.unbounded_send(told).unwrap();
    }

    /// The code of the end, and that there is one.
    async fn ends(mut self) -> u16 {
        let code = loop {
            match self.client.next().await {
                Some(Ok(Message::Close(frame))) => break frame.unwrap().code.into(),
                Some(Ok(_)) => {}
                other => panic!("{other:?}"),
            }
        };
        while let Some(Ok(_)) = self.client.next().await {}
        self.telling.await.unwrap();
        code
    }
}

fn event(raw: Option<i64>, data: &str) -> Pushed {
    Pushed {
        topic: "t".to_owned(),
        id: raw.map(Id::from_raw),
        after: None,
        event: "e".to_owned(),
        data: RawValue::from_string(data.to_owned()).unwrap(),
    }
}

#[tokio::test]
async fn each_event_is_a_message() {
    let mut scene = Scene::open().await;
    scene.tell(Told::Event(Arc::new(event(Some(1), r#"{"a":"ü"}"#))));
    scene.tell(Told::Events(vec![event(None, "1"), event(None, "2")]));
    scene.tell(Told::Missed);
    let id = Id::from_raw(1);
    let expected = [
        format!(r#"{{"event":"e","id":"{id}","data":{{"a":"ü"}}}}"#),
        r#"{"event":"e","data":1}"#.to_owned(),
        r#"{"event":"e","data":2}"#.to_owned(),
        r#"{"event":"missed","data":{}}"#.to_owned(),
    ];
    for text in expected {
        assert_eq!(scene.client.next().await.unwrap().unwrap(), Message::text(text));
    }
    scene.tell(Told::Over(Over::Session));
    assert_eq!(scene.ends().await, 1008);
}

#[tokio::test]
async fn who_says_anything_is_told_that_nothing_is_asked() {
    for (message, code) in [
        (Message::text("hello"), 1003),
        (Message::binary(vec![0; 3]), 1003),
        (Message::text("x".repeat(MOST_BYTES + 1)), 1009),
    ] {
        let mut scene = Scene::open().await;
        scene.client.send(message).await.unwrap();
        assert_eq!(scene.ends().await, code);
    }
    // A frame that has no meaning, a text that is none, a frame that is not masked.
    for (bytes, code) in [
        (&[0xff, 0x80, 0, 0, 0, 0][..], 1002),
        (&[0x81, 0x81, 0, 0, 0, 0, 0xff], 1007),
        (&[0x81, 0x01, b'x'], 1002),
    ] {
        let mut scene = Scene::open().await;
        scene.client.get_mut().write_all(bytes).await.unwrap();
        assert_eq!(scene.ends().await, code, "{bytes:?}");
    }
}

#[tokio::test]
async fn signs_of_life_are_answered_but_not_without_end() {
    let mut scene = Scene::open().await;
    scene.client.send(Message::Ping("a".into())).await.unwrap();
    assert_eq!(scene.client.next().await.unwrap().unwrap(), Message::Pong("a".into()));
    for _ in 0..MOST_SIGNS {
        scene.client.feed(Message::Pong(Bytes::new())).await.unwrap();
    }
    scene.client.flush().await.unwrap();
    assert_eq!(scene.ends().await, 1008);
}

#[tokio::test]
async fn who_gives_no_sign_of_life_is_gone() {
    let mut scene = Scene::open().await;
    for _ in 0..3 {
        // The client's side answers when it reads on.
        scene.tell(Told::Alive);
        assert_eq!(scene.client.next().await.unwrap().unwrap(), Message::Ping(Bytes::new()));
        scene.client.send(Message::Pong(Bytes::new())).await.unwrap();
        scene.tell(Told::Event(Arc::new(event(None, "1"))));
        assert!(scene.client.next().await.unwrap().unwrap().is_text());
    }
    scene.tell(Told::Alive);
    scene.tell(Told::Alive);
    scene.telling.await.unwrap();
}

#[tokio::test]
async fn who_never_says_that_they_have_heard_holds_nothing_up() {
    let scene = Scene::open().await;
    scene.tell(Told::Over(Over::Age));
    scene.telling.await.unwrap();
    let mut client = scene.client;
    let Some(Ok(Message::Close(Some(frame)))) = client.next().await else { panic!() };
    assert_eq!(frame.code, CloseCode::Away);
}

#[tokio::test]
async fn who_closes_is_answered() {
    let mut scene = Scene::open().await;
    let frame = CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::default() };
    scene.client.close(Some(frame)).await.unwrap();
    assert_eq!(scene.ends().await, 1000);
}
