//! A stream as a WebSocket: a message of text for each event. Nothing is asked of it: what a client sends ends it,
//! with a word why; but for signs of life, which are answered.

use std::time::Duration;

use bytes::Bytes;
use futures::SinkExt as _;
use futures::stream::{Stream, StreamExt as _};
use panel_kernel::ids::Id;
use panel_kernel::push::Pushed;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::feed::{Over, Told};

/// The largest message a client may send.
const MOST_BYTES: usize = 4096;
/// How much is read at a time. There are many of these.
const READ_BYTES: usize = 512;
/// How many signs of life a client may send between two of ours.
const MOST_SIGNS: u32 = 64;
/// How long a client has to say that it has heard that it is over.
const PARTING: Duration = Duration::from_secs(2);

/// An event as readers get it.
#[derive(Serialize)]
struct Said<'e> {
    event: &'e str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Id>,
    data: &'e RawValue,
}

/// What is done after a message of the client's.
enum Heard {
    /// The stream goes on.
    Nothing,
    /// It is there.
    Pong,
    /// It ends, and the client is told why.
    Bad(CloseCode, &'static str),
    /// It ends.
    Gone,
}

/// Tells it, until it is over or the client is gone.
pub(super) async fn tell<L, S>(line: L, unread: Bytes, mut told: S)
where
    L: AsyncRead + AsyncWrite + Unpin,
    S: Stream<Item = Told> + Unpin,
{
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .write_buffer_size(0)
        .max_message_size(Some(MOST_BYTES))
        .max_frame_size(Some(MOST_BYTES));
    let mut socket =
        WebSocketStream::from_partially_read(line, unread.into(), Role::Server, Some(config)).await;
    let (mut signs, mut waits_for_pong) = (0, false);
    let (code, reason) = loop {
        let next = tokio::select! {
            next = told.next() => next,
            message = socket.next() => {
                signs += 1;
                match heard(message.as_ref()) {
                    _ if signs > MOST_SIGNS => break (CloseCode::Policy, "this is too much"),
                    Heard::Nothing => {}
                    Heard::Pong => waits_for_pong = false,
                    Heard::Bad(code, reason) => break (code, reason),
                    Heard::Gone => return,
                }
                continue;
            }
        };
        let sent = match next {
            Some(Told::Event(event)) => socket.send(text(&event)).await,
            Some(Told::Events(events)) => send_all(&mut socket, &events).await,
            Some(Told::Missed) => {
                let missed = Utf8Bytes::from_static(r#"{"event":"missed","data":{}}"#);
                socket.send(Message::Text(missed)).await
            }
            // It did not say that it is there when it was asked last.
            Some(Told::Alive) if waits_for_pong => return,
            Some(Told::Alive) => {
                (signs, waits_for_pong) = (0, true);
                socket.send(Message::Ping(Bytes::new())).await
            }
            Some(Told::Over(over)) => break ending(over),
            None => break ending(Over::Gateway),
        };
        if sent.is_err() {
            return;
        }
    };
    let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
    if socket.close(Some(frame)).await.is_ok() {
        // Else the client is reset, and never sees why.
        let heard = async { while let Some(Ok(_)) = socket.next().await {} };
        drop(tokio::time::timeout(PARTING, heard).await);
    }
}

/// Sends them, in as few pieces as may be.
async fn send_all<L>(socket: &mut WebSocketStream<L>, events: &[Pushed]) -> Result<(), Error>
where
    L: AsyncRead + AsyncWrite + Unpin,
{
    for event in events {
        socket.feed(text(event)).await?;
    }
    socket.flush().await
}

/// What to do about what came.
fn heard(message: Option<&Result<Message, Error>>) -> Heard {
    match message {
        Some(Ok(Message::Pong(_))) => Heard::Pong,
        // The library answers both; after the end of it nothing comes any more.
        Some(Ok(Message::Ping(_) | Message::Close(_))) => Heard::Nothing,
        Some(Ok(_)) => Heard::Bad(CloseCode::Unsupported, "nothing is asked of this socket"),
        Some(Err(Error::Capacity(CapacityError::MessageTooLong { .. }))) => {
            Heard::Bad(CloseCode::Size, "at most 4096 bytes")
        }
        Some(Err(Error::Utf8(_))) => Heard::Bad(CloseCode::Invalid, "this is not UTF-8"),
        Some(Err(Error::Protocol(_))) => Heard::Bad(CloseCode::Protocol, "this is no WebSocket"),
        Some(Err(_)) | None => Heard::Gone,
    }
}

/// What a client is told at the end.
const fn ending(over: Over) -> (CloseCode, &'static str) {
    match over {
        Over::Age => (CloseCode::Away, "this has lasted long; open it again"),
        Over::Gateway => (CloseCode::Away, "this gateway leaves; open it again"),
        Over::Session => (CloseCode::Policy, "your session is over"),
    }
}

fn text(event: &Pushed) -> Message {
    let said = Said { event: &event.event, id: event.id, data: &event.data };
    Message::text(serde_json::to_string(&said).unwrap_or_default())
}

#[cfg(test)]
mod tests;
