//! Starting a node.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use panel_gateway::server::{ServerLimits, ServerParts};
use panel_gateway::{Dependencies, DependencyHealth, Gateway, GatewayParts, Listener};
use panel_kernel::data::{DatabaseHealth, DatabaseUrl};
use panel_kernel::events::Outlet;
use panel_kernel::faults;
use panel_kernel::ids::random_hex;
use panel_kernel::keys::ClusterKey;
use panel_kernel::service::{self, NodeIdentity, Running, Runtime, ServiceSpec};
use panel_kernel::supervision::{Backoff, ChildSpec, Intensity, SupervisorSpec};
use panel_kernel::time::Clock;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Node;
use super::guardian::Root;
use super::sockets::Sockets;
use crate::config::Config;
use crate::control::{Alone, Control, ControlParts, ControlSocket, Drain};
use crate::lock::{Locks, RunFile};
use crate::ops::{Ops, OpsParts};
use crate::redis::{self, RedisHealth};
use crate::{Failure, services};

/// Connections to the ops port; a handful of probes is all it is for.
const OPS_CONNECTIONS: usize = 64;

/// Starts everything. Returns when the tree runs and the sockets listen; databases may still
/// be on their way.
pub(crate) async fn start(config: &Config) -> Result<Node, Failure> {
    faults::start(&config.faults).map_err(Failure::Usage)?;
    let data_dir = config.node.data_dir.as_path();
    let locks = Locks::take(data_dir, &config.node.name, &sqlite_directories(config))?;
    let sockets = Sockets::bind(config)?;
    let runtime = runtime(config, &sockets)?;
    let run_file = RunFile {
        pid: std::process::id(),
        http: sockets.http().map(|address| address.to_string()),
        ops: sockets.ops.local_addr().map_err(Failure::other)?.to_string(),
        cluster: None,
        service_ports: sockets.service_ports(),
    };
    let (redis_health, redis) = redis::watch(&config.redis.url).map_err(Failure::Usage)?;
    let (children, running) = own_services(config, &runtime)?;
    let dependencies = dependencies(running.clone(), redis_health);
    let gateway = sockets
        .gateway
        .map(|sockets| gateway(config, &runtime, dependencies.clone(), sockets))
        .transpose()?;
    let drain = Drain::default();
    let control = Control(Arc::new(ControlParts {
        runtime: runtime.clone(),
        roles: roles(config),
        services: running.clone(),
        gateway: gateway.clone(),
        dependencies,
        drain: drain.clone(),
        others: Arc::new(Alone),
        started: Instant::now(),
    }));
    let socket = ControlSocket::open(data_dir, &config.node.name);
    let ops = Ops(Arc::new(OpsParts {
        runtime: runtime.clone(),
        services: running.clone(),
        draining: false.into(),
        root: parking_lot::Mutex::default(),
    }));
    let ops_shutdown = CancellationToken::new();
    let mut spec = SupervisorSpec::new("", &runtime.tree)
        .intensity(Intensity::never_give_up(Duration::from_secs(60)))
        .backoff(Backoff { first: Duration::from_millis(100), most: Duration::from_secs(30) });
    // First, so that it is the last to stop.
    for child in socket.iter().map(|socket| control.child(socket)) {
        spec = spec.child(child);
    }
    spec = spec
        .child(ops_child(sockets.ops, ops.clone(), config, ops_shutdown.clone()))
        .child(panel_cluster::child(&runtime));
    for child in redis.into_iter().chain(children).chain(gateway.as_ref().map(Gateway::child)) {
        spec = spec.child(child);
    }
    let root = Root::start(spec).await.map_err(Failure::other)?;
    *ops.0.root.lock() = Some(root.actor.clone());
    locks.announce(&run_file).map_err(Failure::other)?;
    announce(config, &run_file);
    Ok(Node { root, services: running, gateway, ops, ops_shutdown, drain, socket, locks })
}

fn gateway(
    config: &Config,
    runtime: &Runtime,
    dependencies: Dependencies,
    sockets: panel_gateway::Sockets,
) -> Result<Gateway, Failure> {
    Gateway::new(GatewayParts {
        runtime: runtime.clone(),
        config: config.gateway.clone(),
        services: config.services.clone(),
        identity_service: services::IDENTITY,
        dependencies,
        sockets,
    })
    .map_err(Failure::other)
}

/// What this node does.
fn roles(config: &Config) -> Vec<&'static str> {
    std::iter::once(services::GATEWAY)
        .chain(config.services.iter().map(|spec| spec.name))
        .filter(|role| config.has_role(role))
        .collect()
}

/// Where SQLite files of this node's services lie.
fn sqlite_directories(config: &Config) -> Vec<PathBuf> {
    let places = config.own_services().filter_map(|spec| match config.location(spec.name) {
        Ok(DatabaseUrl::Sqlite(directory)) => Some(directory),
        _ => None,
    });
    let distinct: BTreeSet<PathBuf> = places.collect();
    distinct.into_iter().collect()
}

