//! TLS of the site: its certificate, as it lies in files or as an authority issues it ([`acme`]), and what is agreed
//! under it.
//!
//! Handshakes use the certificate of the last look; connections that are there go on under the one
//! they began with. TLS 1.2 and 1.3, HTTP/2 or HTTP/1.1 as the client can. Sessions are resumed by tickets under
//! a key of this process, and no request is taken before a handshake is over (0-RTT), since it could be sent
//! again by whoever has seen it.

pub(crate) mod acme;
mod certificate;
mod config;

pub(crate) use certificate::SiteCertificate;
pub use config::TlsConfig;

/// The two protocols, as TLS names them (RFC 7301).
pub(crate) const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";
