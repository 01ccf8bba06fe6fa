//! The `[gateway.tls.acme]` section.

use std::path::PathBuf;

use panel_kernel::config::Span;
use panel_kernel::identity::stays_private;
use panel_kernel::secret::Secret;
use serde::{Deserialize, Serialize};

/// Let's Encrypt, and where it can be tried without its limits.
const KNOWN: [(&str, &str); 2] = [
    ("letsencrypt", "https://acme-v02.api.letsencrypt.org/directory"),
    ("letsencrypt-staging", "https://acme-staging-v02.api.letsencrypt.org/directory"),
];
/// The most names in one certificate: what Let's Encrypt takes.
const MOST_NAMES: usize = 100;

/// Where the site's certificate is issued, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AcmeConfig {
    /// The authority: `letsencrypt`, `letsencrypt-staging`, or the URL of another's directory (RFC 8555,
    /// 7.1.1); empty: certificates lie in files.
    pub directory: String,
    /// The hosts it is for; empty: that of `node.public_url`.
    pub names: Vec<String>,
    /// A mail address at which the authority reaches whoever runs the site; empty: none.
    pub contact: String,
    /// That whoever runs the site has agreed to the authority's terms of service.
    pub terms_agreed: bool,
    /// How it is shown that the hosts are the site's.
    pub challenge: ChallengeChoice,
    /// The authority above the authority's own server, in PEM form, where it is none of the public ones.
    pub ca_file: PathBuf,
    /// An account at the authority that there is already (RFC 8555, 7.3.4): its key's name; empty: none.
    pub eab_key_id: String,
    /// That key, in base64url.
    pub eab_key: Secret,
    /// When to try again after the first failure; each further one doubles it, up to six hours.
    pub retry: Span,
}

/// How it is shown that a host is the site's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChallengeChoice {
    /// Whichever can be; after a failure the other.
    #[default]
    #[serde(rename = "any")]
    Any,
    /// By an answer in the clear, on port 80 (RFC 8555, 8.3).
    #[serde(rename = "http-01")]
    Http01,
    /// In the handshake, on port 443 (RFC 8737).
    #[serde(rename = "tls-alpn-01")]
    TlsAlpn01,
}

impl Default for AcmeConfig {
    fn default() -> Self {
        Self {
            directory: String::new(),
            names: Vec::new(),
            contact: String::new(),
            terms_agreed: false,
            challenge: ChallengeChoice::default(),
            ca_file: PathBuf::new(),
            eab_key_id: String::new(),
            eab_key: Secret::default(),
            retry: Span::seconds(120),
        }
    }
}

impl AcmeConfig {
    /// Whether certificates are issued to this site.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.directory.is_empty()
    }

    /// The URL of the authority's directory.
    pub(crate) fn directory_url(&self) -> &str {
        let known = KNOWN.iter().find(|(name, _)| *name == self.directory);
        known.map_or(self.directory.as_str(), |(_, url)| url)
    }

    /// The hosts the certificate is for, in order and in lower case.
    ///
    /// # Errors
    /// A sentence, if it can't be known which they are, or none can be issued for one of them.
    pub fn hosts(&self, public_url: &str) -> Result<Vec<String>, String> {
        let mut names = self.names.clone();
        if names.is_empty() {
            let uri = public_url.parse::<http::Uri>().ok();
            let host = uri.as_ref().and_then(|uri| uri.host());
            names
                .push(host.ok_or("must name the site's host, or node.public_url must")?.to_owned());
        }
        if names.len() > MOST_NAMES {
            return Err(format!("must not be more than {MOST_NAMES}"));
        }
        for name in &mut names {
            name.make_ascii_lowercase();
            if name.starts_with('*') {
                return Err(format!(
                    "{name:?}: for a star an authority wants to see the domain's DNS, which is not \
                     done here"
                ));
            }
            if !is_host(name) {
                return Err(format!("{name:?} is not the name of a host in the public DNS"));
            }
        }
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    /// Checks what belongs together: the key that is wrong, and the reason.
    pub(crate) fn check(&self, has_port_80: bool) -> Result<(), (&'static str, &'static str)> {
        if !self.is_on() {
            return Ok(());
        }
        let is_url =
            self.directory_url().starts_with("http") && stays_private(self.directory_url());
        if !is_url {
            return Err((
                "tls.acme.directory",
                "must be letsencrypt, letsencrypt-staging, or a URL that begins with https://",
            ));
        }
        if !self.terms_agreed {
            return Err((
                "tls.acme.terms_agreed",
                "must be true: read the authority's terms of service, and agree to them here",
            ));
        }
        if self.challenge == ChallengeChoice::Http01 && !has_port_80 {
            return Err((
                "tls.acme.challenge",
                "http-01 is answered where tls.redirect_listen is, and that is nowhere",
            ));
        }
        if self.contact.contains([':', ' '])
            || !(self.contact.is_empty() || self.contact.contains('@'))
        {
            return Err(("tls.acme.contact", "must be a mail address"));
        }
        if self.eab_key_id.is_empty() != self.eab_key.expose().is_empty() {
            return Err(("tls.acme.eab_key", "must be given together with tls.acme.eab_key_id"));
        }
        if !(1..=86_400).contains(&self.retry.0.as_secs()) {
            return Err(("tls.acme.retry", "must be between 1s and 1d"));
        }
        Ok(())
    }
}

