//! An HTTP server on one socket: what the edge, the ports of services and the ops port run on.
//!
//! HTTP/1.1 in the clear; with TLS, HTTP/2 or HTTP/1.1, as client and server agree.

mod body;
mod connection;
mod handover;
mod http1;
mod http2;
mod redirect;
mod refusal;
mod rest;
mod secured;
mod small;
mod stream;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use panel_kernel::problem::Problem;
use prometheus::IntGauge;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use body::AnswerBody;
pub(crate) use handover::Handover;
pub(crate) use redirect::Redirect;
pub use secured::Tls;
pub use small::{small_answer, small_problem, unless_read};

/// How much of what is not wanted is still read before a connection is closed, and for how long.
pub(crate) const LINGER_BYTES: usize = 8 * 1024 * 1024;
pub(crate) const LINGER_TIME: Duration = Duration::from_secs(2);
/// The most header fields in a head: hyper's own bound, and another would cost two allocations of
/// several KiB for every request.
pub(crate) const MAX_FIELDS: usize = 100;
/// How long a connection that waits for its next request is kept when the server is to end. What
/// comes in that time is answered, and told that the connection closes: a client that sends one
/// request after the other is never cut off between two of them.
const PARTING: Duration = Duration::from_millis(300);

/// What leaves the server.
pub type HttpResponse = Response<AnswerBody>;

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The address it comes from.
    pub address: SocketAddr,
    /// Whether nobody on the way can read or change what is said.
    pub is_tls: bool,
}

/// Answers requests.
pub trait Handler: Clone + Send + Sync + 'static {
    /// Answers one. Must not panic and must not wait for ever. The answer is dropped, perhaps
    /// before it was begun, if the client goes away.
    fn handle(
        &self,
        request: Request<Incoming>,
        peer: Peer,
    ) -> impl Future<Output = HttpResponse> + Send;

    /// Answers what can't be read as a request. The connection ends with it.
    fn refuse(&self, problem: &Problem, peer: Peer) -> HttpResponse;
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
    /// The most bytes of a head that are read. Above the edge's own limits, so that those answer.
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
    /// What it is spoken to under; `None`: everybody on the way can read.
    pub tls: Option<Tls>,
    /// Where connections are counted on which nothing is said.
    pub resting: Option<IntGauge>,
}

impl ServerParts {
    /// Those of a server in the clear, which ends with this token.
    #[must_use]
    pub fn plain(limits: ServerLimits, shutdown: CancellationToken) -> Self {
        let (connections, accepting) = (TaskTracker::new(), TaskTracker::new());
        Self { limits, shutdown, connections, accepting, tls: None, resting: None }
    }
}

/// Accepts until it is cancelled; then the socket is closed, whoever else holds it.
pub async fn accept<H: Handler>(listener: TcpListener, handler: H, parts: ServerParts) {
    let _accepting = parts.accepting.token();
    let serve = |stream: TcpStream, peer, permit| {
        // Answers are small; waiting to fill a segment only adds latency.
        drop(stream.set_nodelay(true));
        let (handler, own) = (handler.clone(), parts.clone());
        parts.connections.spawn(async move {
            connection::serve(stream, peer, handler, own).await;
            drop(permit);
        });
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
