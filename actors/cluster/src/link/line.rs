//! The stream under a link: it remembers when the peer was last heard, gives up when the peer
//! does not read, and can be cut from outside at once.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use ractor_cluster::{BoxRead, BoxWrite, ClusterBidiStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Anything bytes go through both ways.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// What is known of a link's stream, and its end.
#[derive(Debug)]
pub(crate) struct Line {
    begun: Instant,
    heard_micros: AtomicU64,
    cut: CancellationToken,
}

impl Line {
    pub(crate) fn new() -> Arc<Self> {
        let cut = CancellationToken::new();
        Arc::new(Self { begun: Instant::now(), heard_micros: AtomicU64::new(0), cut })
    }

    /// How long nothing has come.
    pub(crate) fn silence(&self) -> Duration {
        let heard = Duration::from_micros(self.heard_micros.load(Ordering::Relaxed));
        self.begun.elapsed().saturating_sub(heard)
    }

    /// Something came; or we ourselves were not there to hear it.
    pub(crate) fn heard(&self) {
        let now = u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.heard_micros.store(now, Ordering::Relaxed);
    }

    /// Ends both directions at once. What the stream still holds is dropped.
    pub(crate) fn cut(&self) {
        self.cut.cancel();
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.cut.is_cancelled()
    }
}

/// The stream as ractor gets it.
pub(crate) struct Watched {
    pub(crate) stream: Box<dyn Duplex>,
    pub(crate) line: Arc<Line>,
    /// By which the session is known among the others.
    pub(crate) label: String,
    /// A peer that takes no byte for this long is given up.
    pub(crate) stall: Duration,
}

impl ClusterBidiStream for Watched {
    fn split(self: Box<Self>) -> (BoxRead, BoxWrite) {
        let (reader, writer) = tokio::io::split(self.stream);
        let cut = || Box::pin(self.line.cut.clone().cancelled_owned());
        let reader = Reader { inner: reader, cut: cut(), line: Arc::clone(&self.line) };
        let writer = Writer {
            inner: writer,
            cut: cut(),
            line: Arc::clone(&self.line),
            stall: self.stall,
            stalled: None,
        };
        (Box::new(reader), Box::new(writer))
    }

    fn peer_label(&self) -> Option<String> {
        Some(self.label.clone())
    }
}

type Cut = Pin<Box<WaitForCancellationFutureOwned>>;

struct Reader<R> {
    inner: R,
    cut: Cut,
    line: Arc<Line>,
}

impl<R: AsyncRead + Unpin> AsyncRead for Reader<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.cut.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        let before = buf.filled().len();
        let read = ready!(Pin::new(&mut self.inner).poll_read(cx, buf));
        if buf.filled().len() > before {
            self.line.heard();
        }
        Poll::Ready(read)
    }
}

impl<R> Drop for Reader<R> {
    /// The session is over: the writer must not wait for a peer that reads nothing.
    fn drop(&mut self) {
        self.line.cut();
    }
}

struct Writer<W> {
    inner: W,
    cut: Cut,
    line: Arc<Line>,
    stall: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<W: AsyncWrite + Unpin> Writer<W> {
    /// Something was done, or must be waited for: until the line is cut or the peer has stalled.
    fn watch<T>(&mut self, cx: &mut Context<'_>, done: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if done.is_ready() {
            self.stalled = None;
            return done;
        }
        if self.cut.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let stall = self.stall;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(stall)));
        ready!(stalled.as_mut().poll(cx));
        self.line.cut();
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for Writer<W> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.line.is_cut() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let done = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.watch(cx, done)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.inner).poll_flush(cx);
        self.watch(cx, done)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.watch(cx, done)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const STALL: Duration = Duration::from_millis(200);

    fn watched() -> (BoxRead, BoxWrite, Arc<Line>, tokio::io::DuplexStream) {
        let (here, there) = tokio::io::duplex(64);
        let line = Line::new();
        let label = "n2".to_owned();
        let watched =
            Watched { stream: Box::new(here), line: Arc::clone(&line), label, stall: STALL };
        let (reader, writer) = Box::new(watched).split();
        (reader, writer, line, there)
    }

    #[tokio::test]
    async fn a_cut_ends_both_directions_at_once() {
        let (mut reader, mut writer, line, _there) = watched();
        let cutting = async {
            tokio::task::yield_now().await;
            line.cut();
        };
        let (read, wrote, ()) =
            tokio::join!(reader.read_u8(), writer.write_all(&[0; 1_000]), cutting);
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(wrote.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    }

    #[tokio::test]
    async fn a_peer_that_does_not_read_is_given_up() {
        let (_reader, mut writer, line, mut there) = watched();
        writer.write_all(&[0; 64]).await.unwrap();
        let begun = Instant::now();
        let (wrote, ()) = tokio::join!(writer.write_all(&[0; 128]), async {
            tokio::time::sleep(STALL / 2).await;
            there.read_exact(&mut [0; 64]).await.unwrap();
        });
        assert_eq!(wrote.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(begun.elapsed() >= STALL + STALL / 2, "every byte taken starts it anew");
        assert!(line.is_cut());
    }

    #[tokio::test]
    async fn what_comes_is_heard() {
        let (mut reader, _writer, line, mut there) = watched();
        std::thread::sleep(Duration::from_millis(5));
        let before = line.silence();
        assert!(before >= Duration::from_millis(5));
        there.write_all(b"x").await.unwrap();
        reader.read_u8().await.unwrap();
        assert!(line.silence() < before);
    }
}
