//! A signed-in person.

use http::Method;
use serde_json::{Value, json};

use crate::http::{Answer, Client, RequestBuilder, verbs};

/// The password of every account the harness makes.
pub const PASSWORD: &str = "violet-anchor-74-lantern";

/// A client with somebody's tokens.
#[derive(Clone, Debug)]
pub struct Session {
    /// Talks without credentials.
    pub client: Client,
    /// The account.
    pub user_id: String,
    /// Its name.
    pub username: String,
    /// The session's id.
    pub session_id: String,
    /// Good for ten minutes.
    pub access_token: String,
    /// Good once.
    pub refresh_token: String,
}

impl Session {
    /// Makes an account and signs it in.
    pub async fn register(client: &Client, username: &str) -> Self {
        let account = json!({
            "username": username, "email": email(username), "password": PASSWORD,
        });
        let registered = client.post("/api/v2/auth/register").json(&account).await.expect(201);
        let session = Self::login(client, username, PASSWORD).await;
        assert_eq!(registered.json()["user"]["id"], session.user_id.as_str());
        session
    }

    /// Signs in.
    pub async fn login(client: &Client, login: &str, password: &str) -> Self {
        let answer = Self::try_login(client, login, password).await.expect(200);
        Self::from_json(client, &answer.json())
    }

    /// What signing in is answered with.
    pub async fn try_login(client: &Client, login: &str, password: &str) -> Answer {
        let credentials = json!({"login": login, "password": password});
        client.post("/api/v2/auth/login").json(&credentials).await
    }

    /// From the answer to a login.
    #[must_use]
    pub fn from_json(client: &Client, answer: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let session = Self {
            client: client.clone(),
            user_id: text(&answer["user"]["id"]),
            username: text(&answer["user"]["username"]),
            session_id: text(&answer["session_id"]),
            access_token: text(&answer["access_token"]),
            refresh_token: text(&answer["refresh_token"]),
        };
        assert_eq!(answer["token_type"], "Bearer", "{answer}");
        assert!(answer["expires_in"].as_u64().is_some_and(|seconds| seconds > 0), "{answer}");
        for part in [&session.user_id, &session.session_id] {
            assert!(!part.is_empty(), "{answer}");
        }
        for part in [&session.username, &session.access_token, &session.refresh_token] {
            assert!(!part.is_empty(), "{answer}");
        }
        session
    }

    /// Changes the tokens for new ones.
    pub async fn refresh(&mut self) {
        let token = json!({"refresh_token": self.refresh_token});
        let answer = self.client.post("/api/v2/auth/refresh").json(&token).await.expect(200);
        let answer = answer.json();
        for (part, name) in
            [(&mut self.access_token, "access_token"), (&mut self.refresh_token, "refresh_token")]
        {
            answer[name].as_str().unwrap_or_else(|| panic!("{answer}")).clone_into(part);
        }
    }

    /// The same person against another address: another gateway, or the node after a restart.
    #[must_use]
    pub fn at(&self, client: &Client) -> Self {
        Self { client: client.clone(), ..self.clone() }
    }

    /// A request in this person's name.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, path).bearer(&self.access_token)
    }

    verbs! { get GET, post POST, put PUT, patch PATCH, delete DELETE }
}

/// The mail address the harness gives an account.
#[must_use]
pub fn email(username: &str) -> String {
    format!("{username}@example.org")
}
