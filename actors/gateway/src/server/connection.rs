//! A connection, from its first byte: what is spoken on it, and by whom it is answered.

use std::net::SocketAddr;

use tokio::net::TcpStream;
use tokio_util::either::Either;

use super::secured::{Opened, Tls};
use super::{Handler, Peer, ServerParts, http1, http2, parting};

/// Answers what comes on a connection, until it ends.
pub(super) async fn serve<H: Handler>(
    stream: TcpStream,
    address: SocketAddr,
    handler: H,
    parts: ServerParts,
) {
    match &parts.tls {
        None => {
            let peer = Peer { address, is_tls: false };
            http1::serve(Either::Left(stream), peer, &handler, &parts).await;
        }
        // Boxed: what a connection in the clear keeps for as long as it is open need not be as large.
        Some(tls) => Box::pin(secured(tls, stream, address, &handler, &parts)).await,
    }
}

async fn secured<H: Handler>(
    tls: &Tls,
    stream: TcpStream,
    address: SocketAddr,
    handler: &H,
    parts: &ServerParts,
) {
    let opened = tokio::select! {
        opened = tls.open(stream, parts.limits.head_timeout) => opened,
        () = parting(&parts.shutdown) => return,
    };
    let peer = Peer { address, is_tls: true };
    match opened {
        Ok(Opened::Http1(stream)) => {
            http1::serve(Either::Right(stream), peer, handler, parts).await;
        }
        Ok(Opened::Http2(stream)) => {
            http2::serve(Either::Right(stream), peer, handler, parts).await;
        }
        Ok(Opened::Plain(stream)) => {
            let peer = Peer { address, is_tls: false };
            http1::serve(Either::Left(stream), peer, tls.redirect(), parts).await;
        }
        Ok(Opened::Shown) => {}
        Err(error) => tracing::debug!(%address, %error, "no TLS came about"),
    }
}
