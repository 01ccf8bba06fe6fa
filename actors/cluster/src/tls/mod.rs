//! Certificates and TLS of the links between nodes.
//!
//! One authority per cluster signs a certificate per node; the certificate says the node's name and
//! the roles it may have. Both ends of a link show theirs, in TLS 1.3 and nothing older.
//!
//! | file | what it is |
//! |---|---|
//! | `ca.pem` | the authorities that are trusted, one or (while they change) several |
//! | `node.pem`, `node.key` | the node's certificate and its key |
//! | `cluster.key` | the key that seals what the database must not show |
//!
//! Architecture invariant: the handshake proves that a peer is a node of this cluster, and which.
//! Whether that name and those roles are what the peer claims is for who made the link to check,
//! against [`peer_certificate`]: a dialer does not know whom it will find behind a seed's address.
//!
//! Architecture invariant: no session is resumed. Each handshake looks at the certificates again,
//! so that one that has expired, or an authority that was removed, ends with the connections it has.

mod authority;
mod certificate;
mod config;
mod credentials;
mod error;
mod files;
mod issued;
mod reason;
#[cfg(test)]
mod tests;
mod watch;

pub use authority::{Authority, Validity};
pub use certificate::{NodeCertificate, is_node_name, is_role, peer_certificate};
pub use config::{PROTOCOL, any_server};
pub use credentials::Credentials;
pub use error::TlsError;
pub use files::cluster_key;
pub use issued::Issued;
pub use reason::{Cause, Reason, classify, classify_tls};
pub use watch::certificate_watch;

/// The authorities that are trusted.
pub const AUTHORITIES_FILE: &str = "ca.pem";
/// The key of the authority; only where certificates are issued.
pub const AUTHORITY_KEY_FILE: &str = "ca.key";
/// A node's certificate.
pub const CERTIFICATE_FILE: &str = "node.pem";
/// Its key.
pub const KEY_FILE: &str = "node.key";
/// The key all nodes share.
pub const CLUSTER_KEY_FILE: &str = "cluster.key";
