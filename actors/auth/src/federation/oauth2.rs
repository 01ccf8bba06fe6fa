//! OAuth 2, with an address that tells who the user is, as GitHub has it.

use http::{Request, header};
use oauth2::basic::{BasicClient, BasicTokenType};
use oauth2::{
    AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EmptyExtraTokenFields,
    EndpointNotSet, EndpointSet, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope,
    StandardTokenResponse, TokenResponse as _, TokenUrl,
};
use panel_kernel::outbound::Outbound;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::library::{Http, refused, token_error, unavailable};
use super::{Agreed, Departure, FederationError, Identity, ProviderConfig};

const GITHUB_AUTHORIZE: &str = "https://github.com/login/oauth/authorize";
const GITHUB_TOKEN: &str = "https://github.com/login/oauth/access_token";
const GITHUB_USER: &str = "https://api.github.com/user";
const GITHUB_EMAILS: &str = "https://api.github.com/user/emails";

type Client = BasicClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

/// A provider.
#[derive(Debug)]
pub(super) struct OAuth2 {
    client: Client,
    scopes: Vec<Scope>,
    trust_email: bool,
    user_url: String,
    emails_url: Option<String>,
    outbound: Outbound,
}

impl OAuth2 {
    pub(super) fn new(
        config: &ProviderConfig,
        outbound: Outbound,
    ) -> Result<Self, (&'static str, String)> {
        let or_github = |url: &str, github: &str| match url {
            "" => github.to_owned(),
            url => url.to_owned(),
        };
        let authorize = AuthUrl::new(or_github(&config.authorize_url, GITHUB_AUTHORIZE));
        let authorize = authorize.map_err(|error| ("authorize_url", error.to_string()))?;
        let token = TokenUrl::new(or_github(&config.token_url, GITHUB_TOKEN));
        let token = token.map_err(|error| ("token_url", error.to_string()))?;
        let client = BasicClient::new(ClientId::new(config.client_id.clone()));
        let mut client = client.set_auth_uri(authorize).set_token_uri(token);
        if !config.client_secret.expose().is_empty() {
            let secret = ClientSecret::new(config.client_secret.expose().to_owned());
            client = client.set_client_secret(secret);
        }
        let scopes = match &config.scopes[..] {
            [] => vec!["read:user".to_owned(), "user:email".to_owned()],
            scopes => scopes.to_vec(),
        };
        // Who has another place for users need not list addresses.
        let emails = match (config.user_url.as_str(), config.emails_url.as_str()) {
            ("", "") => Some(GITHUB_EMAILS.to_owned()),
            (_, "") => None,
            (_, url) => Some(url.to_owned()),
        };
        Ok(Self {
            client,
            scopes: scopes.into_iter().map(Scope::new).collect(),
            trust_email: config.trust_email,
            user_url: or_github(&config.user_url, GITHUB_USER),
            emails_url: emails,
            outbound,
        })
    }

    pub(super) fn user_url(&self) -> &str {
        &self.user_url
    }

    fn client(&self, redirect: &str) -> Result<Client, FederationError> {
        let redirect =
            RedirectUrl::new(redirect.to_owned()).map_err(|error| unavailable(&error))?;
        Ok(self.client.clone().set_redirect_uri(redirect))
    }

    pub(super) fn depart(&self, redirect: &str) -> Result<Departure, FederationError> {
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let client = self.client(redirect)?;
        let (url, state) = client
            .authorize_url(CsrfToken::new_random)
            .add_scopes(self.scopes.iter().cloned())
            .set_pkce_challenge(challenge)
            .url();
        let (state, verifier) = (state.into_secret(), verifier.into_secret());
        let agreed = Agreed { state, nonce: String::new(), verifier };
        Ok(Departure { url: url.to_string(), agreed })
    }

