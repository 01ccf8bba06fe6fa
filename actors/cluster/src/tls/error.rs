//! What can be wrong with certificates and their files, each in a plain sentence.

use std::io;
use std::path::{Path, PathBuf};

use panel_kernel::certificates::FileError;

/// Why certificates can't be made, read or used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// A file is missing, may not be read or written, or does not hold what it should.
    #[error("{} {why}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, as the rest of a sentence.
        why: String,
    },
    /// A key and the certificate beside it do not belong together. For a moment that is so while
    /// both are being replaced.
    #[error("{} is not the key of {}", .key.display(), .certificate.display())]
    KeyOfAnother {
        /// The key's file.
        key: PathBuf,
        /// The certificate's.
        certificate: PathBuf,
    },
    /// What was asked for can't be certified: a name, a role, a length of time.
    #[error("{0}")]
    Request(String),
    /// A certificate that is no node's.
    #[error("the certificate {0}")]
    NotANode(String),
    /// The peer showed no certificate, or the handshake is not over.
    #[error("the peer showed no certificate")]
    NoCertificate,
    /// The peer speaks TLS, but not for links between nodes.
    #[error("the peer does not speak the protocol of links between nodes")]
    OtherProtocol,
    /// The cryptography refused, which would be a fault of the program.
    #[error("the cryptography refused: {0}")]
    Crypto(String),
}

impl From<FileError> for TlsError {
    fn from(FileError { path, why }: FileError) -> Self {
        Self::File { path, why }
    }
}

impl TlsError {
    pub(super) fn file(path: &Path, why: impl Into<String>) -> Self {
        Self::File { path: path.to_owned(), why: why.into() }
    }

    pub(super) fn unwritable(path: &Path, error: &io::Error) -> Self {
        Self::file(path, format!("can't be written: {error}"))
    }

    pub(super) fn crypto(error: impl std::fmt::Display) -> Self {
        Self::Crypto(error.to_string())
    }
}
