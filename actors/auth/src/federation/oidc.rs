//! OpenID Connect.

use std::sync::Arc;
use std::time::Duration;

use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreIdTokenClaims, CoreIdTokenVerifier,
    CoreJwsSigningAlgorithm as Alg, CoreProviderMetadata, CoreUserInfoClaims,
};
use openidconnect::{
    AccessToken, AccessTokenHash, AuthorizationCode, ClaimsVerificationError, ClientId,
    ClientSecret, CsrfToken, EndUserName, EndpointMaybeSet, EndpointNotSet, EndpointSet, IssuerUrl,
    LocalizedClaim, Nonce, OAuth2TokenResponse as _, PkceCodeChallenge, PkceCodeVerifier,
    RedirectUrl, Scope, SignatureVerificationError, TokenResponse as _, UserInfoError,
};
use panel_kernel::outbound::Outbound;
use panel_kernel::time::Timestamp;
use tokio::sync::Mutex;

use super::library::{Http, refused, token_error, unavailable};
use super::{Agreed, Departure, FederationError, Identity, ProviderConfig, Talk};

/// How long a discovery document and its keys are taken for current.
const CURRENT: Duration = Duration::from_secs(3_600);
/// A key that is not known makes us look again, this long after we did.
const AGAIN: Duration = Duration::from_secs(30);
/// By how much the clocks of two machines may differ.
const SKEW: Duration = Duration::from_secs(60);

type Client = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// A provider, and what is known of it.
#[derive(Debug)]
pub(super) struct Oidc {
    issuer: IssuerUrl,
    client_id: ClientId,
    client_secret: Option<ClientSecret>,
    scopes: Vec<Scope>,
    trust_email: bool,
    outbound: Outbound,
    /// Held while it is fetched: one asks for all who wait.
    known: Mutex<Option<(Timestamp, Arc<CoreProviderMetadata>)>>,
}

impl Oidc {
    pub(super) fn new(
        config: &ProviderConfig,
        outbound: Outbound,
    ) -> Result<Self, (&'static str, String)> {
        let issuer = IssuerUrl::new(config.issuer.clone());
        let secret = config.client_secret.expose();
        let scopes = match &config.scopes[..] {
            [] => vec!["email".to_owned(), "profile".to_owned()],
            scopes => scopes.to_vec(),
        };
        Ok(Self {
            issuer: issuer.map_err(|error| ("issuer", error.to_string()))?,
            client_id: ClientId::new(config.client_id.clone()),
            client_secret: (!secret.is_empty()).then(|| ClientSecret::new(secret.to_owned())),
            // `openid` is asked for anyway.
            scopes: scopes.into_iter().filter(|it| it != "openid").map(Scope::new).collect(),
            trust_email: config.trust_email,
            outbound,
            known: Mutex::new(None),
        })
    }

    pub(super) fn issuer(&self) -> &str {
        self.issuer.as_str()
    }

