//! The `[gateway.cdn]` section.

use std::path::PathBuf;
use std::time::Duration;

use http::HeaderValue;
use panel_kernel::config::Span;
use panel_kernel::identity::stays_private;
use panel_kernel::secret::Secret;
use serde::{Deserialize, Serialize};

/// How long a CDN may keep an answer, at least and at most. What is shown there is a few seconds old when it comes, so
/// less would be nothing.
const LIFE: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(24 * 3_600)];
/// The pause after the first failure, at least and at most.
const RETRY: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(3_600)];

/// The CDN in front of the site, and how it is told what is old.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CdnConfig {
    /// Whose it is.
    pub kind: CdnKind,
    /// Where purges are sent: a webhook's URL, or that of the CDN's API; empty: where that usually is.
    pub url: String,
    /// What the site is there: a zone of Cloudflare's, a service of Fastly's.
    pub zone: String,
    /// What lets us purge; of a webhook, the key that what is sent there is signed with.
    pub token: Secret,
    /// The authority above the server of `url`, in PEM form, where it is none of the public ones.
    pub ca_file: PathBuf,
    /// How long the CDN may keep an answer that can be purged.
    pub max_age: Span,
    /// When a purge is sent again after the first failure; each further one doubles it, up to five minutes.
    pub retry: Span,
}

/// Whose CDN it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CdnKind {
    /// There is none.
    #[default]
    #[serde(rename = "")]
    None,
    /// Anybody's, who is told by what listens at a URL.
    Webhook,
    /// Cloudflare.
    Cloudflare,
    /// Fastly.
    Fastly,
}

impl Default for CdnConfig {
    fn default() -> Self {
        Self {
            kind: CdnKind::None,
            url: String::new(),
            zone: String::new(),
            token: Secret::default(),
            ca_file: PathBuf::new(),
            max_age: Span::seconds(3_600),
            retry: Span::seconds(1),
        }
    }
}

impl CdnConfig {
    /// Whether there is one.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.kind != CdnKind::None
    }

    /// Where purges are sent, without a slash at its end.
    pub(super) fn base(&self) -> &str {
        let usual = match self.kind {
            CdnKind::Cloudflare => "https://api.cloudflare.com/client/v4",
            CdnKind::Fastly => "https://api.fastly.com",
            CdnKind::Webhook | CdnKind::None => "",
        };
        if self.url.is_empty() { usual } else { self.url.trim_end_matches('/') }
    }

    /// Checks what belongs together: the key that is wrong, and the reason.
    pub(crate) fn check(&self) -> Result<(), (&'static str, &'static str)> {
        if !self.is_on() {
            return self.check_off();
        }
        let is_url = self.base().parse::<http::Uri>().is_ok_and(|uri| uri.host().is_some());
        if !is_url || !self.base().starts_with("http") || !stays_private(self.base()) {
            let wrong = "must be a URL that begins with https://";
            return Err(("cdn.url", wrong));
        }
        let token = self.token.expose();
        if token.is_empty() {
            return Err(("cdn.token", "must be given: without it nobody may purge"));
        }
        let has_zone = !self.zone.is_empty();
        match self.kind {
            CdnKind::Webhook if has_zone => {
                return Err(("cdn.zone", "means nothing to a webhook"));
            }
            CdnKind::Cloudflare | CdnKind::Fastly if !has_zone => {
                return Err(("cdn.zone", "must name the site's zone, or service, at the CDN"));
            }
            CdnKind::Cloudflare | CdnKind::Fastly if HeaderValue::from_str(token).is_err() => {
                return Err(("cdn.token", "has characters in it that no token has"));
            }
            _ => {}
        }
        if !self.zone.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(("cdn.zone", "must be letters and digits"));
        }
        if !(LIFE[0]..=LIFE[1]).contains(&self.max_age.0) {
            return Err(("cdn.max_age", "must be between 1m and 1d"));
        }
        if !(RETRY[0]..=RETRY[1]).contains(&self.retry.0) {
            return Err(("cdn.retry", "must be between 100ms and 1h"));
        }
        Ok(())
    }

    /// What is said of a CDN where there is none is a mistake. (A token is there in what `config show` has shown.)
    fn check_off(&self) -> Result<(), (&'static str, &'static str)> {
        let is_empty =
            self.url.is_empty() && self.zone.is_empty() && self.ca_file.as_os_str().is_empty();
        if is_empty {
            Ok(())
        } else {
            Err(("cdn.kind", "must say whose the CDN is: webhook, cloudflare, or fastly"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(kind: CdnKind) -> CdnConfig {
        let zone = if kind == CdnKind::Webhook { "" } else { "z1" };
        let url = if kind == CdnKind::Webhook { "https://hooks.example/purge" } else { "" };
        let (url, zone, token) = (url.to_owned(), zone.to_owned(), Secret::new("t"));
        CdnConfig { kind, url, zone, token, ..CdnConfig::default() }
    }

    #[test]
    fn what_does_not_belong_together_is_refused() {
        CdnConfig::default().check().unwrap();
        for kind in [CdnKind::Webhook, CdnKind::Cloudflare, CdnKind::Fastly] {
            on(kind).check().unwrap();
        }
        let wrong = |kind, change: fn(&mut CdnConfig)| {
            let mut config = on(kind);
            change(&mut config);
            config.check().unwrap_err().0
        };
        let (hook, cloudflare) = (CdnKind::Webhook, CdnKind::Cloudflare);
        assert_eq!(wrong(hook, |c| c.url.clear()), "cdn.url");
        assert_eq!(wrong(hook, |c| c.url = "http://hooks.example/".into()), "cdn.url");
        assert_eq!(wrong(hook, |c| c.url = "hooks.example".into()), "cdn.url");
        assert_eq!(wrong(hook, |c| c.url = "ftp://hooks.example".into()), "cdn.url");
        assert_eq!(wrong(hook, |c| c.zone = "z1".into()), "cdn.zone");
        assert_eq!(wrong(hook, |c| c.token = Secret::default()), "cdn.token");
        assert_eq!(wrong(cloudflare, |c| c.token = Secret::new("a\nb")), "cdn.token");
        assert_eq!(wrong(cloudflare, |c| c.zone.clear()), "cdn.zone");
        assert_eq!(wrong(cloudflare, |c| c.zone = "a/b".into()), "cdn.zone");
        assert_eq!(wrong(CdnKind::Fastly, |c| c.zone.clear()), "cdn.zone");
        assert_eq!(wrong(cloudflare, |c| c.max_age = Span::seconds(59)), "cdn.max_age");
        assert_eq!(wrong(cloudflare, |c| c.max_age = Span::seconds(86_401)), "cdn.max_age");
        assert_eq!(wrong(cloudflare, |c| c.retry = Span::seconds(0)), "cdn.retry");
        assert_eq!(wrong(hook, |c| c.kind = CdnKind::None), "cdn.kind");
    }

    #[test]
    fn an_api_is_where_it_usually_is_unless_it_is_elsewhere() {
        assert_eq!(on(CdnKind::Cloudflare).base(), "https://api.cloudflare.com/client/v4");
        assert_eq!(on(CdnKind::Fastly).base(), "https://api.fastly.com");
        let elsewhere = CdnConfig { url: "http://127.0.0.1:1/".to_owned(), ..on(CdnKind::Fastly) };
        assert_eq!(elsewhere.base(), "http://127.0.0.1:1");
    }
}
