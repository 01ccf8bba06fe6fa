//! Signing in through somebody else: OpenID Connect Core 1.0 by the code flow, with PKCE (RFC 7636),
//! and OAuth 2 (RFC 6749) as GitHub speaks it.
//!
//! A provider tells who somebody is at its place: a subject, which never changes, and with luck a mail
//! address and names. Whose account that is here, `api::oauth` decides.

mod config;
mod library;
mod oauth2;
mod oidc;

use std::collections::BTreeMap;
use std::sync::Arc;

use panel_kernel::config::BadValue;
use panel_kernel::outbound::{Outbound, OutboundError};
use panel_kernel::time::Clock;
use prometheus::IntCounterVec;
use serde::{Deserialize, Serialize};

pub(crate) use config::{ProviderConfig, ProviderKind};
use oauth2::OAuth2;
use oidc::Oidc;

/// Requests to one provider that are under way on one node.
const AT_ONCE: usize = 8;

const SUBJECT_MAX: usize = 255;

/// What was agreed on when somebody was sent to a provider, and must come back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Agreed {
    /// Comes back with the browser.
    pub(crate) state: String,
    /// Comes back inside the ID token.
    nonce: String,
    /// Shows, with the code, that we are who has asked (PKCE).
    verifier: String,
}

/// Who somebody is at a provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// Who: never another person's.
    pub(crate) subject: String,
    /// A mail address that the provider vouches for.
    pub(crate) email: Option<String>,
    /// The name to sign in with, there.
    pub(crate) username: Option<String>,
    /// The name shown to others, there.
    pub(crate) name: Option<String>,
}

/// Why a provider does not tell who somebody is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FederationError {
    /// It does not answer, or not as it should.
    #[error("{0}")]
    Unavailable(String),
    /// What it says is not to be believed, or it does not take the code.
    #[error("{0}")]
    Refused(String),
}

impl From<OutboundError> for FederationError {
    fn from(error: OutboundError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// Where somebody goes, and what was agreed on.
pub(crate) struct Departure {
    pub(crate) url: String,
    pub(crate) agreed: Agreed,
}

/// A provider.
#[derive(Debug)]
pub(crate) struct Provider {
    /// As in the configuration and in paths.
    pub(crate) name: String,
    /// What people call it.
    pub(crate) label: String,
    speaks: Speaks,
}

#[derive(Debug)]
enum Speaks {
    Oidc(Box<Oidc>),
    OAuth2(Box<OAuth2>),
}

/// The providers there are. Cheap to clone; clones share what is known of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Federation(Arc<BTreeMap<String, Provider>>);

impl Federation {
    /// Of these.
    ///
    /// # Errors
    /// [`BadValue`] names the key and the reason, and no secret.
    pub(crate) fn new(configs: &BTreeMap<String, ProviderConfig>) -> Result<Self, BadValue> {
        let providers = configs.iter().map(|(name, config)| {
            config.check(name)?;
            let bad = |key: &str, reason: String| BadValue {
                key: format!("auth.providers.{name}.{key}"),
                reason,
            };
            let outbound = Outbound::new(&config.ca_file, AT_ONCE);
            let outbound = outbound.map_err(|reason| bad("ca_file", reason))?;
            let speaks = match config.kind {
                ProviderKind::Oidc => Oidc::new(config, outbound).map(Box::new).map(Speaks::Oidc),
                ProviderKind::Oauth2 => {
                    OAuth2::new(config, outbound).map(Box::new).map(Speaks::OAuth2)
                }
            };
            let speaks = speaks.map_err(|(key, reason)| bad(key, reason))?;
            let label = if config.label.is_empty() { name } else { &config.label };
            let (name, label) = (name.clone(), label.clone());
            Ok((name.clone(), Provider { name, label, speaks }))
        });
        Ok(Self(Arc::new(providers.collect::<Result<_, _>>()?)))
    }

    /// The provider of this name.
    pub(crate) fn provider(&self, name: &str) -> Option<&Provider> {
        self.0.get(name)
    }

    /// The provider whose accounts these are.
    pub(crate) fn of_issuer(&self, issuer: &str) -> Option<&Provider> {
        self.all().find(|provider| provider.issuer() == issuer)
    }

    /// All of them, by name.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Provider> {
        self.0.values()
    }
}

/// What talking to a provider takes, beside it.
pub(crate) struct Talk<'a> {
    /// Where it sends people back to.
    pub(crate) redirect: &'a str,
    pub(crate) clock: &'a Clock,
    pub(crate) outcomes: &'a IntCounterVec,
}

impl Provider {
    /// Where somebody goes to say there who they are.
    pub(crate) async fn depart(&self, talk: &Talk<'_>) -> Result<Departure, FederationError> {
        match &self.speaks {
            // What it says of itself is known, mostly: then nobody is asked.
            Speaks::Oidc(oidc) => match oidc.depart(talk).await {
                Err(error) => self.count(talk, Err(error)),
                departure => departure,
            },
            Speaks::OAuth2(oauth2) => Ok(oauth2.depart(talk.redirect)?),
        }
    }

    /// Who has come back with this code.
    pub(crate) async fn identify(
        &self,
        code: &str,
        agreed: &Agreed,
        talk: &Talk<'_>,
    ) -> Result<Identity, FederationError> {
        let identity = match &self.speaks {
            Speaks::Oidc(oidc) => oidc.identify(code, agreed, talk).await,
            Speaks::OAuth2(oauth2) => oauth2.identify(code, agreed, talk.redirect).await,
        };
        let identity = identity.and_then(|identity| {
            // OpenID Connect Core 1.0, 2: at most 255 ASCII characters.
            let good = (1..=SUBJECT_MAX).contains(&identity.subject.len());
            let bad = || FederationError::Refused("the subject is none".to_owned());
            if good { Ok(identity) } else { Err(bad()) }
        });
        self.count(talk, identity)
    }

    /// Whether the one who answers may be the one that was asked (RFC 9207).
    pub(crate) fn may_be(&self, issuer: &str) -> bool {
        matches!(self.speaks, Speaks::OAuth2(_)) || self.issuer() == issuer
    }

    /// What its accounts are told apart from others' by, whatever it is called here.
    pub(crate) fn issuer(&self) -> &str {
        match &self.speaks {
            Speaks::Oidc(oidc) => oidc.issuer(),
            Speaks::OAuth2(oauth2) => oauth2.user_url(),
        }
    }

    fn count<T>(
        &self,
        talk: &Talk<'_>,
        result: Result<T, FederationError>,
    ) -> Result<T, FederationError> {
        let outcome = match &result {
            Ok(_) => "answered",
            Err(FederationError::Unavailable(why)) => {
                tracing::warn!(provider = self.name, why, "a provider does not answer");
                "unavailable"
            }
            Err(FederationError::Refused(why)) => {
                tracing::warn!(provider = self.name, why, "a provider's word was not taken");
                "refused"
            }
        };
        talk.outcomes.with_label_values(&[self.name.as_str(), outcome]).inc();
        result
    }
}

#[cfg(test)]
mod tests;
