//! A connection that is given to one answer, which goes on until it ends, and the connection with it.
//!
//! hyper writes the head, and keeps two buffers of 8 KiB for as long as it has a connection. Of answers that are
//! silent most of the time there are many, so they don't leave it there: once the head is sent the socket is
//! theirs, and hyper's part is dropped. It is also how another protocol begins.

use std::fmt;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use http::Version;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::stream::Stream;
use super::wire::Wire;

/// What a client may send that is not wanted.
const MOST_UNWANTED: usize = 64 * 1024;

/// Speaks another protocol on a connection, beginning with what its client has already sent.
type Speaker = Box<dyn FnOnce(Wire<Stream>, Bytes) -> BoxFuture<'static, ()> + Send>;

/// What a connection is given to.
pub(crate) enum Handover {
    /// The body of an answer, piece by piece, as they come.
    Pieces(BoxStream<'static, Bytes>),
    /// Another protocol; the answer is 101.
    Protocol(Speaker),
}

impl fmt::Debug for Handover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pieces(_) => "Pieces",
            Self::Protocol(_) => "Protocol",
        })
    }
}

/// The same, with what the request says of the form.
pub(super) struct Given {
    pub(super) to: Handover,
    pub(super) version: Version,
}

impl Given {
    /// Until it is over. `unread` is what the client has sent since the request.
    pub(super) async fn run(self, wire: Wire<Stream>, unread: Bytes) {
        match self.to {
            // hyper has announced chunks to those who know them (RFC 9112, 7.1).
            Handover::Pieces(pieces) => send(wire, pieces, self.version == Version::HTTP_11).await,
            Handover::Protocol(speaker) => speaker(wire, unread).await,
        }
    }
}

async fn send(mut wire: Wire<Stream>, mut pieces: BoxStream<'static, Bytes>, chunked: bool) {
    let mut unwanted = 0;
    loop {
        let piece = tokio::select! {
            piece = pieces.next() => piece,
            () = gone(&mut wire, &mut unwanted) => return,
        };
        let Some(piece) = piece else { break };
        let piece = if chunked { chunk(&piece) } else { piece };
        // Under TLS what is written need not have left.
        if wire.write_all(&piece).await.is_err() || wire.flush().await.is_err() {
            return;
        }
    }
    if !chunked || wire.write_all(b"0\r\n\r\n").await.is_ok() {
        drop(wire.shutdown().await);
    }
}

fn chunk(piece: &[u8]) -> Bytes {
    [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat().into()
}

/// Waits until the client is gone, or does what no client does. What it sends meanwhile means nothing.
async fn gone(wire: &mut Wire<Stream>, unwanted: &mut usize) {
    let mut buffer = [0; 64];
    while *unwanted < MOST_UNWANTED {
        match wire.read(&mut buffer).await {
            Ok(read @ 1..) => *unwanted += read,
            Ok(0) | Err(_) => return,
        }
    }
}
