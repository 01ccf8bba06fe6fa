//! What is agreed on a connection before it is HTTP.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use panel_kernel::metrics::Metrics;
use prometheus::{IntCounterVec, Opts};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::{StartHandshake, TlsStream};

use super::redirect::Redirect;
use crate::tls::acme::{ACME_TLS, Answers};
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
    /// What an authority is shown that wants to know whose the site is.
    answers: Option<Answers>,
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
    /// An authority has seen in the handshake what it wanted to see, and that was all.
    Shown,
}

impl Tls {
    /// With this certificate, for the site at this address.
    pub(crate) fn new(
        certificate: SiteCertificate,
        redirect: Redirect,
        answers: Option<Answers>,
        metrics: &Metrics,
    ) -> prometheus::Result<Self> {
        let help = "Connections to the port that speaks TLS, by what became of them.";
        let options = Opts::new("panel_gateway_tls_connections_total", help);
        let handshakes = metrics.register(IntCounterVec::new(options, &["result"])?)?;
        Ok(Self(Arc::new(Inner { certificate, redirect, answers, handshakes })))
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
            Ok(Opened::Shown) => "challenge",
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
        let begun = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream).await?;
        if begun.client_hello().alpn().is_some_and(|mut asked| asked.any(|one| one == ACME_TLS)) {
            // Boxed: hardly anybody asks.
            return Box::pin(self.show(begun)).await;
        }
        let config = self.0.certificate.server_config();
        let stream = begun.into_stream(config.ok_or_else(none_yet)?).await?;
        let speaks_http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP2);
        let stream = Box::new(stream);
        Ok(if speaks_http2 { Opened::Http2(stream) } else { Opened::Http1(stream) })
    }

    /// Shows an authority what it wants to see of a host, if that is to be shown.
    async fn show(&self, begun: StartHandshake<TcpStream>) -> io::Result<Opened> {
        let nothing = || io::Error::other("there is nothing to be shown of that host");
        let host = begun.client_hello().server_name().map(str::to_owned);
        let (answers, host) = self.0.answers.as_ref().zip(host).ok_or_else(nothing)?;
        let shown = answers.in_handshake(&host).await.ok_or_else(nothing)?;
        begun.into_stream(shown).await?.shutdown().await?;
        Ok(Opened::Shown)
    }
}

fn none_yet() -> io::Error {
    io::Error::other("the site has no certificate yet")
}
