//! Why a link did not come about or ended, in a word: for logs, and as a metric's label.

use std::fmt;
use std::io;

use rustls::{AlertDescription, CertificateError, Error};

/// The reasons there are. A closed set, so that it can be a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The certificate is of an authority that is not trusted: another cluster's, or a removed one.
    WrongAuthority,
    /// The certificate has expired, or (as a peer says it) is not good at this moment.
    Expired,
    /// The certificate is not good yet: a clock is wrong.
    NotYetValid,
    /// None was shown.
    NoCertificate,
    /// Something else about the certificate: unreadable, not for this purpose, a bad signature.
    BadCertificate,
    /// TLS, but of another version, or for another protocol than links between nodes.
    WrongProtocol,
    /// What came was no TLS.
    NotTls,
    /// It took too long.
    Timeout,
    /// The other end closed the connection.
    Closed,
    /// The address can't be reached, or nobody listens there.
    Unreachable,
    /// Anything else.
    Other,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::WrongAuthority,
        Self::Expired,
        Self::NotYetValid,
        Self::NoCertificate,
        Self::BadCertificate,
        Self::WrongProtocol,
        Self::NotTls,
        Self::Timeout,
        Self::Closed,
        Self::Unreachable,
        Self::Other,
    ];

    /// The reason's name, as in logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WrongAuthority => "wrong_authority",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::NoCertificate => "no_certificate",
            Self::BadCertificate => "bad_certificate",
            Self::WrongProtocol => "wrong_protocol",
            Self::NotTls => "not_tls",
            Self::Timeout => "timeout",
            Self::Closed => "closed",
            Self::Unreachable => "unreachable",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A reason, and who gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Why.
    pub reason: Reason,
    /// Whether the peer said so of us. Else we found it of the peer, or on the way.
    pub by_peer: bool,
}

impl Cause {
    /// The reason's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.reason.as_str()
    }
}

/// Why reading, writing or shaking hands failed.
#[must_use]
pub fn classify(error: &io::Error) -> Cause {
    if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        return classify_tls(tls);
    }
    let reason = match error.kind() {
        io::ErrorKind::TimedOut => Reason::Timeout,
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::NotConnected => Reason::Closed,
        io::ErrorKind::ConnectionRefused
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown
        | io::ErrorKind::AddrNotAvailable => Reason::Unreachable,
        _ => Reason::Other,
    };
    Cause { reason, by_peer: false }
}

/// Why a handshake failed, where rustls says so.
#[must_use]
pub fn classify_tls(error: &Error) -> Cause {
    if let Error::AlertReceived(alert) = error {
        return Cause { reason: of_alert(*alert), by_peer: true };
    }
    let reason = match error {
        Error::InvalidCertificate(error) => of_certificate(error),
        Error::NoCertificatesPresented => Reason::NoCertificate,
        Error::InvalidMessage(_)
        | Error::PeerSentOversizedRecord
        | Error::InappropriateMessage { .. } => Reason::NotTls,
        Error::NoApplicationProtocol | Error::PeerIncompatible(_) => Reason::WrongProtocol,
        _ => Reason::Other,
    };
    Cause { reason, by_peer: false }
}

fn of_certificate(error: &CertificateError) -> Reason {
    match error {
        CertificateError::UnknownIssuer => Reason::WrongAuthority,
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Reason::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Reason::NotYetValid
        }
        _ => Reason::BadCertificate,
    }
}

/// RFC 8446, 6.2; one alert stands for both ends of a certificate's time.
fn of_alert(alert: AlertDescription) -> Reason {
    match alert {
        AlertDescription::UnknownCA => Reason::WrongAuthority,
        AlertDescription::CertificateExpired => Reason::Expired,
        AlertDescription::CertificateRequired => Reason::NoCertificate,
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateUnknown
        | AlertDescription::AccessDenied
        | AlertDescription::DecryptError => Reason::BadCertificate,
        AlertDescription::ProtocolVersion
        | AlertDescription::NoApplicationProtocol
        | AlertDescription::HandshakeFailure
        | AlertDescription::InsufficientSecurity => Reason::WrongProtocol,
        AlertDescription::DecodeError | AlertDescription::UnexpectedMessage => Reason::NotTls,
        AlertDescription::CloseNotify | AlertDescription::UserCanceled => Reason::Closed,
        _ => Reason::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_explained_to_operators() {
        let text = include_str!("../../../../docs/cluster.md");
        for reason in Reason::ALL {
            assert!(text.contains(&format!("| `{reason}` |")), "{reason} is not explained");
        }
    }

    #[test]
    fn who_found_it_is_told_apart() {
        let theirs = classify_tls(&Error::AlertReceived(AlertDescription::UnknownCA));
        assert_eq!(theirs, Cause { reason: Reason::WrongAuthority, by_peer: true });
        let ours = classify_tls(&CertificateError::UnknownIssuer.into());
        assert_eq!(ours, Cause { reason: Reason::WrongAuthority, by_peer: false });
        let refused = classify(&io::ErrorKind::ConnectionRefused.into());
        assert_eq!(refused.as_str(), "unreachable");
        let wrapped = io::Error::new(io::ErrorKind::InvalidData, Error::NoCertificatesPresented);
        assert_eq!(classify(&wrapped).as_str(), "no_certificate");
    }
}
