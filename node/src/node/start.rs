//! Starting a node.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use panel_cluster::{Cluster, ClusterParts};
use panel_gateway::server::{ServerLimits, ServerParts};
use panel_gateway::{
    Dependencies, DependencyHealth, Gateway, GatewayError, GatewayParts, Listener,
};
use panel_kernel::blobs::{Blobs, BlobsLocation};
use panel_kernel::data::{DatabaseHealth, DatabaseUrl};
use panel_kernel::events::Outlet;
use panel_kernel::faults;
use panel_kernel::keys::ClusterKey;
use panel_kernel::redis::{Redis, RedisHealth};
use panel_kernel::service::{self, NodeIdentity, Running, Runtime, ServiceSpec};
use panel_kernel::supervision::{Backoff, ChildSpec, Intensity, SupervisorSpec};
use panel_kernel::time::Clock;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::Node;
use super::guardian::Root;
use super::sockets::Sockets;
use crate::config::Config;
use crate::control::{Control, ControlParts, ControlSocket, Drain};
use crate::lock::{Locks, RunFile};
use crate::ops::{Ops, OpsParts};
use crate::{Failure, services};

/// Connections to the ops port; a handful of probes is all it is for.
const OPS_CONNECTIONS: usize = 64;

/// Starts everything. Returns when the tree runs and the sockets listen; databases may still
/// be on their way.
pub(crate) async fn start(config: &Config) -> Result<Node, Failure> {
    faults::start(&config.faults).map_err(Failure::Usage)?;
    let data_dir = config.node.data_dir.as_path();
    let locks = Locks::take(data_dir, &config.node.name, &own_directories(config)?)?;
    let sockets = Sockets::bind(config)?;
    let mut runtime = runtime(config, &sockets)?;
    runtime.redis = Redis::new(&config.redis, &runtime.metrics).map_err(Failure::Usage)?;
    runtime.blobs = blobs(config, &runtime)?;
    let run_file = RunFile {
        pid: std::process::id(),
        http: sockets.http().map(|address| address.to_string()),
        redirect: sockets.redirect().map(|address| address.to_string()),
        ops: sockets.ops.local_addr().map_err(Failure::other)?.to_string(),
        cluster: sockets.cluster().map(|address| address.to_string()),
        service_ports: sockets.service_ports(),
    };
    let drain = Drain::default();
    let cluster = cluster(config, &runtime, sockets.cluster, &drain)?;
    let (children, running) = own_services(config, &runtime)?;
    let dependencies = dependencies(running.clone(), &runtime);
    let gateway = sockets
        .gateway
        .map(|sockets| gateway(config, &runtime, dependencies.clone(), sockets))
        .transpose()?;
    let control = Control(Arc::new(ControlParts {
        runtime: runtime.clone(),
        roles: config.roles(),
        services: running.clone(),
        dependencies: gateway.as_ref().map_or(dependencies, Gateway::dependencies),
        gateway: gateway.clone(),
        drain: drain.clone(),
        cluster: cluster.clone(),
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
        .child(cluster.child());
    let (redis, blobs) = (runtime.redis.child(), runtime.blobs.child(&runtime));
    for child in
        redis.into_iter().chain(blobs).chain(children).chain(gateway.as_ref().map(Gateway::child))
    {
        spec = spec.child(child);
    }
    let root = Root::start(spec).await.map_err(Failure::other)?;
    *ops.0.root.lock() = Some(root.actor.clone());
    locks.announce(&run_file).map_err(Failure::other)?;
    announce(config, &run_file);
    Ok(Node { root, services: running, gateway, cluster, ops, ops_shutdown, drain, socket, locks })
}

fn cluster(
    config: &Config,
    runtime: &Runtime,
    socket: Option<std::net::TcpListener>,
    drain: &Drain,
) -> Result<Cluster, Failure> {
    let Some(socket) = socket else { return Ok(Cluster::alone(runtime, config.roles())) };
    let drain = drain.clone();
    let parts = ClusterParts {
        config: config.cluster.clone(),
        socket,
        roles: config.roles(),
        on_drain: Arc::new(move || drain.wish()),
    };
    Cluster::linked(runtime, parts).map_err(Failure::Other)
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
        limits: config.limits.clone(),
        services: config.services.clone(),
        identity_service: services::IDENTITY,
        database: config
            .shared()
            .map_err(Failure::Usage)?
            .map(|location| (location, config.database.clone())),
        dependencies,
        sockets,
    })
    .map_err(|error| match error {
        GatewayError::Certificate(_)
        | GatewayError::Acme(_)
        | GatewayError::Traffic(_)
        | GatewayError::Commons(_)
        | GatewayError::Cdn(_) => Failure::Usage(error.to_string()),
        GatewayError::Metrics(_) => Failure::other(error),
    })
}

/// Where SQLite files of this node's services lie, and files that no other node may have.
fn own_directories(config: &Config) -> Result<Vec<PathBuf>, Failure> {
    let places = config.own_services().filter_map(|spec| match config.location(spec.name) {
        Ok(DatabaseUrl::Sqlite(directory)) => Some(directory),
        _ => None,
    });
    let mut distinct: BTreeSet<PathBuf> = places.collect();
    if let Some(DatabaseUrl::Sqlite(directory)) = config.shared().map_err(Failure::Usage)? {
        distinct.insert(directory);
    }
    let blobs = config.blobs().map_err(Failure::Usage)?;
    if let Some(BlobsLocation::Directory(directory)) = blobs {
        distinct.insert(directory);
    }
    Ok(distinct.into_iter().collect())
}

fn runtime(config: &Config, sockets: &Sockets) -> Result<Runtime, Failure> {
    let node = NodeIdentity::new(&config.node.name);
    let clock = Clock::system_with_offset(config.faults.clock_offset_seconds);
    let data_dir = std::path::absolute(&config.node.data_dir).map_err(Failure::other)?;
    let tls_dir = Some(config.cluster.tls_dir.as_path());
    let key = cluster_key(&data_dir, tls_dir.filter(|dir| !dir.as_os_str().is_empty()))?;
    let public_url = match (config.node.public_url.as_str(), sockets.http()) {
        ("", Some(address)) if config.gateway.tls.is_on() => format!("https://{address}"),
        ("", Some(address)) => format!("http://{address}"),
        ("", None) => "http://127.0.0.1:5000".to_owned(),
        (url, _) => url.to_owned(),
    };
    let issuer = match config.node.public_url.as_str() {
        "" => "panel",
        url => url,
    };
    let mut runtime =
        Runtime::new(node, clock, key, data_dir, &public_url, issuer).map_err(Failure::other)?;
    runtime.knows_public_url = !config.node.public_url.is_empty() || sockets.http().is_some();
    runtime.limits = config.limits.enabled;
    runtime.services = config.services.iter().map(|service| service.name).collect();
    Ok(runtime)
}

/// The key that seals what the database must not show: the one beside the node's certificate in
/// `tls_dir`, where there is one; else the data directory's, made at the first start.
pub(crate) fn cluster_key(data_dir: &Path, tls_dir: Option<&Path>) -> Result<ClusterKey, Failure> {
    if let Some(tls_dir) = tls_dir {
        return panel_cluster::tls::cluster_key(tls_dir).map_err(Failure::other);
    }
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

fn blobs(config: &Config, runtime: &Runtime) -> Result<Blobs, Failure> {
    let Some(location) = config.blobs().map_err(Failure::Usage)? else {
        tracing::warn!("this gateway sends no files: it is not told where they are (blobs.url)");
        return Ok(Blobs::none());
    };
    let blobs = Blobs::new(location, &config.database, runtime).map_err(Failure::Usage)?;
    blobs.tidy().map_err(|error| Failure::Other(format!("files can't be kept: {error}")))?;
    Ok(blobs)
}

fn dependencies(services: Vec<Running>, runtime: &Runtime) -> Dependencies {
    let (redis, blobs) = (runtime.redis.clone(), runtime.blobs.clone());
    Arc::new(move || {
        let mut report = BTreeMap::new();
        report.insert("database", database_health(&services));
        report.insert("blobs", blobs_health(&blobs));
        report.insert("redis", redis_health(redis.health()));
        report
    })
}

fn blobs_health(blobs: &Blobs) -> DependencyHealth {
    if !blobs.is_configured() {
        return DependencyHealth::not_configured();
    }
    blobs.trouble().map_or_else(DependencyHealth::up, DependencyHealth::down)
}

fn redis_health(health: RedisHealth) -> DependencyHealth {
    match health {
        RedisHealth::NotConfigured => DependencyHealth::not_configured(),
        RedisHealth::Up => DependencyHealth::up(),
        RedisHealth::Down => DependencyHealth::down("redis is not available"),
    }
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
    let limits = ServerLimits {
        connections: Arc::new(Semaphore::new(OPS_CONNECTIONS)),
        head_timeout: config.gateway.head_timeout.0,
        write_timeout: config.gateway.write_timeout.0,
        head_bytes: 16 * 1024,
    };
    let parts = ServerParts::plain(limits, shutdown);
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
        version = faults::release(),
        roles = config.roles().join(","),
        http = run.http,
        ops = run.ops,
        cluster = run.cluster,
        data_dir = %config.node.data_dir.display(),
        database,
        limits = config.limits.enabled,
        "panel-node is running"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_certificates_the_cluster_key_is_theirs_and_never_made() {
        let dir = tempfile::tempdir().unwrap();
        let tls = dir.path().join("tls");
        std::fs::create_dir(&tls).unwrap();
        let missing = cluster_key(dir.path(), Some(&tls)).unwrap_err().to_string();
        assert!(missing.ends_with("tls/cluster.key is not there"), "{missing}");
        assert!(!tls.join("cluster.key").exists() && !dir.path().join("keys").exists());
        let own = cluster_key(dir.path(), None).unwrap();
        std::fs::rename(dir.path().join("keys/cluster.key"), tls.join("cluster.key")).unwrap();
        let given = cluster_key(dir.path(), Some(&tls)).unwrap();
        let sealed = own.derive("test").seal(b"", b"secret").unwrap();
        assert_eq!(given.derive("test").open(b"", &sealed).unwrap().as_slice(), b"secret");
        assert!(!dir.path().join("keys/cluster.key").exists());
    }
}
