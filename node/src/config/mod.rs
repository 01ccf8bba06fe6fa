//! The configuration: flags over environment over file over defaults.
//!
//! The only place that reads environment variables. Every component declares and checks its
//! own section; what nobody declares is refused.

mod environment;
mod layers;
mod names;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use panel_cluster::ClusterConfig;
use panel_gateway::{GatewayConfig, LimitsConfig, SCHEMA, TrafficConfig};
use panel_kernel::blobs::{BlobsConfig, BlobsLocation};
use panel_kernel::config::{BadValue, Section};
use panel_kernel::data::{DatabaseConfig, DatabaseUrl};
use panel_kernel::faults::FaultsConfig;
use panel_kernel::redis::RedisConfig;
use panel_kernel::service::ServiceSpec;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::cli::{CommonArgs, LogFormatArg, RunArgs};
use crate::services::{GATEWAY, IDENTITY, SERVICES};
use crate::telemetry::LogSection;

pub(crate) use layers::ConfigError;
use layers::Layers;
pub(crate) use names::{check_node_name, check_role};

/// The file that is read if it is there and no other is named.
const DEFAULT_FILE: &str = "cluster.toml";

/// The `[node]` section.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NodeSection {
    /// The node's name, unique in the cluster.
    pub(crate) name: String,
    /// Where the node keeps its files.
    pub(crate) data_dir: PathBuf,
    /// What it does; empty: everything.
    pub(crate) roles: Vec<String>,
    /// Where the site is served.
    pub(crate) listen: SocketAddr,
    /// Where health and metrics are served.
    pub(crate) ops_listen: SocketAddr,
    /// The address people use; from `listen` if empty.
    pub(crate) public_url: String,
    /// Other ports for services' `/health` than their usual ones, by name.
    pub(crate) service_ports: BTreeMap<String, u16>,
    /// Whether services have ports at all.
    pub(crate) service_ports_enabled: bool,
}

impl Default for NodeSection {
    fn default() -> Self {
        Self {
            name: "n1".to_owned(),
            data_dir: PathBuf::from("data"),
            roles: Vec::new(),
            listen: SocketAddr::from(([127, 0, 0, 1], 5_000)),
            ops_listen: SocketAddr::from(([127, 0, 0, 1], 5_900)),
            public_url: String::new(),
            service_ports: BTreeMap::new(),
            service_ports_enabled: true,
        }
    }
}

/// The configuration in force.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) node: NodeSection,
    pub(crate) log: LogSection,
    pub(crate) database: DatabaseConfig,
    pub(crate) blobs: BlobsConfig,
    pub(crate) redis: RedisConfig,
    pub(crate) limits: LimitsConfig,
    pub(crate) gateway: GatewayConfig,
    pub(crate) cluster: ClusterConfig,
    pub(crate) faults: FaultsConfig,
    /// Every service of this release, configured, whether it runs here or not.
    pub(crate) services: Vec<ServiceSpec>,
    effective: Map<String, Value>,
}

impl Config {
    /// Reads all layers for a node that is to run.
    pub(crate) fn load(args: &RunArgs) -> Result<Self, ConfigError> {
        let mut layers = Layers::new();
        read_file(&mut layers, &args.common)?;
        environment::read(&mut layers)?;
        flags(&mut layers, args)?;
        Self::from_layers(&layers)
    }

    /// Reads all layers for a command beside it.
    pub(crate) fn load_common(args: &CommonArgs) -> Result<Self, ConfigError> {
        Self::load(&RunArgs { common: args.clone(), ..RunArgs::default() })
    }

