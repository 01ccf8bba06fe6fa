//! The gateway's tree, read as a table, and its shutdown.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use panel_kernel::data::{DatabaseConfig, DatabaseUrl};
use panel_kernel::identity::{CsrfTokens, SiteCookie};
use panel_kernel::metrics::Metrics;
use panel_kernel::service::{Runtime, ServiceSpec};
use panel_kernel::supervision::{ChildSpec, SupervisorSpec};
use panel_kernel::time::Clock;
use prometheus::IntGauge;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::behind::Behind;
use crate::cache::{Cache, Sharing};
use crate::cdn::{Cdn, CdnConfig};
use crate::commons::Commons;
use crate::config::GatewayConfig;
use crate::dispatch::{Balances, Budgets, DispatchMetrics, Dispatcher, Mirrors};
use crate::edge::{
    Browsers, Compressor, Cors, Edge, EdgeParts, Files, Limits, Observer, Targets, Uploads, hsts,
};
use crate::error::GatewayError;
use crate::health::{Dependencies, DependencyHealth, Health};
use crate::identity::{Credentials, Follower, Identity};
use crate::limits::{Limiter, LimitsConfig};
use crate::listener::Listener;
use crate::own::{Documents, Own};
use crate::server::{Handler, ServerLimits, ServerParts, Tls};
use crate::service_port::ServicePort;
use crate::site::{SecureSite, origin_of};
use crate::streams::{PushDoor, Streams, watch_child};
use crate::tls::acme::EXPIRIES;
use crate::traffic::{Traffic, Watch};

/// Sockets the node has bound for the gateway.
#[derive(Debug)]
pub struct Sockets {
    /// The public address.
    pub http: TcpListener,
    /// One per service, with the service's name.
    pub services: Vec<(&'static str, TcpListener)>,
    /// Where what is asked in the clear hears where the site is.
    pub redirect: Option<TcpListener>,
}

/// What a gateway is made of.
pub struct GatewayParts {
    /// The node.
    pub runtime: Runtime,
    /// The `[gateway]` section.
    pub config: GatewayConfig,
    /// The `[limits]` section.
    pub limits: LimitsConfig,
    /// All services of this release, also those that run elsewhere.
    pub services: Vec<ServiceSpec>,
    /// The service that issues tokens.
    pub identity_service: &'static str,
    /// Where gateways keep what they share, if they share anything.
    pub database: Option<(DatabaseUrl, DatabaseConfig)>,
    /// What the node depends on.
    pub dependencies: Dependencies,
    /// Where to listen.
    pub sockets: Sockets,
}

impl std::fmt::Debug for GatewayParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GatewayParts").field("sockets", &self.sockets).finish_non_exhaustive()
    }
}

/// A gateway, ready to be supervised, and the node's handle to it.
#[derive(Clone)]
pub struct Gateway {
    runtime: Runtime,
    edge: Edge,
    follower: (Identity, Dispatcher),
    limiter: Option<Limiter>,
    health: Health,
    http: Arc<TcpListener>,
    services: Vec<(&'static str, Arc<TcpListener>)>,
    redirect: Option<Arc<TcpListener>>,
    parts: ServerParts,
    commons: Option<Commons>,
    cdn: Option<Cdn>,
    secured: Option<SecureSite>,
    /// Reads the traffic file again, where there is one.
    traffic: Option<ChildSpec>,
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").field("http", &self.http).finish_non_exhaustive()
    }
}

