//! The `[gateway.tls]` section.

use std::net::SocketAddr;
use std::path::PathBuf;

use panel_kernel::config::Span;
use serde::{Deserialize, Serialize};

use super::acme::AcmeConfig;

/// How the site is spoken to under TLS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsConfig {
    /// The site's certificate and those it was issued under, in PEM form; empty: there is none in a file.
    pub certificate: PathBuf,
    /// Its key, in PEM form.
    pub key: PathBuf,
    /// Where plain HTTP is answered too, with where the site is; empty: nowhere.
    pub redirect_listen: String,
    /// For how long browsers are told to ask for this host under TLS alone (RFC 6797); 0: they are not.
    pub hsts: Span,
    /// Where the certificate is issued, if it does not lie in files.
    pub acme: AcmeConfig,
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self {
            certificate: PathBuf::new(),
            key: PathBuf::new(),
            redirect_listen: String::new(),
            hsts: Span::seconds(30 * 24 * 3_600),
            acme: AcmeConfig::default(),
        }
    }
}

impl TlsConfig {
    /// Whether there is any.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.is_in_files() || self.acme.is_on()
    }

    /// Whether the certificate lies in files.
    pub(crate) fn is_in_files(&self) -> bool {
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
        let redirects = !self.redirect_listen.is_empty();
        match (self.is_in_files(), has_key) {
            (true, false) => return Err(("tls.key", "must name the key of tls.certificate")),
            (false, true) => {
                return Err(("tls.certificate", "must name the certificate of tls.key"));
            }
            (true, true) if self.acme.is_on() => {
                return Err(("tls.acme.directory", "issues none where there is tls.certificate"));
            }
            _ => {}
        }
        if redirects && !self.is_on() {
            return Err((
                "tls.redirect_listen",
                "leads nowhere without tls.certificate or tls.acme",
            ));
        }
        if redirects && self.redirect().is_none() {
            return Err(("tls.redirect_listen", "must be an address and a port, as in 0.0.0.0:80"));
        }
        self.acme.check(redirects)
    }
}
