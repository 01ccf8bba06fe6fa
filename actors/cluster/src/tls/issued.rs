//! What an authority has made for a node, and how it comes into a directory.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use panel_kernel::certificates;
use rustls::pki_types::CertificateDer;
use zeroize::Zeroizing;

use super::files::{self, PRIVATE, PUBLIC, Replacement};
use super::{
    AUTHORITIES_FILE, CERTIFICATE_FILE, CLUSTER_KEY_FILE, KEY_FILE, NodeCertificate, TlsError,
};

/// A node's new certificate, its key, and the authorities to trust.
pub struct Issued {
    certificate: NodeCertificate,
    der: CertificateDer<'static>,
    key_pem: Zeroizing<String>,
    trusted: Vec<CertificateDer<'static>>,
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issued").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

impl Issued {
    pub(super) fn new(
        der: CertificateDer<'static>,
        key_pem: Zeroizing<String>,
        trusted: Vec<CertificateDer<'static>>,
    ) -> Result<Self, TlsError> {
        Ok(Self { certificate: NodeCertificate::from_der(&der)?, der, key_pem, trusted })
    }

    /// What the certificate says.
    #[must_use]
    pub const fn certificate(&self) -> &NodeCertificate {
        &self.certificate
    }

    /// Puts everything a node needs into a directory, with a copy of the cluster key; or renews
    /// what is there. Authorities that are trusted there already stay, so that renewing is no step
    /// of its own when one authority takes another's place.
    ///
    /// # Errors
    /// If the directory holds another node's certificate or another cluster's key, a file of it
    /// can't be read, or something can't be written.
    pub fn write(&self, dir: &Path, cluster_key: &Path) -> Result<(), TlsError> {
        let key = files::cluster_key_bytes(cluster_key)?;
        files::make_private_dir(dir)?;
        self.check_owner(&dir.join(CERTIFICATE_FILE))?;
        let cluster_key = dir.join(CLUSTER_KEY_FILE);
        if present(&cluster_key)? && *files::cluster_key_bytes(&cluster_key)? != *key {
            return Err(TlsError::file(&cluster_key, "is the key of another cluster"));
        }
        let authorities = dir.join(AUTHORITIES_FILE);
        let trusted = pem_of(&self.trusted_in(&authorities)?);
        let certificate = pem_of(std::slice::from_ref(&self.der));
        let file = |path, bytes, mode| Replacement { path, bytes, mode };
        files::replace(&[
            file(cluster_key, key.as_slice(), PRIVATE),
            file(authorities, trusted.as_bytes(), PUBLIC),
            file(dir.join(KEY_FILE), self.key_pem.as_bytes(), PRIVATE),
            file(dir.join(CERTIFICATE_FILE), certificate.as_bytes(), PUBLIC),
        ])
    }

    /// Two nodes with one directory would be one mistake away from being one.
    fn check_owner(&self, path: &Path) -> Result<(), TlsError> {
        if !present(path)? {
            return Ok(());
        }
        let found = certificates::chain(path, &certificates::read(path)?)?;
        match NodeCertificate::from_der(&found[0]) {
            Ok(found) if found.name == self.certificate.name => Ok(()),
            Ok(found) => {
                let (theirs, own) = (found.name, &self.certificate.name);
                let why = format!("is the certificate of {theirs}: give {own} another directory");
                Err(TlsError::file(path, why))
            }
            Err(_) => Err(TlsError::file(path, "is not the certificate of a node")),
        }
    }

    fn trusted_in(&self, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let mut trusted = self.trusted.clone();
        if present(path)? {
            for other in certificates::chain(path, &certificates::read(path)?)? {
                if !trusted.contains(&other) {
                    trusted.push(other);
                }
            }
        }
        Ok(trusted)
    }
}

fn present(path: &Path) -> Result<bool, TlsError> {
    path.try_exists().map_err(|error| TlsError::file(path, format!("can't be read: {error}")))
}

/// Certificates in PEM form (RFC 7468), one behind the other.
pub(super) fn pem_of(certificates: &[CertificateDer<'_>]) -> String {
    let pems = certificates.iter().map(|der| {
        let encoded = STANDARD.encode(der);
        let lines: Vec<&str> = encoded
            .as_bytes()
            .chunks(64)
            .map(|line| std::str::from_utf8(line).unwrap_or_default())
            .collect();
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
    });
    pems.collect()
}