impl Gateway {
    /// Puts a gateway together. Listens from the moment its child is started.
    ///
    /// # Errors
    /// If the site's certificate can't be used, or its metrics clash with others of the same name.
    pub fn new(parts: GatewayParts) -> Result<Self, GatewayError> {
        let GatewayParts {
            runtime,
            config,
            limits,
            services,
            identity_service,
            database,
            dependencies,
            sockets,
        } = parts;
        let clock = runtime.clock.clone();
        let names = || services.iter().map(|spec| spec.name);
        let server = ServerParts {
            resting: Some(resting(&runtime.metrics)?),
            ..ServerParts::plain(bounds(&config), CancellationToken::new())
        };
        let behind = Behind::new(server.shutdown.clone());
        let traffic =
            Traffic::load(config.traffic_file.clone(), names().collect(), identity_service);
        let traffic = traffic.map_err(GatewayError::Traffic)?;
        let dispatcher = dispatcher(&runtime, (names().collect(), &config), &traffic, &behind)?;
        let identity =
            Identity::new(identity_service, &runtime.issuer, config.authentication.token_cache);
        let (commons, cdn) = commons(database.as_ref(), &config.cdn, &runtime)?;
        let secured = SecureSite::new(&config.tls, commons.as_ref(), &runtime)?;
        let health = Health {
            services: names().collect(),
            dependencies: with_own(
                dependencies,
                identity.clone(),
                (secured.as_ref().map(|secured| secured.tls.clone()), cdn.clone(), traffic.clone()),
                clock.clone(),
            ),
            started: Instant::now(),
            runtime: runtime.clone(),
        };
        let own = Own {
            health: health.clone(),
            dispatcher: dispatcher.clone(),
            documents: Documents::default(),
        };
        let limiter = Limiter::new(&limits, runtime.redis.clone(), clock.clone());
        let names = services.iter().map(|spec| spec.name);
        let edge = Edge(Arc::new(EdgeParts {
            targets: Targets::new(services.iter()),
            proxies: config.proxies.clone(),
            cors: Cors::new(&config.cors.origins),
            credentials: Credentials::new(
                identity.clone(),
                dispatcher.clone(),
                clock.clone(),
                config.authentication.token_cache,
            ),
            browsers: browsers(&runtime),
            identity: identity.clone(),
            dispatcher: dispatcher.clone(),
            observer: Observer::new(&runtime.metrics)?,
            limits: Limits::new(limiter.clone(), &runtime.metrics)?,
            cache: Cache::new(
                config.cache.bytes,
                names,
                Sharing::of(&runtime, config.cache.redis_bytes),
                cdn.as_ref().map(Cdn::purges),
                &runtime.metrics,
            )?,
            behind,
            compressor: Compressor::new(&config.compression, &runtime.metrics)?,
            files: Files::new(runtime.blobs.clone(), config.files.max_downloads),
            uploads: Uploads::new(runtime.blobs.clone(), &config, &runtime.metrics)?,
            streams: Streams::new(
                config.streams.max,
                (dispatcher.clone(), identity.clone()),
                server.shutdown.clone(),
                &runtime.metrics,
            )?,
            hsts: hsts(&config.tls),
            cdn: cdn.as_ref().map(|cdn| cdn.labels().clone()),
            clock,
            config,
            own,
        }));
        Ok(Self {
            traffic: Watch::child(&traffic, &runtime.metrics)?,
            runtime,
            edge,
            follower: (identity, dispatcher),
            limiter,
            health,
            http: Arc::new(sockets.http),
            services: sockets
                .services
                .into_iter()
                .map(|(name, socket)| (name, Arc::new(socket)))
                .collect(),
            redirect: sockets.redirect.map(Arc::new),
            parts: server,
            commons,
            cdn,
            secured,
        })
    }

    /// The gateway as a child of the root.
    #[must_use]
    pub fn child(&self) -> ChildSpec {
        let top = SupervisorSpec::new("gateway", &self.runtime.tree).child(self.follower_child());
        let commons = self.commons.as_ref().map(|commons| commons.child(&self.runtime));
        let cdn = self.cdn.as_ref().map(|cdn| cdn.child(&self.runtime));
        let top = commons.into_iter().chain(cdn).fold(top, SupervisorSpec::child);
        let told = (&self.edge.0.streams, &self.edge.0.cache);
        let top = top.child(PushDoor::child(told)).child(self.edge.uploads_child());
        let top = top.child(watch_child(told, &self.runtime.directory));
        let sharer = self.edge.0.cache.sharer().map(|sharer| sharer.child());
        let top = sharer.into_iter().fold(top, SupervisorSpec::child);
        let limits = self.limiter.as_ref().and_then(Limiter::child);
        let top = limits.into_iter().fold(top, SupervisorSpec::child);
        let top = self.traffic.clone().into_iter().fold(top, SupervisorSpec::child);
        let top = self.site(top);
        let services = self.services.iter();
        let services = services.map(|(service, socket)| self.service_child(service, socket));
        services.fold(top, SupervisorSpec::child).into_child("gateway")
    }

    /// With the site's own listener, and, under TLS, what belongs to that.
    fn site(&self, top: SupervisorSpec) -> SupervisorSpec {
        let (socket, edge) = (&self.http, self.edge.clone());
        let Some(secured) = &self.secured else {
            return top.child(listener_child("listener", socket, edge, self.parts.clone()));
        };
        let parts = ServerParts { tls: Some(secured.tls.clone()), ..self.parts.clone() };
        let top = secured.children(&self.runtime).into_iter().fold(top, SupervisorSpec::child);
        let top = top.child(listener_child("listener", socket, edge, parts));
        let Some(socket) = &self.redirect else { return top };
        let redirect = secured.tls.redirect().clone();
        top.child(listener_child("redirect", socket, redirect, self.parts.clone()))
    }

    fn follower_child(&self) -> ChildSpec {
        let (identity, dispatcher) = self.follower.clone();
        let clock = self.runtime.clock.clone();
        ChildSpec::new("identity", move || {
            let follower = Follower {
                identity: identity.clone(),
                dispatcher: dispatcher.clone(),
                clock: clock.clone(),
            };
            (follower, ())
        })
    }

    fn service_child(&self, service: &'static str, socket: &Arc<TcpListener>) -> ChildSpec {
        let handler = ServicePort { service, health: self.health.clone() };
        listener_child(service, socket, handler, self.parts.clone())
    }

    /// What the node depends on, with what the gateway knows of that.
    #[must_use]
    pub fn dependencies(&self) -> Dependencies {
        Arc::clone(&self.health.dependencies)
    }

