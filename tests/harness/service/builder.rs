//! What a rig is made of.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use panel_gateway::{Gateway, GatewayConfig, GatewayParts, LimitsConfig, Sockets};
use panel_kernel::blobs::{Blobs, BlobsConfig};
use panel_kernel::config::{Section, Span};
use panel_kernel::data::DatabaseConfig;
use panel_kernel::events::Outlet;
use panel_kernel::keys::ClusterKey;
use panel_kernel::redis::{Redis, RedisConfig};
use panel_kernel::secret::SecretUrl;
use panel_kernel::service::{NodeIdentity, Runtime, ServiceSpec};
use panel_kernel::supervision::{Intensity, Supervisor, SupervisorSpec};
use panel_kernel::time::Clock;
use parking_lot::Mutex;
use ractor::{Actor, ActorCell};
use serde_json::json;
use tempfile::TempDir;

use super::{Rig, actors};
use crate::backend::TestDatabase;
use crate::probe::{NAME as PROBE, Probe};

/// What a rig will be made of.
#[derive(Debug)]
pub struct RigBuilder {
    database: TestDatabase,
    probe: Probe,
    specs: Vec<ServiceSpec>,
    clock: Clock,
    gateway: GatewayConfig,
    limits: LimitsConfig,
    redis: RedisConfig,
    settings: DatabaseConfig,
    files: BlobsConfig,
    identity: &'static str,
}

impl RigBuilder {
    /// Services on this database. Without [`RigBuilder::service`], a probe alone.
    #[must_use]
    pub fn new(database: TestDatabase) -> Self {
        Self {
            database,
            probe: Probe::new(),
            specs: Vec::new(),
            clock: Clock::system(),
            gateway: GatewayConfig::default(),
            limits: LimitsConfig { enabled: false, ..LimitsConfig::default() },
            redis: RedisConfig::default(),
            settings: DatabaseConfig::default(),
            files: BlobsConfig::default(),
            identity: PROBE,
        }
    }

    /// With files kept there, and not where the database is.
    #[must_use]
    pub fn files(mut self, files: BlobsConfig) -> Self {
        self.files = files;
        self
    }

    /// All services of the program on this database, with passwords that take no time.
    ///
    /// # Panics
    /// If one of them does not take that configuration.
    #[must_use]
    pub fn everything(database: TestDatabase) -> Self {
        let cheap = json!({"argon2_memory_kib": 64, "argon2_iterations": 1});
        let services = [
            (panel_auth::SERVICE, cheap),
            (panel_forum::SERVICE, json!({})),
            (panel_cms::SERVICE, json!({})),
            (panel_admin::SERVICE, json!({})),
        ];
        let builder = Self::new(database).identity(panel_auth::SERVICE.name);
        services.into_iter().fold(builder, |builder, (service, values)| {
            let section = Section { path: service.name.to_owned(), values };
            builder.service((service.configure)(&section).unwrap())
        })
    }

    /// With a service more. A probe named here replaces the one that is there anyway.
    #[must_use]
    pub fn service(mut self, spec: ServiceSpec) -> Self {
        self.specs.push(spec);
        self
    }

    /// With this probe: the one whose counts the test looks at.
    #[must_use]
    pub fn probe(mut self, probe: &Probe) -> Self {
        self.probe = probe.clone();
        self
    }

    /// Whose tokens the gateway takes, instead of the probe's.
    #[must_use]
    pub const fn identity(mut self, service: &'static str) -> Self {
        self.identity = service;
        self
    }

    /// With another clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// With another time for requests than the gateway's ten seconds.
    #[must_use]
    pub const fn request_timeout(mut self, within: Duration) -> Self {
        self.gateway.request_timeout = Span(within);
        self
    }

    /// With other settings of the gateway.
    #[must_use]
    pub fn gateway(mut self, change: impl FnOnce(&mut GatewayConfig)) -> Self {
        change(&mut self.gateway);
        self
    }

