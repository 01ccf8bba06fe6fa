//! A node's certificate, key and trust, as they lie in a directory, ready for handshakes.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use panel_kernel::certificates;
use panel_kernel::keys::sha256;
use panel_kernel::time::{Clock, Timestamp};
use parking_lot::Mutex;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use zeroize::Zeroizing;

use super::authority::check_authority;
use super::config::{AnyNode, Parts};
use super::{AUTHORITIES_FILE, CERTIFICATE_FILE, KEY_FILE, NodeCertificate, TlsError};

/// What a node shows of itself and whom it trusts. Cheap to clone; clones see each reload.
#[derive(Clone, Debug)]
pub struct Credentials(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    clock: Clock,
    current: ArcSwap<Loaded>,
    /// What the node does: a certificate that does not allow it is of no use.
    roles: OnceLock<Vec<String>>,
    /// Held while reading, so that of two reloads the later one counts.
    reading: Mutex<()>,
}

impl Credentials {
    /// Reads `ca.pem`, `node.pem` and `node.key`. A certificate that has expired is no error: the
    /// node can start, and says so; its peers refuse it until it is renewed.
    ///
    /// Reads files, and waits up to a second and a half for a pair that is just being replaced.
    ///
    /// # Errors
    /// If a file is missing or wrong, others can read the key, the key is of another certificate,
    /// or no authority in `ca.pem` has signed the certificate.
    pub fn load(dir: &Path, clock: Clock) -> Result<Self, TlsError> {
        let loaded = Loaded::of(dir, &clock, &Files::read(dir)?)?;
        Ok(Self(Arc::new(Inner {
            dir: dir.to_owned(),
            clock,
            current: ArcSwap::from_pointee(loaded),
            roles: OnceLock::new(),
            reading: Mutex::new(()),
        })))
    }

    /// The node has these roles: a certificate that lacks one of them is never taken.
    #[must_use]
    pub fn serving(self, roles: Vec<String>) -> Self {
        drop(self.0.roles.set(roles));
        self
    }

    /// For the end that listens, as of the last reload. Handshakes ask for it anew each time.
    #[must_use]
    pub fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.current.load().server)
    }

    /// For the end that dials, as of the last reload. Handshakes ask for it anew each time.
    #[must_use]
    pub fn client_config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.0.current.load().client)
    }

    /// What the node's own certificate says.
    #[must_use]
    pub fn own(&self) -> NodeCertificate {
        self.0.current.load().own.clone()
    }

    /// Reads the files again; true if they changed. Handshakes that begin afterwards use what was
    /// read, connections that are there go on.
    ///
    /// Reads files, and may wait, as [`Credentials::load`] does: not for an async thread.
    ///
    /// # Errors
    /// As [`Credentials::load`], and if the new certificate is another node's, does not allow what
    /// this one does, or is not valid now while the one before it is. What was loaded before stays
    /// in force.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let Inner { dir, clock, current, roles, reading } = &*self.0;
        let _reading = reading.lock();
        let files = Files::read(dir)?;
        let before = current.load();
        if files.digest() == before.digest {
            return Ok(false);
        }
        let loaded = Loaded::of(dir, clock, &files)?;
        let roles = roles.get().map(Vec::as_slice).unwrap_or_default();
        if let Some(why) = unfit(&loaded.own, &before.own, roles, clock.now()) {
            return Err(TlsError::file(&dir.join(CERTIFICATE_FILE), why));
        }
        current.store(Arc::new(loaded));
        Ok(true)
    }
}

/// Why a new certificate can't take the place of the one there is.
fn unfit(
    new: &NodeCertificate,
    old: &NodeCertificate,
    roles: &[String],
    now: Timestamp,
) -> Option<String> {
    if new.name != old.name {
        return Some(format!("is the certificate of {}, and this node is {}", new.name, old.name));
    }
    if let Some(role) = roles.iter().find(|role| !new.roles.contains(*role)) {
        return Some(format!("does not allow the role {role:?}, which this node has"));
    }
    let is_valid = |one: &NodeCertificate| one.not_before <= now && now <= one.not_after;
    (is_valid(old) && !is_valid(new)).then(|| {
        format!("is good from {} until {}, which is not now", new.not_before, new.not_after)
    })
}

/// What the files hold.
struct Files {
    authorities: Zeroizing<Vec<u8>>,
    certificate: Zeroizing<Vec<u8>>,
    key: Zeroizing<Vec<u8>>,
}

impl Files {
    /// Reads them, and again while the certificate is just being replaced.
    fn read(dir: &Path) -> Result<Self, TlsError> {
        Self::read_settled(dir, certificates::pause)
    }

    fn read_settled(dir: &Path, pause: impl FnMut()) -> Result<Self, TlsError> {
        let read = || {
            let files = Self {
                authorities: certificates::read(&dir.join(AUTHORITIES_FILE))?,
                certificate: certificates::read(&dir.join(CERTIFICATE_FILE))?,
                key: certificates::read_private(&dir.join(KEY_FILE))?,
            };
            match files.check_pair(dir) {
                Err(half @ TlsError::KeyOfAnother { .. }) => Ok(Err(half)),
                outcome => outcome.map(|()| Ok(files)),
            }
        };
        certificates::settled(read, pause)
    }