    /// Open connections, on all its ports.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.parts.connections.len()
    }

    /// How long the node goes on as before when it is told to stop.
    #[must_use]
    pub fn drain_delay(&self) -> Duration {
        self.edge.drain_delay()
    }

    /// Accepts nothing more, and waits for requests under way, each of which ends by its
    /// deadline. One whose body is still on its way is not waited for beyond that.
    pub async fn drain(&self) {
        self.parts.shutdown.cancel();
        self.parts.accepting.close();
        self.parts.accepting.wait().await;
        self.parts.connections.close();
        let patience = self.edge.longest_request() + Duration::from_secs(1);
        if tokio::time::timeout(patience, self.parts.connections.wait()).await.is_err() {
            let left = self.parts.connections.len();
            tracing::warn!(left, "connections did not end in time");
        }
        // They were told with the rest, and wait for nobody.
        self.edge.behind_ended().await;
        if let Some(cdn) = &self.cdn {
            cdn.drained().await;
        }
    }
}

fn dispatcher(
    runtime: &Runtime,
    (services, config): (Vec<&'static str>, &GatewayConfig),
    traffic: &Traffic,
    behind: &Behind,
) -> prometheus::Result<Dispatcher> {
    Ok(Dispatcher {
        directory: runtime.directory.clone(),
        clock: runtime.clock.clone(),
        balances: Balances::new(services.iter().copied(), &config.balance),
        traffic: traffic.clone(),
        mirrors: Mirrors::new(behind.clone(), &runtime.metrics)?,
        budgets: Budgets::new(services),
        metrics: DispatchMetrics::new(&runtime.metrics)?,
    })
}

/// What gateways share, where they share something, and the CDN in front of them, where there is one.
fn commons(
    place: Option<&(DatabaseUrl, DatabaseConfig)>,
    cdn: &CdnConfig,
    runtime: &Runtime,
) -> Result<(Option<Commons>, Option<Cdn>), GatewayError> {
    let commons = place.map(|(location, database)| {
        Commons::new((location, database), &EXPIRIES, runtime).map_err(GatewayError::Commons)
    });
    let commons = commons.transpose()?;
    let cdn = Cdn::new(cdn, commons.as_ref(), runtime).map_err(GatewayError::Cdn)?;
    Ok((commons, cdn))
}

fn browsers(runtime: &Runtime) -> Browsers {
    Browsers {
        cookie: SiteCookie::session(&runtime.public_url),
        sign_in: SiteCookie::sign_in(&runtime.public_url),
        tokens: CsrfTokens::new(&runtime.key),
        origin: origin_of(&runtime.public_url),
    }
}

fn resting(metrics: &Metrics) -> prometheus::Result<IntGauge> {
    let help = "HTTP/1.1 connections on which nothing is said, and of which little is kept.";
    metrics.register(IntGauge::new("panel_gateway_connections_resting", help)?)
}

fn bounds(config: &GatewayConfig) -> ServerLimits {
    ServerLimits {
        connections: Arc::new(Semaphore::new(config.max_connections)),
        head_timeout: config.head_timeout.0,
        write_timeout: config.write_timeout.0,
        // Heads a little over the edge's limits must reach it, so that it can answer.
        head_bytes: (config.max_header_bytes + config.max_uri_bytes) * 4,
    }
}

fn listener_child<H: Handler>(
    name: &'static str,
    socket: &Arc<TcpListener>,
    handler: H,
    parts: ServerParts,
) -> ChildSpec {
    let socket = Arc::clone(socket);
    ChildSpec::new(name, move || {
        let listener = Listener {
            socket: Arc::clone(&socket),
            handler: handler.clone(),
            parts: parts.clone(),
        };
        (listener, ())
    })
}

/// Adds what the gateway itself knows: whether revocations are up to date, its certificate good, a CDN told of purges, and
/// the traffic file in force.
fn with_own(
    dependencies: Dependencies,
    identity: Identity,
    (tls, cdn, traffic): (Option<Tls>, Option<Cdn>, Traffic),
    clock: Clock,
) -> Dependencies {
    Arc::new(move || {
        let mut report = dependencies();
        let now = clock.now();
        let health = if identity.is_current(now) {
            DependencyHealth::up()
        } else {
            DependencyHealth::down("keys and revocations are not up to date")
        };
        report.insert("identity", health);
        if let Some(is_in_force) = traffic.is_in_force() {
            let health = if is_in_force {
                DependencyHealth::up()
            } else {
                DependencyHealth::down("it can't be used: what it said before is in force")
            };
            report.insert("traffic_file", health);
        }
        if let Some(tls) = &tls {
            let health = match tls.certificate().validity() {
                None => DependencyHealth::down("none was issued yet"),
                // Through the whole of its last second (RFC 5280, 4.1.2.5).
                Some((_, to)) if now.as_seconds() <= to.as_seconds() => DependencyHealth::up(),
                Some(_) => DependencyHealth::down("it has expired"),
            };
            report.insert("certificate", health);
        }
        if let Some(cdn) = &cdn {
            let health = cdn.trouble().map_or_else(DependencyHealth::up, DependencyHealth::down);
            report.insert("cdn", health);
        }
        report
    })
}