    pub(super) async fn identify(
        &self,
        code: &str,
        agreed: &Agreed,
        redirect: &str,
    ) -> Result<Identity, FederationError> {
        let http = Http(&self.outbound);
        let told: StandardTokenResponse<EmptyExtraTokenFields, BasicTokenType> = self
            .client(redirect)?
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .set_pkce_verifier(PkceCodeVerifier::new(agreed.verifier.clone()))
            .request_async(&http)
            .await
            .map_err(token_error)?;
        let token = told.access_token().secret();
        let user: User = self.ask(&self.user_url, token).await?;
        let emails = match &self.emails_url {
            Some(url) => self.ask(url, token).await?,
            None => Vec::new(),
        };
        user.identity(&emails, self.trust_email)
    }

    async fn ask<T: DeserializeOwned>(&self, url: &str, token: &str) -> Result<T, FederationError> {
        let request = Request::get(url)
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::ACCEPT, "application/json")
            .body(Vec::new())
            .map_err(|error| unavailable(&error))?;
        let answer = self.outbound.send(request).await?;
        if !answer.status().is_success() {
            let why = format!("{url} answered {}", answer.status().as_u16());
            return Err(FederationError::Unavailable(why));
        }
        serde_json::from_slice(answer.body()).map_err(|error| refused(&error))
    }
}

/// The user, in the words of several providers.
#[derive(Debug, Deserialize)]
struct User {
    /// GitHub's is a number.
    #[serde(alias = "sub")]
    id: Value,
    #[serde(alias = "username", alias = "preferred_username")]
    login: Option<String>,
    name: Option<String>,
    email: Option<String>,
    #[serde(alias = "verified")]
    email_verified: Option<bool>,
}

/// One of the user's addresses.
#[derive(Debug, Deserialize)]
struct Email {
    #[serde(rename = "email")]
    address: String,
    #[serde(default)]
    primary: bool,
    #[serde(default)]
    verified: bool,
}

impl User {
    fn identity(self, emails: &[Email], trust_email: bool) -> Result<Identity, FederationError> {
        let subject = match self.id {
            Value::Number(number) => number.to_string(),
            Value::String(text) if !text.is_empty() => text,
            _ => return Err(FederationError::Refused("the user has no id".to_owned())),
        };
        let mut verified = emails.iter().filter(|email| email.verified);
        let primary = verified.clone().find(|email| email.primary).or_else(|| verified.next());
        let is_own = self.email_verified.unwrap_or(trust_email);
        let email = primary.map(|email| email.address.clone());
        let email = email.or_else(|| self.email.filter(|_| is_own));
        Ok(Identity { subject, email, username: self.login, name: self.name })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn identity(user: Value, emails: Value, trust: bool) -> Result<Identity, FederationError> {
        let emails: Vec<Email> = serde_json::from_value(emails).unwrap();
        serde_json::from_value::<User>(user).unwrap().identity(&emails, trust)
    }

    #[test]
    fn who_somebody_is_in_the_words_of_several() {
        let github = json!({"id": 583_231, "login": "octocat", "name": "The Octocat", "email": null,
                            "company": "x"});
        let emails = json!([
            {"email": "old@example.org", "primary": false, "verified": true, "visibility": null},
            {"email": "new@example.org", "primary": true, "verified": true, "visibility": "x"},
        ]);
        let told = identity(github.clone(), emails, false).unwrap();
        assert_eq!((told.subject.as_str(), told.username.as_deref()), ("583231", Some("octocat")));
        assert_eq!(told.email.as_deref(), Some("new@example.org"));
        let one = json!([{"email": "a@example.org", "primary": true, "verified": false}]);
        assert_eq!(identity(github, one, true).unwrap().email, None, "nobody has shown it");
        let discord = json!({"id": "8035", "username": "nelly", "email": "n@example.org",
                             "verified": true});
        let told = identity(discord, json!([]), false).unwrap();
        assert_eq!(told.email.as_deref(), Some("n@example.org"));
        let silent = json!({"sub": "1", "email": "a@example.org"});
        assert_eq!(identity(silent.clone(), json!([]), false).unwrap().email, None);
        assert!(identity(silent, json!([]), true).unwrap().email.is_some());
        for nobody in [json!({"id": null}), json!({"id": ""}), json!({"id": true})] {
            assert!(identity(nobody, json!([]), false).is_err());
        }
    }
}
