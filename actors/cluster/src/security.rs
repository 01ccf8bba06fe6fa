//! How a connection becomes one that can be trusted.

use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::handshake::Failed;
use crate::link::Duplex;
use crate::rules::Certified;
use crate::tls::{self, Credentials};

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
        let shaken = connector.connect(tls::any_server(), stream).await;
        let stream = shaken.map_err(|error| failed(&error))?;
        let certified = certified(stream.get_ref().1)?;
        Ok((Box::new(stream), Some(certified)))
    }

    /// As the one who was connected to.
    pub(crate) async fn accept(&self, stream: TcpStream) -> Result<Secured, Failed> {
        let Self::Tls(credentials) = self else { return Ok((Box::new(stream), None)) };
        let acceptor = TlsAcceptor::from(credentials.server_config());
        let stream = acceptor.accept(stream).await.map_err(|error| failed(&error))?;
        let certified = certified(stream.get_ref().1)?;
        Ok((Box::new(stream), Some(certified)))
    }
}

fn certified(connection: &rustls::CommonState) -> Result<Certified, Failed> {
    let certificate = tls::peer_certificate(connection)
        .map_err(|error| Failed::new("malformed", error.to_string()))?;
    let tls::NodeCertificate { name, roles, not_after, .. } = certificate;
    Ok(Certified { name, roles, not_after })
}

pub(crate) fn failed(error: &std::io::Error) -> Failed {
    let cause = tls::classify(error);
    let says = if cause.by_peer { "it says: " } else { "" };
    Failed::new(cause.as_str(), format!("{says}{error}"))
}
