//! What a node's certificate says.

use std::collections::BTreeSet;

use panel_kernel::ids::hex;
use panel_kernel::time::Timestamp;
use rustls::CommonState;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

use super::{PROTOCOL, TlsError};

/// In front of a role, as a subject alternative name of the kind URI.
pub(super) const ROLE_PREFIX: &str = "panel:role:";

/// Whether that may be a node's name: 1 to 64 letters, digits, dots, hyphens or underscores, and no
/// dot in front.
#[must_use]
pub fn is_node_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        && !name.starts_with('.')
}

/// Whether that may be a role: 1 to 64 lower-case letters, digits, hyphens or underscores.
#[must_use]
pub fn is_role(role: &str) -> bool {
    let fits =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    (1..=64).contains(&role.len()) && role.bytes().all(fits)
}

/// What a node's certificate says. That it is genuine was found in the handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeCertificate {
    /// The node's name.
    pub name: String,
    /// The roles it may have.
    pub roles: BTreeSet<String>,
    /// From when it is good.
    pub not_before: Timestamp,
    /// Until when it is good.
    pub not_after: Timestamp,
    /// Its number, in hexadecimal digits: tells two certificates of a node apart.
    pub serial: String,
}

impl NodeCertificate {
    /// Reads a certificate in DER form. Names that are neither the node's nor a role are passed
    /// over, so that a later release may add some.
    ///
    /// # Errors
    /// If it is no certificate, does not name exactly one node, or names one as no node is named.
    pub fn from_der(der: &[u8]) -> Result<Self, TlsError> {
        let certificate = parse(der)?;
        let names = certificate.subject_alternative_name();
        let names = names.map_err(|_| TlsError::NotANode("has names that can't be read".into()))?;
        let names = names.map(|names| names.value.general_names.as_slice()).unwrap_or_default();
        let mut nodes = names.iter().filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(*name),
            _ => None,
        });
        let (Some(name), None) = (nodes.next(), nodes.next()) else {
            return Err(TlsError::NotANode("does not name exactly one node".into()));
        };
        if !is_node_name(name) {
            return Err(TlsError::NotANode("has a name that no node can have".into()));
        }
        let roles = names.iter().filter_map(|name| match name {
            GeneralName::URI(uri) => uri.strip_prefix(ROLE_PREFIX).filter(|role| is_role(role)),
            _ => None,
        });
        let validity = certificate.validity();
        Ok(Self {
            name: name.to_owned(),
            roles: roles.map(str::to_owned).collect(),
            not_before: Timestamp::from_seconds(validity.not_before.timestamp()),
            not_after: Timestamp::from_seconds(validity.not_after.timestamp()),
            serial: hex(certificate.tbs_certificate.raw_serial()),
        })
    }
}

/// A certificate, with nothing behind it.
pub(super) fn parse(der: &[u8]) -> Result<X509Certificate<'_>, TlsError> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(TlsError::NotANode("can't be read".into())),
    }
}

/// The certificate of the other end, once the handshake is over.
///
/// # Errors
/// If it is no node's certificate, or the other end did not agree on [`PROTOCOL`].
pub fn peer_certificate(connection: &CommonState) -> Result<NodeCertificate, TlsError> {
    if connection.is_handshaking() {
        return Err(TlsError::NoCertificate);
    }
    if connection.alpn_protocol() != Some(PROTOCOL) {
        return Err(TlsError::OtherProtocol);
    }
    let shown = connection.peer_certificates().and_then(<[_]>::first);
    NodeCertificate::from_der(shown.ok_or(TlsError::NoCertificate)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_roles_have_a_form() {
        for good in ["n1", "N-1_a.b", "x", &"n".repeat(64)] {
            assert!(is_node_name(good), "{good}");
        }
        for bad in ["", ".n1", "a/b", "a b", "n1\n", "ñ", "*", &"n".repeat(65)] {
            assert!(!is_node_name(bad), "{bad:?}");
        }
        assert!(is_role("forum") && is_role("a_b-2"));
        assert!(!is_role("") && !is_role("Forum") && !is_role("a:b") && !is_role("a,b"));
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        for bytes in [&b""[..], b"garbage", &[0x30, 0x82, 0xff, 0xff, 0x00]] {
            let refused = NodeCertificate::from_der(bytes).unwrap_err();
            assert_eq!(refused.to_string(), "the certificate can't be read");
        }
    }
}
