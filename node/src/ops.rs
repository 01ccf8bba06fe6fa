//! The ops port: what orchestrators and Prometheus ask, on every node.
//!
//! `live`: the root supervisor answers. `ready`: not draining, and every own service is in its
//! process group; a database that is down, or another node's absence, does not make a node
//! unready, because taking it out of service would help nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{Request, StatusCode};
use hyper::body::Incoming;
use panel_gateway::server::{
    Handler, HttpResponse, Peer, small_answer, small_problem, unless_read,
};
use panel_kernel::data::DatabaseHealth;
use panel_kernel::problem::{Kind, Problem};
use panel_kernel::service::{Running, Runtime};
use panel_kernel::supervision::SupervisorMessage;
use parking_lot::Mutex;
use ractor::ActorRef;
use ractor::rpc::CallResult;
use serde::Serialize;

const JSON: &str = "application/json";
/// The version of Prometheus's text format.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

const LIVE: &str = "/health/live";
const READY: &str = "/health/ready";
const METRICS: &str = "/metrics";
const ROUTES: [&str; 4] = ["/health", LIVE, READY, METRICS];

/// Answers on the ops port. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Ops(pub(crate) Arc<OpsParts>);

pub(crate) struct OpsParts {
    pub(crate) runtime: Runtime,
    pub(crate) services: Vec<Running>,
    pub(crate) draining: AtomicBool,
    /// Set once the tree has started.
    pub(crate) root: Mutex<Option<ActorRef<SupervisorMessage>>>,
}

#[derive(Serialize)]
struct Report<'a> {
    status: &'static str,
    node: &'a str,
    version: &'static str,
    draining: bool,
    services: Vec<ServiceReport>,
}

#[derive(Serialize)]
struct ServiceReport {
    name: &'static str,
    up: bool,
    in_flight: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<DatabaseHealth>,
}

impl Handler for Ops {
    async fn handle(&self, request: Request<Incoming>, _: Peer) -> HttpResponse {
        let path = request.uri().path();
        if !ROUTES.contains(&path) {
            let detail = format!("this port answers {}", ROUTES.join(", "));
            return small_problem(&Problem::new(Kind::NotFound, detail));
        }
        if let Some(answer) = unless_read(request.method()) {
            return answer;
        }
        match path {
            LIVE => status(self.is_live().await),
            READY => status(self.is_ready()),
            METRICS => self.metrics(),
            _ => self.health(),
        }
    }

    fn refuse(&self, problem: &Problem, _: Peer) -> HttpResponse {
        small_problem(problem)
    }
}

impl Ops {
    async fn is_live(&self) -> bool {
        let root = self.0.root.lock().clone();
        let Some(root) = root else { return false };
        let answer = root.call(SupervisorMessage::Ping, Some(Duration::from_secs(2))).await;
        matches!(answer, Ok(CallResult::Success(())))
    }

    fn is_ready(&self) -> bool {
        !self.0.draining.load(Ordering::Relaxed) && self.0.services.iter().all(Running::is_member)
    }

    fn health(&self) -> HttpResponse {
        let services: Vec<ServiceReport> = self
            .0
            .services
            .iter()
            .map(|service| ServiceReport {
                name: service.name,
                up: service.is_member(),
                in_flight: service.load.inside(),
                database: service.db.load().as_ref().map(|db| db.health()),
            })
            .collect();
        let up = services.iter().all(|service| service.up);
        let report = Report {
            status: if up { "healthy" } else { "unavailable" },
            node: &self.0.runtime.node.name,
            version: self.0.runtime.node.version,
            draining: self.0.draining.load(Ordering::Relaxed),
            services,
        };
        let code = if up { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        small_answer(code, JSON, serde_json::to_vec(&report).unwrap_or_default())
    }

    fn metrics(&self) -> HttpResponse {
        for service in &self.0.services {
            service.publish_load();
        }
        small_answer(StatusCode::OK, EXPOSITION, self.0.runtime.metrics.render())
    }
}

fn status(good: bool) -> HttpResponse {
    let (code, text) = if good {
        (StatusCode::OK, &br#"{"status":"ok"}"#[..])
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, &br#"{"status":"unavailable"}"#[..])
    };
    small_answer(code, JSON, text.to_vec())
}
