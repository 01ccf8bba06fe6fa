//! The certificate of a site, as it lies in files, and clients that believe in it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::{ALL_VERSIONS, ClientConfig, RootCertStore, SupportedProtocolVersion};

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// A certificate for 127.0.0.1 and `localhost`, with an authority of its own. Cheap to clone.
#[derive(Clone)]
pub struct SiteCertificate(Arc<Inner>);

struct Inner {
    directory: TempDir,
    authority: Issuer<'static, KeyPair>,
    roots: Arc<RootCertStore>,
}

impl std::fmt::Debug for SiteCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SiteCertificate({})", self.0.directory.path().display())
    }
}

impl Default for SiteCertificate {
    fn default() -> Self {
        Self::new()
    }
}

impl SiteCertificate {
    /// One that is good for ninety days, in files of its own.
    #[must_use]
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let own = params.self_signed(&key).unwrap();
        let directory = TempDir::with_prefix("panel-site-").unwrap();
        std::fs::write(directory.path().join("authority.pem"), own.pem()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(own.der().clone()).unwrap();
        let authority = Issuer::new(params, key);
        let certificate = Self(Arc::new(Inner { directory, authority, roots: Arc::new(roots) }));
        certificate.renew(90 * DAY);
        certificate
    }

    /// Puts another in its place, which is good for so long, one file after the other.
    pub fn renew(&self, life: Duration) {
        let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = (SystemTime::now() - DAY).into();
        params.not_after = (SystemTime::now() + life).into();
        let key = KeyPair::generate().unwrap();
        let signed = params.signed_by(&key, &self.0.authority).unwrap();
        for (path, text) in [(self.key(), key.serialize_pem()), (self.chain(), signed.pem())] {
            let staged = path.with_extension("new");
            std::fs::write(&staged, text).unwrap();
            std::fs::rename(&staged, &path).unwrap();
        }
    }

    /// The certificate's file.
    #[must_use]
    pub fn chain(&self) -> PathBuf {
        self.0.directory.path().join("site.pem")
    }

    /// Its key's.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.0.directory.path().join("site.key")
    }

    /// The authority's, for clients that are programs of their own.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.0.directory.path().join("authority.pem")
    }

    /// For a client that believes in it and speaks these protocols.
    #[must_use]
    pub fn client_config(&self, protocols: &[&[u8]]) -> Arc<ClientConfig> {
        self.client_config_of(ALL_VERSIONS, protocols)
    }

    /// The same, in these versions of TLS.
    #[must_use]
    pub fn client_config_of(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        protocols: &[&[u8]],
    ) -> Arc<ClientConfig> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(Arc::clone(&self.0.roots))
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Arc::new(config)
    }
}