    fn check_pair(&self, dir: &Path) -> Result<(), TlsError> {
        let (certificate, key) = (self.certificate(dir)?, self.key(dir)?);
        let key_path = dir.join(KEY_FILE);
        let signing = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key)
            .map_err(|_| TlsError::file(&key_path, "is a key of a kind that can't be used"))?;
        let certificate_path = dir.join(CERTIFICATE_FILE);
        match rustls::sign::CertifiedKey::new(vec![certificate], signing).keys_match() {
            Ok(()) => Ok(()),
            Err(rustls::Error::InconsistentKeys(_)) => {
                Err(TlsError::KeyOfAnother { key: key_path, certificate: certificate_path })
            }
            Err(_) => Err(TlsError::file(&certificate_path, "holds no certificate of a node")),
        }
    }

    fn certificate(&self, dir: &Path) -> Result<CertificateDer<'static>, TlsError> {
        let path = dir.join(CERTIFICATE_FILE);
        let mut found = certificates::chain(&path, &self.certificate)?;
        match (found.pop(), found.is_empty()) {
            (Some(certificate), true) => Ok(certificate),
            _ => Err(TlsError::file(&path, "must hold one certificate, the node's own")),
        }
    }

    fn key(&self, dir: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
        PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|_| TlsError::file(&dir.join(KEY_FILE), "is not a key in PEM form"))
    }

    fn roots(&self, dir: &Path) -> Result<RootCertStore, TlsError> {
        let path = dir.join(AUTHORITIES_FILE);
        let mut roots = RootCertStore::empty();
        for authority in certificates::chain(&path, &self.authorities)? {
            check_authority(&path, &authority)?;
            roots.add(authority).map_err(|_| {
                TlsError::file(&path, "holds a certificate that can't be trusted as it is")
            })?;
        }
        Ok(roots)
    }

    fn digest(&self) -> [u8; 32] {
        sha256(&[&self.authorities, &self.certificate, &self.key])
    }
}

/// One state of the files, understood.
#[derive(Debug)]
struct Loaded {
    digest: [u8; 32],
    own: NodeCertificate,
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

impl Loaded {
    fn of(dir: &Path, clock: &Clock, files: &Files) -> Result<Self, TlsError> {
        let path = dir.join(CERTIFICATE_FILE);
        let parts = Parts {
            clock: clock.clone(),
            roots: Arc::new(files.roots(dir)?),
            certificate: files.certificate(dir)?,
            key: files.key(dir)?,
        };
        let own = NodeCertificate::from_der(&parts.certificate)
            .map_err(|error| TlsError::file(&path, format!("is no node's: {error}")))?;
        // As of its first moment: whether it is still good is for the peers to say.
        AnyNode::new(Arc::clone(&parts.roots))
            .check(&parts.certificate, &[], unix_time(own.not_before))
            .map_err(|_| TlsError::file(&path, "is not signed by an authority in ca.pem"))?;
        Ok(Self {
            digest: files.digest(),
            own,
            server: Arc::new(parts.server().map_err(TlsError::crypto)?),
            client: Arc::new(parts.client().map_err(TlsError::crypto)?),
        })
    }
}

fn unix_time(at: Timestamp) -> UnixTime {
    UnixTime::since_unix_epoch(Timestamp::from_seconds(0).until(at))
}

#[cfg(test)]
mod tests {
    use super::super::Validity;
    use super::super::tests::{Cluster, now};
    use super::*;

    #[test]
    fn half_a_renewal_is_waited_out() {
        let cluster = Cluster::new();
        let validity = Validity::days(now(), 30);
        let dir = cluster.issue("n1", &["forum"], validity);
        let old = Files::read(&dir).unwrap();
        let renewed = cluster.issue("n1", &["forum"], validity);
        let new = std::fs::read(renewed.join(CERTIFICATE_FILE)).unwrap();
        // The new key is there already, the certificate not yet.
        std::fs::write(dir.join(CERTIFICATE_FILE), &old.certificate).unwrap();
        let mut pauses = 0;
        let files = Files::read_settled(&dir, || {
            pauses += 1;
            if pauses == 3 {
                std::fs::write(dir.join(CERTIFICATE_FILE), &new).unwrap();
            }
        });
        assert_eq!((files.unwrap().certificate.as_slice(), pauses), (new.as_slice(), 3));
        // What stays so is given up.
        std::fs::write(dir.join(CERTIFICATE_FILE), &old.certificate).unwrap();
        let mut pauses = 0;
        let given_up = Files::read_settled(&dir, || pauses += 1).map(|_| ()).unwrap_err();
        assert!(matches!(given_up, TlsError::KeyOfAnother { .. }), "{given_up}");
        assert_eq!(pauses, certificates::ATTEMPTS - 1);
    }
}
