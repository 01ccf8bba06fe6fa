//! The site's certificate, as it lies in files.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use panel_kernel::certificates::{Certified, FileError, chain, pause, read, settled};
use panel_kernel::keys::sha256;
use panel_kernel::time::Timestamp;
use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ProducesTickets;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use super::{HTTP1, HTTP2, TlsConfig};

/// The certificate. Cheap to clone; clones see each reload.
#[derive(Clone, Debug)]
pub(crate) struct SiteCertificate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    files: Files,
    provider: Arc<CryptoProvider>,
    /// Under one key for as long as the process lives (it changes by itself), whatever the certificate.
    tickets: Arc<dyn ProducesTickets>,
    current: ArcSwap<Loaded>,
    /// Held while reading, so that of two reloads the later one counts.
    reading: Mutex<()>,
}

#[derive(Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

/// One state of the files, understood.
#[derive(Debug)]
struct Loaded {
    digest: [u8; 32],
    server: Arc<ServerConfig>,
    not_after: Timestamp,
    serial: String,
    names: Vec<String>,
}

impl SiteCertificate {
    /// Reads certificate and key. One that has expired is no error: clients say so, and it may be renewed.
    ///
    /// Reads files, and waits up to a second and a half for a pair that is just being replaced.
    ///
    /// # Errors
    /// If one of them is missing or wrong, or they do not belong together.
    pub(crate) fn load(config: &TlsConfig) -> Result<Self, FileError> {
        let files = Files { certificate: config.certificate.clone(), key: config.key.clone() };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tickets = rustls::crypto::aws_lc_rs::Ticketer::new()
            .map_err(|error| files.bad(format!("can't be used for TLS: {error}")))?;
        let (certified, digest) = files.settled(&provider, pause)?;
        let loaded = Loaded::new(certified, digest, &provider, &tickets);
        let current = ArcSwap::from_pointee(loaded.map_err(|why| files.bad(why))?);
        Ok(Self(Arc::new(Inner { files, provider, tickets, current, reading: Mutex::default() })))
    }

    /// For handshakes, as of the last reload.
    pub(crate) fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.current.load().server)
    }

    /// Whether it is that host's.
    pub(crate) fn names(&self, host: &str) -> bool {
        self.0.current.load().names.iter().any(|name| covers(name, host))
    }
}

impl Certified for SiteCertificate {
    type Error = FileError;

    fn reload(&self) -> Result<bool, FileError> {
        let Inner { files, provider, tickets, current, reading } = &*self.0;
        let _reading = reading.lock();
        if files.digest()? == current.load().digest {
            return Ok(false);
        }
        let (certified, digest) = files.settled(provider, pause)?;
        let loaded = Loaded::new(certified, digest, provider, tickets);
        current.store(Arc::new(loaded.map_err(|why| files.bad(why))?));
        Ok(true)
    }

    fn not_after(&self) -> Timestamp {
        self.0.current.load().not_after
    }

    fn serial(&self) -> String {
        self.0.current.load().serial.clone()
    }
}

impl Files {
    fn bad(&self, why: impl Into<String>) -> FileError {
        FileError::new(&self.certificate, why)
    }

    fn digest(&self) -> Result<[u8; 32], FileError> {
        Ok(sha256(&[&read(&self.certificate)?, &read(&self.key)?]))
    }

    /// What they hold, read again while it is just being replaced.
    fn settled(
        &self,
        provider: &CryptoProvider,
        pause: impl FnMut(),
    ) -> Result<(CertifiedKey, [u8; 32]), FileError> {
        let read = || {
            let (certificate, key) = (read(&self.certificate)?, read(&self.key)?);
            let digest = sha256(&[&certificate, &key]);
            let chain = chain(&self.certificate, &certificate)?;
            let key = PrivateKeyDer::from_pem_slice(&key)
                .map_err(|_| FileError::new(&self.key, "is not a key in PEM form"))?;
            match CertifiedKey::from_der(chain, key, provider) {
                Ok(certified) => Ok(Ok((certified, digest))),
                Err(rustls::Error::InconsistentKeys(_)) => {
                    let whose = self.certificate.display();
                    Ok(Err(FileError::new(&self.key, format!("is not the key of {whose}"))))
                }
                Err(error) => Err(self.bad(format!("can't be used: {error}"))),
            }
        };
        settled(read, pause)
    }
}

impl Loaded {
    fn new(
        certified: CertifiedKey,
        digest: [u8; 32],
        provider: &Arc<CryptoProvider>,
        tickets: &Arc<dyn ProducesTickets>,
    ) -> Result<Self, String> {
        let first = certified.cert.first().ok_or("holds no certificate")?;
        let (not_after, serial, names) = described(first)?;
        let mut server = ServerConfig::builder_with_provider(Arc::clone(provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("can't be used for TLS: {error}"))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        server.alpn_protocols = vec![HTTP2.to_vec(), HTTP1.to_vec()];
        server.ticketer = Arc::clone(tickets);
        Ok(Self { digest, server: Arc::new(server), not_after, serial, names })
    }
}

/// When a certificate ends, its number, and the names it is for.
fn described(certificate: &CertificateDer<'_>) -> Result<(Timestamp, String, Vec<String>), String> {
    let (_, parsed) = X509Certificate::from_der(certificate)
        .map_err(|error| format!("holds no certificate that can be read: {error}"))?;
    let not_after = Timestamp::from_seconds(parsed.validity().not_after.timestamp());
    let extension = parsed.subject_alternative_name().ok().flatten();
    let names = extension.iter().flat_map(|found| &found.value.general_names);
    let names = names.filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        GeneralName::IPAddress(bytes) => address(bytes),
        _ => None,
    });
    Ok((not_after, parsed.raw_serial_as_string(), names.collect()))
}

fn address(bytes: &[u8]) -> Option<String> {
    let v4 = <[u8; 4]>::try_from(bytes).map(std::net::IpAddr::from);
    let address = v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(std::net::IpAddr::from));
    address.ok().map(|address| address.to_string())
}

/// Whether a certificate for `name` is one for `host` (RFC 9525, 6.3): a star stands for one label.
fn covers(name: &str, host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    match name.strip_prefix("*.") {
        Some(domain) => host.split_once('.').is_some_and(|(_, parent)| parent == domain),
        None => name == host,
    }
}

#[cfg(test)]
mod tests;