    /// With limits, which a rig has none of by itself, and these settings of them.
    #[must_use]
    pub fn limits(mut self, change: impl FnOnce(&mut LimitsConfig)) -> Self {
        self.limits.enabled = true;
        change(&mut self.limits);
        self
    }

    /// With the Redis at this URL, and other settings of it.
    #[must_use]
    pub fn redis(mut self, url: &str, change: impl FnOnce(&mut RedisConfig)) -> Self {
        self.redis.url = SecretUrl::new(url);
        change(&mut self.redis);
        self
    }

    /// With other settings of the database.
    #[must_use]
    pub fn database_settings(mut self, change: impl FnOnce(&mut DatabaseConfig)) -> Self {
        change(&mut self.settings);
        self
    }

    /// Starts it and waits until every service is a member, its database is up, and the gateway
    /// takes tokens.
    pub async fn start(mut self) -> Rig {
        warn();
        if !self.specs.iter().any(|spec| spec.name == PROBE) {
            self.specs.push(self.probe.spec());
        }
        let data = TempDir::with_prefix("panel-rig-").unwrap();
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let address = socket.local_addr().unwrap();
        let node = NodeIdentity { boot: "1".into(), ..NodeIdentity::new("rig") };
        let url = format!("http://{address}");
        let (clock, key) = (self.clock, ClusterKey::generate());
        let data_dir = data.path().to_owned();
        let mut runtime = Runtime::new(node, clock, key, data_dir, &url, &url).unwrap();
        runtime.services = self.specs.iter().map(|spec| spec.name).collect();
        runtime.program = Arc::new(crate::node::program());
        runtime.redis = Redis::new(&self.redis, &runtime.metrics).unwrap();
        self.settings.url = SecretUrl::new(self.database.url());
        let place = self.files.location(&self.settings, data.path()).unwrap();
        runtime.blobs = Blobs::new(place, &self.settings, &runtime).unwrap();

        let before = actors().iter().map(ActorCell::get_id).collect();
        let mut root = SupervisorSpec::new("", &runtime.tree)
            .intensity(Intensity::never_give_up(Duration::from_secs(1)))
            .child(panel_cluster::Cluster::alone(&runtime, Vec::new()).child());
        let shared = runtime.redis.child().into_iter().chain(runtime.blobs.child(&runtime));
        root = shared.fold(root, SupervisorSpec::child);
        let mut running = Vec::new();
        for spec in &self.specs {
            let wishes = self.specs.iter().map(|spec| (spec.name, spec.subscriptions));
            let outlets = Outlet::of(spec.name, wishes);
            let settings = self.settings.clone();
            let location = settings.location(spec.name, data.path()).unwrap();
            let (child, handle) =
                panel_kernel::service::child(spec, &runtime, location, settings, outlets);
            root = root.child(child);
            running.push(handle);
        }
        let gateway = Gateway::new(GatewayParts {
            runtime: runtime.clone(),
            config: self.gateway,
            limits: self.limits,
            services: self.specs,
            identity_service: self.identity,
            database: None,
            dependencies: Arc::new(BTreeMap::new),
            sockets: Sockets { http: socket, services: Vec::new(), redirect: None },
        })
        .unwrap();
        let root = root.child(gateway.child());
        let (root, _) = Actor::spawn(None, Supervisor, root).await.unwrap();
        let rig = Rig {
            runtime,
            running,
            gateway,
            probe: self.probe,
            address,
            root,
            before,
            clients: Mutex::default(),
            identity: self.identity,
            _data: data,
            database: self.database,
        };
        rig.await_up().await;
        rig
    }
}

/// Shows, where a test fails, what the node in it has warned of.
fn warn() {
    let level = tracing_subscriber::filter::LevelFilter::WARN;
    let warnings = tracing_subscriber::fmt().with_max_level(level).with_test_writer();
    // The first rig of a process has seen to it.
    drop(warnings.with_ansi(false).try_init());
}
