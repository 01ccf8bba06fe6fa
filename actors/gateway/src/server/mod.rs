//! An HTTP/1.1 server on one socket: what both the edge and the ops port run on.

mod body;
mod handover;
mod refusal;
mod wire;

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::{HeaderValue, Request, Response, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use panel_kernel::problem::Problem;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use body::AnswerBody;
use handover::Given;
pub(crate) use handover::Handover;
use wire::Turn;
pub(crate) use wire::Wire;

/// How much of what is not wanted is still read before a connection is closed, and for how long.
pub(crate) const LINGER_BYTES: usize = 8 * 1024 * 1024;
pub(crate) const LINGER_TIME: Duration = Duration::from_secs(2);
/// The most header fields in a head: hyper's own bound, and another would cost two allocations of
/// several KiB for every request.
const MAX_FIELDS: usize = 100;
const CLOSE: HeaderValue = HeaderValue::from_static("close");
/// How long a connection that waits for its next request is kept when the server is to end. What
/// comes in that time is answered, and told that the connection closes: a client that sends one
/// request after the other is never cut off between two of them.
const PARTING: Duration = Duration::from_millis(300);

/// What leaves the server.
pub type HttpResponse = Response<AnswerBody>;

/// Answers requests.
pub trait Handler: Clone + Send + Sync + 'static {
    /// Answers one. Must not panic and must not wait for ever. The answer is dropped, perhaps
    /// before it was begun, if the client goes away.
    fn handle(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> impl Future<Output = HttpResponse> + Send;

    /// Answers what can't be read as a request. The connection ends with it.
    fn refuse(&self, problem: &Problem, peer: SocketAddr) -> HttpResponse;
}

/// Bounds of a server.
#[derive(Clone, Debug)]
pub struct ServerLimits {
    /// Open connections; further ones wait, all but one of each listener in the kernel's backlog.
    pub connections: Arc<Semaphore>,
    /// For a request head to arrive whole, and between requests.
    pub head_timeout: Duration,
    /// For a write to make progress: clients that read no answers are let go.
    pub write_timeout: Duration,
    /// The most bytes hyper reads for a head. Above the edge's own limits, so that those answer.
    pub head_bytes: usize,
}

/// What a server needs beside its handler.
#[derive(Clone, Debug)]
pub struct ServerParts {
    /// Its bounds.
    pub limits: ServerLimits,
    /// Cancelled when connections are to be finished.
    pub shutdown: CancellationToken,
    /// Where its connections are counted, so that shutdown can wait for them.
    pub connections: TaskTracker,
    /// Where those are counted that accept, so that shutdown knows that no connection is to come.
    pub accepting: TaskTracker,
}

/// Accepts until it is cancelled; then the socket is closed, whoever else holds it.
pub async fn accept<H: Handler>(listener: TcpListener, handler: H, parts: ServerParts) {
    let _accepting = parts.accepting.token();
    let serve = |stream: TcpStream, peer, permit| {
        // Answers are small; waiting to fill a segment only adds latency.
        drop(stream.set_nodelay(true));
        let (handler, own) = (handler.clone(), parts.clone());
        parts.connections.spawn(connection(stream, peer, handler, own, permit));
    };
    loop {
        let accepted = tokio::select! {
            () = parts.shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                // Only now: listeners share the bound, and one that nobody calls must not take
                // from the others.
                let permit = tokio::select! {
                    () = parts.shutdown.cancelled() => break,
                    permit = Arc::clone(&parts.limits.connections).acquire_owned() => permit,
                };
                let Ok(permit) = permit else { return };
                serve(stream, peer, permit);
            }
            Err(error) => {
                // Out of descriptors, most likely: others must close first.
                tracing::warn!(%error, "can't accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    let Ok(listener) = listener.into_std() else { return };
    // The kernel has accepted these, so they are answered as far as there is room.
    while let Ok((stream, peer)) = listener.accept() {
        let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
        let permit = Arc::clone(&parts.limits.connections).try_acquire_owned();
        if let (Ok(stream), Ok(permit)) = (stream, permit) {
            serve(stream, peer, permit);
        }
    }
    // It is bound as long as the node lives, but who connects now is refused at once, and goes on
    // to the next gateway.
    if let Err(error) = rustix::net::shutdown(&listener, rustix::net::Shutdown::Both) {
        tracing::debug!(%error, "the listening socket stays open until the end");
    }
}

/// The moment from which no connection is kept for another request.
async fn parting(shutdown: &CancellationToken) {
    shutdown.cancelled().await;
    tokio::time::sleep(PARTING).await;
}

async fn connection<H: Handler>(
    stream: TcpStream,
    peer: SocketAddr,
    handler: H,
    parts: ServerParts,
    _permit: OwnedSemaphorePermit,
) {
    let (turn, handler, ending) = (&Arc::new(Turn::default()), &handler, &parts.shutdown);
    let given = &Mutex::new(None);
    let service = service_fn(move |request| {
        turn.service();
        let version = request.version();
        // Boxed: else every connection keeps room for this as long as it is open, some KiB.
        let answering = Box::pin(handler.handle(request, peer));
        async move {
            let mut answer = answering.await;
            let handover = answer.body_mut().take_handover();
            let goes_on = matches!(handover, Some(Handover::Protocol(_)));
            if !goes_on && (handover.is_some() || ending.is_cancelled()) {
                answer.headers_mut().insert(header::CONNECTION, CLOSE);
            }
            match handover {
                Some(handover) => {
                    *given.lock() = Some(Given { to: handover, version });
                    turn.giving();
                }
                None => answer.body_mut().ends(turn),
            }
            Ok::<_, Infallible>(answer)
        }
    });
    let wire = Wire::new(stream, Arc::clone(turn), parts.limits.write_timeout);
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(parts.limits.head_timeout)
        .max_buf_size(parts.limits.head_bytes)
        .serve_connection(TokioIo::new(wire), service);
    let ended = tokio::select! {
        ended = until_given(&mut connection, turn) => Some(ended),
        () = parting(ending) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            Pin::new(&mut connection).graceful_shutdown();
            until_given(&mut connection, turn).await
        }
    };
    let given = given.lock().take();
    match (ended, given) {
        (Ok(()), None) => {}
        (Ok(()), Some(given)) => {
            let ended = connection.into_parts();
            // Boxed, and hyper's buffers are gone: there may be many of these.
            Box::pin(given.run(ended.io.into_inner(), ended.read_buf)).await;
        }
        (Err(error), _) => {
            // A client that went away or sent no HTTP; nothing of ours.
            tracing::debug!(%peer, %error, "connection ended");
            if turn.is_clients() {
                let ended = connection.into_parts();
                let wire = ended.io.into_inner();
                if let Some(problem) = refusal::problem(&error, wire.held_back(), &ended.read_buf) {
                    refusal::send(wire, turn, handler.refuse(&problem, peer)).await;
                }
            }
        }
    }
}

/// The connection as long as it is hyper's: until it ends, or is given to an answer whose head is sent.
async fn until_given<C>(connection: &mut C, turn: &Turn) -> hyper::Result<()>
where
    C: Future<Output = hyper::Result<()>> + Unpin,
{
    poll_fn(|context| match Pin::new(&mut *connection).poll(context) {
        Poll::Pending if turn.is_given() => Poll::Ready(Ok(())),
        polled => polled,
    })
    .await
}
