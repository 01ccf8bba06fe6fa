//! The cluster's own certificate authority: makes itself, and signs for nodes.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use panel_kernel::certificates;
use panel_kernel::ids::{hex, random_bytes};
use panel_kernel::time::Timestamp;
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PublicKeyData as _, SanType, SerialNumber,
};
use rustls::pki_types::CertificateDer;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::certificate::{ROLE_PREFIX, parse};
use super::files::{self, PRIVATE, PUBLIC, Replacement};
use super::issued::pem_of;
use super::{AUTHORITIES_FILE, AUTHORITY_KEY_FILE, Issued, TlsError, is_node_name, is_role};

const DAY: Duration = Duration::from_secs(24 * 3_600);
/// How long an authority lasts: ten years.
const AUTHORITY_LIFE: Duration = Duration::from_secs(3_652 * 24 * 3_600);
/// How far another node's clock may be behind the one a certificate was made by.
const SKEW: Duration = Duration::from_secs(3_600);

/// From when until when a certificate is good, to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first moment.
    pub from: Timestamp,
    /// The last.
    pub until: Timestamp,
}

impl Validity {
    /// From now (and an hour before, for nodes whose clocks are behind) for so many days.
    #[must_use]
    pub fn days(now: Timestamp, days: u32) -> Self {
        Self { from: now.minus(SKEW), until: now.plus(DAY.saturating_mul(days)) }
    }
}