    fn from_layers(layers: &Layers) -> Result<Self, ConfigError> {
        let mut known = vec![
            "node", "log", "database", "blobs", "redis", "limits", "gateway", "cluster", "faults",
        ];
        known.extend(SERVICES.iter().map(|service| service.name));
        layers.refuse_unknown(&known)?;
        let node: NodeSection = layers.section("node")?;
        let gateway: GatewayConfig = layers.section("gateway")?;
        let gateway = layers.checked(gateway.checked())?;
        let cluster: ClusterConfig = layers.section("cluster")?;
        let cluster = layers.checked(cluster.checked())?;
        let redis: RedisConfig = layers.section("redis")?;
        let redis = layers.checked(redis.checked())?;
        let limits: LimitsConfig = layers.section("limits")?;
        let limits = layers.checked(limits.checked())?;
        let mut services = Vec::new();
        let mut shown = Vec::new();
        for registration in SERVICES {
            let section = layers.raw(registration.name);
            services.push(layers.checked((registration.configure)(&section))?);
            shown.push((registration.name, layers.checked((registration.effective)(&section))?));
        }
        let mut config = Self {
            node,
            log: layers.section("log")?,
            database: layers.section("database")?,
            blobs: layers.section("blobs")?,
            redis,
            limits,
            gateway,
            cluster,
            faults: layers.section("faults")?,
            services,
            effective: Map::new(),
        };
        layers.checked(config.check())?;
        config.effective = config.describe(shown);
        Ok(config)
    }

    fn check(&self) -> Result<(), BadValue> {
        let bad = |key: &str, reason: String| Err(BadValue { key: key.to_owned(), reason });
        check_node_name(&self.node.name).or_else(|reason| bad("node.name", reason))?;
        let is_service = |name: &str| SERVICES.iter().any(|service| service.name == name);
        for role in &self.node.roles {
            check_role(role).or_else(|reason| bad("node.roles", reason))?;
        }
        for name in self.node.service_ports.keys() {
            if !is_service(name) {
                return bad("node.service_ports", format!("{name:?} is not a service"));
            }
        }
        for name in self.gateway.balance.keys() {
            if !is_service(name) {
                return bad("gateway.balance", format!("{name:?} is not a service"));
            }
        }
        for rule in &self.limits.rules {
            if !rule.service.is_empty() && !is_service(&rule.service) {
                let reason = format!("{:?}: {:?} is not a service", rule.name, rule.service);
                return bad("limits.rules", reason);
            }
        }
        for name in self.database.per_service.keys() {
            if !is_service(name) && name != GATEWAY {
                return bad("database.per_service", format!("{name:?} is not a service"));
            }
        }
        let url = &self.node.public_url;
        if !url.is_empty() && !url.starts_with("http://") && !url.starts_with("https://") {
            return bad("node.public_url", format!("{url:?} must begin with http:// or https://"));
        }
        if self.gateway.tls.is_on() && url.starts_with("http://") {
            let reason = format!("{url:?} must begin with https://: there is gateway.tls");
            return bad("node.public_url", reason);
        }
        for service in SERVICES {
            let location = self.location(service.name);
            let is_here = self.has_role(service.name);
            let is_sqlite = matches!(location, Ok(DatabaseUrl::Sqlite(_)));
            if self.cluster.is_wanted() && is_here && is_sqlite {
                let reason = format!(
                    "nodes that are linked need PostgreSQL, and {} would be on SQLite: give \
                     --database-url postgres://…",
                    service.name
                );
                return bad("database.url", reason);
            }
            if let Err(reason) = location {
                return bad("database.url", reason);
            }
        }
        if let Err(reason) = self.blobs() {
            return bad("blobs.url", reason);
        }
        self.check_acme()?;
        self.check_cdn()?;
        self.faults.check("faults")?;
        crate::telemetry::check(&self.log.level).or_else(|reason| bad("log.level", reason))
    }

    /// Checks what is said in other files, which are read when the node starts.
    pub(crate) fn check_files(&self) -> Result<(), String> {
        let path = &self.gateway.traffic_file;
        if path.as_os_str().is_empty() || !self.has_role(GATEWAY) {
            return Ok(());
        }
        let services: Vec<&str> = SERVICES.iter().map(|service| service.name).collect();
        let read = TrafficConfig::read(path, &services, IDENTITY);
        read.map(drop).map_err(|error| format!("{error} (gateway.traffic_file)"))
    }

    /// What a certificate that is issued needs beside its own section.
    fn check_acme(&self) -> Result<(), BadValue> {
        let acme = &self.gateway.tls.acme;
        if !acme.is_on() || !self.has_role(GATEWAY) {
            return Ok(());
        }
        let bad = |key: &str, reason: String| Err(BadValue { key: key.to_owned(), reason });
        if let Err(reason) = acme.hosts(&self.node.public_url) {
            return bad("gateway.tls.acme.names", reason);
        }
        self.check_shared("share the site's certificate in PostgreSQL")
    }

