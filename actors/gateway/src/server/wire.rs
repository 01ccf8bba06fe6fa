//! A connection's socket as hyper sees it, with two things that hyper does not do.
//!
//! A write that makes no progress ends the connection: without that, a client that sends
//! requests and reads no answers keeps its connection, and what waits on it, for ever. The timer
//! exists only while a write is held up.
//!
//! What hyper says by itself about a head it can't read (a bare status) is held back, so that
//! the server can say it as a problem. It is told apart by whose [`Turn`] it is: while it is the
//! client's, nobody but hyper has anything to write.

use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

const CLIENT: u8 = 0;
const SERVICE: u8 = 1;
const SENDING: u8 = 2;
const GIVING: u8 = 3;
const GIVEN: u8 = 4;

/// Whose turn it is on a connection. Its socket and its service share it, in one task.
#[derive(Debug, Default)]
pub(super) struct Turn {
    whose: AtomicU8,
    requests: AtomicU32,
    reads: AtomicU32,
}

/// How far a connection is: the same twice means that nothing was said between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    /// Requests that the service was given.
    pub(super) requests: u32,
    /// How often something was read.
    pub(super) reads: u32,
}

impl Turn {
    /// A request is with the service.
    pub(super) fn service(&self) {
        self.whose.store(SERVICE, Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// How far the connection is.
    pub(super) fn progress(&self) -> Progress {
        let count = |counter: &AtomicU32| counter.load(Ordering::Relaxed);
        Progress { requests: count(&self.requests), reads: count(&self.reads) }
    }

    /// The service has answered; the answer is on its way.
    pub(super) fn answered(&self) {
        self.whose.store(SENDING, Ordering::Relaxed);
    }

    /// The service has answered, and once the head is sent, the connection is the answer's.
    pub(super) fn giving(&self) {
        self.whose.store(GIVING, Ordering::Relaxed);
    }

    /// Everything that was to be sent has been; the client may go on.
    fn flushed(&self) {
        match self.whose.load(Ordering::Relaxed) {
            SENDING => self.whose.store(CLIENT, Ordering::Relaxed),
            GIVING => self.whose.store(GIVEN, Ordering::Relaxed),
            _ => {}
        }
    }

    /// Whether the connection is its answer's from now on.
    pub(super) fn is_given(&self) -> bool {
        self.whose.load(Ordering::Relaxed) == GIVEN
    }

    /// Whether the client is to speak next, or is at it.
    pub(super) fn is_clients(&self) -> bool {
        self.whose.load(Ordering::Relaxed) == CLIENT
    }
}

/// The socket.
#[derive(Debug)]
pub(crate) struct Wire<S> {
    pub(super) stream: S,
    turn: Arc<Turn>,
    /// What was read already and is to be read again.
    given_back: Bytes,
    /// The status that hyper wanted to send by itself.
    held_back: Option<StatusCode>,
    /// The longest that a write may make no progress.
    patience: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S: AsyncWrite + Unpin> Wire<S> {
    pub(super) const fn new(stream: S, turn: Arc<Turn>, patience: Duration) -> Self {
        let given_back = Bytes::new();
        Self { stream, turn, given_back, held_back: None, patience, stalled: None }
    }

    /// Has these bytes read once more, before all others.
    pub(super) fn give_back(&mut self, bytes: Bytes) {
        self.given_back = bytes;
    }

    /// The status that hyper wanted to send by itself, if it did.
    pub(super) const fn held_back(&self) -> Option<StatusCode> {
        self.held_back
    }

    /// Keeps a bare answer from leaving. Its status stands behind `HTTP/1.x `.
    fn hold_back(&mut self, bare: &[u8]) {
        let status = bare.get(9..12).and_then(|digits| StatusCode::from_bytes(digits).ok());
        self.held_back = self.held_back.or(status);
    }

    /// Ends what has waited too long. Any progress starts the wait anew.
    fn patiently<T>(&mut self, cx: &mut Context<'_>, wrote: Poll<Result<T>>) -> Poll<Result<T>> {
        if wrote.is_ready() {
            self.stalled = None;
            return wrote;
        }
        let patience = self.patience;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(Error::new(ErrorKind::TimedOut, "the client reads no answers")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        if !self.given_back.is_empty() {
            let room = buf.remaining().min(self.given_back.len());
            buf.put_slice(&self.given_back.split_to(room));
            return Poll::Ready(Ok(()));
        }
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if read.is_ready() {
            self.turn.reads.fetch_add(1, Ordering::Relaxed);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<Result<usize>> {
        if self.turn.is_clients() {
            self.hold_back(buf);
            return Poll::Ready(Ok(buf.len()));
        }
        let wrote = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.patiently(cx, wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        if self.turn.is_clients() {
            for buf in bufs {
                self.hold_back(buf);
            }
            return Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum()));
        }
        let wrote = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.patiently(cx, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        // Under TLS what was written may wait for its client to read on.
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        ready!(self.patiently(cx, flushed))?;
        // hyper flushes when it has written all it has.
        self.turn.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if self.held_back.is_some() && self.turn.is_clients() {
            // The answer is still to come.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufWriter, duplex};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn a_write_that_nobody_reads_is_given_up() {
        let turn = Arc::new(Turn::default());
        turn.service();
        let (mut client, stream) = duplex(16);
        let mut wire = Wire::new(stream, Arc::clone(&turn), PATIENCE);
        let began = Instant::now();
        let error = wire.write_all(&[7; 17]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(began.elapsed() >= PATIENCE);
        let mut read = [0; 16];
        client.read_exact(&mut read).await.unwrap();
        assert_eq!(read, [7; 16], "what the client had room for, it has");
    }

    #[tokio::test]
    async fn what_is_written_and_does_not_leave_is_given_up_too() {
        let turn = Arc::new(Turn::default());
        turn.service();
        let (mut client, stream) = duplex(16);
        // As TLS does, it takes more than leaves at once.
        let mut wire = Wire::new(BufWriter::new(stream), Arc::clone(&turn), PATIENCE);
        wire.write_all(&[7; 24]).await.unwrap();
        turn.answered();
        let reading = async {
            tokio::time::sleep(PATIENCE / 2).await;
            assert!(!turn.is_clients(), "it waits for the rest of an answer");
            client.read_exact(&mut [0; 24]).await.unwrap();
        };
        let (flushed, ()) = tokio::join!(wire.flush(), reading);
        flushed.unwrap();
        assert!(turn.is_clients());
        turn.service();
        wire.write_all(&[7; 24]).await.unwrap();
        turn.answered();
        let began = Instant::now();
        assert_eq!(wire.flush().await.unwrap_err().kind(), ErrorKind::TimedOut);
        assert!(began.elapsed() >= PATIENCE);
    }

    #[tokio::test]
    async fn a_client_that_reads_slowly_gets_everything() {
        let turn = Arc::new(Turn::default());
        turn.service();
        let (mut client, stream) = duplex(1);
        let mut wire = Wire::new(stream, Arc::clone(&turn), PATIENCE);
        let began = Instant::now();
        let reading = async {
            for byte in 0..8 {
                tokio::time::sleep(PATIENCE / 5).await;
                assert_eq!(client.read_u8().await.unwrap(), byte);
            }
        };
        let all: Vec<u8> = (0..8).collect();
        let (wrote, ()) = tokio::join!(wire.write_all(&all), reading);
        wrote.unwrap();
        assert!(began.elapsed() > PATIENCE, "longer than one wait");
        assert!(wire.stalled.is_none(), "no timer is left over");
    }

    #[tokio::test]
    async fn what_is_said_out_of_turn_is_held_back() {
        let turn = Arc::new(Turn::default());
        let (mut client, stream) = duplex(64);
        let mut wire = Wire::new(stream, Arc::clone(&turn), PATIENCE);
        wire.write_all(b"HTTP/1.1 431 Too Large\r\n\r\n").await.unwrap();
        wire.shutdown().await.unwrap();
        assert_eq!(wire.held_back().unwrap(), 431);
        turn.service();
        wire.flush().await.unwrap();
        wire.write_all(b"100 ").await.unwrap();
        turn.answered();
        wire.write_all(b"200 ").await.unwrap();
        wire.flush().await.unwrap();
        assert!(turn.is_clients());
        drop(wire);
        let mut read = String::new();
        client.read_to_string(&mut read).await.unwrap();
        assert_eq!(read, "100 200 ");
    }
}