/// A certificate authority with its key: who has it decides which nodes belong to the cluster.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    key_pem: Zeroizing<String>,
    /// Its own first; others that are trusted beside it while one takes the other's place.
    trusted: Vec<CertificateDer<'static>>,
    name: String,
    until: Timestamp,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Authority {
    /// A new authority, good for ten years from now. Two never have the same name, so that a
    /// certificate of one is never taken for a broken certificate of the other.
    ///
    /// # Errors
    /// Only if the cryptography fails, or `now` is out of all reason.
    pub fn create(now: Timestamp) -> Result<Self, TlsError> {
        let mut name = DistinguishedName::new();
        name.push(DnType::OrganizationName, "Panel");
        name.push(DnType::CommonName, format!("cluster {}", hex(&random_bytes::<8>())));
        let mut params = CertificateParams::default();
        params.distinguished_name = name;
        params.not_before = moment(now.minus(SKEW))?;
        params.not_after = moment(now.plus(AUTHORITY_LIFE))?;
        params.serial_number = Some(serial());
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().map_err(TlsError::crypto)?;
        let certificate = params.self_signed(&key).map_err(TlsError::crypto)?;
        Self::new(key, vec![certificate.der().clone()])
    }

    /// Reads the authority that lies in a directory.
    ///
    /// # Errors
    /// If a file is missing, others can read the key, or they are no authority and its key.
    pub fn load(dir: &Path) -> Result<Self, TlsError> {
        let (path, key_path) = (dir.join(AUTHORITIES_FILE), dir.join(AUTHORITY_KEY_FILE));
        let trusted = certificates::chain(&path, &certificates::read(&path)?)?;
        for certificate in &trusted {
            check_authority(&path, certificate)?;
        }
        let not_a_key = || TlsError::file(&key_path, "is not a key in PEM form");
        let key = certificates::read_private(&key_path)?;
        let key = std::str::from_utf8(&key).map_err(|_| not_a_key())?;
        let key = KeyPair::from_pem(key).map_err(|_| not_a_key())?;
        let belongs = {
            let certificate = parse(&trusted[0])?;
            certificate.public_key().subject_public_key.data.as_ref() == key.der_bytes()
        };
        if !belongs {
            return Err(TlsError::KeyOfAnother { key: key_path, certificate: path });
        }
        Self::new(key, trusted)
    }

    /// Of a key, and certificates that were looked at: at least one, the first the key's.
    fn new(key: KeyPair, trusted: Vec<CertificateDer<'static>>) -> Result<Self, TlsError> {
        let (name, until) = {
            let own = parse(&trusted[0])?;
            let until = Timestamp::from_seconds(own.validity().not_after.timestamp());
            (own.subject().to_string(), until)
        };
        let key_pem = Zeroizing::new(key.serialize_pem());
        let issuer = Issuer::from_ca_cert_der(&trusted[0], key).map_err(TlsError::crypto)?;
        Ok(Self { issuer, key_pem, trusted, name, until })
    }

    /// Puts it into a directory (0700) that does not exist yet or is empty. Both files are there
    /// afterwards, or none.
    ///
    /// # Errors
    /// If something is there already, or can't be written.
    pub fn save(&self, dir: &Path) -> Result<(), TlsError> {
        let staged = &files::beside(dir);
        drop(std::fs::remove_dir_all(staged));
        let saved = self.write(staged).and_then(|()| {
            // Takes the place of an empty directory, and of nothing else.
            std::fs::rename(staged, dir).map_err(|error| match error.kind() {
                std::io::ErrorKind::DirectoryNotEmpty
                | std::io::ErrorKind::AlreadyExists
                | std::io::ErrorKind::NotADirectory => TlsError::file(
                    dir,
                    "is there already: move it away if you want another authority",
                ),
                _ => TlsError::unwritable(dir, &error),
            })
        });
        if saved.is_err() {
            drop(std::fs::remove_dir_all(staged));
        }
        saved
    }

    fn write(&self, dir: &Path) -> Result<(), TlsError> {
        files::make_private_dir(dir)?;
        let trusted = pem_of(&self.trusted);
        files::replace(&[
            Replacement {
                path: dir.join(AUTHORITY_KEY_FILE),
                bytes: self.key_pem.as_bytes(),
                mode: PRIVATE,
            },
            Replacement {
                path: dir.join(AUTHORITIES_FILE),
                bytes: trusted.as_bytes(),
                mode: PUBLIC,
            },
        ])
    }

    /// Its name, as in the certificates it signs.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Until when it, and whatever it signs, is good.
    #[must_use]
    pub const fn not_after(&self) -> Timestamp {
        self.until
    }

    /// A certificate and a new key for a node of that name, which may have these roles.
    ///
    /// # Errors
    /// [`TlsError::Request`] if no node or role can be called that, no role is given, or the
    /// certificate would outlive the authority.
    pub fn issue(
        &self,
        name: &str,
        roles: &BTreeSet<String>,
        validity: Validity,
    ) -> Result<Issued, TlsError> {
        self.check(name, roles, validity)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.subject_alt_names = vec![SanType::DnsName(text(name)?)];
        for role in roles {
            params.subject_alt_names.push(SanType::URI(text(&format!("{ROLE_PREFIX}{role}"))?));
        }
        params.not_before = moment(validity.from)?;
        params.not_after = moment(validity.until)?;
        params.serial_number = Some(serial());
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().map_err(TlsError::crypto)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(TlsError::crypto)?;
        Issued::new(
            certificate.der().clone(),
            Zeroizing::new(key.serialize_pem()),
            self.trusted.clone(),
        )
    }

    fn check(
        &self,
        name: &str,
        roles: &BTreeSet<String>,
        validity: Validity,
    ) -> Result<(), TlsError> {
        let refuse = |why: String| Err(TlsError::Request(why));
        if !is_node_name(name) {
            return refuse(format!("{name:?} must be 1 to 64 letters, digits, dots, - or _"));
        }
        if let Some(role) = roles.iter().find(|role| !is_role(role)) {
            return refuse(format!("{role:?} is not a role"));
        }
        if roles.is_empty() {
            return refuse("a node needs at least one role".into());
        }
        if validity.until > self.until {
            let until = self.until;
            return refuse(format!("the authority itself ends {until}, before the certificate"));
        }
        Ok(())
    }
}

/// Refuses what is no authority: whose certificate is trusted could sign for others.
pub(super) fn check_authority(path: &Path, der: &CertificateDer<'_>) -> Result<(), TlsError> {
    let certificate =
        parse(der).map_err(|_| TlsError::file(path, "holds a certificate that can't be read"))?;
    if certificate.is_ca() {
        return Ok(());
    }
    Err(TlsError::file(path, "holds a certificate that is no authority's"))
}

/// A random number of 16 bytes, positive and of full length.
fn serial() -> SerialNumber {
    let mut bytes = random_bytes::<16>();
    bytes[0] = bytes[0] & 0x3f | 0x40;
    SerialNumber::from_slice(&bytes)
}

fn moment(at: Timestamp) -> Result<OffsetDateTime, TlsError> {
    OffsetDateTime::from_unix_timestamp(at.as_seconds()).map_err(TlsError::crypto)
}

fn text(text: &str) -> Result<Ia5String, TlsError> {
    Ia5String::try_from(text).map_err(TlsError::crypto)
}
