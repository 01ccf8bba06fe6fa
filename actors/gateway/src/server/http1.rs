//! HTTP/1.1 on one connection.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderValue, header};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;

use super::handover::{Given, Handover};
use super::rest::{Quiet, Resting, farewell, rest};
use super::stream::Stream;
use super::wire::{Turn, Wire};
use super::{Handler, Peer, ServerParts, parting, refusal};

const CLOSE: HeaderValue = HeaderValue::from_static("close");

/// Answers what comes on a connection, until it ends.
pub(super) async fn serve<H: Handler>(
    stream: Stream,
    peer: Peer,
    handler: &H,
    parts: &ServerParts,
) {
    let (turn, ending) = (&Arc::new(Turn::default()), &parts.shutdown);
    let given = &Mutex::new(None);
    let mut service = service_fn(move |request| {
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
    let mut wire = Wire::new(stream, Arc::clone(turn), parts.limits.write_timeout);
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(parts.limits.head_timeout)
        .max_buf_size(parts.limits.head_bytes);
    let mut quiet = Quiet::of(turn);
    let (ended, connection) = loop {
        // Boxed: what rests does not keep room for it.
        let mut connection = Box::new(builder.serve_connection(TokioIo::new(wire), service));
        let next = tokio::select! {
            next = next(&mut *connection, turn, &mut quiet) => next,
            () = parting(ending) => Next::Parting,
        };
        match next {
            Next::Ended(ended) => break (ended, connection),
            Next::Parting => {
                Pin::new(&mut *connection).graceful_shutdown();
                break (until_given(&mut *connection, turn).await, connection);
            }
            Next::Quiet => {}
        }
        let rested = connection.into_parts();
        (wire, service) = (rested.io.into_inner(), rested.service);
        let begun = if rested.read_buf.is_empty() {
            // It has the buffer that is to go.
            drop(rested.read_buf);
            let _resting = Resting::begin(parts.resting.as_ref());
            tokio::select! {
                first = rest(&mut wire, parts.limits.head_timeout) => first,
                () = parting(ending) => None,
            }
        } else {
            Some(rested.read_buf)
        };
        let Some(begun) = begun else { return farewell(wire).await };
        quiet.wait_for_more();
        wire.give_back(begun);
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
            tracing::debug!(peer = %peer.address, %error, "connection ended");
            if turn.is_clients() {
                let ended = connection.into_parts();
                let wire = ended.io.into_inner();
                if let Some(problem) = refusal::problem(&error, wire.held_back(), &ended.read_buf) {
                    let answer = handler.refuse(&problem, peer);
                    Box::pin(refusal::send(wire, turn, answer)).await;
                }
            }
        }
    }
}

/// What becomes of a connection.
enum Next {
    /// It has ended, or is its answer's from now on.
    Ended(hyper::Result<()>),
    /// Nothing is said on it.
    Quiet,
    /// No more is to be said on it.
    Parting,
}

/// The connection as long as it is hyper's.
async fn next<C>(connection: &mut C, turn: &Turn, quiet: &mut Quiet) -> Next
where
    C: Future<Output = hyper::Result<()>> + Unpin,
{
    poll_fn(|context| match poll_until_given(connection, turn, context) {
        Poll::Ready(ended) => Poll::Ready(Next::Ended(ended)),
        Poll::Pending => quiet.poll(context).map(|()| Next::Quiet),
    })
    .await
}

/// The same, also while nothing is said.
async fn until_given<C>(connection: &mut C, turn: &Turn) -> hyper::Result<()>
where
    C: Future<Output = hyper::Result<()>> + Unpin,
{
    poll_fn(|context| poll_until_given(connection, turn, context)).await
}

/// Until it ends, or is given to an answer whose head is sent.
fn poll_until_given<C>(
    connection: &mut C,
    turn: &Turn,
    context: &mut Context<'_>,
) -> Poll<hyper::Result<()>>
where
    C: Future<Output = hyper::Result<()>> + Unpin,
{
    match Pin::new(connection).poll(context) {
        Poll::Pending if turn.is_given() => Poll::Ready(Ok(())),
        polled => polled,
    }
}
