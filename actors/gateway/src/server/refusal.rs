//! What is said to a client whose request can't even be read.

use std::convert::Infallible;
use std::future::ready;

use http::StatusCode;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use panel_kernel::problem::{Kind, Problem};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::stream::Stream;
use super::wire::{Turn, Wire};
use super::{HttpResponse, LINGER_BYTES, LINGER_TIME, MAX_FIELDS};

/// How every TLS handshake begins.
const TLS: [u8; 2] = [0x16, 0x03];
/// A request that can be read.
const READABLE: &[u8] = b"GET / HTTP/1.1\r\n\r\n";

/// Why the connection ended, as a problem, if the client is still to be told. `held_back` is the
/// status that hyper found, `unread` what it had not made sense of.
pub(super) fn problem(
    error: &hyper::Error,
    held_back: Option<StatusCode>,
    unread: &[u8],
) -> Option<Problem> {
    let bad = |detail: &str| Some(Problem::new(Kind::BadRequest, detail));
    if error.is_parse_version_h2() {
        return bad("this port speaks HTTP/1.1 and no HTTP/2");
    }
    match held_back {
        // Not a word of a request: an idle connection has ended.
        None if unread.is_empty() => None,
        None if error.is_timeout() => bad("the request head did not arrive in time"),
        None if error.is_incomplete_message() => bad("the request head did not arrive whole"),
        None => None,
        Some(_) if unread.starts_with(&TLS) => bad("this port speaks plain HTTP and no TLS"),
        // Too large, and its first line has not ended yet: then it is the URL.
        Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE) if unread.contains(&b'\n') => {
            let detail = format!("the head is too large, or has more than {MAX_FIELDS} fields");
            Some(Problem::new(Kind::HeadersTooLarge, detail))
        }
        Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE | StatusCode::URI_TOO_LONG) => {
            Some(Problem::new(Kind::UriTooLong, "the request line is too long"))
        }
        Some(_) => bad(&format!("the request head can't be read: {error}")),
    }
}

/// Sends the answer and closes.
pub(super) async fn send(mut wire: Wire<Stream>, turn: &Turn, answer: HttpResponse) {
    turn.service();
    // hyper writes it, as if it had been asked something it can read: one place knows how an
    // answer is written.
    let answer = Mutex::new(Some(answer));
    let answers =
        service_fn(|_| ready(Ok::<_, Infallible>(answer.lock().take().unwrap_or_default())));
    let io = TokioIo::new(tokio::io::join(READABLE, &mut wire));
    // That it has no more to say does not mean that it has gone.
    let served = http1::Builder::new()
        .keep_alive(false)
        .half_close(true)
        .serve_connection(io, answers)
        .await;
    if served.is_ok() {
        linger(wire.stream).await;
    }
}

/// Reads on for a moment, keeping nothing. A client that is still sending when the connection
/// closes is reset, and never sees why it was refused (RFC 9112, 9.6).
async fn linger(mut stream: Stream) {
    let reading = async {
        if stream.shutdown().await.is_err() {
            return;
        }
        let mut piece = vec![0; 16 * 1024];
        let mut bytes = 0;
        while let Ok(read @ 1..) = stream.read(&mut piece).await {
            bytes += read;
            if bytes > LINGER_BYTES {
                return;
            }
        }
    };
    drop(tokio::time::timeout(LINGER_TIME, reading).await);
}
