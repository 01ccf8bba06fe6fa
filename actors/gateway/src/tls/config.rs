//! The `[gateway.tls]` section.

use std::net::SocketAddr;
use std::path::PathBuf;

use panel_kernel::config::Span;
use serde::{Deserialize, Serialize};

/// How the site is spoken to under TLS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsConfig {
    /// The site's certificate and those it was issued under, in PEM form; empty: no TLS.
    pub certificate: PathBuf,
    /// Its key, in PEM form.
    pub key: PathBuf,
    /// Where plain HTTP is answered too, with where the site is; empty: nowhere.
    pub redirect_listen: String,
    /// For how long browsers are told to ask for this host under TLS alone (RFC 6797); 0: they are not.
    pub hsts: Span,
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self {
            certificate: PathBuf::new(),
            key: PathBuf::new(),
            redirect_listen: String::new(),
            hsts: Span::seconds(30 * 24 * 3_600),
        }
    }
}

impl TlsConfig {
    /// Whether there is any.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.certificate.as_os_str().is_empty()
    }

    /// Where plain HTTP is answered too.
    #[must_use]
    pub fn redirect(&self) -> Option<SocketAddr> {
        self.redirect_listen.parse().ok()
    }

    /// Checks what belongs together: the key that is wrong, and the reason.
    pub(crate) fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let has_key = !self.key.as_os_str().is_empty();
        match (self.is_on(), has_key) {
            (true, false) => Err(("tls.key", "must name the key of tls.certificate")),
            (false, true) => Err(("tls.certificate", "must name the certificate of tls.key")),
            _ if self.redirect_listen.is_empty() => Ok(()),
            (false, false) => Err(("tls.redirect_listen", "leads nowhere without tls.certificate")),
            _ if self.redirect().is_none() => {
                Err(("tls.redirect_listen", "must be an address and a port, as in 0.0.0.0:80"))
            }
            _ => Ok(()),
        }
    }
}
