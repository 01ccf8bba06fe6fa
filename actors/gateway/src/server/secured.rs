//! What is agreed on a connection before it is HTTP.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use panel_kernel::metrics::Metrics;
use prometheus::{IntCounterVec, Opts};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::redirect::Redirect;
use crate::tls::{HTTP2, SiteCertificate};

/// How every handshake begins: a record of that kind.
const HANDSHAKE: u8 = 0x16;

/// The site under TLS. Cheap to clone; clones share everything.
#[derive(Clone, Debug)]
pub struct Tls(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    certificate: SiteCertificate,
    redirect: Redirect,
    handshakes: IntCounterVec,
}

/// What a connection turned out to be.
#[derive(Debug)]
pub(crate) enum Opened {
    /// Under TLS.
    Http1(Box<TlsStream<TcpStream>>),
    /// The same.
    Http2(Box<TlsStream<TcpStream>>),
    /// In the clear: somebody has typed the address.
    Plain(TcpStream),
}

impl Tls {
    /// With this certificate, for the site at this address.
    pub(crate) fn new(
        certificate: SiteCertificate,
        redirect: Redirect,
        metrics: &Metrics,
    ) -> prometheus::Result<Self> {
        let help = "Connections to the port that speaks TLS, by what became of them.";
        let options = Opts::new("panel_gateway_tls_connections_total", help);
        let handshakes = metrics.register(IntCounterVec::new(options, &["result"])?)?;
        Ok(Self(Arc::new(Inner { certificate, redirect, handshakes })))
    }

    /// The certificate in force.
    pub(crate) fn certificate(&self) -> &SiteCertificate {
        &self.0.certificate
    }

    /// Who answers in the clear.
    pub(crate) fn redirect(&self) -> &Redirect {
        &self.0.redirect
    }

    /// Finds out what a client speaks, and agrees with it on how.
    pub(crate) async fn open(&self, stream: TcpStream, patience: Duration) -> io::Result<Opened> {
        let opened = match tokio::time::timeout(patience, self.negotiate(stream)).await {
            Ok(opened) => opened,
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the handshake took too long")),
        };
        let result = match &opened {
            Ok(Opened::Http1(_)) => "http1",
            Ok(Opened::Http2(_)) => "http2",
            Ok(Opened::Plain(_)) => "plain",
            Err(_) => "failed",
        };
        self.0.handshakes.with_label_values(&[result]).inc();
        opened
    }

    async fn negotiate(&self, stream: TcpStream) -> io::Result<Opened> {
        let mut first = [0];
        if stream.peek(&mut first).await? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it said nothing"));
        }
        if first != [HANDSHAKE] {
            return Ok(Opened::Plain(stream));
        }
        let stream = TlsAcceptor::from(self.0.certificate.server_config()).accept(stream).await?;
        let speaks_http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP2);
        let stream = Box::new(stream);
        Ok(if speaks_http2 { Opened::Http2(stream) } else { Opened::Http1(stream) })
    }
}
