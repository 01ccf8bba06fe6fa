//! The site under TLS: where its certificate comes from, and what sees to that.

use panel_kernel::certificates::Watch;
use panel_kernel::service::Runtime;
use panel_kernel::supervision::ChildSpec;

use crate::commons::Commons;
use crate::error::GatewayError;
use crate::server::{Redirect, Tls};
use crate::tls::acme::Acme;
use crate::tls::{SiteCertificate, TlsConfig};

/// The site, where it is spoken to under TLS.
#[derive(Clone)]
pub(crate) struct SecureSite {
    pub(crate) tls: Tls,
    /// Looks whether the certificate was renewed, and when it ends.
    watch: ChildSpec,
    /// Has it issued.
    acme: Option<Acme>,
}

impl SecureSite {
    /// As it is configured; `None` where there is no TLS.
    ///
    /// # Errors
    /// If the certificate, or what is to issue it, can't be used.
    pub(crate) fn new(
        config: &TlsConfig,
        commons: Option<&Commons>,
        runtime: &Runtime,
    ) -> Result<Option<Self>, GatewayError> {
        if !config.is_on() {
            return Ok(None);
        }
        let origin = origin_of(&runtime.public_url);
        let acme = if config.acme.is_on() {
            let none = || GatewayError::Acme("gateways share no database".to_owned());
            let issued = (&config.acme, config.redirect().is_some());
            let acme = Acme::new(issued, commons.ok_or_else(none)?, runtime);
            Some(acme.map_err(GatewayError::Acme)?)
        } else {
            None
        };
        let certificate = match &acme {
            Some(acme) => acme.site().clone(),
            None => in_files(config, &origin, runtime)?,
        };
        let named = ("the site's", "panel_gateway_certificate_expires_seconds");
        let (clock, metrics) = (&runtime.clock, &runtime.metrics);
        let watch = Watch::child(named, &certificate, clock, metrics)?;
        let answers = acme.as_ref().map(|acme| acme.answers().clone());
        let redirect = Redirect::to(&origin, answers.clone());
        Ok(Some(Self { tls: Tls::new(certificate, redirect, answers, metrics)?, watch, acme }))
    }

    /// What sees to its certificate.
    pub(crate) fn children(&self, runtime: &Runtime) -> Vec<ChildSpec> {
        let acme = self.acme.as_ref().map(|acme| acme.child(runtime));
        acme.into_iter().chain([self.watch.clone()]).collect()
    }
}

/// The certificate that lies in files.
fn in_files(
    config: &TlsConfig,
    origin: &str,
    runtime: &Runtime,
) -> Result<SiteCertificate, GatewayError> {
    let certificate = SiteCertificate::load(config)?;
    let host = origin.parse::<http::Uri>().ok().and_then(|uri| uri.host().map(str::to_owned));
    let host = host.unwrap_or_default();
    if runtime.knows_public_url && !certificate.names(host.trim_matches(['[', ']'])) {
        tracing::warn!(
            host,
            "the site's certificate does not name the site's host: browsers refuse it"
        );
    }
    Ok(certificate)
}

/// Scheme, host and port of a URL.
pub(crate) fn origin_of(url: &str) -> String {
    url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/")
}
