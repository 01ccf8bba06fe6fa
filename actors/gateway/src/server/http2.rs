//! HTTP/2 on one connection.
//!
//! Its requests are under way side by side, so what HTTP/1.1's connections do by themselves is done by a
//! [`Ledger`] here: a connection on which nothing is asked for long ends, and so does one whose client takes
//! nothing of an answer that is there for it. A client grants each answer what may be sent of it: without that,
//! one that grants nothing keeps a hundred answers for as long as it likes.
//!
//! Answers leave in pieces, so that what waits for a client that is slow is one piece of each, and the rest of an
//! answer is still known to be waiting.

mod ledger;

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio_util::task::TaskTracker;

use super::body::AnswerBody;
use super::stream::Stream;
use super::wire::{Turn, Wire};
use super::{Handler, MAX_FIELDS, Peer, ServerParts};
use ledger::{Entry, Ledger, Verdict};

/// Requests under way on one connection.
const AT_ONCE: u32 = 100;
/// What a client may send of one request's body before it is read, in bytes, and of all together.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 256 * 1024;
/// What is taken of an answer at a time, in bytes, and what waits of it until the client takes it.
const PIECE: usize = 16 * 1024;
const WAITING: usize = 64 * 1024;
/// Requests that a client may take back before we have got around to them. Taking back costs it nothing
/// (CVE-2023-44487).
const TAKEN_BACK: usize = 20;
/// What RFC 9113, 6.5.2 counts for each field, beside its bytes.
const OF_A_FIELD: usize = 32;

/// Answers what comes on a connection, until it ends.
pub(super) async fn serve<H: Handler>(
    stream: Stream,
    peer: Peer,
    handler: &H,
    parts: &ServerParts,
) {
    let limits = &parts.limits;
    let ledger = Arc::new(Ledger::new(limits.head_timeout, limits.write_timeout));
    let handler = handler.clone();
    let own = Arc::clone(&ledger);
    let service = service_fn(move |request| {
        let (handler, entry) = (handler.clone(), own.begin());
        async move {
            let answer = handler.handle(request, peer).await;
            Ok::<_, Infallible>(answer.map(|body| Answer::new(body, entry)))
        }
    });
    // It speaks in frames, and all of them are to leave.
    let turn = Arc::new(Turn::default());
    turn.service();
    let wire = Wire::new(stream, turn, limits.write_timeout);
    let head = limits.head_bytes + MAX_FIELDS * OF_A_FIELD;
    // Its own: what is counted with the connections are connections.
    let connection = http2::Builder::new(Tracked(TaskTracker::new()))
        .timer(TokioTimer::new())
        .max_concurrent_streams(AT_ONCE)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(WAITING)
        .max_header_list_size(u32::try_from(head).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(TAKEN_BACK)
        .serve_connection(TokioIo::new(wire), service);
    let mut connection = pin!(connection);
    let mut told = None;
    loop {
        let now = Instant::now();
        let at = match ledger.look(now, told) {
            Verdict::Fine(at) => at,
            Verdict::Idle(at) => {
                if told.is_none() {
                    told = Some(now);
                    connection.as_mut().graceful_shutdown();
                }
                at
            }
            Verdict::Over => {
                tracing::debug!(peer = %peer.address, "let go: its client does not go on");
                return;
            }
        };
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    // A client that went away or sent no HTTP; nothing of ours.
                    tracing::debug!(peer = %peer.address, %error, "connection ended");
                }
                return;
            }
            () = parts.shutdown.cancelled(), if told.is_none() => {
                told = Some(Instant::now());
                connection.as_mut().graceful_shutdown();
            }
            () = tokio::time::sleep_until(at.into()) => {}
        }
    }
}

/// Runs what hyper starts of a connection, each request by itself. They end with it.
#[derive(Clone)]
struct Tracked(TaskTracker);

impl<F> Executor<F> for Tracked
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, future: F) {
        self.0.spawn(future);
    }
}

/// An answer's body, piece by piece.
struct Answer {
    body: AnswerBody,
    /// What has come of it and is not yet taken.
    rest: Bytes,
    entry: Entry,
}

impl Answer {
    fn new(body: AnswerBody, entry: Entry) -> Self {
        entry.offered();
        Self { body, rest: Bytes::new(), entry }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    /// Asked for when the client has granted room.
    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.rest.is_empty() {
            // What comes late is not the client's doing.
            self.entry.is_ours();
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
                other => return Poll::Ready(other),
            }
        }
        let length = self.rest.len().min(PIECE);
        let piece = self.rest.split_to(length);
        self.entry.offered();
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (left, rest) = (self.body.size_hint(), self.rest.len() as u64);
        left.exact().map_or_else(SizeHint::default, |left| SizeHint::with_exact(left + rest))
    }
}
