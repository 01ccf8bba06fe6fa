//! An authority of the test's own that issues certificates: Pebble, Let's Encrypt's server for tests, and the DNS
//! that it looks in.
//!
//! A guard runs both, and ends them when the test ends, however that ends.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::guard::Guard;
use crate::http::{Client, secured};
use crate::node::NodeBuilder;
use crate::port::Port;
use crate::process::Process;
use crate::site_certificate::SiteCertificate;

/// For it to start, and for the guard to end.
const START: Duration = Duration::from_secs(20);
/// Between two looks at what starts.
const PAUSE: Duration = Duration::from_millis(10);

/// Runs both until its standard input ends. `$1` is the directory, `$2` the port of the DNS and `$3` the port
/// by which that is told things.
const GUARD: &str = r#"
exec 3<&0 </dev/null 2>>"$1/log"
cd "$1"
pebble-challtestsrv -defaultIPv4 127.0.0.1 -defaultIPv6 '' -dns01 "127.0.0.1:$2" -http01 '' \
    -https01 '' -tlsalpn01 '' -management "127.0.0.1:$3" >>"$1/log" 2>&1 3<&- &
names=$!
start() {
    pebble -config "$1/config.json" -dnsserver "127.0.0.1:$2" >>"$1/log" 2>&1 3<&- &
    authority=$!
}
start "$@"
while read -r order <&3; do
    kill -KILL "$authority"
    wait "$authority"
    start "$@"
done
kill -KILL "$authority" "$names"
wait "$authority" "$names"
rm -rf "$1"
"#;

/// What the authority is to be like.
#[derive(Clone, Debug)]
pub struct AuthorityPlan {
    /// The port at which it asks hosts in the clear.
    pub http: u16,
    /// The port at which it shakes hands with them.
    pub tls: u16,
    /// For how long what it issues is good.
    pub life: Duration,
    /// An account it wants to know of before it makes one: the name of its key, and the key.
    pub known: Option<(&'static str, &'static str)>,
}

/// An authority on ports of its own. It believes that every host is 127.0.0.1.
#[derive(Debug)]
pub struct Authority {
    guard: Guard,
    directory: PathBuf,
    own: SiteCertificate,
    ports: Ports,
    /// How many times it has begun.
    begun: usize,
}

#[derive(Debug)]
struct Ports {
    api: Port,
    management: Port,
    names: Port,
    told: Port,
}

impl Authority {
    /// Starts one.
    #[must_use]
    pub fn start(plan: &AuthorityPlan) -> Self {
        let own = SiteCertificate::new();
        let directory = tempfile::Builder::new().prefix("panel-acme-").tempdir().unwrap().keep();
        let [api, management, names, told] = std::array::from_fn(|_| Port::reserve());
        let ports = Ports { api, management, names, told };
        let keys = plan.known.map(|(name, key)| json!({ name: key })).unwrap_or_default();
        let config = json!({"pebble": {
            "listenAddress": ports.api.address(),
            "managementListenAddress": ports.management.address(),
            "certificate": own.chain(),
            "privateKey": own.key(),
            "httpPort": plan.http,
            "tlsPort": plan.tls,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": plan.known.is_some(),
            "externalAccountMACKeys": keys,
            "certificateValidityPeriod": plan.life.as_secs(),
        }});
        std::fs::write(directory.join("config.json"), config.to_string()).unwrap();
        let mut start = Guard::start(GUARD, "the authority", START);
        start.command.arg(&directory);
        start.command.args([&ports.names, &ports.told].map(|port| port.number().to_string()));
        // It looks at once, and takes every nonce that is good.
        start.command.env("PEBBLE_VA_NOSLEEP", "1").env("PEBBLE_WFE_NONCEREJECT", "0");
        let guard = start.spawn(Process::spawn);
        let authority = Self { guard, directory, own, ports, begun: 1 };
        authority.await_ready();
        authority
    }

    /// Waits until it says itself that it listens.
    fn await_ready(&self) {
        let deadline = Instant::now() + START;
        loop {
            let log = std::fs::read_to_string(self.directory.join("log")).unwrap_or_default();
            let Ports { api, management, names, told } = &self.ports;
            let answers = |port: &Port| std::net::TcpStream::connect(port.address()).is_ok();
            let is_there = log.contains("ACME directory available");
            if is_there && [api, management, names, told].into_iter().all(answers) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "pebble does not start (is what tests/scripts/packages.sh installs there?):\n{log}"
            );
            std::thread::sleep(PAUSE);
        }
    }

    /// The settings of a node that has its certificate issued here, for the host of this URL.
    #[must_use]
    pub fn settings(&self, public_url: &str) -> [(&'static str, String); 5] {
        let authority = self.own.authority().to_str().unwrap().to_owned();
        [
            ("PANEL_NODE__PUBLIC_URL", public_url.to_owned()),
            ("PANEL_GATEWAY__TLS__ACME__DIRECTORY", self.url()),
            ("PANEL_GATEWAY__TLS__ACME__TERMS_AGREED", "true".to_owned()),
            ("PANEL_GATEWAY__TLS__ACME__CA_FILE", authority),
            ("PANEL_GATEWAY__TLS__ACME__RETRY", "1s".to_owned()),
        ]
    }

    /// Such a node. It is ready before it has one.
    #[must_use]
    pub fn configure(&self, node: NodeBuilder, public_url: &str) -> NodeBuilder {
        let settings = self.settings(public_url);
        let node = settings.iter().fold(node, |node, (name, value)| node.env(name, value));
        node.may_be_degraded()
    }

    /// Forgets everything: what it has issued, and to whom.
    pub fn forget(&mut self) {
        self.guard.order("again");
        let deadline = Instant::now() + START;
        while self.log().matches("ACME directory available").count() < self.begun + 1 {
            assert!(Instant::now() < deadline, "it does not start again:\n{}", self.log());
            std::thread::sleep(PAUSE);
        }
        self.begun += 1;
    }

    /// Its directory.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://localhost:{}/dir", self.ports.api.number())
    }

    /// What it has said so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("log")).unwrap()
    }

    /// For a client that believes in what it issues, and speaks these protocols.
    pub async fn client_config(&self, protocols: &[&[u8]]) -> Arc<ClientConfig> {
        let management = Client::new(self.ports.management.address())
            .under_tls(&self.own.client_config(&[b"http/1.1"]));
        let root = management.get("/roots/0").await.expect(200);
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&root.body).unwrap()).unwrap();
        let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Arc::new(config)
    }
}

/// A TLS session with this host at this address.
///
/// # Errors
/// If the two ends can't agree, or the server is not who it should be.
pub async fn shake_hands(
    address: &str,
    host: &str,
    config: &Arc<ClientConfig>,
) -> std::io::Result<TlsStream<TcpStream>> {
    secured(TcpStream::connect(address).await?, host, config).await
}