    /// Where gateways share something, those that are linked need a database that all of them reach.
    fn check_shared(&self, what: &str) -> Result<(), BadValue> {
        let bad = |reason: String| Err(BadValue { key: "database.url".to_owned(), reason });
        match self.location(SCHEMA) {
            Err(reason) => bad(reason),
            Ok(DatabaseUrl::Sqlite(_)) if self.cluster.is_wanted() => {
                bad(format!("gateways that are linked {what}: give --database-url postgres://…"))
            }
            Ok(_) => Ok(()),
        }
    }

    /// What a CDN needs beside its own section.
    fn check_cdn(&self) -> Result<(), BadValue> {
        if !self.gateway.cdn.is_on() || !self.has_role(GATEWAY) {
            return Ok(());
        }
        let bad = |key: &str, reason: String| Err(BadValue { key: key.to_owned(), reason });
        if self.node.public_url.is_empty() {
            let reason = "must be given: it is what the site is called at the CDN (gateway.cdn)";
            return bad("node.public_url", reason.to_owned());
        }
        self.check_shared("agree in PostgreSQL who purges at the CDN")
    }

    /// Where gateways keep what they share; `None` where this node is none, or they share nothing.
    pub(crate) fn shared(&self) -> Result<Option<DatabaseUrl>, String> {
        if !self.has_role(GATEWAY) {
            return Ok(None);
        }
        match (self.gateway.tls.acme.is_on(), self.gateway.cdn.is_on()) {
            (true, _) => self.location(SCHEMA).map(Some),
            // On SQLite there is no other gateway.
            (false, true) => match self.location(SCHEMA)? {
                DatabaseUrl::Sqlite(_) => Ok(None),
                location @ DatabaseUrl::Postgres(_) => Ok(Some(location)),
            },
            (false, false) => Ok(None),
        }
    }

    /// A service's section, as it is in force.
    pub(crate) fn section(&self, name: &str) -> Section {
        section_of(name, self.effective.get(name).cloned().unwrap_or_default())
    }

    /// Where a service has its data.
    pub(crate) fn location(&self, service: &str) -> Result<DatabaseUrl, String> {
        self.database.location(service, &self.node.data_dir)
    }

    /// Where files are kept; `None` for a gateway in a cluster that has been told of no such place.
    pub(crate) fn blobs(&self) -> Result<Option<BlobsLocation>, String> {
        let location = self.blobs.location(&self.database, &self.node.data_dir)?;
        // What is in a directory, or in a bucket by a file beside, one node alone knows of.
        let is_own = !matches!(location.database(), Some(DatabaseUrl::Postgres(_)));
        match (is_own && self.cluster.is_wanted(), self.own_services().next()) {
            (false, _) => Ok(Some(location)),
            (true, None) if self.blobs.url.expose().is_empty() => Ok(None),
            (true, _) => Err("nodes that are linked can't share files that one of them alone \
                              knows of: give database.url as postgres://…, or blobs.url"
                .to_owned()),
        }
    }

    /// Whether this node has that role.
    pub(crate) fn has_role(&self, role: &str) -> bool {
        self.node.roles.is_empty() || self.node.roles.iter().any(|own| own == role)
    }

    /// Everything this node does, by name.
    pub(crate) fn roles(&self) -> Vec<String> {
        std::iter::once(GATEWAY)
            .chain(self.services.iter().map(|spec| spec.name))
            .filter(|role| self.has_role(role))
            .map(str::to_owned)
            .collect()
    }

    /// The services that run here.
    pub(crate) fn own_services(&self) -> impl Iterator<Item = &ServiceSpec> {
        self.services.iter().filter(|spec| self.has_role(spec.name))
    }

    /// The port for a service's `/health`; `None` if it has none.
    pub(crate) fn service_port(&self, spec: &ServiceSpec) -> Option<u16> {
        let port = self.node.service_ports.get(spec.name).copied();
        self.node.service_ports_enabled.then(|| port.unwrap_or(spec.port))
    }

