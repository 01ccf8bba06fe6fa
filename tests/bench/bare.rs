//! The comparison: a service's own handlers and transactions behind a bare axum server. No
//! edge, no messages, no front door, no pool, no log line; whoever sends any `Authorization`
//! is the benchmark's user.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use http::{Method, header};
use http_body_util::BodyExt as _;
use panel_harness::{Backend, TestDatabase};
use panel_kernel::config::Section;
use panel_kernel::data::{Database, DatabaseConfig};
use panel_kernel::ids::{Id, random_hex};
use panel_kernel::keys::ClusterKey;
use panel_kernel::message::{IdempotencyKey, KeyOrigin, Principal, User};
use panel_kernel::purge::Purger;
use panel_kernel::role::Role;
use panel_kernel::secret::SecretUrl;
use panel_kernel::service::{NodeIdentity, RequestMeta, Runtime, ServiceContext};
use panel_kernel::supervision::{Supervisor, SupervisorSpec};
use panel_kernel::time::Clock;
use ractor::Actor;
use tower::Service as _;

use crate::seed::{self, Seeded, USER};

/// Serves on a free port, which it prints, until it is killed.
pub(crate) async fn serve(service: &str, database: &str, data_dir: &str) {
    let all = [panel_forum::SERVICE, panel_auth::SERVICE, panel_cms::SERVICE];
    let service = all.into_iter().find(|it| it.name == service).unwrap();
    let context = context(service.name, database, Path::new(data_dir));
    let section = Section { path: service.name.to_owned(), values: serde_json::json!({}) };
    let spec = (service.configure)(&section).unwrap();
    context.db.open_once(&spec.migrations).await.unwrap();
    let db = context.db.clone();
    tokio::spawn(async move {
        loop {
            db.allot().await.unwrap();
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
    });
    let assembly = (spec.assemble)(&context);
    let root = SupervisorSpec::new("", &context.runtime.tree);
    let root = assembly.children.into_iter().fold(root, SupervisorSpec::child);
    let _root = Actor::spawn(None, Supervisor, root).await.unwrap();
    let (clock, router) = (context.runtime.clock.clone(), assembly.router);
    let app = axum::Router::new().fallback(move |request: Request| {
        let (clock, mut router) = (clock.clone(), router.clone());
        async move {
            let request = with_meta(request, &clock).await;
            router.call(request).await.unwrap()
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    axum::serve(listener, app).await.unwrap();
}

/// A context on the node's database.
pub(crate) fn context(service: &'static str, database: &str, data_dir: &Path) -> ServiceContext {
    let node = NodeIdentity::new("bare");
    let key = ClusterKey::load_or_create(&data_dir.join("keys/cluster.key")).unwrap();
    let clock = Clock::system();
    let mut runtime =
        Runtime::new(node, clock.clone(), key, data_dir.to_owned(), "http://bare", "panel")
            .unwrap();
    runtime.limits = false;
    let config = DatabaseConfig { url: SecretUrl::new(database), ..DatabaseConfig::default() };
    let location = config.location(service, data_dir).unwrap();
    let metrics = runtime.metrics.clone();
    let directory = runtime.directory.clone();
    // Nobody runs it: there is no gateway either.
    let of_node = (clock.clone(), metrics.clone());
    let purger = Purger::new(service, directory, runtime.redis.clone(), of_node);
    let db = Database::new(service, &location, &config, "bare", (clock, metrics)).unwrap();
    ServiceContext { runtime, db, purger, path: service }
}

/// Fills the node's database with something to read, and lets `PostgreSQL` see what is there: it
/// would look by itself after a minute, in the middle of a measurement.
pub(crate) async fn seeded(database: &TestDatabase, data_dir: &Path) -> Seeded {
    let context = context("forum", database.url(), data_dir);
    let section = Section { path: "forum".to_owned(), values: serde_json::json!({}) };
    let spec = (panel_forum::SERVICE.configure)(&section).unwrap();
    context.db.open_once(&spec.migrations).await.unwrap();
    let seeded = seed::fill(&context.db).await;
    if database.backend() == Backend::Postgres {
        database.raw_sql("forum").await.run("VACUUM (ANALYZE)").await;
    }
    seeded
}

/// What a front door's worker would put there.
async fn with_meta(request: Request, clock: &Clock) -> Request {
    let (mut parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let principal = if parts.headers.contains_key(header::AUTHORIZATION) {
        Principal::User(User {
            id: Id::from_raw(USER),
            session: Id::from_raw(1),
            name: "bench".to_owned(),
            role: Role::User,
            scopes: None,
        })
    } else {
        Principal::Anonymous
    };
    let key = (parts.method != Method::GET)
        .then(|| IdempotencyKey { value: random_hex(), origin: KeyOrigin::Gateway });
    let now = clock.now();
    let meta = RequestMeta::direct(
        principal,
        key,
        (parts.method.clone(), parts.uri.clone(), body.clone()),
        (now, now.plus(Duration::from_secs(10))),
    );
    parts.extensions.insert(Arc::new(meta));
    Request::from_parts(parts, Body::from(body))
}
