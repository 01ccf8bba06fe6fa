//! How a connection becomes one that can be trusted.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::failed::Failed;
use crate::link::Duplex;
use crate::rules::Certified;
use crate::tls::{self, Credentials};

/// For somebody who is refused to take note, and what they may send meanwhile, in bytes.
const PARTING: Duration = Duration::from_secs(1);
const UNREAD: u64 = 64 * 1024;

/// How links are secured.
#[derive(Clone, Debug)]
pub(crate) enum Security {
    /// Not at all; for measurements on one machine.
    Plaintext,
    /// Mutual TLS 1.3.
    Tls(Credentials),
}

/// A stream, and what the certificate at its other end says.
type Secured = (Box<dyn Duplex>, Option<Certified>);

impl Security {
    /// As the one who has connected.
    pub(crate) async fn dial(&self, stream: TcpStream) -> Result<Secured, Failed> {
        let Self::Tls(credentials) = self else { return Ok((Box::new(stream), None)) };
        let connector = TlsConnector::from(credentials.client_config());
        let stream = connector.connect(tls::any_server(), stream).await?;
        let certified = certified(stream.get_ref().1)?;
        Ok((Box::new(stream), Some(certified)))
    }

    /// As the one who was connected to.
    pub(crate) async fn accept(&self, stream: TcpStream) -> Result<Secured, Failed> {
        let Self::Tls(credentials) = self else { return Ok((Box::new(stream), None)) };
        let acceptor = TlsAcceptor::from(credentials.server_config());
        let shaken = acceptor.accept(stream).into_fallible().await;
        let stream = match shaken {
            Ok(stream) => stream,
            Err((error, stream)) => {
                part(stream).await;
                return Err(error.into());
            }
        };
        let certified = certified(stream.get_ref().1)?;
        Ok((Box::new(stream), Some(certified)))
    }
}

/// Ends a connection on which the reason was the last that was sent. One that is closed with bytes
/// unread is reset, and the reason lost: the other side may have sent its greeting already.
async fn part(mut stream: TcpStream) {
    let read = async {
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(UNREAD), &mut tokio::io::sink()).await
    };
    drop(tokio::time::timeout(PARTING, read).await);
}

fn certified(connection: &rustls::CommonState) -> Result<Certified, Failed> {
    let certificate = tls::peer_certificate(connection)
        .map_err(|error| Failed::new("malformed", error.to_string()))?;
    let tls::NodeCertificate { name, roles, not_after, .. } = certificate;
    Ok(Certified { name, roles, not_after })
}