/// A name of at least two labels that is no address (RFC 1123, 2.1).
fn is_host(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let mut labels = name.split('.');
    let top = labels.next_back().unwrap_or_default();
    name.len() <= 253
        && is_label(top)
        && !top.bytes().all(|byte| byte.is_ascii_digit())
        && labels.clone().count() > 0
        && labels.all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on() -> AcmeConfig {
        AcmeConfig {
            directory: "letsencrypt".to_owned(),
            terms_agreed: true,
            ..AcmeConfig::default()
        }
    }

    #[test]
    fn hosts_are_those_that_are_named_or_the_sites() {
        let named = |names: &[&str]| AcmeConfig {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            ..on()
        };
        assert_eq!(named(&[]).hosts("https://Forum.example:8443").unwrap(), ["forum.example"]);
        let several = named(&["b.example", "A.example", "b.example"]).hosts("").unwrap();
        assert_eq!(several, ["a.example", "b.example"]);
        for bad in
            ["*.example.org", "localhost", "192.0.2.1", "-a.example", "a..b", "a_b.example", ""]
        {
            assert!(named(&[bad]).hosts("https://x.example").is_err(), "{bad}");
        }
        for bad in ["", "https://127.0.0.1:5000", "https://[::1]", "https://localhost"] {
            assert!(named(&[]).hosts(bad).is_err(), "{bad}");
        }
        let many: Vec<String> = (0..101).map(|n| format!("a{n}.example")).collect();
        assert!(AcmeConfig { names: many, ..on() }.hosts("").is_err());
    }

    #[test]
    fn what_does_not_belong_together_is_refused() {
        on().check(false).unwrap();
        AcmeConfig::default().check(false).unwrap();
        assert_eq!(on().directory_url(), KNOWN[0].1);
        let wrong = |change: fn(&mut AcmeConfig)| {
            let mut config = on();
            change(&mut config);
            config.check(false).unwrap_err().0
        };
        assert_eq!(wrong(|c| c.directory = "http://ca.example/dir".into()), "tls.acme.directory");
        assert_eq!(wrong(|c| c.directory = "ftp://ca.example".into()), "tls.acme.directory");
        assert_eq!(wrong(|c| c.terms_agreed = false), "tls.acme.terms_agreed");
        assert_eq!(wrong(|c| c.challenge = ChallengeChoice::Http01), "tls.acme.challenge");
        assert_eq!(wrong(|c| c.contact = "mailto:a@b.example".into()), "tls.acme.contact");
        assert_eq!(wrong(|c| c.contact = "nobody".into()), "tls.acme.contact");
        assert_eq!(wrong(|c| c.eab_key_id = "kid".into()), "tls.acme.eab_key");
        assert_eq!(wrong(|c| c.retry = Span::seconds(0)), "tls.acme.retry");
    }
}
