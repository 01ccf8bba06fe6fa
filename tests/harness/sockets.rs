//! A reader of events over a WebSocket.

use std::time::{Duration, Instant};

use futures::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::error::Error;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue, Response};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::Event;

/// How a socket was closed: its code, and why.
pub type Closed = (u16, String);

/// A WebSocket that is open.
#[derive(Debug)]
pub struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    /// Opens `path` at `address` (host and port), with these headers.
    ///
    /// # Errors
    /// The answer, if it is no WebSocket.
    ///
    /// # Panics
    /// If nobody answers there.
    pub async fn open(
        address: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<(Self, Response<()>), Box<Response<Option<Vec<u8>>>>> {
        let stream = TcpStream::connect(address).await.unwrap();
        let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
        for (name, value) in headers {
            let name: HeaderName = name.parse().unwrap();
            request.headers_mut().insert(name, HeaderValue::from_str(value).unwrap());
        }
        match client_async(request, stream).await {
            Ok((socket, answer)) => Ok((Self(socket), answer.map(drop))),
            Err(Error::Http(answer)) => Err(answer),
            Err(error) => panic!("no answer: {error}"),
        }
    }

    /// The next event.
    ///
    /// # Errors
    /// How it was closed; `None` if the connection just ended.
    ///
    /// # Panics
    /// If neither comes in time.
    pub async fn next(&mut self, within: Duration) -> Result<Event, Option<Closed>> {
        let next = tokio::time::timeout(within, self.read_event()).await;
        next.unwrap_or_else(|_| panic!("no event within {within:?}"))
    }

    /// How it ends.
    ///
    /// # Panics
    /// If it does not in time, or an event comes first.
    pub async fn ends(&mut self, within: Duration) -> Option<Closed> {
        self.next(within).await.expect_err("an event came")
    }

    /// Says something.
    ///
    /// # Panics
    /// If it can't be sent.
    pub async fn say(&mut self, message: Message) {
        self.0.send(message).await.unwrap();
    }

    async fn read_event(&mut self) -> Result<Event, Option<Closed>> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => {
                    let said: Value = serde_json::from_str(&text).unwrap();
                    return Ok(Event {
                        id: said["id"].as_str().unwrap_or_default().to_owned(),
                        event: said["event"].as_str().unwrap().to_owned(),
                        data: said["data"].clone(),
                        at: Instant::now(),
                    });
                }
                Some(Ok(Message::Close(Some(frame)))) => {
                    return Err(Some((frame.code.into(), frame.reason.to_string())));
                }
                Some(Ok(Message::Close(None)) | Err(_)) | None => return Err(None),
                Some(Ok(_)) => {}
            }
        }
    }
}
