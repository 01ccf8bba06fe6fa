//! The site's certificate: as it lies in files, or as an authority has issued it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwapOption;
use panel_kernel::certificates::{Certified, Current, FileError, chain, pause, read, settled};
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
    /// Where it lies; `None`: it is [installed](SiteCertificate::install).
    files: Option<Files>,
    provider: Arc<CryptoProvider>,
    /// Under one key for as long as the process lives (it changes by itself), whatever the certificate.
    tickets: Arc<dyn ProducesTickets>,
    /// `None` as long as none was installed.
    current: ArcSwapOption<Loaded>,
    /// Held while reading, so that of two reloads the later one counts.
    reading: Mutex<()>,
    /// Another was installed in its place since somebody has looked.
    renewed: AtomicBool,
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
    not_before: Timestamp,
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
        let own = Self::empty().map_err(|why| files.bad(why))?;
        let (certified, digest) = files.settled(&own.provider, pause)?;
        let loaded = Loaded::new(certified, digest, &own.provider, &own.tickets);
        own.current.store(Some(Arc::new(loaded.map_err(|why| files.bad(why))?)));
        Ok(Self(Arc::new(Inner { files: Some(files), ..own })))
    }

    /// One that is still to be issued: nobody can shake hands until it is installed.
    ///
    /// # Errors
    /// If there is no randomness to be had.
    pub(crate) fn to_be_issued() -> Result<Self, String> {
        Ok(Self(Arc::new(Self::empty()?)))
    }

    fn empty() -> Result<Inner, String> {
        let tickets = rustls::crypto::aws_lc_rs::Ticketer::new()
            .map_err(|error| format!("can't be used for TLS: {error}"))?;
        Ok(Inner {
            files: None,
            provider: Arc::new(rustls::crypto::aws_lc_rs::default_provider()),
            tickets,
            current: ArcSwapOption::empty(),
            reading: Mutex::default(),
            renewed: AtomicBool::new(false),
        })
    }

    /// Puts this one in force, from the next handshake on: chain and key in PEM.
    ///
    /// # Errors
    /// In words, if they can't be used or do not belong together; then what was in force stays.
    pub(crate) fn install(&self, chain: &str, key: &str) -> Result<(), String> {
        let Inner { provider, tickets, current, reading, renewed, .. } = &*self.0;
        let _reading = reading.lock();
        let digest = sha256(&[chain.as_bytes(), key.as_bytes()]);
        if current.load().as_ref().is_some_and(|loaded| loaded.digest == digest) {
            return Ok(());
        }
        let certificates: Result<Vec<_>, _> =
            CertificateDer::pem_slice_iter(chain.as_bytes()).collect();
        let certificates = certificates.map_err(|_| "the certificate is not in PEM form")?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes());
        let key = key.map_err(|_| "the key is not in PEM form")?;
        let certified = CertifiedKey::from_der(certificates, key, provider)
            .map_err(|error| format!("the certificate can't be used: {error}"))?;
        let loaded = Loaded::new(certified, digest, provider, tickets)?;
        if current.swap(Some(Arc::new(loaded))).is_some() {
            renewed.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// For handshakes, as of the last reload; `None` as long as there is none.
    pub(crate) fn server_config(&self) -> Option<Arc<ServerConfig>> {
        self.0.current.load().as_ref().map(|loaded| Arc::clone(&loaded.server))
    }

    /// From when to when it is good.
    pub(crate) fn validity(&self) -> Option<(Timestamp, Timestamp)> {
        self.0.current.load().as_ref().map(|loaded| (loaded.not_before, loaded.not_after))
    }

    /// Whether it is that host's.
    pub(crate) fn names(&self, host: &str) -> bool {
        let current = self.0.current.load();
        current.as_ref().is_some_and(|loaded| loaded.names.iter().any(|name| covers(name, host)))
    }
}

impl Certified for SiteCertificate {
    type Error = FileError;

    fn reload(&self) -> Result<bool, FileError> {
        let Inner { files, provider, tickets, current, reading, renewed } = &*self.0;
        let Some(files) = files else { return Ok(renewed.swap(false, Ordering::AcqRel)) };
        let _reading = reading.lock();
        let digest = files.digest()?;
        if current.load().as_ref().is_some_and(|loaded| loaded.digest == digest) {
            return Ok(false);
        }
        let (certified, digest) = files.settled(provider, pause)?;
        let loaded = Loaded::new(certified, digest, provider, tickets);
        current.store(Some(Arc::new(loaded.map_err(|why| files.bad(why))?)));
        Ok(true)
    }

    fn current(&self) -> Option<Current> {
        let current = self.0.current.load();
        let loaded = current.as_ref()?;
        Some(Current { not_after: loaded.not_after, serial: loaded.serial.clone() })
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
        let Described { not_before, not_after, serial, names } = described(first)?;
        let mut server = ServerConfig::builder_with_provider(Arc::clone(provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("can't be used for TLS: {error}"))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        server.alpn_protocols = vec![HTTP2.to_vec(), HTTP1.to_vec()];
        server.ticketer = Arc::clone(tickets);
        Ok(Self { digest, server: Arc::new(server), not_before, not_after, serial, names })
    }
}

/// What a certificate says of itself.
struct Described {
    not_before: Timestamp,
    not_after: Timestamp,
    serial: String,
    names: Vec<String>,
}

fn described(certificate: &CertificateDer<'_>) -> Result<Described, String> {
    let (_, parsed) = X509Certificate::from_der(certificate)
        .map_err(|error| format!("holds no certificate that can be read: {error}"))?;
    let validity = parsed.validity();
    let extension = parsed.subject_alternative_name().ok().flatten();
    let names = extension.iter().flat_map(|found| &found.value.general_names);
    let names = names.filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        GeneralName::IPAddress(bytes) => address(bytes),
        _ => None,
    });
    Ok(Described {
        not_before: Timestamp::from_seconds(validity.not_before.timestamp()),
        not_after: Timestamp::from_seconds(validity.not_after.timestamp()),
        serial: parsed.raw_serial_as_string(),
        names: names.collect(),
    })
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
