//! The `[auth.providers.<name>]` sections.

use std::path::PathBuf;

use panel_kernel::config::BadValue;
use panel_kernel::identity::stays_private;
use panel_kernel::secret::Secret;
use serde::{Deserialize, Serialize};

/// Where else people have an account with which they may sign in here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProviderConfig {
    /// What it speaks.
    pub kind: ProviderKind,
    /// What people call it; the name of the section, if this is empty.
    pub label: String,
    /// For `oidc`: the issuer, below which its discovery document is.
    pub issuer: String,
    /// What it calls us.
    pub client_id: String,
    /// What it knows us by; empty for a public client.
    pub client_secret: Secret,
    /// What it is asked for; if empty, `openid email profile`, or GitHub's `read:user user:email`.
    pub scopes: Vec<String>,
    /// Whether its mail addresses are taken for its users' own where it does not say so.
    pub trust_email: bool,
    /// The authority of its certificate (PEM), if it is none of the public ones.
    pub ca_file: PathBuf,
    /// For `oauth2`: where people agree. This and the next three are GitHub's if they are empty.
    pub authorize_url: String,
    /// For `oauth2`: where a code becomes a token.
    pub token_url: String,
    /// For `oauth2`: who the user is.
    pub user_url: String,
    /// For `oauth2`: the user's mail addresses, as GitHub lists them.
    pub emails_url: String,
}

/// What a provider speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderKind {
    /// OpenID Connect, with discovery.
    #[default]
    Oidc,
    /// OAuth 2 with an address that tells who the user is, as GitHub has it.
    Oauth2,
}

impl ProviderConfig {
    /// Checks the section of this name.
    pub(super) fn check(&self, name: &str) -> Result<(), BadValue> {
        let bad = |key: &str, reason: &str| {
            let key = format!("auth.providers.{name}{key}");
            Err(BadValue { key, reason: reason.to_owned() })
        };
        let letters = name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'));
        if !letters || !(1..=32).contains(&name.len()) {
            return bad("", "a provider's name has 1 to 32 of a-z, 0-9, - and _");
        }
        if self.client_id.is_empty() {
            return bad(".client_id", "must be there: the provider gives it to you");
        }
        let urls = [
            (".issuer", &self.issuer, self.kind == ProviderKind::Oidc),
            (".authorize_url", &self.authorize_url, false),
            (".token_url", &self.token_url, false),
            (".user_url", &self.user_url, false),
            (".emails_url", &self.emails_url, false),
        ];
        for (key, url, needed) in urls {
            if url.is_empty() && !needed {
                continue;
            }
            let is_url = url.starts_with("https://") || url.starts_with("http://");
            if !is_url || !stays_private(url) {
                return bad(key, "must be an https URL (http for this machine alone)");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn oidc(issuer: &str) -> ProviderConfig {
        let (issuer, client_id) = (issuer.to_owned(), "panel".to_owned());
        ProviderConfig { issuer, client_id, ..ProviderConfig::default() }
    }

    #[test]
    fn providers_are_named_and_reached_safely() {
        let good = oidc("https://id.example");
        assert_eq!(good.check("company-2"), Ok(()));
        assert_eq!(oidc("http://127.0.0.1:8000").check("here"), Ok(()));
        let wrong = |config: &ProviderConfig, name: &str| config.check(name).unwrap_err().key;
        for name in ["", "Company", "a/b", "a.b", &"x".repeat(33)] {
            assert_eq!(wrong(&good, name), format!("auth.providers.{name}"), "{name}");
        }
        for issuer in ["", "id.example", "http://id.example", "ftp://id.example"] {
            assert_eq!(wrong(&oidc(issuer), "a"), "auth.providers.a.issuer", "{issuer}");
        }
        let github = ProviderConfig { kind: ProviderKind::Oauth2, ..oidc("") };
        assert_eq!(github.check("github"), Ok(()));
        let nobody = ProviderConfig { client_id: String::new(), ..github.clone() };
        assert_eq!(wrong(&nobody, "github"), "auth.providers.github.client_id");
        let clear = ProviderConfig { token_url: "http://x.example".to_owned(), ..github };
        assert_eq!(wrong(&clear, "github"), "auth.providers.github.token_url");
    }
}