fn runtime(config: &Config, sockets: &Sockets) -> Result<Runtime, Failure> {
    let node = NodeIdentity {
        name: Arc::from(config.node.name.as_str()),
        boot: Arc::from(random_hex().as_str()),
    };
    let data_dir = std::path::absolute(&config.node.data_dir).map_err(Failure::other)?;
    let key = cluster_key(&data_dir)?;
    let public_url = match (config.node.public_url.as_str(), sockets.http()) {
        ("", Some(address)) => format!("http://{address}"),
        ("", None) => "http://127.0.0.1:5000".to_owned(),
        (url, _) => url.to_owned(),
    };
    let issuer = match config.node.public_url.as_str() {
        "" => "panel",
        url => url,
    };
    Runtime::new(node, Clock::system(), key, data_dir, &public_url, issuer).map_err(Failure::other)
}

/// The key that seals what the database must not show; made at the first start.
pub(crate) fn cluster_key(data_dir: &Path) -> Result<ClusterKey, Failure> {
    let keys = data_dir.join("keys");
    let path = keys.join("cluster.key");
    std::fs::create_dir_all(&keys)
        .and_then(|()| ClusterKey::load_or_create(&path))
        .map_err(|error| Failure::Other(format!("{} can't be used: {error}", path.display())))
}

fn own_services(
    config: &Config,
    runtime: &Runtime,
) -> Result<(Vec<ChildSpec>, Vec<Running>), Failure> {
    let wishes = |specs: &[ServiceSpec]| -> Vec<(&'static str, _)> {
        specs.iter().map(|spec| (spec.name, spec.subscriptions)).collect()
    };
    let wishes = wishes(&config.services);
    let mut children = Vec::new();
    let mut running = Vec::new();
    for spec in config.own_services() {
        let location = config.location(spec.name).map_err(Failure::Usage)?;
        let outlets = Outlet::of(spec.name, wishes.iter().copied());
        let (child, handle) =
            service::child(spec, runtime, location, config.database.clone(), outlets);
        children.push(child);
        running.push(handle);
    }
    Ok((children, running))
}

fn dependencies(services: Vec<Running>, redis: RedisHealth) -> Dependencies {
    Arc::new(move || {
        let mut report = BTreeMap::new();
        report.insert("database", database_health(&services));
        report.insert("redis", redis.report());
        report
    })
}

/// The databases of this node's services, as one: as bad as the worst of them, and whose it is.
fn database_health(services: &[Running]) -> DependencyHealth {
    let health = |service: &Running| {
        service.db.load().as_ref().map_or(DatabaseHealth::Starting, |db| db.health())
    };
    let unwell: Vec<(&'static str, DatabaseHealth)> = services
        .iter()
        .map(|service| (service.name, health(service)))
        .filter(|(_, health)| *health != DatabaseHealth::Up)
        .collect();
    let gone = |health: &DatabaseHealth| !matches!(health, DatabaseHealth::ReadOnly(_));
    let worst = unwell.iter().find(|(_, health)| gone(health)).or(unwell.first());
    let Some(cause) = worst.and_then(|(_, health)| health.cause()) else {
        return match services {
            [] => DependencyHealth::not_configured(),
            _ => DependencyHealth::up(),
        };
    };
    let health = if unwell.iter().any(|(_, health)| gone(health)) {
        DependencyHealth::down(cause)
    } else {
        DependencyHealth::read_only(cause)
    };
    health.of(unwell.into_iter().map(|(name, _)| name).collect())
}

fn ops_child(
    socket: std::net::TcpListener,
    ops: Ops,
    config: &Config,
    shutdown: CancellationToken,
) -> ChildSpec {
    let socket = Arc::new(socket);
    let parts = ServerParts {
        limits: ServerLimits {
            connections: Arc::new(Semaphore::new(OPS_CONNECTIONS)),
            head_timeout: config.gateway.head_timeout.0,
            write_timeout: config.gateway.write_timeout.0,
            head_bytes: 16 * 1024,
        },
        shutdown,
        connections: TaskTracker::new(),
    };
    ChildSpec::new("ops", move || {
        let listener =
            Listener { socket: Arc::clone(&socket), handler: ops.clone(), parts: parts.clone() };
        (listener, ())
    })
}

fn announce(config: &Config, run: &RunFile) {
    let database = config.own_services().next().map(|spec| match config.location(spec.name) {
        Ok(DatabaseUrl::Sqlite(directory)) => format!("SQLite in {}", directory.display()),
        Ok(DatabaseUrl::Postgres(url)) => url.to_string(),
        Err(error) => error,
    });
    tracing::info!(
        node = config.node.name,
        version = env!("CARGO_PKG_VERSION"),
        roles = roles(config).join(","),
        http = run.http,
        ops = run.ops,
        data_dir = %config.node.data_dir.display(),
        database,
        limits = config.limits.enabled,
        "panel-node is running"
    );
}
