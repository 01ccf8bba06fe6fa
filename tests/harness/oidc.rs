//! An OpenID Connect provider of the test's own: Django's OAuth Toolkit.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::http::Client;
use crate::node::NodeBuilder;
use crate::process::Process;

/// A provider on a port of its own, in the words of OpenID Connect and in those of GitHub. It ends with
/// the test, however that ends.
#[derive(Debug)]
pub struct OidcProvider {
    process: Process,
    client: Client,
}

impl OidcProvider {
    /// One that has the client that [`OidcProvider::configure`] is, and nobody else.
    #[must_use]
    pub fn start() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/oidc_provider.py");
        let mut command = Command::new("/usr/bin/python3");
        command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::spawn(&mut command, "the OpenID Connect provider");
        let client = Client::new(format!("127.0.0.1:{}", process.port()));
        Self { process, client }
    }

    /// A URL of it.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.client.address())
    }

    /// A node that has it as `company`, and once more as `hub`, in GitHub's manner.
    #[must_use]
    pub fn configure(&self, node: NodeBuilder) -> NodeBuilder {
        let settings = [
            ("COMPANY__ISSUER", self.url("/o")),
            ("COMPANY__LABEL", "The Company".to_owned()),
            ("HUB__KIND", "oauth2".to_owned()),
            ("HUB__AUTHORIZE_URL", self.url("/o/authorize/")),
            ("HUB__TOKEN_URL", self.url("/o/token/")),
            ("HUB__USER_URL", self.url("/user")),
            ("HUB__EMAILS_URL", self.url("/user/emails")),
        ];
        let node = settings.into_iter().fold(node, |node, (key, value)| {
            node.env(&format!("PANEL_AUTH__PROVIDERS__{key}"), &value)
        });
        ["COMPANY", "HUB"].into_iter().fold(node, |node, name| {
            let key = |key: &str| format!("PANEL_AUTH__PROVIDERS__{name}__{key}");
            node.env(&key("CLIENT_ID"), "panel").env(&key("CLIENT_SECRET"), "panel-secret")
        })
    }

    /// Lets it send browsers back to the site at this address.
    pub async fn sends_back_to(&self, site: &str) {
        let back = |name: &str| format!("{site}/api/v2/auth/oauth/{name}/callback");
        let uri = format!("{} {}", back("company"), back("hub"));
        self.teach("redirect", &json!({"uri": uri})).await;
    }

    /// Somebody who has an account there: `email`, `email_verified`, `name`.
    pub async fn person(&self, username: &str, about: &Value) {
        let mut person = about.clone();
        person["username"] = username.into();
        self.teach("person", &person).await;
    }

    /// Signs with another key from now on, and does not know the old one any more.
    pub async fn changes_its_key(&self) {
        self.teach("key", &json!(null)).await;
    }

    /// Whose browser comes by itself, without a word about who that is.
    pub async fn is_used_by(&self, username: &str) {
        self.teach("browser", &json!({"username": username})).await;
    }

    async fn teach(&self, what: &str, value: &Value) {
        self.client.post(&format!("/tests/{what}")).json(value).await.expect(204);
    }

    /// Where it sends the browser of `username`, who agrees: path and query of our callback.
    pub async fn agree(&self, authorize_url: &str, username: &str) -> String {
        let there = authorize_url.strip_prefix(&self.url("")).unwrap();
        let answer = self.client.get(there).header("x-person", username).await.expect(302);
        let back = answer.header("location").unwrap();
        let path = back.splitn(4, '/').nth(3).unwrap();
        format!("/{path}")
    }

    /// Stops it in the middle of everything, without closing anything.
    pub fn freeze(&self) {
        self.process.signal("STOP");
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.process.signal("CONT");
    }
}