    pub(super) async fn depart(&self, talk: &Talk<'_>) -> Result<Departure, FederationError> {
        let client = self.client(talk, CURRENT).await?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let (url, state, nonce) = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                CsrfToken::new_random,
                Nonce::new_random,
            )
            .add_scopes(self.scopes.iter().cloned())
            .set_pkce_challenge(challenge)
            .url();
        let agreed = Agreed {
            state: state.into_secret(),
            nonce: nonce.secret().clone(),
            verifier: verifier.into_secret(),
        };
        Ok(Departure { url: url.to_string(), agreed })
    }

    pub(super) async fn identify(
        &self,
        code: &str,
        agreed: &Agreed,
        talk: &Talk<'_>,
    ) -> Result<Identity, FederationError> {
        let mut client = self.client(talk, CURRENT).await?;
        let http = Http(&self.outbound);
        let told = client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .map_err(|error| unavailable(&error))?
            .set_pkce_verifier(PkceCodeVerifier::new(agreed.verifier.clone()))
            .request_async(&http)
            .await
            .map_err(token_error)?;
        let missing = || FederationError::Refused("there is no ID token".to_owned());
        let token = told.id_token().ok_or_else(missing)?;
        let (nonce, now) = (Nonce::new(agreed.nonce.clone()), talk.clock.now());
        if is_by_unknown_key(token.claims(&verifier(&client, now)?, &nonce).err()) {
            client = self.client(talk, AGAIN).await?;
        }
        let verifier = verifier(&client, now)?;
        let claims = token.claims(&verifier, &nonce).map_err(|error| refused(&error))?;
        if let Some(expected) = claims.access_token_hash() {
            let algorithm = token.signing_alg().map_err(|error| refused(&error))?;
            let key = token.signing_key(&verifier).map_err(|error| refused(&error))?;
            let hash = AccessTokenHash::from_token(told.access_token(), algorithm, key);
            if hash.map_err(|error| refused(&error))? != *expected {
                let why = "the access token is not the one of the ID token";
                return Err(FederationError::Refused(why.to_owned()));
            }
        }
        let mut identity = self.identity(claims);
        if identity.email.is_none() {
            let more = self.ask(&client, told.access_token(), claims, &http).await?;
            identity.email = identity.email.or(more.email);
            identity.username = identity.username.or(more.username);
            identity.name = identity.name.or(more.name);
        }
        Ok(identity)
    }

    /// What it tells who has the access token, where it has a place for that.
    async fn ask(
        &self,
        client: &Client,
        token: &AccessToken,
        claims: &CoreIdTokenClaims,
        http: &Http<'_>,
    ) -> Result<Identity, FederationError> {
        let subject = claims.subject().clone();
        let none =
            Identity { subject: subject.to_string(), email: None, username: None, name: None };
        let Ok(request) = client.user_info(token.clone(), Some(subject)) else { return Ok(none) };
        let more: CoreUserInfoClaims = match request.request_async(http).await {
            Ok(more) => more,
            Err(UserInfoError::Request(error)) => return Err(unavailable(&error)),
            Err(error) => return Err(refused(&error)),
        };
        let email = more.email().map(|email| email.as_str());
        Ok(Identity {
            email: self.vouched(email, more.email_verified()),
            username: more.preferred_username().map(|name| name.to_string()),
            name: first(more.name()),
            ..none
        })
    }

    fn identity(&self, claims: &CoreIdTokenClaims) -> Identity {
        let email = claims.email().map(|email| email.as_str());
        Identity {
            subject: claims.subject().to_string(),
            email: self.vouched(email, claims.email_verified()),
            username: claims.preferred_username().map(|name| name.to_string()),
            name: first(claims.name()),
        }
    }

    /// The address, if it is the user's own as far as the provider knows.
    fn vouched(&self, email: Option<&str>, verified: Option<bool>) -> Option<String> {
        let good = verified.unwrap_or(self.trust_email);
        email.filter(|_| good).map(str::to_owned)
    }

    /// What is known of the provider, if it is not older than this; else what it says now.
    async fn client(&self, talk: &Talk<'_>, current: Duration) -> Result<Client, FederationError> {
        let mut known = self.known.lock().await;
        let now = talk.clock.now();
        let fresh = known.as_ref().filter(|(at, _)| at.until(now) < current);
        let metadata = if let Some((_, metadata)) = fresh {
            Arc::clone(metadata)
        } else {
            let http = Http(&self.outbound);
            let found = CoreProviderMetadata::discover_async(self.issuer.clone(), &http).await;
            let found = Arc::new(found.map_err(|error| unavailable(&error))?);
            *known = Some((now, Arc::clone(&found)));
            found
        };
        drop(known);
        let redirect = RedirectUrl::new(talk.redirect.to_owned());
        let redirect = redirect.map_err(|error| unavailable(&error))?;
        let (id, secret) = (self.client_id.clone(), self.client_secret.clone());
        let metadata = CoreProviderMetadata::clone(&metadata);
        Ok(CoreClient::from_provider_metadata(metadata, id, secret).set_redirect_uri(redirect))
    }
}

/// Takes signatures that nobody else could have made: a secret we share is no proof of who it is.
fn verifier(client: &Client, now: Timestamp) -> Result<CoreIdTokenVerifier<'_>, FederationError> {
    let at = now.minus(SKEW).to_string().parse().map_err(|error| unavailable(&error))?;
    let verifier = client
        .id_token_verifier()
        .set_allowed_algs([
            Alg::RsaSsaPkcs1V15Sha256,
            Alg::RsaSsaPkcs1V15Sha384,
            Alg::RsaSsaPkcs1V15Sha512,
            Alg::RsaSsaPssSha256,
            Alg::RsaSsaPssSha384,
            Alg::RsaSsaPssSha512,
            Alg::EcdsaP256Sha256,
            Alg::EcdsaP384Sha384,
            Alg::EdDsa,
        ])
        .set_time_fn(move || at);
    Ok(verifier)
}

/// Whether the provider may have a new key.
fn is_by_unknown_key(error: Option<ClaimsVerificationError>) -> bool {
    use SignatureVerificationError::{CryptoError, NoMatchingKey};
    let Some(ClaimsVerificationError::SignatureVerification(why)) = error else { return false };
    matches!(why, NoMatchingKey | CryptoError(_))
}

/// A name, in the language that has none, or in any.
fn first(claim: Option<&LocalizedClaim<EndUserName>>) -> Option<String> {
    let claim = claim?;
    let name = claim.get(None).or_else(|| claim.iter().next().map(|(_, name)| name));
    name.map(|name| name.to_string())
}