    /// Everything in force, as TOML, secrets redacted.
    pub(crate) fn show(&self) -> Result<String, ConfigError> {
        toml::to_string_pretty(&self.effective)
            .map_err(|error| ConfigError::plain(format!("can't be shown: {error}")))
    }

    fn describe(&self, services: Vec<(&'static str, Value)>) -> Map<String, Value> {
        let value = |section: Result<Value, serde_json::Error>| section.unwrap_or(Value::Null);
        let mut all = Map::new();
        for (name, section) in [
            ("node", serde_json::to_value(&self.node)),
            ("log", serde_json::to_value(&self.log)),
            ("database", serde_json::to_value(&self.database)),
            ("blobs", serde_json::to_value(&self.blobs)),
            ("redis", serde_json::to_value(&self.redis)),
            ("limits", serde_json::to_value(&self.limits)),
            ("gateway", serde_json::to_value(&self.gateway)),
            ("cluster", serde_json::to_value(&self.cluster)),
            ("faults", serde_json::to_value(&self.faults)),
        ] {
            all.insert(name.to_owned(), value(section));
        }
        for (name, section) in services {
            all.insert(name.to_owned(), section);
        }
        all
    }
}

fn read_file(layers: &mut Layers, args: &CommonArgs) -> Result<(), ConfigError> {
    match &args.config {
        Some(path) => layers.file(path),
        None if Path::new(DEFAULT_FILE).exists() => layers.file(Path::new(DEFAULT_FILE)),
        None => Ok(()),
    }
}

fn flags(layers: &mut Layers, args: &RunArgs) -> Result<(), ConfigError> {
    let text = |value: &Option<String>| value.clone().map(Value::String);
    if let Some(dir) = &args.common.data_dir {
        let dir =
            dir.to_str().ok_or_else(|| ConfigError::plain("--data-dir is not UTF-8".into()))?;
        layers.set("--data-dir", "node.data_dir", dir.into());
    }
    for (flag, key, value) in [
        ("--database-url", "database.url", text(&args.common.database_url)),
        ("--name", "node.name", text(&args.name)),
        ("--listen", "node.listen", text(&args.listen)),
        ("--ops-listen", "node.ops_listen", text(&args.ops_listen)),
        ("--redis-url", "redis.url", text(&args.redis_url)),
        ("--cluster-listen", "cluster.listen", text(&args.cluster_listen)),
        ("--advertise", "cluster.advertise", text(&args.advertise)),
        ("--log-level", "log.level", text(&args.log_level)),
    ] {
        if let Some(value) = value {
            layers.set(flag, key, value);
        }
    }
    if !args.seed.is_empty() {
        layers.set("--seed", "cluster.seeds", args.seed.clone().into());
    }
    if let Some(dir) = &args.tls_dir {
        let dir =
            dir.to_str().ok_or_else(|| ConfigError::plain("--tls-dir is not UTF-8".into()))?;
        layers.set("--tls-dir", "cluster.tls_dir", dir.into());
    }
    if let Some(roles) = &args.roles {
        layers.set("--roles", "node.roles", roles.clone().into());
    }
    if let Some(format) = args.log_format {
        let format = match format {
            LogFormatArg::Json => "json",
            LogFormatArg::Pretty => "pretty",
        };
        layers.set("--log-format", "log.format", format.into());
    }
    match args.service_ports.as_deref() {
        None => {}
        Some("off") => layers.set("--service-ports", "node.service_ports_enabled", false.into()),
        Some(list) => {
            for pair in list.split(',') {
                let (name, port) = pair
                    .split_once('=')
                    .and_then(|(name, port)| Some((name.trim(), port.trim().parse::<u16>().ok()?)))
                    .ok_or_else(|| {
                        ConfigError::plain(format!(
                            "--service-ports: {pair:?} is not NAME=PORT (or off for none)"
                        ))
                    })?;
                let key = format!("node.service_ports.{name}");
                layers.set("--service-ports", &key, port.into());
            }
        }
    }
    Ok(())
}

/// A section as its component wants it.
fn section_of(path: &str, values: Value) -> Section {
    Section { path: path.to_owned(), values }
}

#[cfg(test)]
mod tests;
