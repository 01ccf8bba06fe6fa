//! HTTP/1.1 on one connection.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use http::{HeaderValue, header};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;

use super::handover::{Given, Handover};
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
            tracing::debug!(peer = %peer.address, %error, "connection ended");
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
