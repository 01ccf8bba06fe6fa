//! How a node is to be started.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use tempfile::TempDir;

use super::command::run_to_end;
use super::{Node, binary};
use crate::backend::TestDatabase;
use crate::http::Client;
use crate::site_certificate::SiteCertificate;

/// Password hashing as cheap as it can be, because tests sign in a lot; and no limits, because
/// they all ask from one address. A test of limits turns them on.
const USUAL: [(&str, &str); 3] = [
    ("PANEL_AUTH__ARGON2_MEMORY_KIB", "64"),
    ("PANEL_AUTH__ARGON2_ITERATIONS", "1"),
    ("PANEL_LIMITS__ENABLED", "false"),
];

/// Everything that tells one start of a node from another.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) name: String,
    roles: String,
    service_ports: String,
    log_format: Option<String>,
    listen: String,
    database_url: Option<String>,
    config: Option<String>,
    environment: Vec<(String, String)>,
    arguments: Vec<String>,
    pub(super) may_be_degraded: bool,
    pub(super) site: Option<SiteCertificate>,
}

impl Plan {
    pub(super) fn has_role(&self, role: &str) -> bool {
        self.roles.split(',').any(|own| own == role)
    }

    /// Talks to its site at this address, in HTTP/1.1.
    pub(super) fn client(&self, http: &str) -> Client {
        let client = Client::new(http);
        match &self.site {
            Some(site) => client.under_tls(&site.client_config(&[b"http/1.1"])),
            None => client,
        }
    }

    pub(super) fn run_file(&self, directory: &Path) -> PathBuf {
        directory.join("run").join(format!("{}.json", self.name))
    }

    /// `panel-node run …`.
    pub(super) fn run_command(&self, directory: &Path) -> Command {
        let mut command = self.command(directory, &["run"]);
        command.args(["--name", &self.name, "--roles", &self.roles]);
        command.args(["--listen", &self.listen, "--ops-listen", "127.0.0.1:0"]);
        command.args(["--service-ports", &self.service_ports]);
        if let Some(format) = &self.log_format {
            command.args(["--log-format", format]);
        }
        command.args(&self.arguments);
        command
    }

    /// Any command, against this node's data, in an environment without settings of the
    /// machine's own.
    pub(super) fn command(&self, directory: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary::path());
        // Not where a `cluster.toml` of the checkout would be found.
        command.current_dir(directory).args(arguments).arg("--data-dir").arg(directory);
        if let Some(url) = &self.database_url {
            command.args(["--database-url", url]);
        }
        if let Some(text) = &self.config {
            let path = directory.join("test.toml");
            std::fs::write(&path, text).unwrap();
            command.arg("--config").arg(path);
        }
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("PANEL_") || ["DATABASE_URL", "REDIS_URL"].contains(&&*name) {
                command.env_remove(&*name);
            }
        }
        command.envs(USUAL).envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// A node being put together: all roles, SQLite in its own directory, free ports.
#[derive(Debug)]
pub struct NodeBuilder {
    plan: Plan,
    directory: Option<Arc<TempDir>>,
}

impl Default for NodeBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl NodeBuilder {
    /// Nothing said yet.
    #[must_use]
    pub fn new() -> Self {
        let plan = Plan {
            name: "n1".to_owned(),
            roles: "gateway,auth,forum,cms,admin".to_owned(),
            service_ports: "off".to_owned(),
            log_format: Some("json".to_owned()),
            listen: "127.0.0.1:0".to_owned(),
            database_url: None,
            config: None,
            environment: Vec::new(),
            arguments: Vec::new(),
            may_be_degraded: false,
            site: None,
        };
        Self { plan, directory: None }
    }

