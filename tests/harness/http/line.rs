//! A connection to a server: in the clear or under TLS, HTTP/1.1 or HTTP/2.

use std::sync::Arc;

use bytes::Bytes;
use http::uri::{Authority, Scheme};
use http::{Request, Response, Uri, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use super::NoAnswer;

type Body = Full<Bytes>;

/// How a server is spoken to.
#[derive(Clone, Debug, Default)]
pub(super) enum Way {
    /// HTTP/1.1 in the clear.
    #[default]
    Clear,
    /// Under TLS, with what the two ends agree on; with this host, if its address does not name it.
    Tls(Arc<ClientConfig>, Option<&'static str>),
}

/// One that is open.
#[derive(Debug)]
pub(super) enum Line {
    Http1(http1::SendRequest<Body>),
    Http2(http2::SendRequest<Body>),
}

impl Way {
    pub(super) async fn connect(&self, address: &str) -> Result<Line, NoAnswer> {
        let stream = TcpStream::connect(address).await.map_err(NoAnswer::NotConnected)?;
        stream.set_nodelay(true).map_err(NoAnswer::NotConnected)?;
        let Self::Tls(config, host) = self else {
            let (sender, connection) =
                http1::handshake(TokioIo::new(stream)).await.map_err(NoAnswer::Lost)?;
            tokio::spawn(async move { drop(connection.await) });
            return Ok(Line::Http1(sender));
        };
        let named = host.unwrap_or(address);
        let stream = secured(stream, named, config).await.map_err(NoAnswer::NotConnected)?;
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            let io = TokioIo::new(stream);
            let (sender, connection) =
                http2::handshake(TokioExecutor::new(), io).await.map_err(NoAnswer::Lost)?;
            tokio::spawn(async move { drop(connection.await) });
            return Ok(Line::Http2(sender));
        }
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(NoAnswer::Lost)?;
        tokio::spawn(async move { drop(connection.await) });
        Ok(Line::Http1(sender))
    }
}

/// A connection with as little room for what is not read yet as there can be: the window of its client is small, and
/// so are its segments, by which the other end measures its own room. (On one machine they are of 64 KiB.)
///
/// # Errors
/// If nobody listens there.
pub async fn narrow(address: &str) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(2_048)?;
    socket2::SockRef::from(&socket).set_tcp_mss(536)?;
    socket.connect(address.parse().map_err(std::io::Error::other)?).await
}

/// A TLS session on this stream, with the host of `address`.
///
/// # Errors
/// If the two ends can't agree, or the server is not who it should be.
pub async fn secured(
    stream: TcpStream,
    address: &str,
    config: &Arc<ClientConfig>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host).to_owned();
    let name = ServerName::try_from(host).map_err(std::io::Error::other)?;
    TlsConnector::from(Arc::clone(config)).connect(name, stream).await
}

impl Line {
    pub(super) async fn ready(&mut self) -> hyper::Result<()> {
        match self {
            Self::Http1(sender) => sender.ready().await,
            Self::Http2(sender) => sender.ready().await,
        }
    }

    pub(super) async fn try_send_request(
        &mut self,
        request: Request<Body>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Body>>> {
        match self {
            Self::Http1(sender) => sender.try_send_request(request).await,
            Self::Http2(sender) => sender.try_send_request(in_http2(request)).await,
        }
    }
}

/// HTTP/2 names the host in the URL, and has no header for it.
fn in_http2(mut request: Request<Body>) -> Request<Body> {
    let Some(host) = request.headers_mut().remove(header::HOST) else { return request };
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.scheme = Some(Scheme::HTTPS);
    parts.authority = Some(Authority::try_from(host.as_bytes()).unwrap());
    *request.uri_mut() = Uri::from_parts(parts).unwrap();
    request
}