    /// Under another name than `n1`.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.plan.name);
        self
    }

    /// With these roles, comma-separated.
    #[must_use]
    pub fn roles(mut self, roles: &str) -> Self {
        roles.clone_into(&mut self.plan.roles);
        self
    }

    /// On this database. The test keeps it: it must outlive the node.
    #[must_use]
    pub fn database(self, database: &TestDatabase) -> Self {
        self.database_url(database.url())
    }

    /// On the database at this URL.
    #[must_use]
    pub fn database_url(mut self, url: &str) -> Self {
        self.plan.database_url = Some(url.to_owned());
        self
    }

    /// With a port per service, each a free one.
    #[must_use]
    pub fn service_ports(mut self) -> Self {
        "auth=0,forum=0,cms=0,admin=0".clone_into(&mut self.plan.service_ports);
        self
    }

    /// With another log than JSON; `None`: as the program has it if nothing is said.
    #[must_use]
    pub fn log_format(mut self, format: Option<&str>) -> Self {
        self.plan.log_format = format.map(str::to_owned);
        self
    }

    /// On this public address instead of a free one.
    #[must_use]
    pub fn listen(mut self, address: &str) -> Self {
        address.clone_into(&mut self.plan.listen);
        self
    }

    /// With this text as its configuration file.
    #[must_use]
    pub fn config(mut self, text: &str) -> Self {
        self.plan.config = Some(text.to_owned());
        self
    }

    /// With the mail server on this port of 127.0.0.1.
    #[must_use]
    pub fn mail(self, port: u16) -> Self {
        self.env("PANEL_AUTH__MAIL__URL", &format!("smtp://127.0.0.1:{port}"))
            .env("PANEL_AUTH__MAIL__PLAINTEXT", "true")
    }

    /// With a setting in the environment: `("PANEL_LIMITS__ENABLED", "false")`.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.plan.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Under TLS, with this certificate.
    #[must_use]
    pub fn tls(mut self, site: &SiteCertificate) -> Self {
        self.plan.site = Some(site.clone());
        let path = |path: std::path::PathBuf| path.to_str().unwrap().to_owned();
        self.env("PANEL_GATEWAY__TLS__CERTIFICATE", &path(site.chain()))
            .env("PANEL_GATEWAY__TLS__KEY", &path(site.key()))
    }

    /// With fault points that can be armed, and actors that can be broken.
    #[must_use]
    pub fn faults(self) -> Self {
        self.env("PANEL_FAULTS__ENABLED", "true")
    }

    /// With further arguments of `run`: `["--seed", "127.0.0.1:5700"]`.
    #[must_use]
    pub fn args<'a>(mut self, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        self.plan.arguments.extend(arguments.into_iter().map(str::to_owned));
        self
    }

    /// In a data directory that others use too.
    #[must_use]
    pub fn data_dir(mut self, directory: &Arc<TempDir>) -> Self {
        self.directory = Some(Arc::clone(directory));
        self
    }

    /// Is started as soon as it takes requests, also while its databases are down.
    #[must_use]
    pub const fn may_be_degraded(mut self) -> Self {
        self.plan.may_be_degraded = true;
        self
    }

    /// Starts it and waits until it is ready and, unless it may be degraded, has reached its
    /// databases and knows the keys of its tokens.
    pub async fn start(self) -> Node {
        let directory = directory(self.directory);
        Box::pin(Node::launch(self.plan, directory)).await
    }

    /// Starts it where it must refuse to start: what it said, and its exit status.
    pub async fn start_refused(self) -> Output {
        let directory = directory(self.directory);
        run_to_end(self.plan.run_command(directory.path()), "").await
    }

    /// Runs another command with these settings, without a node.
    pub async fn cli(self, arguments: &[&str]) -> Output {
        let directory = directory(self.directory);
        run_to_end(self.plan.command(directory.path(), arguments), "").await
    }
}

fn directory(given: Option<Arc<TempDir>>) -> Arc<TempDir> {
    given.unwrap_or_else(|| Arc::new(TempDir::with_prefix("panel-node-").unwrap()))
}
